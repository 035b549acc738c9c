"""The sdlab command as tests call it: as a process, or its main in this one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from tests.cli.contract import one_document

SDLAB: Final = Path(sys.executable).with_name("sdlab")
TIMEOUT_S: Final = 240
# Sets the largest size that a file of this process and its workers may have, then becomes sdlab.
LIMITED: Final = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @cached_property
    def document(self) -> Any:
        return one_document(self.out)

    def done(self) -> Any:
        """The document of a command that ended well."""
        assert self.code == 0, f"exit {self.code}\n{self.out}\n{self.err}"
        return self.document


@dataclass(frozen=True)
class Command:
    """``sdlab`` as a process of its own, for one lab."""

    home: Path
    file_limit: int | None = None

    def __call__(self, *arguments: Any, **settings: Any) -> Outcome:
        """Runs a command with ``--json``; settings become SDLAB_ variables."""
        process = self.start(*arguments, "--json", **settings)
        out, err = process.communicate(timeout=TIMEOUT_S)
        return Outcome(process.returncode, out, err)

    def start(self, *arguments: Any, **settings: Any) -> subprocess.Popen[str]:
        """Starts a command and returns at once."""
        line = [str(SDLAB), *map(str, arguments)]
        if self.file_limit is not None:
            line = [sys.executable, "-c", LIMITED, str(self.file_limit), *line]
        return subprocess.Popen(
            line,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment(self.home, **settings)},
            # What a shell starts in the background ignores Ctrl-C, and so does what that starts.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )


def environment(home: Path, **settings: Any) -> Mapping[str, str]:
    """Variables for a lab at ``home`` on one thread, without a network."""
    own = {f"SDLAB_{name.upper()}": str(value) for name, value in settings.items()}
    return {
        "SDLAB_HOME": str(home),
        "SDLAB_THREADS": "1",
        "SDLAB_BEAT_S": "0.2",
        "OMP_WAIT_POLICY": "PASSIVE",
        "HF_HUB_OFFLINE": "1",
        **own,
    }

"""Programs that do their worst in the scorer code; each is run for real."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path

import psutil
import pytest

from backend.config import Settings
from backend.errors import ConfigError
from backend.evaluation.scorers import ScorerFailed, choose
from backend.evaluation.scorers.code import find_code
from backend.evaluation.scorers.sandbox import Ended, run_checks
from tests.contracts.test_scorers import row

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="no Landlock elsewhere")
CONFINED = Settings(run_code="confined")


def run(code: str, checks: str = "assert True", memory_mib: int = 128) -> Ended:
    return run_checks(code, [checks], timeout_s=1, memory_mib=memory_mib, confined=True)


def leftovers() -> list[str]:
    """Programs of the sandbox that still run, whoever their parent is now."""
    lines = [
        " ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])
    ]
    return [line for line in lines if "sandboxed.py" in line]


def test_all_layers_are_in_place_here() -> None:
    """Space needs user namespaces, which some containers do not allow."""
    assert {"files", "network", "processes"} <= set(run("pass").confined)


HOSTILE = {
    "endless loop": ("while True: pass", "ran longer than 1 s"),
    "sleeps": ("import time\ntime.sleep(60)", "ran longer than 1 s"),
    "leaves its group": (
        "import contextlib, ctypes, os, time\nwith contextlib.suppress(OSError): os.setsid()\n"
        "ctypes.CDLL(None).prctl(1, 0)\ntime.sleep(60)",
        "ran longer than 1 s",
    ),
    "fork bomb": ("import os\nwhile True: os.fork()", "PermissionError"),
    "threads": ("import threading\nthreading.Thread(target=print).start()", "RuntimeError"),
    "another program": ("import os\nos.execv('/bin/sh', ['sh', '-c', 'true'])", "PermissionError"),
    "memory": ("x = bytearray(10**10)", "MemoryError"),
    "output": ("while True: print('x' * 10**6)", "File too large"),
    "one large file": ("open('f', 'wb').write(b'x' * 2 * 10**6)", "File too large"),
    "ends itself": ("import os\nos._exit(0)", "it ended itself, with status 0"),
    "ends early": ("raise SystemExit(0)", "SystemExit: 0"),
    "crashes": ("import ctypes\nctypes.string_at(0)", "signal 11"),
    "signals others": ("import os\nos.kill(-1, 9)", "PermissionError"),
    "environment of others": ("open('/proc/1/environ').read()", "PermissionError"),
    "hostile error": (
        "class E(Exception):\n  def __str__(self): raise self\nraise E", "the code ends with E"),
    "not Python": ("def (", "SyntaxError"),
    "deep": ("(" * 5000 + ")" * 5000, "the code ends with"),
}  # fmt: skip


@pytest.mark.parametrize(("code", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_program_gets_a_reason_and_leaves_nothing_behind(code: str, reason: str) -> None:
    started = time.monotonic()
    ended = run(code)
    assert ended.passed == 0
    assert reason in ended.first
    assert len(ended.output) <= 300
    assert time.monotonic() - started < 10
    assert not leftovers()


def test_many_files_fill_a_disk_of_the_programs_own() -> None:
    ended = run("for i in range(99): open(str(i), 'wb').write(b'x' * 10**5)")
    assert "No space left" in ended.first or "space" not in ended.confined


def test_a_program_cannot_read_the_lab_or_write_beside_it(tmp_path: Path) -> None:
    secret = tmp_path / "lab.sqlite"
    secret.write_text("secret")
    for code in (
        "print(open(SECRET).read())",
        "open(SECRET, 'a')",
        "import os\nos.unlink(SECRET)",
        "import os\nos.listdir(os.path.dirname(SECRET))",
        "import os\nos.symlink(SECRET, 'x')\nprint(open('x').read())",
    ):
        ended = run(f"SECRET = {str(secret)!r}\n{code}")
        assert "PermissionError" in ended.first
        assert "secret" not in ended.output
    assert secret.read_text() == "secret"


def test_a_program_has_no_network_not_even_to_this_machine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        ended = run(f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 1)")
    assert "PermissionError" in ended.first


def test_a_program_has_an_empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDLAB_JUDGE_KEY", "sk-secret")
    ended = run("import os\nprint(dict(os.environ), os.getcwd() != '/')")
    assert "secret" not in ended.output
    assert ended.passed == ended.of == 1


def test_the_standard_library_and_a_small_disk_are_there() -> None:
    code = (
        "import json, math, re, sqlite3, decimal, collections, itertools, tempfile\n"
        "with open('f', 'w') as handle: handle.write('1')\n"
        "tempfile.TemporaryFile().close()"
    )
    assert run(code, "assert open('f').read() == '1'").first == ""


def test_descriptors_of_the_lab_are_not_handed_on(tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as handle:
        os.set_inheritable(handle.fileno(), True)
        ended = run(f"import os\nos.write({handle.fileno()}, b'x')")
    assert "Bad file descriptor" in ended.first or (tmp_path / "open").read_text() == ""


ADD = "def add(a, b):\n    return a + b"
CHECKS = ("assert add(1, 2) == 3", "assert add(1, 1) == 3", "assert add(0, 0) == 0")


def test_assertions_are_counted_one_by_one() -> None:
    whole = choose("code").open(CONFINED).score(ADD, row(CHECKS))
    assert (whole.value, whole.reason) == (
        0.0,
        "2 of 3 passed; assert add(1, 1) == 3: AssertionError",
    )
    partial = choose("code", '{"partial": true}').open(CONFINED)
    assert partial.score(ADD, row(CHECKS)).value == pytest.approx(2 / 3)
    assert partial.score(ADD, row(CHECKS[0])).reason == "all 1 passed"


def test_checks_may_be_a_function_that_is_called() -> None:
    checks = "def check(f):\n    assert f(1, 2) == 3\n\ncheck(add)"
    assert choose("code").open(CONFINED).score(ADD, row(checks)).value == 1.0


def test_setup_runs_before_the_answer() -> None:
    opened = choose("code", '{"setup": "import math"}').open(CONFINED)
    assert opened.score("def f(): return math.pi", row("assert f() > 3")).value == 1.0


@pytest.mark.parametrize("reference", ["assert (", "", "x = 1"])
def test_a_reference_that_asserts_nothing_is_no_score(reference: str) -> None:
    with pytest.raises(ScorerFailed, match="assert"):
        choose("code").open(CONFINED).score("x = 1", row(("y = 1", reference)))


def test_it_is_off_until_it_is_switched_on() -> None:
    with pytest.raises(ConfigError, match=r"which is off; read docs/scorers\.md"):
        choose("code").open(Settings())


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ("x = 1", "x = 1"),
        ("Here:\n```python\nx = 1\n```\nor\n```\ny\n```", "x = 1\n"),
        ("```sh\nls\n```\n```py\nx\n```", "x\n"),
        ("```sh\nls\n```", ""),
        ("```\nx = 1", "x = 1"),
    ],
)
def test_code_is_found_in_its_fence(answer: str, code: str) -> None:
    assert find_code(answer) == code

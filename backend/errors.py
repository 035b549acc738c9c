"""The one tree of errors: each says what was found, where, and what to do.

SdlabError
├── UserError      exit 2: something the user can put right
│   ├── DataError      a file or its rows
│   ├── ConfigError    a run's configuration or the lab's settings
│   ├── ModelError     a base model that cannot be found, loaded or afforded
│   ├── NotFound       a name or id that the lab does not hold
│   ├── StateError     the thing is there, but not in a state that allows this
│   └── DiskFull       no room is left for what was to be written
├── Replaced       a worker learned that another owner or attempt took its run: it must exit
├── StopRequested  the user asked a job to end early; it left a checkpoint
└── Fault          exit 1: ours; the log has the traceback
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)})
# Libraries written in Rust (safetensors, tokenizers) say the number only in their message.
_RUST: Final = re.compile(r"\(os error (\d+)\)")
_SQLITE: Final = "database or disk is full"
# torch has an error of its own for GPUs only.
_TORCH_CPU: Final = "DefaultCPUAllocator: can't allocate memory"


class SdlabError(Exception):
    """Base of all errors that the lab raises on purpose."""

    code = "error"
    exit_code = 1

    def __init__(self, message: str, *, where: str = "", remedy: str = "") -> None:
        self.message = message
        self.where = where
        self.remedy = remedy
        super().__init__(str(self))

    def __str__(self) -> str:
        """One sentence: ``where: message; remedy``."""
        head = f"{self.where}: {self.message}" if self.where else self.message
        return f"{head}; {self.remedy}" if self.remedy else head

    @property
    def details(self) -> Mapping[str, Any]:
        """What a caller may want to show besides the sentence, such as a whole report."""
        return {}

    def as_document(self) -> dict[str, str]:
        """The ``error`` object of the command line's JSON and of the runs table."""
        return {
            "code": self.code,
            "message": self.message,
            "where": self.where,
            "remedy": self.remedy,
        }


class UserError(SdlabError):
    code = "user_error"
    exit_code = 2


class DataError(UserError):
    code = "bad_data"


class ConfigError(UserError):
    code = "bad_config"


class ModelError(UserError):
    code = "bad_model"


class NotFound(UserError):
    code = "not_found"


class StateError(UserError):
    code = "wrong_state"


class DiskFull(UserError):
    code = "disk_full"


class Replaced(SdlabError):
    code = "replaced"


class StopRequested(SdlabError):
    code = "stopped"


class Fault(SdlabError):
    code = "fault"


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or what it was caused by, says that there is no room left."""
    return any(_says_no_room(each) for each in _causes(error))


def disk_full(error: BaseException, *, where: str, remedy: str) -> DiskFull:
    """What to tell of such an error; ``where`` if it names no file."""
    files = [
        each.filename2 or each.filename for each in _causes(error) if isinstance(each, OSError)
    ]
    return DiskFull(
        "the disk is full, or a file would become larger than it may",
        where=next((str(file) for file in files if file), where),
        remedy=remedy,
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, of this machine or of a GPU."""
    return any(
        isinstance(each, MemoryError)
        or type(each).__name__ == "OutOfMemoryError"
        or _TORCH_CPU in str(each)
        for each in _causes(error)
    )


def stored_error(document: Mapping[str, Any], where: str) -> SdlabError:
    """The error that a worker stored, with its code: a user's mistake or a fault, as it was."""
    error = (UserError if document.get("exit_code") == UserError.exit_code else Fault)(
        document["message"], where=where, remedy=document.get("remedy") or ""
    )
    error.code = document.get("code") or error.code
    return error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _says_no_room(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in _NO_ROOM
    told = _RUST.search(str(error))
    return _SQLITE in str(error) or (told is not None and int(told[1]) in _NO_ROOM)

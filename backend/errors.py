"""The one tree of errors: each says what was found, where, and what to do.

SdlabError
├── UserError      exit 2: something the user can put right
│   ├── DataError      a file or its rows
│   ├── ConfigError    a run's configuration or the lab's settings
│   ├── ModelError     a base model that cannot be found, loaded or afforded
│   ├── NotFound       a name or id that the lab does not hold
│   └── StateError     the thing is there, but not in a state that allows this
├── Replaced       a worker learned that another owner or attempt took its run: it must exit
├── StopRequested  the user asked a job to end early; it left a checkpoint
└── Fault          exit 1: ours; the log has the traceback
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


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


class Replaced(SdlabError):
    code = "replaced"


class StopRequested(SdlabError):
    code = "stopped"


class Fault(SdlabError):
    code = "fault"

"""Settings of a lab, from the environment."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import platformdirs
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from backend.errors import ConfigError

# Other tools that a run's curves can be told to; backend/jobs/mirrors.py has them.
MIRRORS: Final = ("tensorboard", "wandb", "trackio")
_ROOT_PATH = re.compile(r"|(https?://[\w.-]+(:\d{1,5})?)?(/[\w.~-]+)*/?")


def _home(value: Any) -> Path:
    """An absolute path; an empty variable is one that nobody set, ``~`` is as in a shell."""
    try:
        return Path(value or platformdirs.user_data_dir("sdlab")).expanduser().absolute()
    except (RuntimeError, TypeError) as error:
        raise ValueError("this is no folder, or that of no user") from error


def _root_path(value: Any) -> str:
    """Without a slash at its end, but for the root itself."""
    text = str(value or "").strip()
    if not _ROOT_PATH.fullmatch(text):
        raise ValueError("write a path such as /lab, or an address such as https://name/lab")
    return text.rstrip("/") or text[:1]


def names_in(text: str) -> tuple[str, ...]:
    """Names with spaces or commas between them, one by one."""
    return tuple(text.replace(",", " ").split())


def _mirrors(value: str) -> str:
    unknown = [name for name in names_in(value) if name not in MIRRORS]
    if unknown:
        raise ValueError(f"{unknown[0]} is none of {', '.join(MIRRORS)}")
    return value


class Settings(BaseSettings):
    """Where a lab lives and how it runs its jobs; every field can come from ``SDLAB_<NAME>``."""

    model_config = SettingsConfigDict(
        env_prefix="SDLAB_", frozen=True, extra="ignore", allow_inf_nan=False
    )

    home: Annotated[Path, BeforeValidator(_home)] = Field(default_factory=lambda: _home(""))
    database_url: str = ""
    threads: int = Field(0, ge=0, description="torch threads of a worker; 0: all cores")
    lease_s: float = Field(30.0, gt=0, description="silence after which a worker counts as lost")
    beat_s: float = Field(2.0, gt=0)
    max_attempts: int = Field(3, ge=1)
    grace_s: float = Field(60.0, gt=0, description="from the wish to stop to SIGKILL")
    stall_s: float = Field(900.0, gt=0, description="without a step or phase: told as stalled")
    slots: str = Field("", description="where runs work, such as gpu:0,gpu:1; empty: as found")
    max_upload_mib: int = Field(1024, ge=1)
    allowed_hosts: str = Field("", description="more names it is opened by, with commas between")
    run_code: Literal["off", "confined", "unconfined"] = Field(
        "off", description="whether the scorer code may run what models wrote"
    )
    judge_url: str = Field("", description="where the scorer judge asks, as an OpenAI-style API")
    judge_private: bool = Field(False, description="the judge may be on a private network")
    judge_timeout_s: float = Field(60.0, gt=0, le=600, description="for one question to the judge")
    # Never in a dump: it stays in the environment, which workers inherit.
    judge_key: str = Field("", exclude=True, repr=False, description="sent to the judge as bearer")
    # Never in a dump: a worker has no use for it.
    password: str = Field("", exclude=True, repr=False, description="asked of every browser")
    auth: Literal["", "users"] = Field("", description="users: people sign in, each with a role")
    session_h: float = Field(12.0, gt=0, le=24 * 30, description="from signing in to its end")
    root_path: Annotated[str, BeforeValidator(_root_path)] = Field(
        "", description="where a proxy shows the lab: a path, or a whole address"
    )

    mirrors: Annotated[str, AfterValidator(_mirrors)] = Field(
        "", description="where curves are told as well: tensorboard, wandb, trackio"
    )

    @property
    def mirror_names(self) -> tuple[str, ...]:
        """``mirrors``, one by one."""
        return names_in(self.mirrors)

    @property
    def database(self) -> str:
        """The SQLAlchemy URL: ``database_url``, or SQLite under ``home``."""
        return self.database_url or f"sqlite:///{self.home / 'lab.sqlite'}"

    @property
    def users_file(self) -> Path:
        """Where ``auth`` finds the users."""
        return self.home / "users.json"


def validate_settings(**values: Any) -> Settings:
    """The lab's settings from the environment. Raises ConfigError that names the variable."""
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = "SDLAB_" + "_".join(str(part) for part in first["loc"]).upper()
        raise ConfigError(
            f"{name} is {first['input']!r}: {first['msg'].lower()}",
            where="environment",
            remedy="change it or unset it",
        ) from error

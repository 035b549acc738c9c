"""A PostgreSQL server of the tests' own: reached by a socket file only, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from sqlalchemy import make_url, text

from storage.database import migrate, open_database

_MIGRATED = "migrated"
# Tests may lose their databases with the power.
_FAST = ("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")


class PostgresServer:
    """Hands out databases of the lab's schema."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        migrated = open_database(self._create(_MIGRATED, "template0"))
        migrate(migrated)
        migrated.close()

    def lab(self) -> str:
        """The URL of a new database with the lab's tables and no rows."""
        return self._create(f"lab_{uuid4().hex}", _MIGRATED)

    def empty(self) -> str:
        """The URL of a new database without a table."""
        return self._create(f"empty_{uuid4().hex}", "template0")

    def drop(self, url: str) -> None:
        """Removes a database, whoever is still connected."""
        self._do(f"DROP DATABASE {make_url(url).database} WITH (FORCE)")

    def _create(self, name: str, template: str) -> str:
        self._do(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self._url(name)

    def _do(self, statement: str) -> None:
        server = open_database(self._url("postgres"))
        with server.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(statement))
        server.close()

    def _url(self, name: str) -> str:
        return f"postgresql://postgres@/{name}?host={self._folder}"


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """A server in a temporary folder, which goes with it."""
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="sdlab-postgres-"))
    # The server refuses to run as root; pytest's own folders are closed to other users.
    user = "postgres" if os.geteuid() == 0 else None
    if user is not None:
        account = pwd.getpwnam(user)
        os.chown(folder, account.pw_uid, account.pw_gid)
    data = folder / "data"

    def run(program: str, *arguments: str) -> None:
        line = [str(programs / program), *arguments]
        ended = subprocess.run(
            line, user=user, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        assert ended.returncode == 0, f"{line}\n{ended.stdout}\n{ended.stderr}"

    try:
        run("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8")
        options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}", *_FAST]
        log = str(folder / "log")
        run("pg_ctl", "-D", str(data), "-l", log, "-w", "-o", " ".join(options), "start")
        try:
            yield PostgresServer(folder)
        finally:
            run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder)


def _programs() -> Path:
    """The folder of initdb and pg_ctl; Debian's lies beside the PATH."""
    if named := os.environ.get("SDLAB_POSTGRES"):
        return Path(named)
    if (on_path := shutil.which("initdb")) is not None:
        return Path(on_path).parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    assert installed, "PostgreSQL is missing: run make setup-dev"
    return installed[-1]

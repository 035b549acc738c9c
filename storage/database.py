"""Opens the lab's database, brings its schema up to date, hands out read and write sessions."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

BUSY_TIMEOUT_MS = 30_000
_WRITER_BYTE = 120
MIGRATIONS = Path(__file__).parent / "migrations"
SchemaState = Literal["empty", "current", "older", "newer"]


class UnknownSchemaError(RuntimeError):
    """The database was written by a version of sdlab that this one does not know."""


@dataclass(frozen=True)
class Database:
    """An engine and the two ways to use it; safe to share between threads."""

    url: str
    engine: Engine

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @property
    def file(self) -> Path | None:
        """The SQLite file; None on a server."""
        name = self.engine.url.database
        return Path(name) if self.is_sqlite and name else None

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for reading; its rows stay usable after it."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session in one transaction: committed at the end, rolled back on an error.

        On SQLite its first statement takes the write lock, or waits for it, so that what it has
        read cannot have changed when it writes.
        """
        writer = self.engine.execution_options(sqlite_begin="IMMEDIATE")
        with Session(writer, expire_on_commit=False) as session, session.begin():
            yield session

    def close(self) -> None:
        """Closes the pooled connections."""
        self.engine.dispose()


def open_database(url: str, busy_timeout_ms: int = BUSY_TIMEOUT_MS) -> Database:
    """The database at a SQLAlchemy URL; SQLite files need an existing folder (see migrate).

    On SQLite a transaction waits so long for the write lock before it fails, or as many seconds as
    the URL's ``timeout`` says. Raises ImportError where a server's database lacks its driver.
    """
    parsed = make_url(re.sub("^postgres:", "postgresql:", url))
    if parsed.get_backend_name() != "sqlite":
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        return Database(url, create_engine(parsed, pool_pre_ping=True))
    if not parsed.database or parsed.database == ":memory:":
        raise ValueError(f"{url}: a lab's SQLite database is a file, not memory")
    timeout_s = float(str(parsed.query.get("timeout", busy_timeout_ms / 1000)))
    engine = create_engine(url, connect_args={"timeout": timeout_s})
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin)
    return Database(url, engine)


def _set_pragmas(connection: Any, _record: Any) -> None:
    # The driver's own BEGIN comes late and is never IMMEDIATE; _begin sends it instead.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()


def _begin(connection: Any) -> None:
    mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")


def serialize(session: Session, name: str) -> None:
    """Until the transaction ends, no other one that names the same lock gets past this line."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": name})


def may_pass(error: OperationalError) -> bool:
    """Whether the same may go well later: locked, without room, or a server that is away."""
    if isinstance(error.orig, sqlite3.Error):
        code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
        return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL)
    return True


def may_hold_up(database: Database, pid: int) -> bool:
    """Whether this process may have SQLite's write lock; True where that cannot be told.

    Linux lists who has which byte of a file locked; byte 120 of the WAL's index is the writer's.
    """
    if database.file is None:
        return False
    try:
        index = database.file.with_name(f"{database.file.name}-shm").stat().st_ino
        locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    except OSError:
        return True
    # number, POSIX, ADVISORY, WRITE, pid, major:minor:inode, first byte, last byte
    return any(
        lock[3] == "WRITE"
        and lock[4] == str(pid)
        and lock[5].endswith(f":{index}")
        and int(lock[6]) <= _WRITER_BYTE
        and (lock[7] == "EOF" or int(lock[7]) >= _WRITER_BYTE)
        for lock in locks
        if len(lock) == 8
    )


def schema_state(database: Database, migrations: Path = MIGRATIONS) -> SchemaState:
    """How the database's schema compares with this program's; "newer" is any unknown one.

    Creates no file.
    """
    if database.file is not None and not database.file.exists():
        return "empty"
    with database.engine.connect() as connection:
        return _state(connection, _alembic(migrations))


def migrate(database: Database, migrations: Path = MIGRATIONS) -> None:
    """Makes the database and its folder, or brings an older schema up to date.

    An older SQLite file is copied beside itself first. Several processes may call it at once.
    Raises UnknownSchemaError for a schema from the future.
    """
    if database.file is not None:
        database.file.parent.mkdir(parents=True, exist_ok=True)
    config = _alembic(migrations)
    with database.engine.connect() as connection:
        if not database.is_sqlite:
            with connection.begin():
                connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('migrate'))"))
                _upgrade(connection, config, None)
            return
        raw: Any = connection.connection.driver_connection
        raw.execute("PRAGMA journal_mode = WAL")
        # ON, a table that Alembic rebuilds would take the rows that refer to it along.
        raw.execute("PRAGMA foreign_keys = OFF")
        try:
            immediate = connection.execution_options(sqlite_begin="IMMEDIATE")
            with immediate.begin():
                _upgrade(immediate, config, database.file)
        finally:
            raw.execute("PRAGMA foreign_keys = ON")


def _upgrade(connection: Connection, config: Config, file: Path | None) -> None:
    state = _state(connection, config)
    if state == "current":
        return
    if state == "newer":
        raise UnknownSchemaError(
            f"the database has schema {_revision(connection)}, which this version of sdlab does "
            "not know; install the version that wrote it, or choose another SDLAB_HOME"
        )
    if state == "older" and file is not None:
        _back_up(file, f"{_revision(connection)}")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    if file is not None:
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if broken:
            raise RuntimeError(
                f"the migration would leave rows that refer to nothing: {broken[:5]}"
            )


def _back_up(file: Path, revision: str) -> None:
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    target = file.with_name(f"{file.name}.{revision}-{stamp}.backup")
    partial = target.with_name(f"{target.name}.partial")
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(partial)) as copy:
        source.backup(copy)
    partial.replace(target)


def _alembic(migrations: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _state(connection: Connection, config: Config) -> SchemaState:
    script = ScriptDirectory.from_config(config)
    revision = _revision(connection)
    if revision is None:
        return "empty"
    if revision == script.get_current_head():
        return "current"
    known = {step.revision for step in script.walk_revisions()}
    return "older" if revision in known else "newer"

"""Opening, migrating and refusing a database."""

import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, StatementError

from storage.database import (
    MIGRATIONS,
    UnknownSchemaError,
    migrate,
    open_database,
    schema_state,
)
from storage.evaluations import Evaluations
from storage.models import Base, Metric, Run, Task
from storage.runs import Runs
from storage.tasks import Tasks
from tests.wholeness import assert_lab_whole

HERE = Path(__file__).parent


def _set_revision(database, revision):
    with database.write() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :new"), {"new": revision})


def test_migrating_makes_folder_and_schema_and_can_be_repeated(tmp_path):
    database = open_database(f"sqlite:///{tmp_path / 'a %20 folder' / 'lab.sqlite'}")
    assert schema_state(database) == "empty"
    assert not database.file.exists()

    migrate(database)
    Runs(database).enqueue(Run(name="kept", kind="train", config={}))
    migrate(database)

    assert schema_state(database) == "current"
    assert [run.name for run in Runs(database).all()] == ["kept"]
    assert [path.name for path in database.file.parent.glob("*.backup")] == []
    database.close()


def test_the_migrations_make_exactly_the_tables_of_the_models(database):
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []


def test_every_connection_has_the_pragmas(sqlite_database):
    engine = sqlite_database.engine
    with engine.connect() as one, engine.connect() as two:
        for connection in (one, two):
            found = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
            }
            assert found == {
                "journal_mode": "wal",
                "synchronous": 1,
                "busy_timeout": 30_000,
                "foreign_keys": 1,
            }


def test_foreign_keys_hold_after_a_migration(database):
    with pytest.raises(IntegrityError), database.write() as session:
        session.add(Metric(run_id="nobody", key="loss", step=1, value=1.0))


def test_a_schema_from_the_future_is_refused_untouched(database):
    _set_revision(database, "9999")

    assert schema_state(database) == "newer"
    with pytest.raises(UnknownSchemaError, match=r"9999.*install the version that wrote it"):
        migrate(database)
    assert schema_state(database) == "newer"


def test_an_older_schema_is_copied_before_it_is_changed(sqlite_database, tmp_path):
    database = sqlite_database
    Tasks(database)
    with database.write() as session:
        session.add(Task(name="old"))
    migrations = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, migrations)
    (migrations / "versions" / "m0005_more.py").write_text(
        'from alembic import op\nimport sqlalchemy as sa\nrevision = "0005"\n'
        'down_revision = "0004"\n\n\ndef upgrade():\n'
        '    with op.batch_alter_table("tasks") as batch:\n'
        '        batch.add_column(sa.Column("note", sa.String()))\n'
    )
    assert schema_state(database, migrations) == "older"

    migrate(database, migrations)

    assert schema_state(database, migrations) == "current"
    assert schema_state(database) == "newer"
    [backup] = database.file.parent.glob("lab.sqlite.0004-*.backup")
    with closing(sqlite3.connect(backup)) as old, closing(sqlite3.connect(database.file)) as new:
        assert old.execute("SELECT name FROM tasks").fetchall() == [("old",)]
        assert "note" not in {row[1] for row in old.execute("PRAGMA table_info(tasks)")}
        assert "note" in {row[1] for row in new.execute("PRAGMA table_info(tasks)")}


def test_a_migration_that_fails_leaves_the_schema_as_it_was(database, tmp_path):
    migrations = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, migrations)
    (migrations / "versions" / "m0005_broken.py").write_text(
        'from alembic import op\nrevision = "0005"\ndown_revision = "0004"\n\n\n'
        'def upgrade():\n    op.drop_table("events")\n    raise RuntimeError("no")\n'
    )

    with pytest.raises(RuntimeError, match="no"):
        migrate(database, migrations)

    assert schema_state(database, migrations) == "older"
    assert Runs(database).events("any") == []


def test_a_migration_killed_half_way_leaves_the_schema_as_it_was_and_runs_again(database, tmp_path):
    migrations = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, migrations)
    known = [path.stem[1:5] for path in (MIGRATIONS / "versions").glob("m[0-9]*.py")]
    (migrations / "versions" / "m9000_interrupted.py").write_text(
        f'from alembic import op\nrevision = "9000"\ndown_revision = "{max(known)}"\n\n\n'
        'def upgrade():\n    op.drop_table("evaluation_items")\n'
        '    op.execute("CREATE TABLE half_way (id INTEGER)")\n'
    )
    kept = Runs(database).enqueue(Run(name="kept", kind="train", config={}))[0]
    killed = subprocess.run(
        [sys.executable, str(HERE / "interrupted.py"), database.url, str(migrations)],
        env={"PYTHONPATH": str(HERE.parents[1])},
    )

    assert killed.returncode == -signal.SIGKILL
    assert schema_state(database) == "current", "as it was before"
    assert Evaluations(database).items("none") == []
    assert_lab_whole(database, tmp_path, waiting=[kept.id])
    migrate(database, migrations)
    assert schema_state(database, migrations) == "current"
    assert Runs(database).get(kept.id).name == "kept"
    assert_lab_whole(database, tmp_path, waiting=[kept.id])


def test_migrating_from_several_threads_at_once_works(tmp_path):
    url = f"sqlite:///{tmp_path / 'lab.sqlite'}"
    failures = []

    def bring_up():
        database = open_database(url)
        try:
            migrate(database)
            assert schema_state(database) == "current"
        except Exception as error:
            failures.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=bring_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_write_that_fails_leaves_nothing(database):
    def write_half():
        with database.write() as session:
            session.add(Task(name="half"))
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert Tasks(database).all() == []


def test_memory_is_refused():
    with pytest.raises(ValueError, match="is a file"):
        open_database("sqlite://")


def test_times_come_back_in_utc_with_their_zone(database):
    there = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    with database.write() as session:
        session.add(Task(name="a", created_at=there))

    assert Tasks(database).by_name("a").created_at == there
    assert Tasks(database).by_name("a").created_at.tzinfo is UTC


def test_a_time_without_zone_is_refused(database):
    with pytest.raises(StatementError, match="has no time zone"), database.write() as session:
        session.add(Task(name="a", created_at=datetime(2026, 1, 1)))


def test_a_lab_of_the_first_schema_keeps_its_runs(tmp_path):
    first = tmp_path / "migrations"
    shutil.copytree(
        MIGRATIONS,
        first,
        ignore=shutil.ignore_patterns("m0002*", "m0003*", "m0004*", "__pycache__"),
    )
    database = open_database(f"sqlite:///{tmp_path / 'old.sqlite'}")
    migrate(database, first)
    with closing(sqlite3.connect(database.file)) as old, old:
        old.execute(
            "INSERT INTO runs (id, seq, name, kind, state, config, method, model, priority, "
            "attempt, max_attempts, beat_seq, step, total_steps, phase, stop_requested, created_at)"
            " VALUES ('a', 1, 'kept', 'train', 'done', '{}', '', '', 0, 1, 3, 0, 4, 4, '', 0, "
            "'2026-01-01 00:00:00')"
        )
        old.execute("INSERT INTO metrics (run_id, key, step, value) VALUES ('a', 'loss', 4, 0.5)")
    assert schema_state(database) == "older"

    migrate(database)

    (run,) = Runs(database).all()
    assert (run.name, run.after_run_id) == ("kept", None)
    with database.read() as session:
        assert session.get(Metric, ("a", "loss", 4)) is not None
    database.close()

"""An empty lab's database, and runs to put into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.claims import Claims
from storage.database import Database, migrate, open_database
from storage.models import Run
from storage.runs import Runs
from tests.postgres import PostgresServer


@pytest.fixture
def sqlite_database(tmp_path: Path) -> Iterator[Database]:
    database = open_database(f"sqlite:///{tmp_path / 'lab.sqlite'}")
    migrate(database)
    yield database
    database.close()


@pytest.fixture
def postgres_database(postgres: PostgresServer) -> Iterator[Database]:
    database = open_database(postgres.lab())
    yield database
    database.close()
    postgres.drop(database.url)


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> Database:
    """Each test runs on both."""
    database: Database = request.getfixturevalue(f"{request.param}_database")
    return database


@pytest.fixture
def claims(database: Database) -> Claims:
    claims = Claims(database)
    claims.ensure_slots(["cpu:0"])
    return claims


@pytest.fixture
def enqueue(database: Database) -> Callable[..., Run]:
    def add(name: str = "a run", **values: Any) -> Run:
        return Runs(database).enqueue(Run(name=name, kind="train", config={}, **values))[0]

    return add

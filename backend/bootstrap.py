"""Builds a lab: opens its database, brings the schema up to date, and picks a launcher."""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy.exc import SQLAlchemyError

from backend.config import Settings
from backend.errors import StateError, UserError
from backend.jobs.launchers import LAUNCHERS, Launcher
from backend.lab import Lab
from storage.database import migrate, open_database, schema_state


def build_lab(
    settings: Settings | None = None,
    launcher: Launcher | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Lab:
    """A lab at ``settings.home``, which is made if need be. Raises UserError where it cannot be."""
    settings = settings or Settings()
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot make the lab's folder ({error.strerror})",
            where=str(settings.home),
            remedy="set SDLAB_HOME to a folder that you may write to",
        ) from error
    try:
        database = open_database(settings.database)
        if schema_state(database) == "newer":
            raise StateError(
                "the lab's database was written by a newer version of sdlab",
                where=str(settings.home),
                remedy="update sdlab, or set SDLAB_HOME to another folder",
            )
        migrate(database)
    except ImportError as error:
        raise UserError(
            f"the database's driver is not installed ({error})",
            where="SDLAB_DATABASE_URL",
            remedy='for PostgreSQL, run: pip install "sdlab[postgres]"; or leave the variable out',
        ) from error
    except (SQLAlchemyError, ValueError) as error:
        raise UserError(
            f"cannot open the lab's database ({str(error.__cause__ or error).strip()})",
            where="SDLAB_DATABASE_URL" if settings.database_url else settings.database,
            remedy="run: sdlab doctor",
        ) from error
    return Lab(settings, database, launcher or LAUNCHERS["local"], clock)

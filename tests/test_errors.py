"""Errors that others raise, recognised; and errors that were stored, told again."""

from __future__ import annotations

import errno
import sqlite3

import pytest
from safetensors import SafetensorError
from sqlalchemy.exc import OperationalError

from backend.errors import DataError, Fault, ModelError, UserError, disk_full, is_disk_full
from backend.errors import stored_error as told_again

RUST = "Error while serializing: I/O error: No space left on device (os error 28)"


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def met_while_handling(error: Exception, first: Exception) -> Exception:
    error.__context__ = first
    return error


FULL = OSError(errno.ENOSPC, "No space left on device", "/home/runs/a")


@pytest.mark.parametrize(
    "error",
    [
        FULL,
        OSError(errno.EFBIG, "File too large"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        sqlite3.OperationalError("database or disk is full"),
        OperationalError("INSERT", {}, sqlite3.OperationalError("database or disk is full")),
        SafetensorError(RUST),
        caused(ModelError("the model cannot be converted"), FULL),
        met_while_handling(KeyError("x"), caused(ValueError("y"), SafetensorError(RUST))),
    ],
    ids=repr,
)
def test_a_full_disk_is_recognised_whoever_says_so(error: Exception) -> None:
    assert is_disk_full(error)


def test_other_errors_are_no_full_disk() -> None:
    handled = RuntimeError("something else")
    handled.__context__, handled.__suppress_context__ = FULL, True
    for error in (
        OSError(errno.EACCES, "Permission denied"),
        SafetensorError("header too large"),
        SafetensorError("I/O error: Permission denied (os error 13)"),
        sqlite3.OperationalError("database is locked"),
        ValueError("28"),
        handled,
    ):
        assert not is_disk_full(error), error


def test_a_full_disk_names_the_file_if_any_cause_does() -> None:
    deep = disk_full(caused(ModelError("no"), FULL), where="the lab", remedy="free some")
    assert (deep.code, deep.where, deep.exit_code) == ("disk_full", "/home/runs/a", 2)
    assert disk_full(SafetensorError(RUST), where="the lab", remedy="").where == "the lab"


def test_a_stored_error_keeps_its_code_and_whose_it_is() -> None:
    for error in (DataError("row 3 is empty", remedy="remove it"), Fault("it broke")):
        stored = {**error.as_document(), "exit_code": error.exit_code}
        again = told_again(stored, "job x")
        assert (again.code, again.exit_code) == (error.code, error.exit_code)
        assert (again.message, again.where) == (error.message, "job x")
    assert isinstance(told_again({"message": "old"}, "x"), Fault)
    assert isinstance(told_again({"message": "m", "exit_code": 2}, "x"), UserError)

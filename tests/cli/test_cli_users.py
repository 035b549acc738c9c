"""``sdlab user``: passwords come from a prompt or a pipe, never from the command line."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command import Outcome

Call = Callable[..., Outcome]


def test_users_are_added_listed_and_removed(
    call: Call, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("plum kettle orbit\nanother long password\n"))
    added = call("user", "add", "ada", "--role", "trainer", "--json")
    assert added.done() == {"name": "ada", "role": "trainer"}
    assert "SDLAB_AUTH=users" in added.err
    assert call("user", "password", "ada", "--json").done()["name"] == "ada"
    assert call("user", "list", "--json").done() == [{"name": "ada", "role": "trainer"}]
    assert "plum" not in (home / "users.json").read_text("utf-8")
    assert call("user", "remove", "ada", "--json").code == 0
    assert call("user", "list").out == "nobody\n"
    assert call("user", "remove", "ada").code == 2

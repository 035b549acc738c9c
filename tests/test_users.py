"""Accounts: hashed passwords in a file for its owner's eyes, and what a role may do."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Final

import pytest

from backend.errors import ConfigError, NotFound, UserError
from backend.users import Cost, Person, Users

CHEAP: Final = Cost(n=2, r=8, p=1)
WORDS: Final = "plum kettle orbit"


@pytest.fixture
def users(tmp_path: Path) -> Users:
    return Users(tmp_path / "home" / "users.json", CHEAP)


def test_a_password_opens_its_account_alone(users: Users) -> None:
    users.add("ada", WORDS, "trainer")
    users.add("bob", "another password", "viewer")
    account = users.check("ada", WORDS)
    assert account is not None
    assert account.role == "trainer"
    for name, password in (("ada", "another password"), ("bob", WORDS), ("eve", WORDS), ("", "")):
        assert users.check(name, password) is None


def test_the_file_holds_no_password_and_is_its_owners_only(users: Users) -> None:
    users.add("ada", WORDS, "admin")
    text = users.path.read_text("utf-8")
    assert WORDS not in text
    assert "plum" not in text
    assert stat.S_IMODE(users.path.stat().st_mode) == 0o600
    users.path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        users.people()


def test_the_same_password_is_hashed_to_something_else_each_time(users: Users) -> None:
    for name in ("ada", "bob"):
        users.add(name, WORDS, "viewer")
    first, second = users.find("ada"), users.find("bob")
    assert first is not None
    assert second is not None
    assert first.password != second.password


def test_what_another_process_changed_is_seen_at_once(users: Users) -> None:
    users.add("ada", WORDS, "viewer")
    assert users.check("ada", WORDS) is not None
    Users(users.path, CHEAP).set_password("ada", "a new long password")
    assert users.check("ada", WORDS) is None
    Users(users.path, CHEAP).remove("ada")
    assert users.people() == []
    with pytest.raises(NotFound, match="no user ada"):
        users.remove("ada")


@pytest.mark.parametrize("name", ["", "-a", "../x", "a b", "<img>", "x" * 65])
def test_an_unfit_name_is_refused(users: Users, name: str) -> None:
    with pytest.raises(UserError, match="cannot be a name"):
        users.add(name, WORDS, "viewer")


@pytest.mark.parametrize("password", ["", "short", "x" * 1025])
def test_an_unfit_password_is_refused(users: Users, password: str) -> None:
    with pytest.raises(UserError, match="characters"):
        users.add("ada", password, "viewer")
    users.add("ada", WORDS, "viewer")
    with pytest.raises(UserError, match="already"):
        users.add("ada", WORDS, "viewer")


def test_a_file_of_something_else_is_told(users: Users) -> None:
    users.path.parent.mkdir()
    users.path.touch(mode=0o600)
    users.path.write_text('{"users": {"ada": {"role": "king", "password": ""}}}')
    with pytest.raises(ConfigError, match="no file of users"):
        users.find("ada")


def test_a_role_may_do_what_lower_ones_may() -> None:
    assert [Person("a", "trainer").may(role) for role in ("viewer", "trainer", "admin")] == [
        True,
        True,
        False,
    ]

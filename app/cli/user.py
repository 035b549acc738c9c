"""``sdlab user``: who may sign in to the lab's pages, and what they may do there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, get_args

import click

from app.cli.output import json_option, show, table, tell
from backend.config import validate_settings
from backend.users import Person, Role, Users


@click.group()
def user() -> None:
    """Who may sign in to the lab's pages; serve asks for it with SDLAB_AUTH=users."""


@user.command()
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(get_args(Role)),
    default="viewer",
    show_default=True,
    help="viewer looks; trainer also adds, launches and stops; admin may do everything.",
)
@json_option
def add(name: str, role: Role, as_json: bool) -> None:
    """Let NAME sign in; asks for a password, or reads it from a pipe."""
    _done(_users().add(name, _new_password(), role), as_json)
    if validate_settings().auth != "users":
        tell("the server asks for names and passwords with: SDLAB_AUTH=users sdlab serve")


@user.command("list")
@json_option
def list_users(as_json: bool) -> None:
    """Names and roles."""
    show([_document(each) for each in _users().people()], as_json, _lines)


@user.command()
@click.argument("name")
@json_option
def password(name: str, as_json: bool) -> None:
    """Give NAME another password, and end the sessions under the old one."""
    _done(_users().set_password(name, _new_password()), as_json)


@user.command()
@click.argument("name")
@json_option
def remove(name: str, as_json: bool) -> None:
    """Let NAME sign in no longer, and end the sessions there are."""
    _done(_users().remove(name), as_json)


def _users() -> Users:
    return Users(validate_settings().users_file)


def _new_password() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    return sys.stdin.readline().rstrip("\r\n")


def _done(person: Person, as_json: bool) -> None:
    show(_document(person), as_json, lambda each: _lines([each]))


def _document(person: Person) -> dict[str, Any]:
    return {"name": person.name, "role": person.role}


def _lines(people: list[dict[str, Any]]) -> Iterator[str]:
    yield from table([[each["name"], each["role"]] for each in people] or [["nobody"]])

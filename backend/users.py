"""Who may use a lab: names, roles and hashed passwords, in a file that only its owner reads."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from backend.atomic import new_file
from backend.errors import ConfigError, NotFound, UserError

Role = Literal["viewer", "trainer", "admin"]
# Each may do what those before it may.
ROLES: Final[tuple[Role, ...]] = get_args(Role)
SHORTEST: Final = 12
LONGEST: Final = 1024
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


@dataclass(frozen=True)
class Cost:
    """What scrypt spends on a password. OWASP's cheat sheet on password storage has these three
    numbers among its equals; they take 16 MiB."""

    n: int = 2**14
    r: int = 8
    p: int = 5


@dataclass(frozen=True)
class Person:
    """Somebody who uses the lab."""

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether this person may do what ``role`` may."""
        return ROLES.index(self.role) >= ROLES.index(role)


class Account(BaseModel):
    """A person as the file holds them; ``password`` is its hash with salt and cost."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    password: str


class _Accounts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    users: dict[str, Account]


class Users:
    """The accounts of a lab; every call sees what another process has changed."""

    def __init__(self, path: Path, cost: Cost | None = None) -> None:
        self.path = path
        self._cost = cost or Cost()
        self._read: tuple[tuple[int, int, int], Mapping[str, Account]] | None = None
        self._nobody = hash_password(secrets.token_hex(16), self._cost)

    def people(self) -> list[Person]:
        """All, by name."""
        return [Person(name, each.role) for name, each in sorted(self._accounts().items())]

    def find(self, name: str) -> Account | None:
        return self._accounts().get(name)

    def check(self, name: str, password: str) -> Account | None:
        """The account that name and password open. Takes as long for a name that is unknown."""
        account = self.find(name)
        known = account.password if account else self._nobody
        return account if _fits(password, known) and account else None

    def add(self, name: str, password: str, role: Role) -> Person:
        """Raises UserError for a name that is taken or unfit, or a password that is too short."""
        if not _NAME.fullmatch(name):
            raise UserError(
                f'"{name[:80]}" cannot be a name',
                where="NAME",
                remedy="use up to 64 letters, digits, dots, dashes, underscores and @",
            )
        accounts = dict(self._accounts())
        if name in accounts:
            raise UserError(
                f"there is a user {name} already",
                where="NAME",
                remedy=f"change the password with: sdlab user password {name}; or remove the user",
            )
        self._write({**accounts, name: self._account(password, role)})
        return Person(name, role)

    def set_password(self, name: str, password: str) -> Person:
        """Ends the person's sessions too. Raises NotFound."""
        role = self._existing(name).role
        self._write({**self._accounts(), name: self._account(password, role)})
        return Person(name, role)

    def remove(self, name: str) -> Person:
        """Ends the person's sessions too. Raises NotFound."""
        removed = self._existing(name)
        self._write({key: each for key, each in self._accounts().items() if key != name})
        return Person(name, removed.role)

    def _account(self, password: str, role: Role) -> Account:
        if not SHORTEST <= len(password) <= LONGEST:
            raise UserError(
                f"the password has {len(password)} characters",
                where="password",
                remedy=f"take {SHORTEST} or more, such as four words that do not belong together",
            )
        return Account(role=role, password=hash_password(password, self._cost))

    def _existing(self, name: str) -> Account:
        account = self.find(name)
        if account is None:
            raise NotFound(f"there is no user {name}", where="NAME", remedy="see: sdlab user list")
        return account

    def _accounts(self) -> Mapping[str, Account]:
        try:
            state = self.path.stat()
        except FileNotFoundError:
            return {}
        if os.name != "nt" and state.st_mode & 0o077:
            raise ConfigError(
                "others on this machine may read or write the users' passwords",
                where=str(self.path),
                remedy=f"run: chmod 600 {self.path}",
            )
        version = (state.st_ino, state.st_mtime_ns, state.st_size)
        if self._read is None or self._read[0] != version:
            try:
                found = _Accounts.model_validate_json(self.path.read_bytes())
            except ValidationError as error:
                raise ConfigError(
                    "this is no file of users",
                    where=str(self.path),
                    remedy="move it away and add the users again: sdlab user add NAME",
                ) from error
            self._read = version, found.users
        return self._read[1]

    def _write(self, accounts: Mapping[str, Account]) -> None:
        document = {"users": {name: each.model_dump() for name, each in accounts.items()}}
        with new_file(self.path) as partial:
            partial.touch(mode=0o600, exist_ok=False)
            partial.write_text(json.dumps(document, indent=1), "utf-8")


def hash_password(password: str, cost: Cost) -> str:
    """``scrypt$n$r$p$salt$hash``: all that is needed to check a password against it."""
    salt = secrets.token_bytes(16)
    parts = (base64.b64encode(part).decode() for part in (salt, _scrypt(password, salt, cost)))
    return "$".join(("scrypt", str(cost.n), str(cost.r), str(cost.p), *parts))


def _fits(password: str, known: str) -> bool:
    try:
        _, n, r, p, salt, expected = known.split("$")
        cost = Cost(int(n), int(r), int(p))
        found = _scrypt(password[: LONGEST + 1], base64.b64decode(salt), cost)
        return hmac.compare_digest(found, base64.b64decode(expected))
    except ValueError:
        return False


def _scrypt(password: str, salt: bytes, cost: Cost) -> bytes:
    needed = 128 * cost.r * (cost.n + cost.p + 2)
    return hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"),
        salt=salt,
        n=cost.n,
        r=cost.r,
        p=cost.p,
        maxmem=2 * needed,
        dklen=32,
    )

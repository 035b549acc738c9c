"""What a scorer is: a function of an answer, its row and some parameters that gives a score."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from backend.config import Frozen
from backend.data.demonstration import Demonstration
from backend.errors import UserError
from backend.settings import Settings

Target = str | tuple[str, ...]


@dataclass(frozen=True)
class Score:
    """A value in 0..1 and a few words on why; ``record`` is what an outside party said of it."""

    value: float
    reason: str
    record: Mapping[str, Any] = field(default_factory=dict)


class ScorerFailed(UserError):
    """No score could be had; this says nothing about the answer. ``record`` as a score has it."""

    code = "scorer_failed"

    def __init__(
        self,
        message: str,
        *,
        where: str = "",
        remedy: str = "",
        record: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, where=where, remedy=remedy)
        self.record = dict(record or {})


class NoParameters(Frozen):
    """Of a scorer that there is nothing to say about."""


P = TypeVar("P", bound=Frozen)
Judging = Callable[[str, Demonstration, P], Score]


@dataclass(frozen=True)
class Scorer(Generic[P]):
    """One way to judge answers.

    ``open`` takes the lab's settings and returns the function; it raises ConfigError where they
    do not allow it. ``short`` is the parameter that ``NAME:VALUE`` gives. A scorer that is
    ``outside`` runs programs or asks the network: in workers only, ``at_once`` items at a time,
    and ``identity`` says what of the settings its scores depend on.
    """

    name: str
    summary: str
    parameters: type[P]
    open: Callable[[Settings], Judging[P]]
    short: str = ""
    outside: bool = False
    at_once: int = 1
    identity: Callable[[Settings], str] = lambda _: ""


def pure(function: Judging[P]) -> Callable[[Settings], Judging[P]]:
    """``open`` of a scorer that needs nothing but its arguments."""
    return lambda _: function


def verdict(passed: bool, yes: str, no: str) -> Score:
    """All or nothing, with the reason of the one that it is."""
    return Score(float(passed), yes if passed else no)


def one_text(target: Target) -> str:
    """What is wanted as one text; its parts stand on lines of their own."""
    return target if isinstance(target, str) else "\n".join(target)


def quoted(text: str, longest: int = 60) -> str:
    """A text as a reason shows it: on one line, and short."""
    return repr(text if len(text) <= longest else text[: longest - 1] + "…")

"""A scorer with its parameters as a text: NAME, NAME:VALUE or NAME:{...}; and opened for a lab."""

from __future__ import annotations

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from backend.config import Frozen
from backend.data.demonstration import Demonstration
from backend.data.formats.strict_json import JsonError, parse
from backend.errors import DataError, StateError
from backend.evaluation.scorers.registry import SCORERS
from backend.evaluation.scorers.scorer import Score, Scorer, ScorerFailed
from backend.settings import Settings
from backend.text.thinking import strip_thinking


@dataclass(frozen=True)
class Chosen:
    """A scorer and its checked parameters."""

    scorer: Scorer[Any]
    parameters: Frozen

    @property
    def text(self) -> str:
        """The one way to write it, as tasks store it; only what differs from the defaults."""
        given = self.parameters.model_dump(mode="json", exclude_defaults=True)
        if not given:
            return self.scorer.name
        return f"{self.scorer.name}:{json.dumps(given, sort_keys=True, ensure_ascii=False)}"

    def open(self, settings: Settings | None) -> Opened:
        """Ready to judge. Raises ConfigError where the settings do not allow it.

        Without settings StateError for a scorer that is outside: the web process has no business
        with it.
        """
        if settings is None:
            if self.scorer.outside:
                raise StateError(
                    f"the scorer {self.scorer.name} runs in workers only", where="scorer"
                )
            settings = Settings.model_construct()
        return Opened(self, self.scorer.open(settings), self.scorer.identity(settings))


@dataclass(frozen=True)
class Opened:
    """A scorer that judges; ``identity`` says what scores depend on besides task and answer."""

    chosen: Chosen
    judging: Any
    identity: str

    def score(self, answer: str, row: Demonstration) -> Score:
        """The answer's score without its thinking. Raises ScorerFailed where there is none."""
        found: Score = self.judging(strip_thinking(answer), row, self.chosen.parameters)
        return found

    def try_score(self, answer: str, row: Demonstration) -> Score | ScorerFailed:
        """As :meth:`score`, with the failure as a value."""
        try:
            return self.score(answer, row)
        except ScorerFailed as failed:
            return failed

    def scores(self, answered: list[tuple[str, Demonstration]]) -> list[Score | ScorerFailed]:
        """One after the other, or as many at once as the scorer stands."""
        if self.chosen.scorer.at_once == 1:
            return [self.try_score(answer, row) for answer, row in answered]
        with ThreadPoolExecutor(self.chosen.scorer.at_once) as pool:
            return list(pool.map(lambda each: self.try_score(*each), answered))


def choose(text: str, options: str = "") -> Chosen:
    """The scorer that a text names, with more parameters as a JSON object in ``options``.

    Raises DataError that names the parameter and what to do.
    """
    name, colon, rest = text.strip().partition(":")
    scorer = SCORERS.get(name)
    if scorer is None:
        raise DataError(
            f'there is no scorer "{name[:80]}"',
            where="scorer",
            remedy=f"choose one of {', '.join(SCORERS)}",
        )
    given = _given(scorer, rest) if colon else {}
    if options.strip():
        given |= _object(options, "scorer options")
    try:
        return Chosen(scorer, scorer.parameters.model_validate(given))
    except ValidationError as error:
        raise _fault(scorer, error) from error


def score(text: str, answer: str, row: Demonstration, settings: Settings | None = None) -> Score:
    """What the scorer that ``text`` names says of an answer to ``row``; see Chosen.open."""
    return choose(text).open(settings).score(answer, row)


def _given(scorer: Scorer[Any], rest: str) -> dict[str, Any]:
    if rest.lstrip().startswith("{"):
        try:
            return _object(rest, "scorer")
        except DataError:
            # A pattern may begin with a brace; whatever else does was meant as an object.
            if scorer.short != "pattern":
                raise
    if not scorer.short:
        wanted = ", ".join(scorer.parameters.model_fields) or "none"
        raise DataError(
            f'the scorer {scorer.name} takes nothing after its colon, found "{rest[:80]}"',
            where="scorer",
            remedy=f"give its parameters ({wanted}) as JSON, as in --scorer-options",
        )
    return {scorer.short: rest}


def _object(text: str, where: str) -> dict[str, Any]:
    try:
        value = parse(text)
    except JsonError as error:
        raise DataError(error.problem, where=where, remedy=error.remedy) from error
    if not isinstance(value, Mapping):
        raise DataError(
            f"a JSON object is needed, found {text.strip()[:80]}",
            where=where,
            remedy='write it as {"name": value}',
        )
    return dict(value)


def _fault(scorer: Scorer[Any], error: ValidationError) -> DataError:
    first = error.errors(include_url=False)[0]
    field = str(first["loc"][0]) if first["loc"] else ""
    known = ", ".join(scorer.parameters.model_fields)
    if first["type"] == "extra_forbidden":
        message = f'the scorer {scorer.name} has no parameter "{field[:80]}"'
        remedy = f"its parameters are {known}" if known else "it has none: leave it out"
    elif first["type"] == "missing":
        message = f'the scorer {scorer.name} needs "{field}"'
        remedy = f"write {scorer.name}:{field.upper()}, or --scorer-options '{{\"{field}\": ...}}'"
    else:
        reason = first["msg"].removeprefix("Value error, ")
        message = f'"{field}" of the scorer {scorer.name} is {str(first["input"])[:80]!r}: '
        message += reason[0].lower() + reason[1:]
        about = scorer.parameters.model_fields[field].description if field else ""
        remedy = f"change it ({about})" if about else "change it"
    return DataError(message, where="scorer", remedy=remedy)

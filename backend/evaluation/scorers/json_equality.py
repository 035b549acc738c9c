"""The scorer json: the answer's JSON equals the reference's, but for paths that do not count."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

from pydantic import Field, field_validator

from backend.config import Frozen
from backend.data.demonstration import Demonstration
from backend.data.formats.strict_json import JsonError
from backend.evaluation.scorers.reading import find_json
from backend.evaluation.scorers.scorer import (
    Score,
    Scorer,
    ScorerFailed,
    one_text,
    pure,
    quoted,
)

_SHOWN: Final = 3
_PAIRED: Final = 100
_PATH: Final = re.compile(r"[^.\s][^.]*(\.[^.]+)*")
Path = tuple[str, ...]


class JsonParameters(Frozen):
    """What of two documents need not be equal."""

    ignore: tuple[str, ...] = Field(
        (), max_length=100, description="paths that do not count, as in meta.id or items.*.id"
    )
    ordered: bool = Field(True, description="the order of lists counts")

    @field_validator("ignore")
    @classmethod
    def _are_paths(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for path in value:
            if not _PATH.fullmatch(path):
                raise ValueError(
                    f'"{path}" is no path; write names and places with dots between, as in '
                    "items.0.id, and * for any"
                )
        return value


def by_json(answer: str, row: Demonstration, parameters: JsonParameters) -> Score:
    """1 if both documents are equal; the reason names the first differences."""
    try:
        wanted = find_json(one_text(row.target))
    except JsonError as error:
        raise ScorerFailed(
            f"the reference is not JSON ({error.problem})",
            where=f"row {row.row}",
            remedy="put JSON there, or choose another scorer",
        ) from error
    try:
        found = find_json(answer)
    except JsonError as error:
        return Score(0.0, f"the answer holds no JSON ({error.problem})")
    ignored = [tuple(path.split(".")) for path in parameters.ignore]
    unlike = list(islice(differences(found, wanted, ignored, parameters.ordered), _SHOWN + 1))
    if not unlike:
        return Score(1.0, "the same JSON")
    more = " and more" if len(unlike) > _SHOWN else ""
    return Score(0.0, "; ".join(unlike[:_SHOWN]) + more)


def differences(
    found: Any, wanted: Any, ignored: Sequence[Path], ordered: bool, at: Path = ()
) -> Iterator[str]:
    """Each place at which two values differ, in words."""
    if any(_is_at(path, at) for path in ignored):
        return
    name = ".".join(at) or "the value"
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in [*wanted, *(key for key in found if key not in wanted)]:
            inner = (*at, key)
            if key in found and key in wanted:
                yield from differences(found[key], wanted[key], ignored, ordered, inner)
            elif not any(_is_at(path, inner) for path in ignored):
                where = ".".join(inner)
                yield f"{where} is missing" if key in wanted else f"{where} is not wanted"
    elif isinstance(found, list) and isinstance(wanted, list):
        if len(found) != len(wanted):
            yield f"{name} has {len(found)} entries instead of {len(wanted)}"
        elif ordered:
            for i, (one, other) in enumerate(zip(found, wanted, strict=True)):
                yield from differences(one, other, ignored, ordered, (*at, str(i)))
        else:
            yield from _unordered(found, wanted, ignored, at)
    elif not is_same(found, wanted):
        yield f"{name} is {_shown(found)} instead of {_shown(wanted)}"


def is_same(found: Any, wanted: Any) -> bool:
    """Whether two plain values are equal; true is not 1, and 1.0 is 1."""
    return isinstance(found, bool) == isinstance(wanted, bool) and bool(found == wanted)


def _unordered(
    found: list[Any], wanted: list[Any], ignored: Sequence[Path], at: Path
) -> Iterator[str]:
    """Entries that are equal to the letter are set apart first: the rest is compared in pairs."""
    same = Counter(map(_canonical, found)) & Counter(map(_canonical, wanted))
    left, seen = [], same.copy()
    for other in found:
        if seen[text := _canonical(other)]:
            seen[text] -= 1
        else:
            left.append(other)
    if len(left) > _PAIRED:
        yield f"{'.'.join(at) or 'the value'} has {len(left)} entries that are not wanted"
        return
    for i, each in enumerate(wanted):
        if same[text := _canonical(each)]:
            same[text] -= 1
            continue
        inner = (*at, str(i))
        fitting = (
            place
            for place, other in enumerate(left)
            if next(differences(other, each, ignored, False, inner), None) is None
        )
        if (place := next(fitting, None)) is None:
            yield f"{'.'.join(inner)} is nowhere in the answer"
        else:
            del left[place]


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _is_at(path: Path, at: Path) -> bool:
    return len(path) == len(at) and all(
        part in ("*", name) for part, name in zip(path, at, strict=True)
    )


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return quoted(value) if isinstance(value, str) else str(value)[:60]


JSON: Final = Scorer(
    "json",
    "The JSON in the answer equals that of the reference, but for the paths that are ignored.",
    JsonParameters,
    pure(by_json),
)

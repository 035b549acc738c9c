"""JSON as its standard has it: doubled keys, NaN and absurd depth are faults, not guesses."""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

# Python refuses to read longer whole numbers (a guard against quadratic time).
_MAX_DIGITS: Final = 4000


class JsonError(ValueError):
    """Text that is no JSON, or JSON that means different things to different readers."""

    def __init__(self, kind: str, problem: str, remedy: str) -> None:
        self.kind = kind
        self.problem = problem
        self.remedy = remedy
        super().__init__(problem)


class Decoded(NamedTuple):
    """A value, where it ends, and the fault that makes it ambiguous, if any."""

    value: Any
    end: int
    fault: JsonError | None


class StrictDecoder:
    """Decodes values; a fault that leaves the text readable does not stop it."""

    def __init__(self) -> None:
        self._fault: JsonError | None = None
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._object, parse_constant=self._constant, parse_int=self._whole
        )

    def decode_at(self, text: str, position: int) -> Decoded:
        """The value at ``position``. Raises json.JSONDecodeError, or JsonError for its depth."""
        self._fault = None
        try:
            value, end = self._decoder.raw_decode(text, position)
        except RecursionError:
            # Its traceback holds a thousand frames; the words say all.
            raise JsonError(
                "too_deep", "it is nested too deeply", "flatten the row or remove it"
            ) from None
        return Decoded(value, end, self._fault)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        fields = dict(pairs)
        if len(fields) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            self._note(
                "duplicate_key", f'"{twice[:40]}" stands twice in one object', "keep one of them"
            )
        return fields

    def _constant(self, name: str) -> None:
        self._note("not_a_number", f"{name} is no JSON value", "write a number, text or null")

    def _whole(self, digits: str) -> int:
        if len(digits) > _MAX_DIGITS:
            self._note("not_a_number", f"a number has {len(digits):,} digits", "write it as text")
            return 0
        return int(digits)

    def _note(self, kind: str, problem: str, remedy: str) -> None:
        self._fault = self._fault or JsonError(kind, problem, remedy)


def parse(text: str, decoder: StrictDecoder | None = None) -> Any:
    """The one value in ``text``. Raises JsonError. A ``decoder`` can be reused over many texts."""
    stripped = text.strip(" \t\r\n")
    try:
        decoded = (decoder or StrictDecoder()).decode_at(stripped, 0)
    except json.JSONDecodeError as error:
        raise JsonError(*syntax_fault(error.msg, f"column {error.colno:,}")) from error
    if decoded.fault is not None:
        raise decoded.fault
    if decoded.end < len(stripped):
        raise JsonError(*syntax_fault("text after the value", f"column {decoded.end + 1:,}"))
    return decoded.value


def syntax_fault(message: str, place: str) -> tuple[str, str, str]:
    """Kind, problem and remedy of a syntax error at ``place``."""
    reason = message[0].lower() + message[1:].removesuffix(" at").removesuffix(" starting")
    remedy = "put it right or remove the row"
    if "double quotes" in message:
        remedy = "write names and texts in double quotes, and no comma before }"
    return "not_json", f"not valid JSON: {reason} at {place}", remedy

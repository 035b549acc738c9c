"""The scorers by name; a new one is a module beside this and an entry here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from backend.evaluation.scorers.code import CODE
from backend.evaluation.scorers.json_equality import JSON
from backend.evaluation.scorers.judge import JUDGE
from backend.evaluation.scorers.letter import CHOICE
from backend.evaluation.scorers.number import NUMBER
from backend.evaluation.scorers.pattern import REGEX
from backend.evaluation.scorers.scorer import Scorer
from backend.evaluation.scorers.texts import CONTAINS, EXACT, NORMALISED, PARTS, WORD_F1
from backend.evaluation.scorers.tool_calls import TOOL_CALLS

_ALL: Final = (
    EXACT, NORMALISED, PARTS, CONTAINS, REGEX, NUMBER, CHOICE, JSON, TOOL_CALLS, WORD_F1, CODE,
    JUDGE,
)  # fmt: skip
SCORERS: Final[Mapping[str, Scorer[Any]]] = {scorer.name: scorer for scorer in _ALL}

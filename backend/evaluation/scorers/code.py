"""The scorer code: the answer's program passes the assertions that the reference holds."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from backend.config import Frozen, Settings
from backend.data.demonstration import Demonstration
from backend.errors import ConfigError
from backend.evaluation.scorers.reading import fenced_blocks
from backend.evaluation.scorers.sandbox import run_checks
from backend.evaluation.scorers.scorer import Judging, Score, Scorer, ScorerFailed

_LONGEST: Final = 200_000
_PYTHON: Final = frozenset({"", "python", "py", "python3"})


class CodeParameters(Frozen):
    """What a program may take, and what counts."""

    timeout_s: int = Field(5, ge=1, le=60, description="seconds that a program may take")
    memory_mib: int = Field(256, ge=64, le=4096, description="memory that a program may take")
    setup: str = Field("", max_length=10_000, description="code before the answer's, as imports")
    partial: bool = Field(False, description="the share of assertions that pass, not all or none")


def open_code(settings: Settings) -> Judging[CodeParameters]:
    """The scorer, where the lab's settings let it run programs. Raises ConfigError elsewhere."""
    if settings.run_code == "off":
        raise ConfigError(
            "the scorer code runs programs that a model wrote, which is off",
            where="scorer",
            remedy="read docs/scorers.md, then set SDLAB_RUN_CODE=confined, or choose another "
            "scorer",
        )
    confined = settings.run_code == "confined"

    def by_code(answer: str, row: Demonstration, parameters: CodeParameters) -> Score:
        """1 if the code runs and every assertion holds; the reason names the first that fails."""
        code = find_code(answer)
        if not code.strip():
            return Score(0.0, "the answer holds no code")
        if len(code) > _LONGEST:
            return Score(0.0, f"the code is longer than {_LONGEST:,} characters")
        checks = (row.target,) if isinstance(row.target, str) else row.target
        ended = run_checks(
            f"{parameters.setup}\n{code}" if parameters.setup else code,
            checks,
            timeout_s=parameters.timeout_s,
            memory_mib=parameters.memory_mib,
            confined=confined,
        )
        record = {"output": ended.output, "confined": list(ended.confined)}
        if ended.first:
            reason = f"{ended.passed} of {ended.of} passed; {ended.first}"
            value = ended.passed / ended.of if parameters.partial and ended.of else 0.0
            return Score(value, reason if ended.of else ended.first, record)
        if not ended.of:
            raise ScorerFailed(
                "the reference asserts nothing",
                where=f"row {row.row}",
                remedy="write assertions there, such as: assert add(1, 2) == 3",
            )
        return Score(1.0, f"all {ended.of} passed", record)

    return by_code


def find_code(answer: str) -> str:
    """The first fenced block of Python, or the whole answer where nothing is fenced."""
    blocks = list(fenced_blocks(answer))
    python = [block for language, block in blocks if language in _PYTHON]
    return python[0] if python else "" if blocks else answer


CODE: Final = Scorer(
    "code",
    "The Python in the answer passes the assertions of the reference, in a process that is locked "
    "in; off until SDLAB_RUN_CODE is set.",
    CodeParameters,
    open_code,
    outside=True,
    identity=lambda settings: settings.run_code,
)

"""The documents of the command line's contract, as models that check types and required fields."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, Field(min_length=1)]
Number = Annotated[float, Field(allow_inf_nan=False)]
State = Literal[
    "queued", "starting", "running", "cancelling", "cancelled", "failed", "done", "lost"
]


class Document(BaseModel):
    """Documents may say more than the contract, never less and nothing of another type."""

    model_config = ConfigDict(strict=True, extra="allow")


class Score(Document):
    score: Number
    n: int
    low: Number
    high: Number


class Evaluation(Score):
    probe: Text
    metric: Text
    step: int


class Problem(Document):
    row: Annotated[int, Field(ge=1)] | None
    field: str
    problem: Text
    remedy: Text


class Report(Document):
    ok: bool
    rows_read: int
    problems: list[Problem]
    counts: dict[str, int]
    warnings: list[str]


class Rows(Document):
    training: int
    held_out: int


class Added(Document):
    id: Text
    name: Text
    version: int
    rows: Rows
    report: Report


class Task(Document):
    id: Text
    name: Text
    versions: Annotated[list[Added], Field(min_length=1)]


class TaskFile(Document):
    path: Text
    rows: int
    bytes: int


class Check(Document):
    name: Text
    ok: bool
    found: Text
    remedy: str


class Doctor(Document):
    checks: list[Check]


class Progress(Document):
    step: int
    total: int
    eta_s: Number | None


class Checkpoint(Document):
    step: int
    sha256: Sha256
    bytes: int


class Artifact(Document):
    id: Text
    kind: Text
    sha256: Sha256
    bytes: int


class Run(Document):
    id: Text
    name: Text
    kind: Literal["train", "premise", "evaluate", "export", "replay", "leaks"]
    state: State
    method: str
    task: str | None
    # Empty where the job needs none.
    model: str
    progress: Progress
    metrics: dict[str, Number | None]
    evaluations: list[Evaluation]
    checkpoints: list[Checkpoint]
    artifacts: list[Artifact]
    error: dict[str, Any] | None
    attempt: int
    config: dict[str, Any]


class Matrix(Document):
    b: list[Number | None]
    R: list[list[Number | None]]


class Arm(Document):
    method: Text
    seed: int
    stages: Annotated[list[Run], Field(min_length=1)]
    matrix: Matrix
    acc: Number | None
    bwt: Number | None
    fwt: Number | None
    forgetting: Number | None


class TaskSequence(Document):
    id: Text
    arms: Annotated[list[Arm], Field(min_length=1)]


class Replay(Document):
    equal: bool
    first_difference: dict[str, Any] | None


class Premise(Document):
    verdict: Literal["go", "weak", "no-go"]
    context: Text
    student: Score
    teacher: Score
    by_context: dict[str, Any]
    lead: dict[str, Any] | None
    copied: Number
    too_long: int


class Pair(Document):
    probe: Text
    difference: Number
    low: Number
    high: Number
    p: Number


class Comparison(Document):
    comparable: bool
    why_not: list[str]
    config_differences: list[Any]
    pairs: list[Pair]


class Exported(Document):
    path: Text
    sha256: Sha256
    bytes: int


class Refusal(Document):
    """What is behind exit codes 2 and 1."""

    code: Text
    message: Text
    where: str
    remedy: Text


class Refused(Document):
    error: Refusal


def one_document(text: str) -> Any:
    """The one JSON document that ``text`` is; NaN and Infinity are no JSON."""
    return json.loads(text, parse_constant=_refuse)


def check(kind: Any, document: Any) -> None:
    """Raises ValidationError unless ``document`` is a ``kind`` (a model, or a list of one)."""
    TypeAdapter(kind).validate_python(document)


def _refuse(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")

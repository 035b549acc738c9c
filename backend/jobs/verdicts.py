"""What judges and programs said of a probe's items: a file beside the scores, as JSON lines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from backend.atomic import file_sha256, new_file
from backend.training.recorder import Evaluation
from storage.models import Artifact

KIND: Final = "verdicts"
_TOLD: Final = 20


def keep_verdicts(
    home: Path, run_id: str, step: int, evaluation: Evaluation, *, subset: bool
) -> Artifact | None:
    """The file with every item's record, in place of an earlier one; None where there are none."""
    items = (*evaluation.items, *evaluation.failed)
    if not evaluation.failed and not any(item.record for item in items):
        return None
    probe = re.sub(r"[^A-Za-z0-9._-]", "-", evaluation.probe)
    name = f"step-{step:08d}-{probe}{'-along' if subset else ''}.jsonl"
    path = home / "runs" / run_id / KIND / name
    with new_file(path) as partial, partial.open("w", encoding="utf-8") as handle:
        handle.writelines(_lines(evaluation))
    return Artifact(
        kind=KIND,
        path=path.relative_to(home).as_posix(),
        sha256=file_sha256(path),
        bytes=path.stat().st_size,
        run_id=run_id,
    )


def failure_details(evaluation: Evaluation, kept: Artifact | None) -> dict[str, Any]:
    """What an evaluation's details say of items without a score, and where the verdicts are."""
    details: dict[str, Any] = dict(evaluation.details)
    if kept is not None:
        details["verdicts"] = kept.path
    if evaluation.failed:
        details["failed"] = len(evaluation.failed)
        details["failures"] = [
            {"item_id": item.item_id, "reason": item.reason} for item in evaluation.failed[:_TOLD]
        ]
    return details


def _lines(evaluation: Evaluation) -> Iterator[str]:
    for item in (*evaluation.items, *evaluation.failed):
        line = {
            "item_id": item.item_id,
            "prompt": item.prompt,
            "answer": item.answer,
            "score": None if item.failed else float(item.score),
            "reason": item.reason,
            "record": dict(item.record),
        }
        yield json.dumps(line, ensure_ascii=False) + "\n"

"""What a sequence of tasks found, in sentences with their intervals, and what it cannot tell."""

from __future__ import annotations

from collections.abc import Sequence

from backend.jobs.documents import Document
from backend.jobs.findings import points_told
from backend.jobs.scored_items import Scores, scores_by_item
from storage.database import Database
from storage.evaluations import Evaluations


def sequence_words(database: Database, sequence: Document) -> Document:
    """``found`` and ``cautions`` on a sequence as lab.views.sequence gives it."""
    tasks = [str(task).split("@")[0] for task in sequence["tasks"]]
    whole = [arm for arm in sequence["arms"] if arm["acc"] is not None]
    ends = [_last_scores(database, arm) for arm in whole]
    found = [_kept(database, arm, tasks, end) for arm, end in zip(whole, ends, strict=True)]
    found += [
        _against(whole[-1], arm, tasks, ends[-1], end)
        for arm, end in zip(whole[:-1], ends[:-1], strict=True)
    ]
    return {"found": [*found, *_over_seeds(whole)], "cautions": _cautions(sequence, whole)}


def _kept(database: Database, arm: Document, tasks: Sequence[str], end: Sequence[Scores]) -> str:
    """An arm's average at its end, and what each earlier task lost since it was learned."""
    head = f"{arm['name']}: {arm['acc']:.0%} on average over the tasks at the end"
    told = [
        f"{task} {points_told(_scores(database, arm['after'][place][place]), end[place])}"
        for place, task in enumerate(tasks[:-1])
    ]
    return f"{head}. Since each was learned: {', '.join(told)}." if told else f"{head}."


def _against(
    ours: Document,
    other: Document,
    tasks: Sequence[str],
    our_end: Sequence[Scores],
    other_end: Sequence[Scores],
) -> str:
    told = [
        f"{task} {points_told(theirs, mine)}"
        for task, mine, theirs in zip(tasks, our_end, other_end, strict=True)
    ]
    return f"{ours['name']} against {other['name']} at the end: {', '.join(told)}."


def _over_seeds(arms: Sequence[Document]) -> list[str]:
    """For each method with several seeds, between which figures these lie."""
    sentences = []
    for method in dict.fromkeys(arm["method"] for arm in arms):
        same = [arm for arm in arms if arm["method"] == method]
        if len(same) < 2:
            continue
        told = [f"average score from {_range([arm['acc'] for arm in same], '{:.0%}')}"]
        lost = [arm["forgetting"] for arm in same if arm["forgetting"] is not None]
        if lost:
            told.append(f"forgetting from {_range([100 * v for v in lost], '{:+.0f}')} points")
        sentences.append(f"{method} over {len(same)} arms: {', '.join(told)}.")
    return sentences


def _cautions(sequence: Document, whole: Sequence[Document]) -> list[str]:
    arms = sequence["arms"]
    sentences = [f"{arm['name']} has not been through all tasks yet."
                 for arm in arms if arm not in whole]  # fmt: skip
    if len({arm["method"] for arm in arms}) == len(arms):
        sentences.append(
            "The intervals know of other items, not of other seeds: each method ran once here, "
            "and a second seed may move these figures by as much."
        )
    if len(sequence["tasks"]) > 1:
        sentences.append(
            "The order of the tasks is one of many: another order may forget more or less."
        )
    return sentences


def _last_scores(database: Database, arm: Document) -> list[Scores]:
    return [_scores(database, cell) for cell in arm["after"][-1]]


def _scores(database: Database, cell: Document) -> Scores:
    evaluation = Evaluations(database).get(cell["id"])
    return scores_by_item(database, evaluation) if evaluation else {}


def _range(values: Sequence[float], form: str) -> str:
    return f"{form.format(min(values))} to {form.format(max(values))}"

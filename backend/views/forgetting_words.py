"""What a comparison of runs says besides its findings, and what it cannot tell, in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from backend.evaluation.probe_names import KL_METRIC
from backend.jobs.documents import Document

# So many comparisons at 95 % make a difference by chance likely.
_MANY = 6


def other_changes(document: Document) -> list[str]:
    """A sentence a run on the shares that changed for sure and that the findings leave out."""
    sentences = []
    for run in document["runs"]:
        told = [
            f"{each['probe']} {_points(each['difference'], each['low'], each['high'])} "
            f"on {each['n']} items"
            for each in document["changes"]
            if each["run"] == run["id"]
            and each["is_share"]
            and each["probe"] != f"task:{run['task']}"
            and not each["probe"].startswith("prior:")
            and not each["low"] <= 0 <= each["high"]
        ]
        if told:
            sentences.append(f"{run['name']} besides: {', '.join(told)}.")
    return sentences


def other_differences(document: Document, compared: Document | None) -> list[str]:
    """The last run against each other one on the probes that the findings leave out.

    ``compared`` has the last run first, so that its differences are the other way round.
    """
    if compared is None:
        return []
    names = {run["id"]: run["name"] for run in document["runs"]}
    told = {probe["name"] for probe in document["probes"] if probe["part"] == "task"}
    sentences: list[str] = []
    unsure: dict[str, list[str]] = {}
    for pair in compared["pairs"]:
        is_told = pair["probe"] in told or pair["probe"].startswith("prior:")
        if is_told and pair["probe"] != "prior:kl":
            continue
        ours, other = (names[run] for run in pair["runs"])
        both = f"{ours} against {other}"
        if pair["low"] <= 0 <= pair["high"]:
            unsure.setdefault(both, []).append(f"{pair['probe']} ({pair['n']} items)")
        else:
            sentences.append(f"{both} on {pair['probe']}: {_turned(pair)}.")
    sentences += [
        f"{both}: no difference can be told on {', '.join(probes)}."
        for both, probes in unsure.items()
    ]
    return sentences


def cautions(document: Document, compared: Document | None) -> list[str]:
    """What a reader should know before believing the numbers."""
    runs = document["runs"]
    sentences = [
        f"{run['name']} has no final scores yet ({run['state']})."
        for run in runs
        if run["id"] not in document["finished"]
    ]
    if compared is not None and compared["why_not"]:
        sentences.append(f"Not like with like: {'; '.join(compared['why_not'])}.")
    if len({run["task"] for run in runs}) > 1:
        sentences.append("Runs on different tasks are not compared with one another in words.")
    sentences += _few_items(document)
    seeds = Counter((run["method"], run["task"]) for run in runs)
    if runs and max(seeds.values()) == 1:
        sentences.append(
            "The intervals know of other items, not of other seeds: each method ran once here, "
            "and a second seed may move these figures by as much."
        )
    if compared is not None and len(compared["pairs"]) >= _MANY:
        sentences.append(
            f"Of {len(compared['pairs'])} comparisons at 95 %, one in twenty looks like a "
            "difference by chance."
        )
    if any(run["starts_from"] for run in runs):
        sentences.append(
            "A run that starts from another's adapter is compared with that start, not with the "
            "base."
        )
    return sentences


def _few_items(document: Document) -> list[str]:
    """How many items stand behind lines and marks, where these are not the same."""
    sentences = []
    for probe in document["probes"]:
        curves = [curve.get(probe["name"]) for curve in document["curves"].values()]
        along = {p["n"] for curve in curves if curve for p in curve["along"]}
        whole = {p["n"] for curve in curves if curve for p in curve["whole"]}
        if along and whole and max(along) < max(whole):
            sentences.append(f"{probe['name']} {max(along)} of {max(whole)}")
    if not sentences:
        return []
    return [
        f"Lines along the way ask a part of the items ({', '.join(sentences)}); "
        "the large marks ask all."
    ]


def _turned(pair: Mapping[str, Any]) -> str:
    difference, low, high = -pair["difference"], -pair["high"], -pair["low"]
    if pair["metric"] == KL_METRIC:
        return f"{difference:+.3f} nats (95 % from {low:+.3f} to {high:+.3f})"
    return _points(difference, low, high)


def _points(difference: float, low: float, high: float) -> str:
    numbers = [100 * value for value in (difference, low, high)]
    return "{:+.0f} points (95 % from {:+.0f} to {:+.0f})".format(*numbers)

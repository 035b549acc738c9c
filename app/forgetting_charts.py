"""The Forgetting page's charts, made of what lab.views.forgetting gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.forgetting_plots import GainPath, ProbeCurve, Style, gain_figure, probe_figure
from app.plots import chart, no_chart

Document = dict[str, Any]


def probe_charts(
    document: Document, styles: dict[str, Style], shown: Sequence[str]
) -> dict[str, list[Document]]:
    """The value of a ``charts`` view: a panel for each probe, a line for each run."""
    charts = []
    for probe in document["probes"]:
        name = probe["name"]
        curves = [
            ProbeCurve(run["name"], styles[run["id"]], **document["curves"][run["id"]][name])
            for run in document["runs"]
            if name in document["curves"][run["id"]]
        ]
        if name in shown and curves:
            figure = probe_figure(curves, _base(document, name), is_share=probe["is_share"])
            title = name if probe["is_share"] else f"{name}, nats"
            told = chart(title, _told(name, curves, probe["is_share"]), figure)
            charts.append({"key": name} | told)
    return {"charts": charts}


def gain_chart(document: Document, styles: dict[str, Style], prior: str) -> Document:
    """The value of the chart of gain on the task against the change of ``prior``."""
    if not prior:
        return no_chart("No probe of prior knowledge was scored: add prior to evaluate.probes.")
    changes = {(each["run"], each["probe"]): each for each in document["changes"]}
    paths = []
    for run in document["runs"]:
        task = f"task:{run['task']}"
        gain, change = (changes.get((run["id"], probe)) for probe in (task, prior))
        curves = document["curves"][run["id"]]
        along = [curves.get(probe, {"along": []})["along"] for probe in (task, prior)]
        end = (_points(gain), _points(change)) if gain and change else None
        paths.append(GainPath(run["name"], styles[run["id"]], _way(*along), end))
    if not any(path.end or len(path.along) > 1 for path in paths):
        return no_chart("Gain and change come with the first scores after step 0.")
    return chart(f"Gain on the task and change of {prior}", _gains(paths, prior),
                 gain_figure(paths, prior))  # fmt: skip


def _base(document: Document, probe: str) -> float | None:
    """The score before training, where all runs that start from the base agree on it."""
    found = {
        point["score"]
        for run in document["runs"]
        if not run["starts_from"]
        for point in document["curves"][run["id"]].get(probe, {"whole": []})["whole"]
        if point["step"] == 0
    }
    return found.pop() if len(found) == 1 else None


def _way(task: list[Document], prior: list[Document]) -> list[tuple[int, float, float]]:
    """Both changes since step 0, in points, at each step where the same items were asked."""
    gains, changes = ({p["step"]: p for p in points} for points in (task, prior))
    if 0 not in gains or 0 not in changes:
        return []
    return [
        (step, 100 * (gains[step]["score"] - gains[0]["score"]),
         100 * (changes[step]["score"] - changes[0]["score"]))
        for step in sorted(gains) if step in changes
    ]  # fmt: skip


def _points(change: Document) -> tuple[float, float, float]:
    return (100 * change["low"], 100 * change["difference"], 100 * change["high"])


def _told(probe: str, curves: list[ProbeCurve], is_share: bool) -> str:
    ends = []
    for curve in curves:
        points = curve.whole if len(curve.whole) > 1 else curve.along or curve.whole
        values = [points[0]["score"], points[-1]["score"]]
        first, last = (f"{v:.0%}" if is_share else f"{v:.3f}" for v in values)
        ends.append(f"{curve.name} from {first} to {last}")
    return f"{probe} over steps: {'; '.join(ends)}"


def _gains(paths: list[GainPath], prior: str) -> str:
    ends = [
        f"{path.name} {path.end[0][1]:+.0f} and {path.end[1][1]:+.0f} points"
        for path in paths
        if path.end
    ]
    return f"Gain on the task and change of {prior}: {'; '.join(ends) or 'not finished yet'}"

"""Runs side by side as plotly figures: probes over steps, and gain against forgetting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import plotly.graph_objects as go

from app.plots import BASE, layout_of, step_ticks

# Runs side by side are no roles: colours of their own, and dashes and marks for those who see few.
RUN_COLOURS: Final = ("#009e73", "#cc79a7", "#a88c00", "#8c6bd1", "#b5523b", "#3a9fb0")
_MARKS: Final = ("circle", "square", "triangle-up", "diamond", "cross", "star")
_DASHES: Final = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


@dataclass(frozen=True)
class Style:
    """How one run is drawn, in every chart that it is in."""

    colour: str
    mark: str
    dash: str


def run_styles(runs: Sequence[str]) -> dict[str, Style]:
    """A style for each run, by its place among all that can be chosen, so that it stays."""
    return {
        run: Style(*(kind[place % len(kind)] for kind in (RUN_COLOURS, _MARKS, _DASHES)))
        for place, run in enumerate(runs)
    }


@dataclass(frozen=True)
class ProbeCurve:
    """One run's scores on a probe: a few items along the way, all of them before and after."""

    name: str
    style: Style
    along: Sequence[Mapping[str, Any]]
    whole: Sequence[Mapping[str, Any]]


def probe_figure(
    curves: Sequence[ProbeCurve], base: float | None = None, *, is_share: bool = True
) -> go.Figure:
    """One probe's scores over steps: lines with 95 % bands, and large marks for the whole probe.

    The two are not joined where both are there: they are means over different items.
    """
    figure = go.Figure()
    number = ".0%" if is_share else ".3f"
    for curve in curves:
        line = curve.along if len(curve.along) > 1 else curve.whole
        if len(line) > 1:
            _band(figure, curve, line)
            _scores(figure, curve, line, number, 5)
        if line is not curve.whole or len(line) == 1:
            _scores(figure, curve, curve.whole, number, 9)
    last = max((p["step"] for c in curves for p in (*c.along, *c.whole)), default=1)
    if base is not None:
        figure.add_scatter(
            x=[0, last],
            y=[base, base],
            mode="lines",
            line={"color": BASE, "width": 1.5, "dash": "dash"},
            hovertemplate=f"base %{{y:{number}}}<extra></extra>",
        )
    axis = {"tickformat": ".0%", "range": [-0.03, 1.03]} if is_share else {"rangemode": "tozero"}
    # Room for the marks at both ends.
    steps = {"title": {"text": "step"}, "range": [-0.02 * last, 1.03 * last], **step_ticks([last])}
    figure.update_layout(layout_of(height=230), xaxis=steps, yaxis=axis, showlegend=False)
    return figure


def _band(figure: go.Figure, curve: ProbeCurve, points: Sequence[Mapping[str, Any]]) -> None:
    steps = [point["step"] for point in points]
    figure.add_scatter(
        x=steps + steps[::-1],
        y=[p["high"] for p in points] + [p["low"] for p in points][::-1],
        fill="toself",
        fillcolor=curve.style.colour,
        opacity=0.13,
        mode="lines",
        line={"width": 0},
        hoverinfo="skip",
    )


def _scores(
    figure: go.Figure,
    curve: ProbeCurve,
    points: Sequence[Mapping[str, Any]],
    number: str,
    size: int,
) -> None:
    """A line with small marks, or large marks with bars of their intervals."""
    is_line = size < 9
    bars = {
        "type": "data",
        "symmetric": False,
        "array": [p["high"] - p["score"] for p in points],
        "arrayminus": [p["score"] - p["low"] for p in points],
        "thickness": 1,
        "width": 3,
    }
    figure.add_scatter(
        x=[point["step"] for point in points],
        y=[point["score"] for point in points],
        name=curve.name,
        mode="lines+markers" if is_line else "markers",
        line={"color": curve.style.colour, "width": 2, "dash": curve.style.dash},
        marker={"color": curve.style.colour, "symbol": curve.style.mark, "size": size},
        error_y=None if is_line else bars,
        customdata=[[p["low"], p["high"], p["n"]] for p in points],
        hovertemplate=f"step %{{x}}: %{{y:{number}}} (%{{customdata[0]:{number}}} to "
        f"%{{customdata[1]:{number}}}, n %{{customdata[2]}})<extra>%{{fullData.name}}</extra>",
    )


@dataclass(frozen=True)
class GainPath:
    """One run's way: (step, gain on the task, change of a prior probe), in points of 100.

    ``along`` are steps on a few items; ``end`` holds x and y of the whole probes as
    (low, difference, high), or None where there are no final scores yet.
    """

    name: str
    style: Style
    along: Sequence[tuple[int, float, float]]
    end: tuple[tuple[float, float, float], tuple[float, float, float]] | None


def gain_figure(paths: Sequence[GainPath], prior: str) -> go.Figure:
    """What each run gained on its task against what became of a prior probe."""
    figure = go.Figure()
    for path in paths:
        faint = {"color": path.style.colour, "symbol": path.style.mark, "size": 6}
        if path.along:
            figure.add_scatter(
                x=[gain for _, gain, _ in path.along],
                y=[change for _, _, change in path.along],
                mode="lines+markers",
                opacity=0.4,
                line={"color": path.style.colour, "width": 1.5, "dash": path.style.dash},
                marker=faint,
                customdata=[step for step, _, _ in path.along],
                hovertemplate="step %{customdata}, on a part of the items: task %{x:+.0f}, "
                f"{prior} %{{y:+.0f}}<extra>{path.name}</extra>",
                showlegend=False,
            )
        if path.end is not None:
            _end_point(figure, path, prior)
    zero = {"color": BASE, "width": 1, "dash": "dot"}
    figure.update_layout(
        layout_of(),
        xaxis={
            "title": {"text": "gain on the task, points"},
            "rangemode": "normal",
            "zeroline": False,
        },
        yaxis={"title": {"text": f"change of {prior}, points"}, "zeroline": False},
        shapes=[
            {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 0, "y1": 0, "line": zero},
            {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": 0, "x1": 0, "line": zero},
        ],
    )
    return figure


def _end_point(figure: go.Figure, path: GainPath, prior: str) -> None:
    assert path.end is not None
    bars = [
        {"type": "data", "symmetric": False, "array": [high - at], "arrayminus": [at - low],
         "thickness": 1.2, "width": 4}
        for low, at, high in path.end
    ]  # fmt: skip
    (x_low, x, x_high), (y_low, y, y_high) = path.end
    figure.add_scatter(
        x=[x],
        y=[y],
        name=path.name,
        mode="markers",
        marker={"color": path.style.colour, "symbol": path.style.mark, "size": 12},
        error_x=bars[0],
        error_y=bars[1],
        hovertemplate=f"after training: task %{{x:+.0f}} ({x_low:+.0f} to {x_high:+.0f}), {prior} "
        f"%{{y:+.0f}} ({y_low:+.0f} to {y_high:+.0f})<extra>{path.name}</extra>",
    )

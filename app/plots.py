"""Rows of scores and metrics as plotly figures; nothing here reads the lab."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import plotly.graph_objects as go

# The same three roles everywhere, told apart by colour-blind readers; see app/static/lab.css.
STUDENT: Final = "#2f7de1"
TEACHER: Final = "#e07b1a"
BASE: Final = "#8a8f98"
# Further series, in order; Okabe and Ito's colours that are not taken above.
SERIES: Final = (STUDENT, "#009e73", "#cc79a7", "#b8a400", "#56b4e9", "#7a5cc7")
FEW_STEPS: Final = 6

Points = Sequence[Sequence[float | None]]


def chart(title: str, label: str, figure: go.Figure) -> dict[str, Any]:
    """The value of a ``chart`` view; ``label`` is what a screen reader says."""
    return {"title": title, "label": label, "figure": json.loads(figure.to_json(engine="json"))}


def no_chart(reason: str) -> dict[str, Any]:
    """What stands in place of a chart that has nothing to show yet."""
    return {"empty": reason}


def score_figure(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> go.Figure:
    """Scores (share, 0 to 1) over steps with their 95 % bands, one line a name."""
    figure = go.Figure()
    for place, (name, points) in enumerate(curves.items()):
        colour = SERIES[place % len(SERIES)]
        steps = [point["step"] for point in points]
        figure.add_scatter(
            x=steps + steps[::-1],
            y=[p["high"] for p in points] + [p["low"] for p in points][::-1],
            mode="lines",
            fill="toself",
            fillcolor=colour,
            opacity=0.15,
            line={"width": 0},
            hoverinfo="skip",
            showlegend=False,
            legendgroup=name,
        )
        figure.add_scatter(
            x=steps,
            y=[point["score"] for point in points],
            name=name,
            mode="lines+markers",
            line={"color": colour, "width": 2},
            legendgroup=name,
            customdata=[[p["low"], p["high"], p["n"]] for p in points],
            hovertemplate="step %{x}: %{y:.0%} (%{customdata[0]:.0%} to %{customdata[1]:.0%}, "
            "n %{customdata[2]})<extra>%{fullData.name}</extra>",
        )
    layout = layout_of()
    layout["xaxis"] |= step_ticks(p["step"] for points in curves.values() for p in points)
    figure.update_layout(layout, yaxis={"tickformat": ".0%", "range": [-0.02, 1.02]})
    return figure


def metric_figure(curves: Mapping[str, Points]) -> go.Figure:
    """Metrics over steps, one small panel each, under one another."""
    figure = go.Figure()
    names = list(curves)
    height = 1 / max(1, len(names))
    layout = layout_of()
    for place, name in enumerate(names):
        axis = "" if place == 0 else str(place + 1)
        top = 1 - place * height
        figure.add_scatter(
            x=[point[0] for point in curves[name]],
            y=[point[1] for point in curves[name]],
            name=name,
            line={"color": STUDENT, "width": 1.5},
            yaxis=f"y{axis}",
            hovertemplate="step %{x}: %{y:.4g}<extra>" + name + "</extra>",
        )
        # The name stands above its panel: beside four axes it would not fit.
        figure.add_annotation(
            text=name, x=0, xref="paper", xanchor="left", y=top, yref="paper", yanchor="top",
            showarrow=False, font={"size": 11},
        )  # fmt: skip
        layout[f"yaxis{axis}"] = {"domain": [top - 0.8 * height, top - 0.2 * height], "nticks": 4}
    layout["xaxis"] |= step_ticks(p[0] or 0 for points in curves.values() for p in points)
    layout["xaxis"]["anchor"] = f"y{len(names)}" if len(names) > 1 else "y"
    figure.update_layout(layout, showlegend=False)
    return figure


def step_ticks(steps: Iterable[float]) -> dict[str, Any]:
    """An axis over few steps counts them one by one: plotly would mark halves of a step."""
    return {"dtick": 1} if max(steps, default=0) <= FEW_STEPS else {}


def layout_of(height: int = 360) -> dict[str, Any]:
    """What all charts over steps have in common; colours of text and lines are the browser's."""
    return {
        "margin": {"l": 56, "r": 12, "t": 8, "b": 40},
        "height": height,
        "xaxis": {"title": {"text": "step"}, "rangemode": "tozero"},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "hovermode": "closest",
        "template": "none",
    }

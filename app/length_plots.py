"""Lengths of prompts and demonstrations as a plotly figure; nothing here reads the lab."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Final

import plotly.graph_objects as go

from app.plots import BASE, STUDENT, TEACHER, layout_of

_BINS: Final = 36
_ROLES: Final[Mapping[str, tuple[str, str]]] = {
    "demonstration": ("demonstration", BASE),
    "student": ("student's prompt", STUDENT),
    "teacher": ("teacher's prompt", TEACHER),
}


def length_figure(lengths: Mapping[str, Sequence[int]], limits: Mapping[str, int]) -> go.Figure:
    """Rows by length in tokens, one outline a role, and the limits as upright lines.

    The axis is logarithmic: a model reads many times what most rows have.
    """
    everything = [value for values in lengths.values() for value in values]
    edges = bin_edges(min(everything), max(everything))
    figure = go.Figure()
    top = 1
    for role, (name, colour) in _ROLES.items():
        counts = bin_counts(lengths[role], edges)
        top = max(top, *counts)
        figure.add_scatter(
            x=edges,
            y=[*counts, 0],
            name=name,
            mode="lines",
            line={"shape": "hv", "width": 1.5, "color": colour},
            fill="tozeroy",
            fillcolor=_faint(colour),
            hovertemplate="from %{x:,} tokens: %{y:,} rows<extra>" + name + "</extra>",
        )
    for place, (name, limit) in enumerate(limits.items()):
        figure.add_scatter(
            x=[limit, limit],
            y=[0, top],
            name=name,
            mode="lines",
            line={"color": "#cc79a7", "width": 2, "dash": "solid" if place == 0 else "dot"},
            hovertemplate=f"{name}: {limit:,} tokens<extra></extra>",
        )
    layout = layout_of(320)
    ticks = [1 << power for power in range(max(edges[-1], *limits.values(), 1).bit_length() + 1)]
    layout["xaxis"] = {"title": {"text": "tokens"}, "type": "log", "tickvals": ticks,
                       "ticktext": [f"{tick:,}" for tick in ticks]}  # fmt: skip
    figure.update_layout(layout, yaxis={"title": {"text": "rows"}, "rangemode": "tozero"})
    return figure


def bin_edges(low: int, high: int) -> list[int]:
    """Whole numbers that rise by about the same factor, from ``low`` to beyond ``high``."""
    low = max(1, low)
    factor = math.log((high + 1) / low) / _BINS
    return sorted({round(low * math.exp(factor * step)) for step in range(_BINS)} | {high + 1})


def bin_counts(values: Sequence[int], edges: Sequence[int]) -> list[int]:
    """How many values lie from each edge up to the next."""
    counts = [0] * (len(edges) - 1)
    for value in values:
        counts[max(0, bisect_right(edges, value) - 1)] += 1
    return counts


def _faint(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.15)"

"""Charts of runs side by side: what is drawn, in which colours, and what is not joined."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.forgetting_charts import gain_chart, probe_charts
from app.forgetting_plots import (
    RUN_COLOURS,
    GainPath,
    ProbeCurve,
    Style,
    gain_figure,
    probe_figure,
    run_styles,
)
from app.plots import BASE, STUDENT, TEACHER, metric_figure, score_figure

STYLE = Style("#009e73", "circle", "solid")


def point(step: int, score: float, n: int = 32) -> dict[str, Any]:
    return {"step": step, "score": score, "low": score - 0.1, "high": score + 0.1, "n": n}


def test_runs_have_colours_of_their_own_which_no_role_has() -> None:
    styles = run_styles([f"run-{i}" for i in range(8)])
    assert not {style.colour for style in styles.values()} & {STUDENT, TEACHER, BASE}
    assert len({styles[f"run-{i}"] for i in range(6)}) == len(RUN_COLOURS) == 6
    assert styles["run-0"].colour == styles["run-6"].colour


def test_a_probe_has_a_band_a_line_and_large_marks_that_are_not_joined() -> None:
    curve = ProbeCurve(
        "sdft",
        STYLE,
        [point(0, 0.1), point(5, 0.4), point(10, 0.6)],
        [point(0, 0.2), point(10, 0.7)],
    )
    band, line, marks, base = probe_figure([curve], 0.2).data
    assert list(band.y) == pytest.approx([0.2, 0.5, 0.7, 0.5, 0.3, 0.0])
    assert (list(line.x), line.mode) == ([0, 5, 10], "lines+markers")
    assert (list(marks.y), marks.mode) == ([0.2, 0.7], "markers")
    assert list(marks.error_y.array) == pytest.approx([0.1, 0.1])
    assert (list(base.y), base.line.color, base.line.dash) == ([0.2, 0.2], BASE, "dash")
    assert {line.line.color, marks.marker.color, band.fillcolor} == {STYLE.colour}


def test_few_steps_are_counted_one_by_one() -> None:
    """Halves of a step there are none; many steps are left to plotly."""
    for last, ticks in ((2, 1), (60, None)):
        points = [point(0, 0.1), point(last, 0.5)]
        figures = (
            probe_figure([ProbeCurve("a", STYLE, [], points)]),
            score_figure({"task": points}),
            metric_figure({"loss": [[0, 3.0], [last, 1.0]]}),
        )
        assert [figure.layout.xaxis.dtick for figure in figures] == [ticks] * 3


def test_a_probe_asked_at_the_ends_only_is_a_line_between_them() -> None:
    curve = ProbeCurve("sdft", STYLE, [], [point(0, 0.2), point(10, 0.7)])
    _, line = probe_figure([curve]).data
    assert (list(line.x), line.mode) == ([0, 10], "lines+markers")


def test_a_first_score_is_one_mark_and_nats_are_no_percent() -> None:
    figure = probe_figure([ProbeCurve("a", STYLE, [], [point(0, 0.2)])], is_share=False)
    (mark,) = figure.data
    assert mark.mode == "markers"
    assert "%" not in figure.layout.yaxis.to_plotly_json().get("tickformat", "")
    assert probe_figure([]).data == ()


def test_gain_is_a_point_with_bars_a_faint_way_and_lines_at_zero() -> None:
    path = GainPath("sdft", STYLE, [(0, 0, 0), (5, 20, -3)], ((10, 30, 45), (-8, -2, 4)))
    figure = gain_figure([path, GainPath("young", STYLE, [(0, 0, 0)], None)], "prior:facts")
    way, end, young = figure.data
    assert (list(way.x), list(way.y), way.opacity) == ([0, 20], [0, -3], 0.4)
    assert (list(end.x), list(end.y)) == ([30], [-2])
    assert (list(end.error_x.array), list(end.error_x.arrayminus)) == ([15], [20])
    assert (list(end.error_y.array), list(end.error_y.arrayminus)) == ([6], [6])
    assert list(young.x) == [0]
    assert {(shape.x0, shape.x1, shape.y0, shape.y1) for shape in figure.layout.shapes} == {
        (0, 1, 0, 0),
        (0, 0, 0, 1),
    }


def document() -> dict[str, Any]:
    run = {"id": "a", "name": "sdft", "task": "lights", "starts_from": None}
    probes = [
        {"name": name, "is_share": True, "part": part}
        for name, part in (("task:lights", "task"), ("prior:facts", "prior"))
    ]
    along = {
        "task:lights": [point(0, 0.0), point(5, 0.5)],
        "prior:facts": [point(0, 0.8), point(5, 0.7)],
    }
    curves = {
        name: {"along": along[name], "whole": [point(0, 0.1, 64), point(10, 0.6, 64)]}
        for name in along
    }
    change = {"difference": 0.5, "low": 0.3, "high": 0.6}
    changes = [{"run": "a", "probe": probe["name"], **change} for probe in probes]
    return {"runs": [run], "probes": probes, "curves": {"a": curves}, "changes": changes}


def test_each_probe_shown_is_a_panel_that_says_what_it_shows() -> None:
    charts = probe_charts(document(), run_styles(["a"]), ["prior:facts"])["charts"]
    assert [each["key"] for each in charts] == ["prior:facts"]
    assert charts[0]["label"] == "prior:facts over steps: sdft from 10% to 60%"
    json.dumps(charts, allow_nan=False)


def test_the_base_is_drawn_only_where_all_runs_start_from_it() -> None:
    def drawn(changed: dict[str, Any]) -> bool:
        chart = probe_charts(changed, run_styles(["a"]), ["prior:facts"])["charts"][0]
        return any(each.get("line", {}).get("color") == BASE for each in chart["figure"]["data"])

    continued = document()
    continued["runs"][0]["starts_from"] = "another"
    assert drawn(document())
    assert not drawn(continued)


def test_the_way_to_the_gain_pairs_both_probes_at_the_same_steps() -> None:
    chart = gain_chart(document(), run_styles(["a"]), "prior:facts")
    way, end = chart["figure"]["data"]
    assert [round(value) for value in way["x"]] == [0, 50]
    assert [round(value) for value in way["y"]] == [0, -10]
    assert (end["x"], end["y"]) == ([50.0], [50.0])
    assert "sdft +50 and +50 points" in chart["label"]


def test_without_scores_the_chart_says_when_it_comes() -> None:
    assert "empty" in gain_chart(document(), run_styles(["a"]), "")
    bare = document() | {"changes": [], "curves": {"a": {}}}
    assert gain_chart(bare, run_styles(["a"]), "prior:facts")["empty"].startswith("Gain and change")
    assert probe_charts(bare, run_styles(["a"]), ["prior:facts"]) == {"charts": []}

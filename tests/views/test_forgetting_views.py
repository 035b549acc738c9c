"""What the Forgetting page reads: scores over steps, paired changes, and the items behind them."""

from __future__ import annotations

from typing import Any

import pytest

from backend.errors import NotFound
from backend.evaluation.intervals import paired
from backend.lab import Lab
from storage.models import Run
from tests.views.stored_runs import add_run, add_scores

TASK, FACTS, KL = "task:lights", "prior:facts", "prior:kl"


def items(*scores: float) -> dict[str, float]:
    return {f"item-{i}": score for i, score in enumerate(scores)}


def scored(lab: Lab, name: str = "sdft", **values: Any) -> Run:
    """A finished run: three of four on the task, one fact learned and two forgotten."""
    run = add_run(lab.database, name, **values)
    add_scores(lab.database, run, TASK, 0, items(0, 0, 0, 0))
    add_scores(lab.database, run, TASK, 10, items(1, 1, 1, 0))
    add_scores(lab.database, run, FACTS, 0, items(1, 1, 1, 0), metric="accuracy")
    add_scores(lab.database, run, FACTS, 10, items(1, 0, 0, 1), metric="accuracy")
    return run


def test_training_runs_with_scores_can_be_chosen_oldest_first(lab: Lab) -> None:
    first, second = scored(lab, "first"), scored(lab, "second", group_id="g")
    add_run(lab.database, "without scores")
    add_scores(lab.database, add_run(lab.database, "e", kind="evaluate"), TASK, 0, items(1))
    found = lab.views.scored_runs()
    assert [(run["id"], run["task"], run["group"]) for run in found] == [
        (first.id, "lights", first.id),
        (second.id, "lights", "g"),
    ]


def test_a_change_is_paired_over_the_items_of_the_whole_probe(lab: Lab) -> None:
    run = scored(lab)
    add_scores(lab.database, run, FACTS, 0, items(1), subset=True, metric="accuracy")
    add_scores(lab.database, run, FACTS, 5, items(0), subset=True, metric="accuracy")
    document = lab.views.forgetting([run.id])
    (facts,) = [change for change in document["changes"] if change["probe"] == FACTS]
    expected = paired([1, 1, 1, 0], [1, 0, 0, 1])
    assert (facts["before"], facts["after"], facts["n"]) == (0.75, 0.5, 4)
    assert (facts["difference"], facts["low"], facts["high"]) == (
        expected.difference, expected.low, expected.high,
    )  # fmt: skip
    curve = document["curves"][run.id][FACTS]
    assert [point["step"] for point in curve["along"]] == [0, 5]
    assert [(point["step"], point["n"]) for point in curve["whole"]] == [(0, 4), (10, 4)]


def test_probes_come_own_task_first_then_prior_then_other_tasks_then_nats(lab: Lab) -> None:
    run = scored(lab)
    for probe, metric in (("task:dates", "exact"), ("prior:instructions", "passed")):
        add_scores(lab.database, run, probe, 0, items(1), metric=metric)
    add_scores(lab.database, run, KL, 0, items(0.0), metric="kl_nats")
    probes = lab.views.forgetting([run.id])["probes"]
    assert [(probe["name"], probe["part"], probe["is_share"]) for probe in probes] == [
        (TASK, "task", True),
        (FACTS, "prior", True),
        ("prior:instructions", "prior", True),
        ("task:dates", "other", True),
        (KL, "prior", False),
    ]


def test_a_run_under_way_has_curves_but_is_not_finished(lab: Lab) -> None:
    done, under_way = scored(lab), add_run(lab.database, "young", state="running")
    add_scores(lab.database, under_way, TASK, 0, items(0))
    document = lab.views.forgetting([under_way.id, done.id])
    assert [run["name"] for run in document["runs"]] == ["sdft", "young"]
    assert document["finished"] == [done.id]
    assert {change["run"] for change in document["changes"]} == {done.id}
    assert document["curves"][under_way.id][TASK]["whole"]


def test_what_was_forgotten_and_learned_is_listed_with_both_answers(lab: Lab) -> None:
    run = scored(lab)
    (found,) = lab.views.changed_items([run.id], FACTS)
    assert [item["id"] for item in found["forgot"]] == ["item-1", "item-2"]
    assert [item["id"] for item in found["learned"]] == ["item-3"]
    assert found["n"] == 4
    assert found["forgot"][0] == {
        "id": "item-1", "prompt": "asks item-1", "expected": "yes", "before": "1 at 0",
        "after": "0 at 10", "reason": "",
    }  # fmt: skip


def test_the_version_changes_with_scores_and_states_only(lab: Lab) -> None:
    run = scored(lab)
    before = lab.views.scores_version([run.id])
    assert lab.views.scores_version([run.id]) == before
    add_scores(lab.database, run, FACTS, 5, items(1), subset=True, metric="accuracy")
    assert lab.views.scores_version([run.id]) != before


def test_a_run_that_is_none_is_refused(lab: Lab) -> None:
    premise = add_run(lab.database, "premise", kind="premise")
    for name in ("nonsense", premise.id):
        with pytest.raises(NotFound, match="there is no training run"):
            lab.views.forgetting([name])


def compare(lab: Lab, *runs: Run) -> dict[str, Any]:
    """The words on these runs, the last one against the others."""
    document = lab.views.forgetting([run.id for run in runs])
    ids = document["finished"]
    compared = lab.compare([ids[-1], *ids[:-1]]) if len(ids) > 1 else None
    return lab.views.forgetting_words(document, compared, ["found"])


def with_another_task(lab: Lab, name: str, after: list[float], **values: Any) -> Run:
    config = {
        "method": "sft",
        "rollout": {"source": "demonstration"},
        "divergence": {"kind": "nll"},
        "steps": 10,
    }
    run = scored(lab, name, config=config, **values)
    for step, scores in ((0, [1.0] * 40), (10, after)):
        add_scores(lab.database, run, "task:dates", step, items(*scores), metric="passed")
    return run


def test_probes_beyond_the_findings_are_told_last_against_the_others(lab: Lab) -> None:
    first = with_another_task(lab, "sft", [0.0] * 40)
    last = with_another_task(lab, "sdft", [1.0] * 40)
    words = compare(lab, first, last)
    assert words["found"] == [
        "found",
        "sft besides: task:dates -100 points (95 % from -100 to -88) on 40 items.",
        "sdft against sft on task:dates: +100 points (95 % from +88 to +100).",
    ]


def test_probes_that_cannot_tell_are_one_sentence(lab: Lab) -> None:
    runs = [with_another_task(lab, name, [1.0] * 40) for name in ("sft", "sdft")]
    assert compare(lab, *runs)["found"][1:] == [
        "sdft against sft: no difference can be told on task:dates (40 items)."
    ]


def test_cautions_name_what_is_unfinished_unlike_partial_and_unrepeated(lab: Lab) -> None:
    one = with_another_task(lab, "one", [1.0] * 40, method="sft")
    other = with_another_task(lab, "other", [1.0] * 40, task="dates")
    add_scores(lab.database, other, "task:dates", 0, items(0))
    add_scores(lab.database, other, "task:dates", 10, items(0))
    add_scores(lab.database, one, FACTS, 5, items(1), subset=True, metric="accuracy")
    young = add_run(lab.database, "young", state="running", config={"start_from": one.id})
    told = " ".join(compare(lab, one, other, young)["cautions"])
    assert "young has no final scores yet (running)." in told
    assert "they were trained on different task versions" in told
    assert "prior:facts 1 of 4" in told
    assert "each method ran once here" in told
    assert "compared with that start, not with the base" in told


def test_two_seeds_of_a_method_silence_the_caution_on_seeds(lab: Lab) -> None:
    runs = [with_another_task(lab, name, [1.0] * 40) for name in ("a", "b")]
    assert "seed" not in " ".join(compare(lab, *runs)["cautions"])


def test_equal_skill_is_not_told_where_no_prior_knowledge_was_asked_on_the_way(lab: Lab) -> None:
    runs = [scored(lab, name) for name in ("sft", "sdft")]
    for run in runs:
        for step in (0, 5, 10):
            add_scores(lab.database, run, TASK, step, items(step > 0), subset=True)
    told = lab.findings([run.id for run in runs])
    assert any("at equal steps" in sentence for sentence in told)
    assert not any("at equal skill" in sentence for sentence in told)
    for run in runs:
        add_scores(lab.database, run, FACTS, 5, items(1), subset=True, metric="accuracy")
        add_scores(lab.database, run, FACTS, 10, items(0), subset=True, metric="accuracy")
    told = lab.findings([run.id for run in runs])
    (sentence,) = [each for each in told if "at equal skill" in each]
    assert "prior:facts -100 points" in sentence

"""What the Traces page reads: runs, the rollouts of a step, one of them token by token."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from backend.errors import ConfigError, NotFound
from backend.lab import Lab
from tests.tiny_tokenizer import build_tokenizer
from tests.views.stored_runs import add_run, add_trace


def test_only_runs_that_have_traces_can_be_chosen_newest_first(lab: Lab) -> None:
    add_run(lab.database, "bare")
    for name in ("old", "new"):
        run = add_run(lab.database, name)
        for step in (0, 5):
            add_trace(lab.database, run, step)
    found = lab.views.traced_runs()
    assert [(run["name"], run["steps"]) for run in found] == [("new", 2), ("old", 2)]


def test_the_index_is_of_the_last_step_and_chooses_the_most_divergent(lab: Lab) -> None:
    run = add_run(lab.database)
    add_trace(lab.database, run, 0)
    add_trace(lab.database, run, 5, 0, divergences=(0.1, 0.1, 0.1))
    wild = add_trace(lab.database, run, 5, 1, kind="sampled", divergences=(3.0, 3.0, 3.0))
    index = lab.views.trace_index(run.id)
    assert (index["steps"], index["step"], index["chosen"]) == ([0, 5], 5, wild)
    assert [line["divergence"] for line in index["traces"]] == [3.0, 0.1]
    assert [line["prompt"] for line in index["traces"]] == ["question 4", "question 3"]
    assert "tokens" in index["traces"][0]
    assert "texts" not in json.dumps(index)


def test_the_index_sorts_and_shows_as_asked(lab: Lab) -> None:
    run = add_run(lab.database)
    add_trace(lab.database, run, 5, 0, kind="sampled", ids=(5, 6), divergences=(9.0, 9.0))
    add_trace(lab.database, run, 5, 0, divergences=(0.1, 0.1, 0.1))

    def kinds(**asked: str) -> list[str]:
        return [line["kind"] for line in lab.views.trace_index(run.id, **asked)["traces"]]

    assert kinds() == ["sampled", "watched"]
    assert kinds(sort="order") == kinds(sort="length") == ["watched", "sampled"]
    assert kinds(show="watched") == ["watched"]
    assert lab.views.trace_index(run.id, show="watched")["kinds"] == {"watched": 1, "sampled": 1}


def test_the_index_finds_rows_by_their_prompt_and_their_completion(lab: Lab) -> None:
    run = add_run(lab.database)
    add_trace(lab.database, run, 5, 0, completion="Light on")
    add_trace(lab.database, run, 5, 1, completion="door open")

    def found(text: str) -> list[str]:
        return [line["row"] for line in lab.views.trace_index(run.id, find=text)["traces"]]

    assert found("LIGHT") == ["row-3"]
    assert found("question 4") == ["row-4"]
    assert found("%") == []
    assert len(found("")) == 2


def test_a_trace_of_another_step_stands_for_its_row(lab: Lab) -> None:
    run = add_run(lab.database)
    first = [add_trace(lab.database, run, 0, place) for place in (0, 1)]
    later = [add_trace(lab.database, run, 5, place) for place in (0, 1)]
    assert lab.views.trace_index(run.id, 5, first[1])["chosen"] == later[1]
    assert lab.views.trace_index(run.id, 0, later[0])["chosen"] == first[0]
    assert lab.views.trace_index(run.id, None, first[1])["step"] == 0


def test_a_sampled_row_that_a_step_lacks_gives_way_to_the_first(lab: Lab) -> None:
    run = add_run(lab.database)
    sampled = add_trace(lab.database, run, 0, kind="sampled", demonstration_id="row-1")
    watched = add_trace(lab.database, run, 5)
    assert lab.views.trace_index(run.id, 5, sampled)["chosen"] == watched


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"step": 4}, r"no traces of step 4; traced steps: 0"),
        ({"trace": "x"}, 'has no trace "x"'),
        ({"sort": "__class__"}, "choose one of divergence, order, length"),
        ({"show": "none"}, "choose one of all, watched, sampled"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(
    lab: Lab, asked: dict[str, object], message: str
) -> None:
    run = add_run(lab.database)
    add_trace(lab.database, run, 0)
    with pytest.raises((NotFound, ConfigError), match=message):
        lab.views.trace_index(run.id, **asked)


def test_another_runs_trace_is_refused(lab: Lab) -> None:
    run, other = add_run(lab.database, "one"), add_run(lab.database, "other")
    add_trace(lab.database, run, 0)
    foreign = add_trace(lab.database, other, 0)
    with pytest.raises(NotFound, match="one has no trace"):
        lab.views.trace_index(run.id, None, foreign)
    with pytest.raises(NotFound, match="there is no run"):
        lab.views.trace_index("nonsense")
    with pytest.raises(NotFound, match="there is no trace"):
        lab.views.trace_tokens("nonsense")


def test_a_run_without_traces_says_when_they_come(lab: Lab) -> None:
    run = add_run(lab.database, "young")
    with pytest.raises(NotFound, match=r"young has no traces yet; the first come before"):
        lab.views.trace_index(run.id)


def test_tokens_point_into_texts_that_stand_there_once(lab: Lab, tmp_path: Path) -> None:
    folder = build_tokenizer(tmp_path / "model")
    (folder / "config.json").write_text("{}")
    run = add_run(lab.database, model=str(folder))
    document = lab.views.trace_tokens(add_trace(lab.database, run, 0, ids=(5, 6, 5)))
    texts, roles = document["texts"], document["roles"]
    assert len(texts) == len(set(texts))
    assert [texts[i] for i in document["tokens"]] == ["#", "$", "#"]
    assert [texts[i] for i in roles["teacher"]["top"][:5]] == [
        "$", "#", "<|endoftext|>", "<|im_start|>", "<|im_end|>",
    ]  # fmt: skip
    assert roles["student"]["width"] == 5
    assert math.exp(roles["student"]["top_logprobs"][0]) == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("model", ["bundled:smollm2-135m-instruct", "./gone", ""])
def test_a_model_that_is_gone_leaves_numbers_for_texts(lab: Lab, model: str) -> None:
    run = add_run(lab.database, model=model)
    document = lab.views.trace_tokens(add_trace(lab.database, run, 0))
    assert document["texts"][document["tokens"][0]] == "<id 5>"


def test_a_trace_of_a_thousand_tokens_is_small(lab: Lab) -> None:
    run = add_run(lab.database, model="bundled:smollm2-135m-instruct")
    ids = [7 + i % 300 for i in range(1000)]
    key = add_trace(lab.database, run, 0, ids=ids, divergences=[0.123456789] * 1000)
    assert len(json.dumps(lab.views.trace_tokens(key))) < 260_000


def test_what_is_no_number_becomes_none_and_json(lab: Lab) -> None:
    run = add_run(lab.database, model="bundled:smollm2-135m-instruct")
    key = add_trace(lab.database, run, 0, divergences=(math.nan, math.inf, 0.5))
    document = lab.views.trace_tokens(key)
    assert document["divergences"] == [None, None, 0.5]
    json.dumps(document, allow_nan=False)
    index = lab.views.trace_index(run.id)
    assert index["traces"][0]["divergence"] is None


def test_prompts_come_in_parts_and_without_teacher_alone(lab: Lab) -> None:
    run = add_run(lab.database, model="bundled:smollm2-135m-instruct")
    with_teacher = lab.views.trace_tokens(add_trace(lab.database, run, 0))
    assert with_teacher["prompts"]["teacher"] == [
        ("<|im_start|>user\n", False), ("an example, ", True), ("question", False),
    ]  # fmt: skip
    alone = lab.views.trace_tokens(add_trace(lab.database, run, 0, 1, has_teacher=False))
    assert alone["prompts"]["teacher"] is None
    assert alone["prompts"]["student"] == [("<|im_start|>user\nquestion", False)]
    assert alone["roles"]["teacher"] is None


def test_an_empty_rollout_has_no_tokens(lab: Lab) -> None:
    run = add_run(lab.database, model="bundled:smollm2-135m-instruct")
    document = lab.views.trace_tokens(add_trace(lab.database, run, 0, ids=(), divergences=()))
    assert document["tokens"] == document["texts"] == []
    assert document["sentence"] == "No token of this rollout counts in the loss."

"""Probes: what is scored, on which items, and when two scores are of the same thing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from backend.config import AdapterConfig
from backend.data.demonstration import Message
from backend.evaluation.likelihood import choice_logprobs
from backend.evaluation.probes import (
    ChoiceProbe,
    InstructionProbe,
    KlProbe,
    Probe,
    TaskProbe,
    answer,
    evaluate,
    fingerprint,
    some,
)
from backend.models.language_model import LanguageModel
from backend.training.generation import Sampling, generate
from tests.tiny_model import build_model, load_tiny
from tests.training.tiny_runs import demonstration, demonstrations, disturb_adapter

FACTS: list[dict[str, Any]] = [
    {"id": f"fact-{n}", "question": f"the light {n}", "choices": ["on", "the", "a b"], "answer": 1}
    for n in range(5)
]
EVERYDAY = [{"id": f"day-{n}", "prompt": f"question {n} of the light"} for n in range(5)]
TASK = TaskProbe("tiny", "v1", demonstrations(5), "exact", 8)
KL = KlProbe("prior:kl", EVERYDAY, {}, max_new_tokens=8)
PROBES: list[Probe] = [
    TASK,
    ChoiceProbe("prior:facts", FACTS),
    InstructionProbe(
        "prior:instructions",
        [{**row, "check": {"kind": "max_words", "n": 2}} for row in EVERYDAY],
        8,
    ),
    KL,
]
every_probe = pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)


@pytest.fixture
def model(tiny_folder: Path) -> LanguageModel:
    return load_tiny(tiny_folder)


def adapted(folder: Path) -> LanguageModel:
    model = load_tiny(folder)
    model.add_adapter(AdapterConfig(rank=4), seed=0)
    return model


@every_probe
def test_every_probe_scores_all_items_or_as_many_as_asked(
    probe: Probe, model: LanguageModel
) -> None:
    whole, part = evaluate(probe, model, 0), evaluate(probe, model, 2)
    assert (whole.n, part.n) == (5, 2)
    assert whole.score == pytest.approx(sum(item.score for item in whole.items) / 5)
    assert whole.low <= whole.score <= whole.high
    assert (whole.probe, whole.metric) == (probe.name, probe.metric)
    assert {item.item_id for item in part.items} <= {item.item_id for item in whole.items}
    by_id = {item.item_id: item for item in whole.items}
    for item in part.items:
        assert item.answer == by_id[item.item_id].answer
        assert item.score == pytest.approx(by_id[item.item_id].score, abs=1e-5)


def test_a_few_items_lie_within_more_of_them_whatever_their_order() -> None:
    items = list(range(50))
    assert some(items, 0, str) == some(items, 99, str) == items
    few, more = some(items, 4, str), some(items, 20, str)
    assert (len(few), len(more)) == (4, 20)
    assert set(few) < set(more)
    assert few == sorted(few)
    assert sorted(some(items[::-1], 4, str)) == few


def test_a_tasks_answers_are_greedy_and_judged_by_its_scorer(model: LanguageModel) -> None:
    prompts = [model.tokenizer.prompt_ids(row.messages) for row in TASK.rows]
    texts = [model.tokenizer.decode(generate(model, [p], Sampling(8))[0]) for p in prompts]
    probe = replace(TASK, rows=[demonstration(1, answer=texts[0]), *TASK.rows[1:]])
    items = probe.run(model, 0)
    assert [item.answer for item in items] == texts
    assert [item.score for item in items] == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert items[0].reason == "equal"
    assert (probe.name, probe.metric) == ("task:tiny", "exact")


def test_answers_come_back_in_the_order_of_the_prompts(model: LanguageModel) -> None:
    """They are written in order of length, in several batches."""
    prompts = [model.tokenizer.encode("the light " * (1 + n * 7 % 11)) for n in range(40)]
    alone = [model.tokenizer.decode(generate(model, [p], Sampling(4))[0]) for p in prompts]
    assert answer(model, prompts, 4) == alone


def test_the_likeliest_choice_is_the_answer(model: LanguageModel) -> None:
    likely = choice_logprobs(model, FACTS)
    items = ChoiceProbe("prior:facts", FACTS).run(model, 0)
    for row, values, item in zip(FACTS, likely, items, strict=True):
        best = values.index(max(values))
        assert item.answer == row["choices"][best]
        assert item.expected == "the"
        assert item.score == (best == 1)
        assert (float(item.reason.split()[1]) >= 0) == (best == 1)


def test_a_rule_is_checked_on_the_greedy_answer(model: LanguageModel) -> None:
    ids = model.tokenizer.prompt_ids([Message(role="user", content="a")])
    text = model.tokenizer.decode(generate(model, [ids], Sampling(8))[0])
    rows = [
        {"id": name, "prompt": "a", "check": {"kind": "contains", "any": [part]}}
        for name, part in (("kept", text.strip()[:3]), ("broken", "no such thing"))
    ]
    items = InstructionProbe("prior:instructions", rows, 8).run(model, 0)
    assert [(item.answer, item.score) for item in items] == [(text, 1.0), (text, 0.0)]


def test_the_base_has_no_kl_to_itself(tiny_folder: Path) -> None:
    """Exactly 0, with and without a fresh adapter."""
    for model in (load_tiny(tiny_folder), adapted(tiny_folder)):
        assert [item.score for item in KL.run(model, 0)] == [0.0] * 5


def test_a_kl_of_zero_is_no_proportion(model: LanguageModel) -> None:
    """Its interval is in nats: Wilson's would end far above what any item shows."""
    measured = evaluate(KL, model, 0)
    assert (measured.score, measured.low, measured.high) == (0.0, 0.0, 0.0)


def test_an_adapted_models_kl_is_that_of_the_bases_answers(tiny_folder: Path) -> None:
    """KL(base || student), in nats a token, by transformers alone."""
    model, base = adapted(tiny_folder), load_tiny(tiny_folder)
    disturb_adapter(model)
    for row, item in zip(EVERYDAY, KL.run(model, 0), strict=True):
        prompt = model.tokenizer.prompt_ids([Message(role="user", content=row["prompt"])])
        written = base.tokenizer.decode(generate(base, [prompt], Sampling(8))[0])
        assert item.answer == written
        ids = model.tokenizer.encode(written)
        sides = []
        for network in (base.network, model.network):
            with torch.no_grad():
                logits = network(input_ids=torch.tensor([prompt + ids])).logits[0]
            sides.append(logits[len(prompt) - 1 : -1].double().log_softmax(-1))
        expected = (sides[0].exp() * (sides[0] - sides[1])).sum(-1).mean()
        assert item.score == pytest.approx(float(expected), rel=1e-4)
        assert item.score > 0.01


def test_known_answers_of_the_base_are_not_written_again(tiny_folder: Path) -> None:
    model = adapted(tiny_folder)
    disturb_adapter(model)
    texts = {row["id"]: "the answer" for row in EVERYDAY}
    assert {item.answer for item in replace(KL, base_answers=texts).run(model, 0)} == {"the answer"}
    some_known = replace(KL, base_answers={"day-0": "the answer"})
    assert "the answer" not in {item.answer for item in some_known.run(model, 0)}


@every_probe
def test_a_fingerprint_is_of_one_model_probe_and_limit(
    probe: Probe, tiny_folder: Path, tmp_path: Path
) -> None:
    model = load_tiny(tiny_folder)
    mark = fingerprint(probe, model, 0)
    assert fingerprint(probe, load_tiny(tiny_folder), 0) == mark
    assert fingerprint(probe, adapted(tiny_folder), 0) == mark
    assert fingerprint(probe, load_tiny(tiny_folder, torch.bfloat16), 0) != mark
    assert fingerprint(probe, load_tiny(build_model(tmp_path, seed=9)), 0) != mark
    assert fingerprint(probe, model, 2) != mark


def test_a_fingerprint_changes_with_items_and_scoring(model: LanguageModel) -> None:
    changed: list[Probe] = [
        replace(TASK, version="v2"),
        replace(TASK, scorer="parts"),
        replace(TASK, max_new_tokens=9),
        replace(TASK, task="other"),
        ChoiceProbe("prior:facts", [*FACTS[1:], {**FACTS[0], "answer": 2}]),
        KlProbe("prior:kl", EVERYDAY[1:], {}, 8),
        KlProbe("prior:kl", EVERYDAY, {}, 9),
    ]
    marks = [fingerprint(probe, model, 0) for probe in (*PROBES, *changed)]
    assert len(set(marks)) == len(marks)

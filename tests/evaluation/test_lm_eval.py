"""Benchmarks through lm-eval itself, on local data, against its numbers and plain passes."""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path
from typing import Any

import lm_eval
import pytest
import torch
import yaml
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from transformers import AutoTokenizer

from backend.config import AdapterConfig, EvaluateConfig
from backend.evaluation.benchmarks import BenchmarkProbe, ProbeUnavailable
from backend.evaluation.probes import evaluate, part_of
from backend.evaluation.suite import Suite
from backend.models.language_model import LanguageModel
from backend.training.generation import Sampling, generate
from tests.recording import ListRecorder
from tests.tiny_model import load_tiny
from tests.training.tiny_runs import adapter_of, assert_equal_tensors, disturb_adapter

# Choices of one token each, as a random model prefers the shortest.
WORDS = ("the", "and", "you", "is", "of", "to", "in", "on")
ROWS = [
    {
        "question": f"{n} light {WORDS[n % 8]} {WORDS[n // 3]}",
        "choices": [*WORDS[:3], "light"],
        "answer": n % 4,
    }
    for n in range(23)
]
MEAN = {"aggregation": "mean", "higher_is_better": True}
pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    """Two tasks of one's own, their data on this disk."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    shared = {
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data)}, "cache_dir": str(tmp_path / "cache")},
        "test_split": "test",
        "doc_to_text": "{{question}}",
        "metadata": {"version": 1.0},
    }
    choice = {**shared, "task": "tiny_choice", "output_type": "multiple_choice",
              "doc_to_target": "{{answer}}", "doc_to_choice": "{{choices}}",
              "metric_list": [{"metric": m, **MEAN} for m in ("acc", "acc_norm")]}  # fmt: skip
    written = {**shared, "task": "tiny_written", "output_type": "generate_until",
               "doc_to_target": "{{choices[0]}}",
               "generation_kwargs": {"until": ["\n\n"], "max_gen_toks": 6, "do_sample": False},
               "metric_list": [{"metric": "exact_match", **MEAN}]}  # fmt: skip
    for task in (choice, written):
        (folder / f"{task['task']}.yaml").write_text(yaml.safe_dump(task))
    return folder


@pytest.fixture(params=["adapter", "full"])
def model(request: pytest.FixtureRequest, tiny_folder: Path) -> LanguageModel:
    """A student that answers differently from its base."""
    model = load_tiny(tiny_folder)
    model.add_adapter(AdapterConfig(rank=4, full=request.param == "full"), seed=0)
    disturb_adapter(model)
    return model


def sum_logprob(model: LanguageModel, prompt: str, choice: str) -> float:
    ids = model.tokenizer.encode(f"{prompt} {choice}")
    start = len(model.tokenizer.encode(prompt))
    with torch.no_grad():
        logits = model.network(input_ids=torch.tensor([ids])).logits[0].double()
    logprobs = logits.log_softmax(-1)[start - 1 : -1]
    return float(logprobs.gather(-1, torch.tensor(ids[start:])[:, None]).sum())


def test_items_are_those_of_plain_passes_with_the_adapter_in_place(
    model: LanguageModel, tasks: Path
) -> None:
    before = adapter_of(model)
    found = evaluate(BenchmarkProbe("lm-eval:tiny_choice:acc", tasks), model, 0)
    chosen = []
    for row in ROWS:
        scores = [sum_logprob(model, row["question"], choice) for choice in row["choices"]]
        chosen.append(scores.index(max(scores)))
    assert [item.score for item in found.items] == [
        float(best == row["answer"]) for best, row in zip(chosen, ROWS, strict=True)
    ]
    assert [item.answer for item in found.items] == [
        row["choices"][best] for best, row in zip(chosen, ROWS, strict=True)
    ]
    assert [item.prompt for item in found.items] == [row["question"] for row in ROWS]
    assert (found.probe, found.metric, found.n) == ("lm-eval:tiny_choice:acc", "acc,none", 23)
    assert 0 < found.score < 1
    assert found.low < found.score < found.high
    assert_equal_tensors(adapter_of(model), before)


def test_the_base_scores_as_the_base(model: LanguageModel, tasks: Path) -> None:
    probe = BenchmarkProbe("lm-eval:tiny_choice:acc", tasks)
    student = [item.answer for item in probe.run(model, 0)]
    with model.base_weights():
        base = [item.answer for item in probe.run(model, 0)]
    alone = [item.answer for item in probe.run(load_tiny(model.tokenizer.folder), 0)]
    assert base == alone != student


@pytest.mark.parametrize("metric", ["acc", "acc_norm"])
def test_score_and_standard_error_are_lm_evals_own(
    metric: str, model: LanguageModel, tasks: Path
) -> None:
    found = evaluate(BenchmarkProbe(f"lm-eval:tiny_choice:{metric}", tasks), model, 0)
    theirs: Any = lm_eval.simple_evaluate(
        HFLM(pretrained=model.network, backend="causal", batch_size=1,
             tokenizer=AutoTokenizer.from_pretrained(model.tokenizer.folder)),
        tasks=["tiny_choice"],
        task_manager=TaskManager(include_path=str(tasks), include_defaults=False),
    )["results"]["tiny_choice"]  # fmt: skip
    assert found.score == pytest.approx(theirs[f"{metric},none"])
    ours = statistics.stdev(item.score for item in found.items) / math.sqrt(found.n)
    assert ours == pytest.approx(theirs[f"{metric}_stderr,none"])


def test_written_answers_are_greedy_and_kept(model: LanguageModel, tasks: Path) -> None:
    found = evaluate(BenchmarkProbe("lm-eval:tiny_written:exact_match", tasks), model, 0)
    prompts = [model.tokenizer.encode(row["question"]) for row in ROWS]
    written = [model.tokenizer.decode(ids) for ids in generate(model, prompts, Sampling(6))]
    assert [item.answer for item in found.items] == [text.split("\n\n")[0] for text in written]
    assert [item.expected for item in found.items] == ["the"] * 23


def test_a_limit_chooses_the_same_items_as_along_a_run(model: LanguageModel, tasks: Path) -> None:
    probe = BenchmarkProbe("lm-eval:tiny_choice:acc", tasks)
    whole, some = evaluate(probe, model, 0), evaluate(probe, model, 7)
    assert some == part_of(whole, 7)
    assert some.n == 7


def test_an_unknown_metric_is_told_with_those_that_there_are(
    model: LanguageModel, tasks: Path
) -> None:
    with pytest.raises(ProbeUnavailable, match="no metric f1,none, only acc,none acc_norm,none"):
        BenchmarkProbe("lm-eval:tiny_choice:f1", tasks).run(model, 0)


def test_what_cannot_be_loaded_is_an_event_and_the_run_goes_on(
    model: LanguageModel, tasks: Path, tmp_path: Path
) -> None:
    (tmp_path / "rows.jsonl").unlink()
    names = ["lm-eval:tiny_choice:acc", "lm-eval:no_such_task:acc", "prior:facts"]
    recorder = ListRecorder()
    suite = Suite(names, None, lambda name: pytest.fail(name), recorder, tasks)
    made = suite.measure(model, 0, EvaluateConfig(facts_limit=4), is_base=False)
    assert [one.probe for one in made] == ["prior:facts"]
    assert [event.kind for event in recorder.events] == ["probe_skipped"] * 2
    assert [event.data["probe"] for event in recorder.events] == names[:2]
    assert all("cannot be loaded" in event.message for event in recorder.events)

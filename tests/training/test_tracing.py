"""Traces show what both roles thought of every token, as transformers computes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from backend.training.contexts import read_prompts
from backend.training.generation import Sampling, generate
from backend.training.recorder import TokenTrace, Trace
from backend.training.step import training_step
from backend.training.tracing import TOP, base_answers, traces_of_step, watch
from backend.training.trainer import Trainer
from tests.training.tiny_runs import (
    adapter_of,
    assert_equal_tensors,
    demonstrations,
    disturb_adapter,
    tiny_config,
    tiny_trainer,
)

ROWS = demonstrations(3)


@pytest.fixture
def trainer(tiny_folder: Path) -> Trainer:
    """Temperatures away from 1, and a teacher, a student and a base that all differ."""
    config = tiny_config(
        rollout__temperature=1.4, teacher__temperature=0.7, token_weights__skip_first=1
    )
    trainer = tiny_trainer(tiny_folder, config)
    disturb_adapter(trainer.model)
    return trainer


def plain_logits(trainer: Trainer, prompt: str, ids: list[int]) -> Tensor:
    """transformers' own [T, V], with whatever weights are in place."""
    prompt_ids = trainer.model.tokenizer.encode(prompt)
    with torch.no_grad():
        logits: Tensor = trainer.model.network(input_ids=torch.tensor([prompt_ids + ids])).logits
    return logits[0, len(prompt_ids) - 1 : -1]


def assert_side(tokens: TokenTrace, role: str, logits_TV: Tensor) -> None:
    """Log-probabilities, entropies and likeliest tokens at temperature 1."""
    logprobs = logits_TV.log_softmax(-1)
    own = logprobs[torch.arange(len(logprobs)), torch.tensor(tokens.token_ids_T).long()]
    top = logprobs.topk(TOP)
    expected = {
        f"{role}_logprobs_T": own,
        f"{role}_entropy_T": torch.distributions.Categorical(logits=logits_TV).entropy(),
        f"{role}_top_logprobs_T5": top.values,
    }
    for name, values in expected.items():
        np.testing.assert_allclose(getattr(tokens, name), values, atol=2e-5, rtol=1e-4)
    assert getattr(tokens, f"{role}_top_ids_T5").tolist() == top.indices.tolist()


def test_a_steps_traces_show_what_the_loss_saw(trainer: Trainer) -> None:
    report = training_step(trainer, ROWS, 0)
    traces = traces_of_step(trainer, report, 1, rows=2)
    assert [trace.demonstration_id for trace in traces] == ["row-1", "row-2"]
    values_BT = report.batch.scatter(report.compared.divergence_N)
    for i, trace in enumerate(traces):
        ids = report.rollouts.completions[i]
        assert trace.tokens.token_ids_T.tolist() == ids
        np.testing.assert_array_equal(trace.tokens.divergence_T, values_BT[i, : len(ids)])
        np.testing.assert_array_equal(trace.tokens.weights_T, report.weights_BT[i, : len(ids)])
        assert trace.tokens.weights_T[0] == 0.0
        assert (trace.kind, trace.source, trace.step) == ("sampled", "student", 1)
        assert trace.completion == trainer.model.tokenizer.decode(ids)
        assert trace.demonstration == ROWS[i].demonstration
    everything = traces_of_step(trainer, report, 1, rows=100)
    assert len(everything) == 3
    assert traces_of_step(trainer, report, 1, rows=0) == []
    for trace, same in zip(traces, everything, strict=False):
        for name, values in vars(same.tokens).items():
            np.testing.assert_allclose(getattr(trace.tokens, name), values, atol=1e-5, rtol=1e-5)


def test_only_the_rows_that_are_traced_go_through_the_head(trainer: Trainer) -> None:
    """Once for the student and once for the teacher."""
    report = training_step(trainer, ROWS, 0)
    read: list[int] = []
    hook = trainer.model.head.layer.register_forward_pre_hook(
        lambda _, given: read.append(len(given[0]))
    )
    traces_of_step(trainer, report, 1, rows=2)
    hook.remove()
    assert read == [sum(map(len, report.rollouts.completions[:2]))] * 2


def greedy_answers(trainer: Trainer, role: str) -> list[str]:
    """What the weights in place answer to the prompts of a role."""
    tokenizer = trainer.model.tokenizer
    prompts = getattr(read_prompts(tokenizer, ROWS, trainer.config.teacher), role)
    return [tokenizer.decode(ids) for ids in generate(trainer.model, prompts, Sampling(8))]


def test_watched_prompts_are_seen_through_both_roles(trainer: Trainer) -> None:
    base = base_answers(trainer, ROWS)
    seen = watch(trainer, ROWS, 5, base).traces
    for trace in seen:
        ids = trace.tokens.token_ids_T.tolist()
        assert_side(trace.tokens, "student", plain_logits(trainer, trace.student_prompt, ids))
        assert trace.teacher_prompt is not None
        assert trace.demonstration in trace.teacher_prompt
        with trainer.teacher.in_place():
            assert_side(trace.tokens, "teacher", plain_logits(trainer, trace.teacher_prompt, ids))
        assert (trace.kind, trace.step) == ("watched", 5)


def test_watched_prompts_are_answered_by_student_teacher_and_base(trainer: Trainer) -> None:
    seen = watch(trainer, ROWS, 5, base_answers(trainer, ROWS)).traces
    by_student = greedy_answers(trainer, "student")
    with trainer.teacher.in_place():
        by_teacher = greedy_answers(trainer, "teacher")
    with trainer.model.base_weights():
        by_base = greedy_answers(trainer, "student")
    assert [trace.completion for trace in seen] == by_student
    assert [trace.teacher_answer for trace in seen] == by_teacher
    assert [trace.base_answer for trace in seen] == by_base
    assert by_student != by_teacher != by_base != by_student


def test_kl_to_base_is_that_of_the_students_answers(trainer: Trainer) -> None:
    """Checklist 26: the mean over all tokens of KL(student || base), in nats."""
    seen = watch(trainer, ROWS, 1, ["", "", ""])
    kls = []
    for trace in seen.traces:
        ids = trace.tokens.token_ids_T.tolist()
        student = plain_logits(trainer, trace.student_prompt, ids).double().softmax(-1)
        with trainer.model.base_weights():
            base = plain_logits(trainer, trace.student_prompt, ids).double().softmax(-1)
        kls.append((student * (student / base).log()).sum(-1))
    assert seen.kl_to_base == pytest.approx(float(torch.cat(kls).mean()), rel=1e-4)
    assert seen.kl_to_base > 0.01


def test_a_student_that_is_the_base_has_no_kl_to_it(tiny_folder: Path) -> None:
    trainer = tiny_trainer(tiny_folder, tiny_config("sft"))
    assert watch(trainer, ROWS, 1, ["", "", ""]).kl_to_base == 0.0


def test_without_a_teacher_its_fields_are_empty(tiny_folder: Path) -> None:
    trainer = tiny_trainer(tiny_folder, tiny_config("sft"))
    report = training_step(trainer, ROWS, 0)
    seen = watch(trainer, ROWS, 1, ["", "", ""]).traces
    traces: list[Trace] = [*traces_of_step(trainer, report, 1, 2), *seen]
    assert {trace.source for trace in traces} == {"demonstration", "student"}
    for trace in traces:
        assert trace.teacher_prompt is None
        assert trace.teacher_answer is None
        assert trace.tokens.teacher_logprobs_T is None
        assert trace.tokens.teacher_top_ids_T5 is None


def test_watching_leaves_the_run_as_it_was(trainer: Trainer) -> None:
    student = adapter_of(trainer.model)
    average = {name: tensor.clone() for name, tensor in trainer.teacher.average.items()}
    watch(trainer, ROWS, 1, base_answers(trainer, ROWS))
    assert_equal_tensors(adapter_of(trainer.model), student)
    assert_equal_tensors(trainer.teacher.average, average)
    assert all(p.grad is None for p in trainer.model.network.parameters())
    assert not trainer.model.network.training

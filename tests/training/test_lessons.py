"""What a group of rollouts teaches: siblings that succeeded, feedback, or nothing at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from backend.config import RunConfig
from backend.data.demonstration import Demonstration
from backend.errors import Fault
from backend.models.language_model import LanguageModel
from backend.text.contexts import FEEDBACK_TEMPLATE, SIBLING_TEMPLATE
from backend.training.contexts import read_prompts
from backend.training.lessons import Lessons, read_lessons
from backend.training.observations import observe
from backend.training.rollouts import Rollouts
from tests.training.tiny_runs import (
    demonstrations,
    disturb_adapter,
    gradients_of_step,
    tiny_config,
    tiny_trainer,
)

ROWS = [row for row in demonstrations(2) for _ in range(3)]


def sdpo(context: str = "sibling-or-feedback", **changes: Any) -> RunConfig:
    return tiny_config("sdpo", rollout__per_prompt=3, teacher__context=context, **changes)


def judge(answer: str, row: Demonstration) -> tuple[float, str]:
    """Right is what says light."""
    return ("light" in answer, "right" if "light" in answer else f"no light for {row.id}")


def lessons_of(
    model: LanguageModel, config: RunConfig, answers: list[str], rows: list[Demonstration]
) -> Lessons:
    completions = [[*model.tokenizer.encode(answer), model.tokenizer.end_id] for answer in answers]
    rollouts = Rollouts(completions, ["student"] * len(answers), [False] * len(answers))
    prompts = read_prompts(model.tokenizer, rows, config.teacher)
    return read_lessons(model, config, judge, rows, prompts, rollouts)


@pytest.fixture(scope="module")
def model(tiny_folder: Path) -> LanguageModel:
    return tiny_trainer(tiny_folder, sdpo()).model


ANSWERS = ["light.on", "a", "light.dim", "you", "the answer", "a"]


def test_each_row_is_shown_the_first_other_rollout_that_succeeded(model: LanguageModel) -> None:
    """In the first group the first and third are right; in the second none is."""
    lessons = lessons_of(model, sdpo("successful-sibling"), ANSWERS, ROWS)
    assert lessons.scores == (1.0, 0.0, 1.0, 0.0, 0.0, 0.0)
    assert lessons.has_lesson == (True, True, True, False, False, False)
    assert lessons.prompts.teacher is not None
    shown = [model.tokenizer.decode(ids) for ids in lessons.prompts.teacher]
    for text, sibling in zip(shown, ("light.dim", "light.on", "light.on"), strict=False):
        prompt = ROWS[0].messages[0].content
        wanted = SIBLING_TEMPLATE.replace("{prompt}", prompt).replace("{demonstration}", sibling)
        assert wanted in text
    assert lessons.prompts.teacher[3:] == lessons.prompts.student[3:]


def test_a_sibling_is_shown_without_its_thoughts(model: LanguageModel) -> None:
    """As lasgroup/SDPO has it: remove_thinking_from_demonstration."""
    answers = ["<think>Which light?</think>light.on", *ANSWERS[1:]]
    lessons = lessons_of(model, sdpo("successful-sibling"), answers, ROWS)
    assert lessons.prompts.teacher is not None
    shown = model.tokenizer.decode(lessons.prompts.teacher[1])
    wanted = SIBLING_TEMPLATE.replace("{prompt}", ROWS[0].messages[0].content)
    assert wanted.replace("{demonstration}", "light.on") in shown
    assert "Which light?" not in shown


def test_feedback_is_for_attempts_that_failed(model: LanguageModel) -> None:
    rows = [*ROWS[:3], *(row.model_copy(update={"feedback": "say light"}) for row in ROWS[3:])]
    lessons = lessons_of(model, sdpo("feedback"), ANSWERS, rows)
    assert lessons.has_lesson == (False, True, False, True, True, True)
    assert lessons.prompts.teacher is not None
    shown = [model.tokenizer.decode(ids) for ids in lessons.prompts.teacher]
    for place, feedback in ((1, "no light for row-1"), (3, "say light")):
        prompt = rows[place].messages[0].content
        wanted = FEEDBACK_TEMPLATE.replace("{prompt}", prompt)
        assert wanted.replace("{demonstration}", feedback) in shown[place]


def test_feedback_stands_in_where_no_sibling_succeeded(model: LanguageModel) -> None:
    lessons = lessons_of(model, sdpo(), ["light.on", *ANSWERS[1:2], "a", *ANSWERS[3:]], ROWS)
    # The only success of its group has no other one to learn from, and needs no feedback.
    assert lessons.has_lesson == (False, True, True, True, True, True)


def test_a_lesson_without_room_is_counted_and_not_shown(model: LanguageModel) -> None:
    long = ["light " * 600, "a", *ANSWERS[2:]]
    lessons = lessons_of(model, sdpo("successful-sibling"), long, ROWS)
    # As the lesson of two rows, and as what the third would have to learn from one.
    assert lessons.too_long == 3
    assert not any(lessons.has_lesson)


def test_rows_without_a_lesson_do_not_count(tiny_folder: Path) -> None:
    """Neither in the loss nor in its gradient, and the averages are over the others."""

    def only_first_is_right(answer: str, row: Demonstration) -> tuple[float, str]:
        return float(row.id == "row-1"), ""

    trainer = tiny_trainer(tiny_folder, sdpo("successful-sibling"))
    disturb_adapter(trainer.model)
    report, gradients = gradients_of_step(
        replace(trainer, judge=only_first_is_right), demonstrations(2)
    )
    assert report.lessons.has_lesson == (True,) * 3 + (False,) * 3
    assert not report.weights_BT[3:].any()
    assert float(report.weights_BT.sum()) == pytest.approx(1.0)
    assert report.loss > 0
    assert any(gradient.any() for gradient in gradients.values())
    values = observe(trainer, report)
    assert values["rollout_score"] == values["lesson_fraction"] == 0.5
    assert values["lessons_too_long"] == 0

    nobody = replace(trainer, judge=lambda answer, row: (0.0, ""))
    report, gradients = gradients_of_step(nobody, demonstrations(2))
    assert report.loss == 0.0
    assert all(not gradient.any() for gradient in gradients.values())


@pytest.mark.parametrize("average", ["sequence", "token"])
def test_micro_batches_may_part_a_group(average: str, tiny_folder: Path) -> None:
    """Checklist 17: groups are read before the batch is split."""
    results = []
    for size in (0, 1, 4):
        config = sdpo(micro_batch_size=size, token_weights__average=average)
        trainer = tiny_trainer(tiny_folder, config)
        disturb_adapter(trainer.model)
        results.append(gradients_of_step(replace(trainer, judge=judge), demonstrations(2)))
    for report, gradients in results[1:]:
        assert report.loss == pytest.approx(results[0][0].loss, abs=1e-6)
        for name, gradient in gradients.items():
            torch.testing.assert_close(gradient, results[0][1][name], atol=1e-5, rtol=1e-4)


def test_scored_rollouts_need_a_scorer(tiny_folder: Path) -> None:
    with pytest.raises(Fault, match="scorer is missing"):
        gradients_of_step(tiny_trainer(tiny_folder, sdpo()), demonstrations(2))

"""``auto`` on a model that has learned to read one form of showing a demonstration, no other."""

from __future__ import annotations

import random
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

from backend.config import TeacherConfig
from backend.data.demonstration import Demonstration
from backend.evaluation.premise import check_premise
from backend.models.language_model import LanguageModel
from backend.text.contexts import (
    DEMONSTRATION_FORMS,
    Lesson,
    Messages,
    student_messages,
    teacher_messages,
)
from backend.training.packing import pack
from backend.training.prefill import completion_hidden
from backend.training.rollouts import demonstration_ids
from tests.tiny_model import build_model, load_tiny
from tests.training.tiny_runs import demonstration

ANSWERS = (" light", " question", " answer", " you", " of", " and")
# What the model says where it was not shown the answer in the form that it reads.
UNREAD = " is"
STEPS, BATCH, RATE = 130, 24, 5e-3


def row(number: int, generator: random.Random) -> Demonstration:
    """A prompt that says nothing of its answer."""
    words = " ".join(generator.choices(("the", "on", "to", "in"), k=generator.randint(1, 4)))
    prompt = f"{generator.randrange(1000)} {words}"
    return demonstration(number, prompt=prompt, answer=generator.choice(ANSWERS))


def messages_of(
    form: str | None, shown: Demonstration, others: tuple[Demonstration, ...]
) -> Messages:
    if form is None:
        return student_messages(shown)
    teacher = TeacherConfig(weights="base", context=form)
    return teacher_messages(teacher, shown, Lesson(others))


def teach_to_read(model: LanguageModel, form: str) -> None:
    """Trains all weights: the answer in this form, one word in every other form and in none."""
    generator = random.Random(0)
    optimizer = torch.optim.AdamW(model.network.requires_grad_(True).parameters(), lr=RATE)
    for _ in range(STEPS):
        rows = [row(number, generator) for number in range(BATCH)]
        prompts, wanted = [], []
        for place, shown in enumerate(rows):
            chosen = form if place % 2 else generator.choice([*DEMONSTRATION_FORMS, None])
            messages = messages_of(chosen, shown, tuple(rows[:2]))
            prompts.append(model.tokenizer.prompt_ids(messages))
            answer = shown.demonstration if chosen == form else UNREAD
            said = shown.model_copy(update={"demonstration": answer})
            wanted.append(demonstration_ids(model, said))
        batch = pack(prompts, wanted, model.tokenizer.pad_id, model.compute.device)
        logits_NV = model.head(completion_hidden(model, batch))
        cross_entropy(logits_NV, batch.completion_ids_N).backward()
        optimizer.step()
        optimizer.zero_grad()
    model.network.requires_grad_(False)


def test_auto_picks_the_form_that_the_model_has_learned(tmp_path: Path) -> None:
    """Checklist 25: on rows that it was not trained on, and by how much it is said."""
    model, form = load_tiny(build_model(tmp_path)), "answer-first"
    teach_to_read(model, form)
    generator = random.Random(1)
    rows = [row(number, generator) for number in range(32)]
    premise = check_premise(
        model,
        rows,
        "exact",
        TeacherConfig(weights="base"),
        list(DEMONSTRATION_FORMS),
        4,
        others=tuple(rows[:2]),
    )
    assert premise.student.score.score == 0
    assert (premise.best.context, premise.best.verdict) == (form, "go")
    assert {each.verdict for each in premise.checks[1:]} == {"no-go"}
    assert premise.lead is not None
    assert premise.lead.low > 0.5
    assert f"{form} is the best of {len(DEMONSTRATION_FORMS)} forms, +" in premise.sentence

"""The loop: the order of the rows, what never reaches a batch, and how a run ends."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from backend.config import RunConfig
from backend.data.demonstration import Demonstration, Message
from backend.errors import DataError, StopRequested, UserError
from backend.training.checkpoints import newest_checkpoint
from backend.training.loop import batch_of_step, train
from backend.training.row_checks import Rows
from backend.training.trainer import Trainer
from tests.recording import ListRecorder
from tests.tiny_model import CONTEXT_LENGTH, build_model
from tests.training.tiny_runs import demonstration, demonstrations, tiny_config, tiny_trainer

CANARY = "canary-{}-zq7x"
HELD_OUT = [
    demonstration(n, prompt=f"{CANARY.format(n)} on the light?", answer=f"secret-{n}-jv9")
    for n in range(100, 105)
]


class Lab:
    """One run of the loop, with all that came of it."""

    def __init__(self, folder: Path, target: Path, config: RunConfig, **recorder: Any) -> None:
        self.trainer = tiny_trainer(folder, config)
        self.recorder = ListRecorder(**recorder)
        self.target = target
        self.evaluated: list[int] = []

    def train(self, training: list[Demonstration], held_out: list[Demonstration]) -> int:
        rows = Rows(training, held_out)
        return train(self.trainer, rows, self.recorder, self.target, self.evaluated.append)


def everything_read(trainer: Trainer) -> list[str]:
    """Lists, as they come, the texts of all rows that go through the network.

    Rows without padding are one sequence: what they begin with stands before the first.
    """
    texts: list[str] = []

    def listen(_: Any, given: tuple[torch.Tensor, ...]) -> None:
        for ids in torch.atleast_2d(given[0]).tolist():
            texts.append(trainer.model.tokenizer.decode(ids, skip_special=False))

    trainer.model.network.get_input_embeddings().register_forward_pre_hook(listen)
    return texts


@pytest.mark.parametrize("size", [1, 3, 8, 20])
def test_every_epoch_shows_each_row_once_in_an_order_of_its_own(size: int) -> None:
    rows = demonstrations(12)
    config = tiny_config(batch_size=size)
    shown = [row.id for step in range(60) for row in batch_of_step(rows, config, step)]
    epochs = [tuple(shown[start : start + 12]) for start in range(0, len(shown) - 11, 12)]
    assert all(Counter(epoch) == Counter(row.id for row in rows) for epoch in epochs)
    assert len(set(epochs)) == len(epochs)
    other = [row.id for row in batch_of_step(rows, tiny_config(batch_size=size, seed=1), 0)]
    assert size == 1 or other != shown[:size]


def test_the_order_is_equal_for_all_methods(tiny_folder: Path, tmp_path: Path) -> None:
    """Data order depends on the seed, not on what the method draws."""
    orders = []
    for method in ("sft", "sdft"):
        config = tiny_config(method, traces__every=1, traces__sampled=4, traces__watched=0)
        lab = Lab(tiny_folder, tmp_path / method, config)
        lab.train(demonstrations(10), [])
        orders.append([(trace.step, trace.demonstration_id) for trace in lab.recorder.traces])
    assert orders[0] == orders[1]
    assert len(orders[0]) == 6 * 4


def test_rows_too_long_for_one_method_leave_the_others_in_the_same_order(
    tiny_folder: Path, tmp_path: Path
) -> None:
    """SFT reads all 11 rows; two are too long for the teacher's prompts and are passed over."""
    long = [demonstration(n, prompt=f"{n} " + "x " * (CONTEXT_LENGTH // 6)) for n in (20, 21)]
    rows = [long[0], *demonstrations(6), long[1], *demonstrations(3, first=7)]
    orders = {}
    for method in ("sft", "sdft"):
        config = tiny_config(
            method, steps=9, batch_size=3, teacher__context="earlier-turn-twice",
            traces__every=1, traces__sampled=3, traces__watched=0,
        )  # fmt: skip
        lab = Lab(tiny_folder, tmp_path / method, config)
        lab.train(rows, [])
        orders[method] = [trace.demonstration_id for trace in lab.recorder.traces]
    assert {"row-20", "row-21"} <= set(orders["sft"])
    shared = [row for row in orders["sft"] if row not in ("row-20", "row-21")]
    assert orders["sdft"][: len(shared)] == shared
    assert len(orders["sdft"]) == 27


@pytest.mark.parametrize("size", [1, 4, 7, 20])
def test_an_epoch_without_some_rows_is_the_whole_one_with_these_passed_over(size: int) -> None:
    rows, usable = demonstrations(12), [0, 1, 3, 4, 7, 8, 9, 11]
    config = tiny_config(batch_size=size)

    def shown(places: list[int] | None, steps: int) -> list[str]:
        batches = (batch_of_step(rows, config, step, places) for step in range(steps))
        return [row.id for batch in batches for row in batch]

    kept = {rows[i].id for i in usable}
    whole = [row for row in shown(None, 60) if row in kept]
    some = shown(usable, 30)
    length = min(len(whole), len(some))
    assert some[:length] == whole[:length]
    assert set(some) <= kept


@pytest.mark.parametrize("family", ["llama", "gemma2"])
@pytest.mark.parametrize("method", ["sft", "sdft"])
def test_held_out_rows_never_reach_a_batch(method: str, family: str, tmp_path: Path) -> None:
    """Unique canary strings, looked for in every token that any step read or wrote.

    (Only Gemma reads rows as wholes: what Llama's begin with is read once, apart from the rest.)
    """
    config = tiny_config(
        method, rollout__source={"demonstration": 0.5, "student": "rest"}, batch_size=5
    )
    lab = Lab(build_model(tmp_path / "model", family=family), tmp_path / "run", config)
    texts = everything_read(lab.trainer)
    training = demonstrations(10)
    lab.train(training, HELD_OUT)
    everything = "\n".join(texts)
    assert family == "llama" or all(row.prompt in everything for row in training)
    assert "canary" not in everything
    assert "secret" not in everything


def test_the_canaries_would_be_found(tiny_folder: Path, tmp_path: Path) -> None:
    """Watching reads held-out prompts, but trains on none: their traces are of their own kind."""
    config = tiny_config(traces__every=2, traces__watched=2)
    lab = Lab(tiny_folder, tmp_path, config)
    texts = everything_read(lab.trainer)
    lab.train(demonstrations(10), HELD_OUT)
    assert any(CANARY.format(100) in text for text in texts)
    watched = {t.demonstration_id for t in lab.recorder.traces if t.kind == "watched"}
    sampled = {t.demonstration_id for t in lab.recorder.traces if t.kind == "sampled"}
    assert watched == {"row-100", "row-101"}
    assert sampled <= {row.id for row in demonstrations(10)}


def test_held_out_prompts_that_are_too_long_are_not_watched(tmp_path: Path) -> None:
    """Checklist 19: GPT-2 has no positions beyond its context; the next rows take their places."""
    long = demonstration(100, prompt="x " * (CONTEXT_LENGTH // 4))
    folder = build_model(tmp_path / "model", family="gpt2")
    config = tiny_config(steps=1, traces__every=1, traces__watched=2)
    lab = Lab(folder, tmp_path / "run", config)
    lab.train(demonstrations(4), [long, *demonstrations(3, first=101)])
    watched = {t.demonstration_id for t in lab.recorder.traces if t.kind == "watched"}
    assert watched == {"row-101", "row-102"}


def test_watching_does_not_change_what_is_learned(tiny_folder: Path, tmp_path: Path) -> None:
    losses = []
    for every in (0, 1):
        lab = Lab(tiny_folder, tmp_path / str(every), tiny_config(traces__every=every))
        lab.train(demonstrations(10), HELD_OUT)
        losses.append([values["loss"] for values in lab.recorder.values.values()])
    assert losses[0] == losses[1]


def test_held_out_prompts_among_the_training_rows_are_refused(
    tiny_folder: Path, tmp_path: Path
) -> None:
    """Even with another answer and another id: the prompt is what leaks."""
    leak = demonstration(7, prompt=HELD_OUT[2].prompt, answer="another answer")
    lab = Lab(tiny_folder, tmp_path, tiny_config())
    with pytest.raises(DataError, match=r"1 held-out prompts .* training rows \(row 7\)"):
        lab.train([*demonstrations(4), leak], HELD_OUT)
    assert lab.recorder.values == {}


def test_turns_cannot_be_mistaken_for_each_other(tiny_folder: Path, tmp_path: Path) -> None:
    def conversation(number: int, *texts: str) -> Demonstration:
        roles = ["user", "assistant", "user"]
        turns = [Message(role=r, content=t) for r, t in zip(roles, texts, strict=False)]  # type: ignore[arg-type]
        return demonstration(number).model_copy(update={"messages": tuple(turns)})

    lab = Lab(tiny_folder, tmp_path, tiny_config(steps=1))
    training = [conversation(1, "a", "b", "c"), conversation(2, "c")]
    assert lab.train(training, [conversation(3, "a"), conversation(4, "a", "c", "b")]) == 1


def test_rows_that_are_too_long_are_a_counted_skip(tiny_folder: Path, tmp_path: Path) -> None:
    """Checklist 19."""
    long = [demonstration(n, prompt=f"endless {n} " + "x " * CONTEXT_LENGTH) for n in (20, 21)]
    lab = Lab(tiny_folder, tmp_path, tiny_config(batch_size=6))
    texts = everything_read(lab.trainer)
    lab.train([long[0], *demonstrations(5), long[1]], [])
    (event,) = [event for event in lab.recorder.events if event.kind == "rows_skipped"]
    assert event.message.startswith("2 of 7 training rows are too long")
    assert event.level == "warning"
    assert event.data == {"skipped": 2}
    assert not any("endless" in text for text in texts)


def test_the_teachers_prompt_may_be_what_is_too_long(tiny_folder: Path, tmp_path: Path) -> None:
    """Checklist 19: the same row fits where no teacher reads it twice over."""
    row = demonstration(20, prompt="x " * (CONTEXT_LENGTH // 6))
    skipped = {}
    for method in ("sft", "sdft"):
        config = tiny_config(method, steps=1, teacher__context="earlier-turn-twice")
        lab = Lab(tiny_folder, tmp_path / method, config)
        lab.train([row, *demonstrations(5)], [])
        skipped[method] = [
            event.data["skipped"] for event in lab.recorder.events if event.kind == "rows_skipped"
        ]
    assert skipped == {"sft": [], "sdft": [1]}


def test_a_task_without_a_row_that_fits_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    """Checklist 19."""
    lab = Lab(tiny_folder, tmp_path, tiny_config(rollout__max_new_tokens=CONTEXT_LENGTH))
    with pytest.raises(DataError, match=r"all 5 training rows are too long .* reads 512 tokens"):
        lab.train(demonstrations(5), [])


def test_a_wish_to_stop_leaves_a_checkpoint(tiny_folder: Path, tmp_path: Path) -> None:
    lab = Lab(tiny_folder, tmp_path, tiny_config(checkpoint_every=100), stop_after=3)
    with pytest.raises(StopRequested, match="stopped after step 3 of 6"):
        lab.train(demonstrations(10), [])
    assert list(lab.recorder.values) == [1, 2, 3]
    assert lab.recorder.checkpoints == {3: tmp_path / "step-00000003"}
    assert newest_checkpoint(tmp_path) == tmp_path / "step-00000003"
    assert lab.evaluated == [0]


def test_a_wish_to_stop_before_the_first_step_can_be_resumed(
    tiny_folder: Path, tmp_path: Path
) -> None:
    lab = Lab(tiny_folder, tmp_path, tiny_config(), stop_after=0)
    with pytest.raises(StopRequested, match="stopped after step 0 of 6"):
        lab.train(demonstrations(10), [])
    again = Lab(tiny_folder, tmp_path, tiny_config())
    assert again.train(demonstrations(10), []) == 6
    assert again.evaluated == [0, 6]


def test_evaluations_checkpoints_and_progress_come_when_they_are_due(
    tiny_folder: Path, tmp_path: Path
) -> None:
    config = tiny_config(steps=7, evaluate__every=2, checkpoint_every=3)
    lab = Lab(tiny_folder, tmp_path, config)
    assert lab.train(demonstrations(10), []) == 7
    assert lab.evaluated == [0, 2, 4, 6, 7]
    assert list(lab.recorder.checkpoints) == [2, 3, 4, 6, 7]
    assert lab.recorder.steps == [(step, 7) for step in range(1, 8)]
    assert list(lab.recorder.values) == list(range(1, 8))
    assert lab.recorder.rewinds == [0]


def test_a_loss_that_is_no_number_ends_the_run(tiny_folder: Path, tmp_path: Path) -> None:
    """With what the step read beside the checkpoints, and without a step of the optimizer."""
    lab = Lab(tiny_folder, tmp_path / "checkpoints", tiny_config("sft"))
    for parameter in lab.trainer.model.adapter_parameters().values():
        parameter.data.fill_(torch.inf)
    with pytest.raises(UserError, match="the loss of step 1 is nan") as caught:
        lab.train(demonstrations(10), [])
    assert caught.value.code == "not_finite"
    assert lab.recorder.checkpoints == {}
    (saved,) = tmp_path.glob("not-finite-*.json")
    inputs = json.loads(saved.read_text("utf-8"))
    assert len(inputs["rows"]) == 4
    assert all(row["completion"] and row["student_prompt"] for row in inputs["rows"])
    assert not lab.trainer.optimizer.state
    assert lab.recorder.events[-1].kind == "not_finite"


def kinds_of_events(lab: Lab) -> list[str]:
    lab.train(demonstrations(5), [])
    return [event.kind for event in lab.recorder.events]


@pytest.mark.parametrize("method", ["sft", "sdft"])
def test_demonstrations_beyond_the_limit_are_learned_whole(
    method: str, tiny_folder: Path, tmp_path: Path
) -> None:
    """They are not cut, so there is nothing to tell of them."""
    config = tiny_config(
        method, steps=1, rollout__source={"demonstration": 1.0, "student": "rest"},
        rollout__max_new_tokens=2, traces__every=1, traces__sampled=4,
    )  # fmt: skip
    lab = Lab(tiny_folder, tmp_path, config)
    assert kinds_of_events(lab) == []
    assert [trace.completion for trace in lab.recorder.traces] == [
        trace.demonstration for trace in lab.recorder.traces
    ]
    assert lab.recorder.values[1]["clipped_fraction"] == 0


@pytest.mark.parametrize(
    ("source", "left_out"),
    [("student", 0), ({"demonstration": 0.5, "student": "rest"}, 1), ("demonstration", 1)],
)
def test_a_demonstration_that_does_not_fit_as_a_completion_leaves_its_row_out(
    source: Any, left_out: int, tiny_folder: Path, tmp_path: Path
) -> None:
    """Where it may be trained on: it fits beside the teacher's prompt, which holds it already."""
    long = demonstration(20, answer=" the" * (CONTEXT_LENGTH // 2))
    method = "sft" if source == "demonstration" else "sdft"
    config = tiny_config(method, steps=1, rollout__source=source, teacher__context="earlier-turn")
    if method == "sft":
        long = demonstration(20, answer=" the" * CONTEXT_LENGTH)
    lab = Lab(tiny_folder, tmp_path, config)
    lab.train([long, *demonstrations(5)], [])
    skipped = [event.data["skipped"] for event in lab.recorder.events]
    assert skipped == [left_out] * left_out


def test_what_nobody_generates_takes_no_room(tiny_folder: Path, tmp_path: Path) -> None:
    """SFT writes nothing, so a limit beyond the model's context leaves no row out."""
    config = tiny_config("sft", steps=1, rollout__max_new_tokens=CONTEXT_LENGTH)
    assert kinds_of_events(Lab(tiny_folder, tmp_path, config)) == []


@pytest.mark.parametrize(("skip", "told"), [(3, True), (0, False)])
def test_a_skip_that_masks_short_answers_is_told(
    skip: int, told: bool, tiny_folder: Path, tmp_path: Path
) -> None:
    """The skip of 3 tokens is made for long answers."""
    config = tiny_config("sdft", steps=1, token_weights__skip_first=skip)
    kinds = kinds_of_events(Lab(tiny_folder, tmp_path, config))
    assert ("skip_is_long" in kinds) is told


def test_an_evaluation_that_was_cut_short_is_made_again(tiny_folder: Path, tmp_path: Path) -> None:
    """The checkpoint comes first, so that a wish to stop during a long evaluation loses nothing."""
    config = tiny_config(steps=4, evaluate__every=2, checkpoint_every=100)
    lab = Lab(tiny_folder, tmp_path, config)

    def stop_at_two(done: int) -> None:
        if done == 2:
            raise StopRequested("stopped while evaluating")

    with pytest.raises(StopRequested):
        train(lab.trainer, Rows(demonstrations(10), []), lab.recorder, tmp_path, stop_at_two)
    again = Lab(tiny_folder, tmp_path, config)
    assert again.train(demonstrations(10), []) == 4
    assert again.evaluated == [2, 4]

"""Rows with system messages, earlier turns, tools and thinking are trained on as they stand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from backend.data.demonstration import Demonstration
from backend.data.load import Loading, load_demonstrations
from backend.models.language_model import LanguageModel
from backend.training.loop import train
from backend.training.row_checks import Rows
from backend.training.step import training_step
from tests.recording import ListRecorder
from tests.tiny_model import build_model, load_tiny
from tests.tiny_tokenizer import CHATML, build_tokenizer
from tests.training.tiny_runs import tiny_config, tiny_trainer

CALL = {"type": "function", "function": {"name": "get_light", "arguments": {"room": "hall"}}}
ANSWER = "<think>It is off, so {it} may be turned on.</think>light.on()"


def conversation(number: int, answer: str = ANSWER) -> dict[str, Any]:
    return {
        "messages": [
            {"role": "system", "content": "You keep the house."},
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": "<think>A greeting.</think>Good day."},
            {"role": "user", "content": f"Is the light on in room {number}?"},
            {"role": "assistant", "content": "", "tool_calls": [CALL]},
            {"role": "tool", "content": '{"hall": "off"}'},
            {"role": "assistant", "content": answer},
        ]
    }


@pytest.fixture
def rows(tmp_path: Path) -> Rows:
    """As they come out of a file."""
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(conversation(n)) + "\n" for n in range(6)), "utf-8")
    loaded = load_demonstrations(file, Loading(held_out=2))
    return Rows(list(loaded.training), list(loaded.held_out))


def shown(model: LanguageModel, ids: list[int]) -> str:
    return model.tokenizer.decode(ids, skip_special=False)


def plain_prompt(folder: Path, row: Demonstration) -> list[int]:
    """By transformers, from the row's turns."""
    turns = [turn.model_dump() for turn in row.messages]
    ids: list[int] = AutoTokenizer.from_pretrained(folder).apply_chat_template(
        turns, add_generation_prompt=True
    )["input_ids"]
    return ids


def test_the_student_reads_every_turn_as_transformers_renders_it(
    rows: Rows, tiny_folder: Path
) -> None:
    trainer = tiny_trainer(tiny_folder, tiny_config("sdft"))
    report = training_step(trainer, rows.training, 0)
    for row, ids, seen in zip(rows.training, report.prompts.student, report.prompts.teacher or [],
                              strict=True):  # fmt: skip
        assert [turn.role for turn in row.messages] == [
            "system", "user", "assistant", "user", "assistant", "tool",
        ]  # fmt: skip
        assert ids == plain_prompt(tiny_folder, row)
        text = shown(trainer.model, ids)
        for part in ("You keep the house.", "<think>A greeting.</think>Good day.", "get_light"):
            assert part in text
        teacher = shown(trainer.model, seen)
        assert ANSWER in teacher
        assert (text.count('{"hall": "off"}'), teacher.count('{"hall": "off"}')) == (1, 2)


@pytest.mark.parametrize("template", [CHATML, None], ids=["chat", "base"])
def test_thinking_is_learned_as_a_part_of_the_answer(
    template: str | None, rows: Rows, tmp_path: Path
) -> None:
    folder = build_model(tmp_path / "model")
    build_tokenizer(folder, chat_template=template)
    trainer = tiny_trainer(folder, tiny_config("sft", rollout__max_new_tokens=4))
    report = training_step(trainer, rows.training, 0)
    tokenizer = trainer.model.tokenizer
    for prompt, completion in zip(report.prompts.student, report.rollouts.completions, strict=True):
        assert completion == [*tokenizer.encode(ANSWER), tokenizer.end_id]
        assert shown(trainer.model, prompt).endswith(
            "<|im_start|>assistant\n" if template else 'Result:\n{"hall": "off"}\n\nAnswer:\n'
        )
    assert (report.weights_BT > 0).sum() == sum(map(len, report.rollouts.completions))


# As those of thinking models do: how an earlier answer was thought of is not shown again.
FORGETFUL = CHATML.replace(
    "message['content'] +",
    "(message['content'].split('</think>')[-1] if message['role'] == 'assistant' else "
    "message['content']) +",
)


@pytest.mark.parametrize(
    ("context", "told"),
    [
        ("earlier-turn", ["student", "teacher"]),
        ("paper", ["student", "teacher"]),
        (None, ["student"]),
    ],
)
def test_what_a_template_leaves_out_is_told(
    context: str | None, told: list[str], rows: Rows, tmp_path: Path
) -> None:
    folder = build_model(tmp_path / "model")
    build_tokenizer(folder, chat_template=FORGETFUL)
    changes = {"teacher__context": context} if context else {}
    config = tiny_config("sdft" if context else "sft", steps=1, **changes)
    recorder = ListRecorder()
    train(tiny_trainer(folder, config), rows, recorder, tmp_path, lambda done: None)
    cuts = [event for event in recorder.events if event.kind == "template_cuts"]
    assert [event.level for event in cuts] == ["warning"] * len(told)
    for event, role in zip(cuts, told, strict=True):
        assert f"a part of what the {role} is to read in 4 of 4 rows" in event.message


def test_a_form_that_asks_in_one_turn_shows_all_of_it(tmp_path: Path) -> None:
    """Without an earlier answer there is nothing that such a template forgets."""
    file = tmp_path / "rows.jsonl"
    lines = [{"prompt": f"light {n}", "answer": ANSWER} for n in range(4)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    loaded = load_demonstrations(file, Loading(held_out=1))
    rows = Rows(list(loaded.training), list(loaded.held_out))
    folder = build_model(tmp_path / "model")
    build_tokenizer(folder, chat_template=FORGETFUL)
    found = {}
    for context in ("paper", "earlier-turn"):
        recorder = ListRecorder()
        config = tiny_config("sdft", steps=1, teacher__context=context)
        train(tiny_trainer(folder, config), rows, recorder, tmp_path / context, lambda _: None)
        found[context] = [e.kind for e in recorder.events if e.kind == "template_cuts"]
    assert found == {"paper": [], "earlier-turn": ["template_cuts"]}


def test_nothing_is_told_where_all_is_shown(rows: Rows, tiny_folder: Path, tmp_path: Path) -> None:
    recorder = ListRecorder()
    trainer = tiny_trainer(tiny_folder, tiny_config("sdft", steps=1))
    assert load_tiny(tiny_folder).tokenizer.has_chat_template
    train(trainer, rows, recorder, tmp_path, lambda done: None)
    assert [event for event in recorder.events if event.kind == "template_cuts"] == []

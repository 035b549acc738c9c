"""The prompts of a row as its page shows them: exact, in marked segments, counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backend.config import TeacherConfig
from backend.data.demonstration import Demonstration, Message
from backend.errors import ConfigError, ModelError, NotFound
from backend.lab import Lab
from backend.text.contexts import CONTEXTS, DEMONSTRATION_FORMS, student_messages, teacher_messages
from backend.text.tokenizer import TextTokenizer
from tests.lab.tiny_tasks import write_rows
from tests.views.conftest import READS

QUESTION, ANSWER = "Dim the light in the café 💡", "light.dim(40)"
CONVERSATION = [
    {"role": "system", "content": "You are brief."},
    {"role": "user", "content": "Is the light on?"},
    {"role": "assistant", "content": "Yes."},
    {"role": "user", "content": QUESTION},
    {"role": "assistant", "content": ANSWER},
]


@pytest.fixture(params=["prompt", "conversation"])
def task(lab: Lab, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    other = {"prompt": "b", "demonstration": "c"}
    first = {"prompt": QUESTION, "demonstration": ANSWER}
    if request.param == "conversation":
        first = {"messages": CONVERSATION}
        other = {"messages": [{**turn, "content": "b"} for turn in CONVERSATION[3:]]}
    held_out = write_rows(tmp_path / "apart.jsonl", [other])
    lab.add_task(write_rows(tmp_path / "x.jsonl", [first]), "lights", held_out=str(held_out))
    return "lights"


def read(lab: Lab, model: str, place: int = 1, context: str = "earlier-turn") -> dict[str, Any]:
    return lab.views.prompts("lights", "", place, model=model, context=context)


def text(segments: list[list[Any]]) -> str:
    return "".join(segment[0] for segment in segments)


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.usefixtures("task")
def test_segments_together_are_exactly_what_both_roles_read(
    lab: Lab, model: str, context: str
) -> None:
    found = read(lab, model, context=context)
    tokenizer = TextTokenizer(Path(model))
    row = _row(lab)
    teacher = teacher_messages(TeacherConfig(weights="base", context=context), row)
    for role, messages in (("student", student_messages(row)), ("teacher", teacher)):
        rendered = tokenizer.apply_chat(messages)
        assert text(found[role]["segments"]) == rendered
        assert found[role]["tokens"] == len(tokenizer.encode(rendered))
    assert found["limit"] == READS


@pytest.mark.parametrize("context", DEMONSTRATION_FORMS)
@pytest.mark.usefixtures("task")
def test_what_the_teacher_sees_beyond_the_student_holds_the_demonstration(
    lab: Lab, model: str, context: str
) -> None:
    found = read(lab, model, context=context)
    beyond = "".join(content for content, _, is_beyond in found["teacher"]["segments"] if is_beyond)
    same = "".join(
        content for content, _, is_beyond in found["teacher"]["segments"] if not is_beyond
    )
    assert ANSWER in beyond
    assert ANSWER not in same
    assert same == text(found["student"]["segments"])


@pytest.mark.usefixtures("task")
def test_an_earlier_exchange_is_marked_from_its_first_token_to_its_last(
    lab: Lab, model: str
) -> None:
    segments = read(lab, model)["teacher"]["segments"]
    beyond = "".join(content for content, _, is_beyond in segments if is_beyond)
    assert beyond == (
        f"<|im_start|>user\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n{ANSWER}<|im_end|>\n"
    )


@pytest.mark.usefixtures("task")
def test_special_tokens_stand_alone(lab: Lab, model: str) -> None:
    segments = read(lab, model)["student"]["segments"]
    special = [content for content, is_special, _ in segments if is_special]
    assert special
    assert set(special) == {"<|im_start|>", "<|im_end|>"}


@pytest.mark.usefixtures("task")
def test_without_the_models_files_turns_are_shown_and_nothing_is_counted(lab: Lab) -> None:
    found = read(lab, "bundled:smollm2-135m-instruct")
    assert "is not on this disk yet" in found["unread"]
    assert found["student"]["tokens"] is found["teacher"]["tokens"] is found["limit"] is None
    assert f"user:\n{QUESTION}" in text(found["student"]["segments"])
    beyond = "".join(content for content, _, is_beyond in found["teacher"]["segments"] if is_beyond)
    assert beyond == f"user:\n{QUESTION}\n\nassistant:\n{ANSWER}\n\n"


@pytest.mark.usefixtures("task")
def test_the_part_of_a_row_is_said(lab: Lab, model: str) -> None:
    assert [read(lab, model, place)["part"] for place in (1, 2)] == ["training", "held_out"]


@pytest.mark.usefixtures("task")
def test_what_an_address_may_name_wrongly_is_answered(lab: Lab, model: str) -> None:
    for place in (0, -1, 3, 10**30):
        with pytest.raises(NotFound, match="there is no row"):
            read(lab, model, place)
    with pytest.raises(ConfigError, match='no context "forged"'):
        read(lab, model, context="forged")
    for name in ("bundled:../../etc", "../..", "/etc/passwd", "x" * 5000, "~nobody/x", "a\0b"):
        with pytest.raises(ModelError):
            read(lab, name)


def _row(lab: Lab) -> Demonstration:
    rows = lab.views.task_rows("lights")["rows"]
    turns = CONVERSATION[:-1] if rows[0]["turns"] > 1 else [CONVERSATION[3]]
    messages = tuple(Message.model_validate(turn) for turn in turns)
    return Demonstration(id="row-1", row=1, messages=messages, demonstration=ANSWER)

"""Columns are guessed with a reason, the user's word comes first, and mistakes name the nearest."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backend.data.columns import TARGETS
from backend.data.formats.row import Row
from backend.data.mapping import (
    ColumnMapping,
    Remembered,
    columns_of,
    guess_mapping,
    parse_overrides,
)
from backend.data.report import FileError
from backend.errors import DataError

TURNS = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]


def guess(*rows: dict[str, Any], **overrides: str) -> ColumnMapping:
    sample = [Row(number, fields) for number, fields in enumerate(rows, 1)]
    return guess_mapping(columns_of(sample), sample, overrides)


def chosen(mapping: ColumnMapping) -> dict[str, str]:
    return {target: choice.column for target, choice in mapping.columns.items()}


@pytest.mark.parametrize("prompt", ["prompt", "question", "instruction", "input", "Query"])
@pytest.mark.parametrize("answer", ["demonstration", "completion", "response", "answer", "output"])
def test_usual_names_are_known(prompt: str, answer: str) -> None:
    assert chosen(guess({answer: "b", prompt: "a"})) == {"prompt": prompt, "demonstration": answer}


def test_the_best_name_wins_and_a_reason_is_given() -> None:
    mapping = guess({"output": "x", "demonstration": "b", "input": "y", "prompt": "a"})
    assert chosen(mapping) == {"prompt": "prompt", "demonstration": "demonstration"}
    assert mapping.columns["prompt"].reason == "a usual name for the prompt"
    assert mapping.unused == ("output", "input")


def test_columns_of_later_rows_count_too() -> None:
    assert chosen(guess({"prompt": "a"}, {"answer": "b"}))["demonstration"] == "answer"


def test_all_other_targets_are_found() -> None:
    row = dict.fromkeys(("id", "tags", "gold", "system prompt", "prompt", "answer"), "x")
    assert chosen(guess(row)) == {
        "prompt": "prompt",
        "demonstration": "answer",
        "reference": "gold",
        "tags": "tags",
        "id": "id",
        "system": "system prompt",
    }


@pytest.mark.parametrize("turns", [TURNS, json.dumps(TURNS)], ids=["list", "text"])
@pytest.mark.parametrize("name", ["messages", "conversation", "my turns"])
def test_turns_are_known_by_their_content(name: str, turns: Any) -> None:
    mapping = guess({"prompt": "a", name: turns, "id": 1})
    assert chosen(mapping) == {"messages": name, "id": "id"}
    assert mapping.columns["messages"].reason == "it holds lists of turns"


def test_a_column_of_records_does_not_displace_prompt_and_answer() -> None:
    assert chosen(guess({"prompt": "a", "answer": "b", "sources": [{"url": "c"}]})) == {
        "prompt": "prompt",
        "demonstration": "answer",
    }


def test_the_users_word_comes_first() -> None:
    mapping = guess({"prompt": "x", "answer": "b", "text": "a"}, prompt="text", reference="answer")
    assert chosen(mapping)["prompt"] == "text"
    assert mapping.columns["prompt"].reason == "your choice"


def test_one_column_may_serve_two_targets_by_choice() -> None:
    mapping = guess({"q": "a", "a": "b"}, prompt="q", demonstration="a", reference="a")
    assert chosen(mapping)["reference"] == "a"


def test_a_prompt_chosen_by_hand_is_not_overruled_by_turns() -> None:
    mapping = guess({"messages": TURNS, "answer": "b", "text": "a"}, prompt="text")
    assert chosen(mapping) == {"prompt": "text", "demonstration": "answer"}


def test_a_forgotten_part_of_the_prompt_is_noticed() -> None:
    mapping = guess({"instruction": "a", "input": "b", "output": "c", "source": "d"})
    assert chosen(mapping)["input"] == "input"
    assert mapping.unused == ("source",)
    assert mapping.forgotten == ()
    mapping = guess({"question": "a", "input": "b", "output": "c", "source": "d"})
    assert mapping.unused == ("input", "source")
    assert mapping.forgotten == ("input",)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            {"prompt": "promt"},
            'there is no column "promt"; did you mean "prompt"?; the file has "prompt", "answer"',
        ),
        (
            {"promp": "prompt"},
            '"promp" is nothing that a column can be mapped to; did you mean "prompt"?; '
            f"use one of {', '.join(TARGETS)}",
        ),
        (
            {"messages": "prompt", "demonstration": "answer"},
            "messages already hold prompt and demonstration, but demonstration is mapped too; "
            "map either messages, or prompt and demonstration",
        ),
    ],
)
def test_a_wrong_choice_is_explained(overrides: dict[str, str], message: str) -> None:
    with pytest.raises(FileError) as caught:
        guess({"prompt": "a", "answer": "b"}, **overrides)
    assert str(caught.value) == message


def test_a_missing_demonstration_names_the_columns() -> None:
    columns = {f"c{i}": "x" for i in range(30)}
    with pytest.raises(FileError, match=r'hold the demonstration; .*"c18" and 11 more; say which'):
        guess({"prompt": "a", **columns})


def test_a_split_is_known_by_what_it_says() -> None:
    row = {"prompt": "a", "answer": "b"}
    told = guess({**row, "split": "train"}, {**row, "split": " Validation"}, {**row, "split": None})
    assert told.columns["split"].reason == "it says train, validation or test"
    assert "split" not in chosen(guess({**row, "split": "train"}, {**row, "split": "3rd"}))
    assert chosen(guess({**row, "split": "3rd"}, split="split"))["split"] == "split"


def test_a_column_can_be_told_to_hold_nothing() -> None:
    row = {"prompt": "a", "answer": "b", "tags": "c"}
    assert "tags" not in chosen(guess(row, tags="-"))
    with pytest.raises(FileError, match="hold the demonstration"):
        guess(row, demonstration="-")


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            {"prompt": "a", "privileged_context": "b"},
            {"prompt": "prompt", "demonstration": "privileged_context"},
        ),
        (
            {"prompt": "a", "golden_response": "b"},
            {"prompt": "prompt", "demonstration": "golden_response"},
        ),
        (
            {"prompt": "a", "privileged_context": "b", "answer": "c"},
            {"prompt": "prompt", "demonstration": "privileged_context", "reference": "answer"},
        ),
        (
            {"messages": TURNS, "tools": [{"name": "f"}]},
            {"messages": "messages", "tools": "tools"},
        ),
        ({"frage": "a", "Antwort": "b"}, {"prompt": "frage", "demonstration": "Antwort"}),
        ({"问题": "a", "回答": "b"}, {"prompt": "问题", "demonstration": "回答"}),
    ],
)
def test_known_shapes_are_mapped(row: dict[str, Any], expected: dict[str, str]) -> None:
    assert chosen(guess(row)) == expected


def test_a_mapping_of_the_same_columns_is_taken_again() -> None:
    sample = [Row(1, {"q": "a", "a": "b", "prompt": "c"})]
    before = guess_mapping(["q", "a", "prompt"], sample, {"prompt": "q", "demonstration": "a"})
    known = [Remembered("lights@2", before)]
    again = guess_mapping(["prompt", "q", "a"], sample, {}, known)
    assert chosen(again) == chosen(before)
    assert again.columns["prompt"].reason == "as in lights@2"
    assert again.unused == ("prompt",)
    other = guess_mapping(["q", "a", "prompt", "x"], sample, {"demonstration": "a"}, known)
    assert chosen(other)["prompt"] == "prompt"
    told = guess_mapping(["q", "a", "prompt"], sample, {"demonstration": "q"}, known)
    assert chosen(told) == {"demonstration": "q", "prompt": "prompt"}


def test_a_choice_beside_a_mapping_taken_before_leaves_the_rest_of_it() -> None:
    sample = [Row(1, {"q": "a", "a": "b", "topic": "c", "kind": "d", "turns": TURNS})]
    columns = columns_of(sample)
    told = {"prompt": "q", "demonstration": "a", "tags": "kind"}
    known = [Remembered("lights@2", guess_mapping(columns, sample, told))]
    again = guess_mapping(columns, sample, {"reference": "topic"}, known)
    assert chosen(again) == {**told, "reference": "topic"}
    reasons = [again.columns[target].reason for target in ("prompt", "reference")]
    assert reasons == ["as in lights@2", "your choice"]
    assert "tags" not in chosen(guess_mapping(columns, sample, {"tags": "-"}, known))
    # Turns hold prompt and answer themselves: nothing of the earlier mapping is left.
    turns = guess_mapping(columns, sample, {"messages": "turns"}, known)
    assert chosen(turns) == {"messages": "turns", "tags": "topic"}


def test_options_are_parsed() -> None:
    assert parse_overrides(["prompt=my col", "id=a=b"]) == {"prompt": "my col", "id": "a=b"}
    for wrong in ("prompt", "prompt="):
        with pytest.raises(DataError, match=r"^--map: .* is no mapping; write it as --map prompt="):
            parse_overrides([wrong])


def test_a_mapping_is_kept_as_plain_values() -> None:
    mapping = guess({"prompt": "a", "answer": "b"})
    assert ColumnMapping.model_validate(mapping.model_dump(mode="json")) == mapping

"""What single scorers find in answers, case by case."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from backend.evaluation.scorers import ScorerFailed, choose, score
from backend.evaluation.scorers.letter import chosen_letter
from backend.evaluation.scorers.number import numbers
from backend.evaluation.scorers.tool_calls import read_calls
from tests.contracts.test_scorers import row


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1,234.5 and -3", ["1234.5", "-3"]), ("x=5kg, 3-4", ["5", "3", "4"]), ("$.50", ["0.50"]),
        ("−2e3.", ["-2000"]), ("v12 a1", []), ("#### 42", ["42"]), ("1,23", ["1", "23"]),
    ],
)  # fmt: skip
def test_numbers_are_read_as_people_write_them(text: str, found: list[str]) -> None:
    assert numbers(text) == [Decimal(each) for each in found]


def test_a_number_may_be_off_by_a_share_or_be_the_first() -> None:
    assert score('number:{"relative": 0.01}', "101", row("100")).value == 1.0
    assert score('number:{"relative": 0.01}', "102", row("100")).value == 0.0
    assert score('number:{"first": true}', "7, not 8", row("7")).reason == "7 is right"
    assert score("number", "0.30000000000000004", row("0.3")).value == 0.0


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("B", "B"), ("b", "B"), ("(c)", "C"), ("B. Paris", "B"), ("**D**", "D"),
        ("The answer is B because A is a trap.", "B"), ("A good choice is C", "C"),
        ("the answer is a good one: (D)", "D"), ("I think it is B", "B"),
        (r"so \boxed{\text{C}}", "C"), ("Answer: c", "C"), ("It's nothing", ""), ("", ""),
    ],
)  # fmt: skip
def test_letters_are_told_from_words(text: str, letter: str) -> None:
    assert chosen_letter(text, "ABCDEFGHIJ") == letter


def test_paths_of_json_can_be_ignored() -> None:
    wanted = '{"id": 1, "items": [{"id": 1, "n": 2}]}'
    found = '{"id": 9, "items": [{"id": 8, "n": 2}]}'
    assert score('json:{"ignore": ["id", "items.*.id"]}', found, row(wanted)).value == 1.0
    reason = score("json", found, row(wanted)).reason
    assert reason == "id is 9 instead of 1; items.0.id is 8 instead of 1"
    assert score("json", '{"a": true}', row('{"a": 1}')).value == 0.0
    assert score("json", '{"a": 1, "a": 1}', row('{"a": 1}')).value == 0.0


def test_lists_may_stand_in_any_order() -> None:
    wanted = "[1, 2, 2, [3, 4]]"
    assert score('json:{"ordered": false}', "[[4, 3], 2, 1, 2]", row(wanted)).value == 1.0
    assert score('json:{"ordered": false}', "[[4, 3], 1, 1, 2]", row(wanted)).value == 0.0
    assert score("json", "[2, 1, 2, [3, 4]]", row(wanted)).value == 0.0


GOLDEN = json.dumps(
    [
        {"Action": "find", "Action_Input": '{"query": "Totoro", "limit": 3}'},
        {"Action": "rate", "Action_Input": '{"id": ${id from find}, "stars": 5}'},
    ]
)
ANSWERS = {
    "ToolAlpaca": json.dumps(
        [
            {"Action": "find", "Action_Input": {"limit": 3, "query": "Totoro"}},
            {"Action": "rate", "Action_Input": '{"id": 77, "stars": 5}'},
        ]
    ),
    "ReAct": 'Thought: I look.\nAction: find\nAction Input: {"query": "Totoro", "limit": 3}\n'
    'Observation: [77]\nAction: rate\nAction Input: {"id": 77, "stars": 5}\nThought: done',
    "OpenAI": json.dumps(
        {
            "tool_calls": [
                {"function": {"name": "find", "arguments": '{"query": "Totoro", "limit": 3}'}},
                {"function": {"name": "rate", "arguments": '{"id": 1, "stars": 5}'}},
            ]
        }
    ),
    "tags": '<tool_call>{"name": "find", "arguments": {"query": "Totoro", "limit": 3}}</tool_call>'
    '\n<tool_call>{"name": "rate", "arguments": {"id": 1, "stars": 5}}</tool_call>',
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_tool_calls_are_read_in_all_their_forms(answer: str) -> None:
    found = score("tool-calls", answer, row(GOLDEN))
    assert (found.value, found.reason) == (1.0, "2 of 2 calls right")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"find"', '"seek"', "1 of 2 calls right: 'seek' instead of 'find'"),
        ("Totoro", "totoro", "find has query"),
        ('"limit": 3, ', "", "find lacks limit"),
        ('"limit": 3', '"limit": 3, "page": 1', "find has page, which is not wanted"),
    ],
)
def test_a_wrong_tool_call_is_told(old: str, new: str, reason: str) -> None:
    answer = ANSWERS["ToolAlpaca"].replace(old, new)
    found = score("tool-calls", answer, row(GOLDEN))
    assert found.value == 0.0
    assert reason in found.reason
    assert choose('tool-calls:{"partial": true}').open(None).score(answer, row(GOLDEN)).value == 0.5


def test_tool_calls_may_be_compared_leniently_or_by_name() -> None:
    one = '[{"Action": "f", "Action_Input": "{\\"q\\": \\"Rome\\", \\"n\\": 3, \\"x\\": \\"\\"}"}]'
    answer = '[{"Action": "f", "Action_Input": {"q": "rome", "n": "3"}}]'
    assert score("tool-calls", answer, row(one)).value == 0.0
    assert score('tool-calls:{"lenient": true}', answer, row(one)).value == 1.0
    assert score('tool-calls:{"names_only": true}', answer, row(one)).value == 1.0


def test_placeholders_with_a_quote_too_many_are_read() -> None:
    text = '[{"Action": "f", "Action_Input": "{\\"a\\": ${start of it}\\", \\"b\\": [1]}"}]'
    assert read_calls(text)[0].arguments == {"a": "${}", "b": [1]}


@pytest.mark.parametrize(
    ("scorer", "reference"),
    [("number", "none"), ("choice", "xyz"), ("json", "{"), ("tool-calls", "no call")],
)
def test_a_reference_that_cannot_be_compared_is_no_score(scorer: str, reference: str) -> None:
    with pytest.raises(ScorerFailed, match="row 1: the reference"):
        score(scorer, "answer", row(reference))


def test_a_pattern_without_end_is_no_score() -> None:
    with pytest.raises(ScorerFailed, match="took more than"):
        score(r"regex:^(([a-z])+.)+[A-Z]([a-z])+$", "a" * 5000, row("x"))

"""What every scorer keeps to, and what tells them apart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from backend.data.demonstration import Demonstration, Message
from backend.errors import DataError, StateError
from backend.evaluation.scorers import (
    SCORERS,
    Score,
    ScorerFailed,
    Target,
    choose,
    score,
)
from backend.settings import Settings
from backend.text.thinking import strip_thinking
from tests.judge_server import KEY, judge_server


@dataclass(frozen=True)
class Example:
    """A scorer as a task has it, with an answer that is right and one that is not."""

    scorer: str
    reference: Target
    right: str
    wrong: str = "no such thing"


CALL = json.dumps([{"Action": "light", "Action_Input": '{"on": true}'}])
EXAMPLES = [
    *(
        Example(name, reference, reference if isinstance(reference, str) else "\n".join(reference))
        for name in ("exact", "normalised", "parts", "contains", "word-f1")
        for reference in ("light.on()", "The answer is 4.", ("red", "Blue"), "é 世界 🙂", "42")
    ),
    Example('contains:{"any": true}', ("red", "Blue"), "a blue one", "a green one"),
    Example('contains:{"case": true}', "Blue", "a Blue one", "a blue one"),
    Example(r"regex:answer is (\d+)", "42", "the answer is 42", "the answer is 41"),
    Example(r"regex:(\w+)=(\w+)", ("a", "b"), "so a=b", "so b=a"),
    Example('regex:{"pattern": "^y(es)?$", "case": false, "whole": true}', "es", "YES", "no"),
    Example("number", "1,234.5", "It is 12, no: 1234.50.", "1234.6"),
    Example("number:0.1", "3.14", "about 3.2", "about 3.5"),
    Example("choice", "B", "The answer is (B).", "A) is right"),
    Example("json", '{"a": [1, 2.0]}', 'Here: ```json\n{"a": [1.0, 2]}\n```', '{"a": [2, 1]}'),
    Example("tool-calls", CALL, 'Action: light\nAction Input: {"on": true}', "Action: light"),
    Example("code", "assert add(1, 2) == 3", "def add(a, b):\n    return a + b", "add = max"),
    Example("judge:tiny", "light.on()", "light.on()", "light.off()"),
]
every_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: each.scorer)
LAST = {each.scorer.partition(":")[0]: each for each in EXAMPLES}
one_of_each = pytest.mark.parametrize("example", LAST.values(), ids=LAST)
INSIDE = {name: each for name, each in LAST.items() if not SCORERS[name].outside}
one_of_each_inside = pytest.mark.parametrize("example", INSIDE.values(), ids=INSIDE)
every_plain_scorer = pytest.mark.parametrize("name", ["exact", "normalised", "parts"])


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    """Of a lab that runs programs and has a judge, a real server on this machine."""
    with judge_server() as judge:
        yield Settings(run_code="confined", judge_url=judge.url, judge_private=True, judge_key=KEY)


def row(reference: Target | None, demonstration: str = "a demonstration") -> Demonstration:
    return Demonstration(
        id="1",
        row=1,
        messages=(Message(role="user", content="?"),),
        demonstration=demonstration,
        reference=reference,
    )


def test_every_scorer_has_an_example() -> None:
    assert {each.scorer.partition(":")[0] for each in EXAMPLES} == set(SCORERS)
    assert [scorer.name for scorer in SCORERS.values()] == list(SCORERS)


@every_example
def test_the_right_answer_scores_1_and_the_wrong_one_less(
    example: Example, settings: Settings
) -> None:
    right = score(example.scorer, example.right, row(example.reference), settings)
    wrong = score(example.scorer, example.wrong, row(example.reference), settings)
    assert (right.value, wrong.value) == (1.0, 0.0)
    assert right.reason
    assert wrong.reason
    assert right.reason != wrong.reason


@one_of_each
def test_the_same_answer_gets_the_same_score_and_reason(
    example: Example, settings: Settings
) -> None:
    opened = choose(example.scorer).open(settings)
    both = [opened.score(example.wrong, row(example.reference)) for _ in range(2)]
    assert both[0] == both[1]


@one_of_each
def test_white_space_around_an_answer_does_not_matter(example: Example, settings: Settings) -> None:
    spaced = f"  {example.right}\n\n"
    assert score(example.scorer, spaced, row(example.reference), settings).value == 1.0


THOUGHTS = [
    "<think>It may be {wrong}.</think>{right}",
    "<think>\nfirst\n</think>\n\n{right}",
    "<think></think>{right}",
    "{right}<think>am I sure? {wrong}",
    # Some chat templates open the block themselves, so that only its end is written.
    "It may be {wrong}.\n</think>\n\n{right}",
]


@one_of_each
@pytest.mark.parametrize("thought", THOUGHTS)
def test_thinking_is_stripped_before_scoring(
    example: Example, thought: str, settings: Settings
) -> None:
    """Checklist 28."""
    answer = thought.replace("{right}", example.right).replace("{wrong}", example.wrong)
    assert strip_thinking(answer) == example.right.strip()
    assert score(example.scorer, answer, row(example.reference), settings).value == 1.0


@one_of_each
def test_a_right_thought_without_an_answer_scores_0(example: Example, settings: Settings) -> None:
    """Checklist 28."""
    right = example.right
    for answer in (f"<think>{right}</think>", f"<think>{right}", f"{right}</think>no"):
        assert score(example.scorer, answer, row(example.reference), settings).value == 0.0


HARD = {
    "empty": "",
    "spaces": " \n\t ",
    "html": "<script>alert(1)</script><b onclick='x'>&amp;</b>",
    "unicode": "世界 🙂 \u202e\u0000\ud7ff é",
    "no thought ends": "<think>" * 1000,
    "braces": "{[" * 50_000,
    "huge": "light on 43 ( " * 100_000,
    "huge number": "9" * 300_000,
    "one line of spaces": "Action:" + " " * 300_000 + "Action Input:",
    "many fences": "```" * 50_000,
    "many placeholders": "Action: a\nAction Input: {" + "${" * 50_000,
    "numbers": "1,234," * 50_000,
}


@one_of_each
@pytest.mark.parametrize("answer", HARD.values(), ids=HARD.keys())
def test_hard_answers_get_a_score_with_a_reason(
    example: Example, answer: str, settings: Settings
) -> None:
    found = score(example.scorer, answer, row(example.reference), settings)
    assert 0.0 <= found.value < 1.0
    assert found.reason
    assert len(found.reason) < 2000


@one_of_each_inside
@given(answer=st.text(), reference=st.text(min_size=1) | st.tuples(st.text(), st.text()))
@hypothesis_settings(max_examples=40, deadline=None)
def test_any_text_gets_a_score_with_a_reason_or_fails_with_one(
    example: Example, answer: str, reference: Target
) -> None:
    found = choose(example.scorer).open(None).try_score(answer, row(reference))
    if isinstance(found, Score):
        assert 0.0 <= found.value <= 1.0
        assert found.reason
    else:
        assert isinstance(found, ScorerFailed)
        assert found.message


@one_of_each
def test_the_stored_text_means_the_same_scorer(example: Example) -> None:
    chosen = choose(example.scorer)
    assert choose(chosen.text) == chosen
    assert choose(choose(chosen.text).text).text == chosen.text


@one_of_each
def test_an_unknown_parameter_is_named_with_those_there_are(example: Example) -> None:
    with pytest.raises(DataError, match=r'has no parameter "colour"; i'):
        choose(example.scorer, '{"colour": 1}')


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("exacts", "", 'there is no scorer "exacts"; choose one of exact, normalised, parts'),
        ("exact:x", "", 'the scorer exact takes nothing after its colon, found "x"'),
        ("regex", "", 'the scorer regex needs "pattern"; write regex:PATTERN'),
        ("judge", "", 'the scorer judge needs "model"; write judge:MODEL'),
        ("regex:(", "", "this is no regular expression"),
        ("number:near", "", "\"tolerance\" of the scorer number is 'near'"),
        ("number", '{"relative": -1}', "\"relative\" of the scorer number is '-1'"),
        ("number", '{"relative": NaN}', "NaN is no JSON value"),
        ("choice:abc", "", "the letters that can be an answer"),
        ("json", '{"ignore": ["a..b"]}', '"a..b" is no path; write names and places'),
        ("json", "[1]", "a JSON object is needed"),
        ("json", '{"ignore": ', "not valid JSON"),
        ("code", '{"timeout_s": 1000}', '"timeout_s"'),
        ("judge:m", '{"prompt": "mark it"}', "write {answer} where it goes"),
    ],
)
def test_wrong_parameters_are_refused_with_field_and_remedy(
    text: str, options: str, message: str
) -> None:
    with pytest.raises(DataError) as refused:
        choose(text, options)
    assert message in str(refused.value)
    assert refused.value.where.startswith("scorer")
    assert refused.value.remedy


def test_scorers_without_parameters_are_stored_as_their_name() -> None:
    """Old labs have nothing else in the column."""
    assert [choose(name).text for name in ("exact", "normalised", "parts")] == [
        "exact", "normalised", "parts"]  # fmt: skip
    assert choose("contains", '{"any": false}').text == "contains"
    assert choose("regex:a+").text == 'regex:{"pattern": "a+"}'


@pytest.mark.parametrize("text", ["code", "judge:m"])
def test_what_runs_programs_or_asks_needs_the_settings_of_a_lab(text: str) -> None:
    with pytest.raises(StateError, match="runs in workers only"):
        choose(text).open(None)


CASES = [
    # answer, reference, exact, normalised, parts
    ("light.on()", "light.on()", 1, 1, 1),
    ("Light.On()", "light.on()", 0, 1, 1),
    ("light on", "light.on()", 0, 1, 0),
    ("The answer is: four!", "answer is four", 0, 1, 0),
    ("I say light.on() now", "light.on()", 0, 0, 1),
    ("ﬁne  THE\n day", "fine day", 0, 1, 0),
    ("blue and RED", ("red", "Blue"), 0, 0, 1),
    ("red", ("red", "Blue"), 0, 0, 0),
    ("", "light.on()", 0, 0, 0),
]


@pytest.mark.parametrize(("answer", "reference", "exact", "normalised", "parts"), CASES)
def test_scorers_differ_in_what_they_forgive(
    answer: str, reference: Target, exact: int, normalised: int, parts: int
) -> None:
    names = ("exact", "normalised", "parts")
    values = {name: score(name, answer, row(reference)).value for name in names}
    assert values == {"exact": exact, "normalised": normalised, "parts": parts}


@every_plain_scorer
def test_without_a_reference_the_demonstration_is_the_target(name: str) -> None:
    assert score(name, "a demonstration", row(None)).value == 1.0
    assert score(name, "something else", row(None)).value == 0.0
    assert score(name, "a demonstration", row("another reference")).value == 0.0


@every_plain_scorer
def test_white_space_around_a_reference_matters_to_its_parts_only(name: str) -> None:
    assert score(name, "light.on()", row("\tlight.on() ")).value == (name != "parts")


def test_missing_parts_are_named() -> None:
    assert score("parts", "red", row(("red", "Blue"))).reason == "lacks 'Blue'"


def test_a_thought_in_the_middle_is_cut_out() -> None:
    assert strip_thinking("<think>a</think>light.<think>b</think>on()") == "light.on()"

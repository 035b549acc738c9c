"""Rules for answers to instructions: each kind, and those of the bundled probe."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from backend.bundled import material_path
from backend.evaluation.checks import CHECKS, passes

Check = dict[str, Any]
# Each kind with answers that keep the rule, and answers that break it.
CASES: list[tuple[Check, list[str], list[str]]] = [
    ({"kind": "contains", "any": ["red", "Blue"]}, ["so BLUE", "red"], ["green", ""]),
    ({"kind": "contains_all", "all": ["red", "Blue"]}, ["blue or Red"], ["blue", ""]),
    ({"kind": "excludes", "none": ["=", "x"]}, ["a + b", ""], ["a = b", "X"]),
    ({"kind": "starts_with", "text": "Yes"}, ["  yes, it is"], ["oh yes", ""]),
    ({"kind": "ends_with", "text": "Done."}, ["all is done.\n"], ["done. not", ""]),
    ({"kind": "max_words", "n": 3}, ["one two three", "one"], ["one two three four", "", "  "]),
    ({"kind": "min_lines", "n": 2}, ["a\nb", "a\n\n\nb\n"], ["a", "a\n\n", ""]),
    ({"kind": "uppercase"}, ["GOOD NIGHT 4!"], ["Good", "", "42"]),
    ({"kind": "lowercase"}, ["good night 4!"], ["Good", "", "42"]),
    ({"kind": "regex", "pattern": r"(?i)^\W*banana\W*$"}, ['"Banana."'], ["a banana", ""]),
    (
        {"kind": "all_of", "checks": [{"kind": "uppercase"}, {"kind": "max_words", "n": 2}]},
        ["GOOD NIGHT"],
        ["good night", "VERY GOOD NIGHT"],
    ),
]


@pytest.mark.parametrize(("check", "keeping", "breaking"), CASES, ids=lambda case: str(case)[:30])
def test_answers_keep_or_break_a_rule(
    check: Check, keeping: list[str], breaking: list[str]
) -> None:
    assert [passes(check, answer) for answer in keeping] == [True] * len(keeping)
    assert [passes(check, answer) for answer in breaking] == [False] * len(breaking)


def kinds(check: Check) -> Iterator[str]:
    yield check["kind"]
    for inner in check.get("checks", []):
        yield from kinds(inner)


def bundled_checks() -> list[Check]:
    lines = material_path("probes/instructions.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["check"] for line in lines]


def test_every_kind_has_a_case() -> None:
    assert {check["kind"] for check, _, _ in CASES} == set(CHECKS)


def test_every_bundled_rule_is_known_and_can_be_broken() -> None:
    assert {kind for check in bundled_checks() for kind in kinds(check)} <= set(CHECKS)
    nonsense = "= 0 Zq\nqZ = 0 but no"
    kept = [check for check in bundled_checks() if passes(check, nonsense)]
    assert len(kept) <= len(bundled_checks()) // 4


def test_an_unknown_kind_is_no_rule() -> None:
    with pytest.raises(KeyError):
        passes({"kind": "vibes"}, "good")

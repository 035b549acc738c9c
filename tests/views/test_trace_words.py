"""The sentence on the most divergent token."""

from __future__ import annotations

import math
from typing import Any

from backend.views.trace_words import most_divergent


def document(**changes: Any) -> dict[str, Any]:
    role = {
        "logprobs": [math.log(0.9), math.log(0.02)],
        "top": [0, 1, 2, 1],
        "top_logprobs": [math.log(p) for p in (0.9, 0.1, 0.7, 0.02)],
        "width": 2,
    }
    return {
        "source": "student",
        "texts": ["light", " off", " on"],
        "tokens": [0, 1],
        "weights": [1.0, 1.0],
        "divergences": [0.1, 2.0],
        "roles": {"student": role, "teacher": role},
        **changes,
    }


def test_both_roles_are_told_of_where_they_disagree_most() -> None:
    assert most_divergent(document()) == (
        "At token 2 the student writes “·off” with p = 0.02, the teacher prefers “·on” with "
        "p = 0.70 and gives “·off” p = 0.02."
    )


def test_a_token_that_does_not_count_or_has_no_number_is_passed_over() -> None:
    told = most_divergent(document(weights=[1.0, 0.0], source="demonstration"))
    assert told == (
        "At token 1 the demonstration has “light”, to which the student gives p = 0.90; the "
        "teacher prefers the same, with p = 0.90."
    )
    assert most_divergent(document(divergences=[0.1, None])).startswith("At token 1 ")
    assert (
        most_divergent(document(weights=[0, 0])) == "No token of this rollout counts in the loss."
    )


def test_without_a_teacher_the_student_is_told_of_alone() -> None:
    roles = {"student": document()["roles"]["student"], "teacher": None}
    assert most_divergent(document(roles=roles)) == (
        "At token 2 the student writes “·off” with p = 0.02; it would rather write “·on” "
        "(p = 0.70)."
    )
    assert most_divergent(document(roles=roles, divergences=[3.0, 1.0])) == (
        "At token 1 the student writes “light” with p = 0.90, where the loss is highest."
    )


def test_line_breaks_are_visible_and_small_probabilities_are_not_zero() -> None:
    told = document(texts=["light", "\n\toff", " on"])
    told["roles"]["student"]["logprobs"][1] = -20.0
    assert "“↵⇥off” with p below 0.01" in most_divergent(told)

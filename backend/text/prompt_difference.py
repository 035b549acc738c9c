"""What one text says beyond another: a role's prompt, or a later version of a row."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import Final

# A stretch of a prompt, and whether only this role reads it.
Part = tuple[str, bool]

_WORDS: Final = re.compile(r"<\|[^|<>]*\|>|\w+|\s+|[^\w\s]")
# SequenceMatcher takes the product of both lengths; beyond this the middle is marked as a whole.
_MOST_PAIRS: Final = 4_000_000


def prompt_difference(student: str, teacher: str) -> tuple[list[Part], list[Part]]:
    """Both prompts in parts; joined, the parts of each role give its prompt again.

    A teacher that reads the student's prompt with one insertion is marked where a reader would see
    it: the earlier turn of ``earlier-turn`` begins with its question, not within it.
    """
    end = shared_end(student, teacher)
    start = shared_start(student[: len(student) - end], teacher[: len(teacher) - end])
    if start + end == len(student):
        start, end = _at_a_line(teacher, start, end)
    head, tail = student[:start], student[len(student) - end :]
    ours, theirs = _differ(student[start : len(student) - end], teacher[start : len(teacher) - end])
    return _joined(head, ours, tail), _joined(head, theirs, tail)


def word_difference(before: str, after: str) -> tuple[list[Part], list[Part]]:
    """Both texts in parts, those words marked that the other lacks."""
    start = shared_start(before, after)
    end = shared_end(before[start:], after[start:])
    # A word of which only some letters differ is another word.
    while start and before[start - 1].isalnum():
        start -= 1
    while end and before[len(before) - end].isalnum():
        end -= 1
    head, tail = before[:start], before[len(before) - end :]
    ours, theirs = _differ(before[start : len(before) - end], after[start : len(after) - end])
    return _joined(head, ours, tail), _joined(head, theirs, tail)


def shared_start(a: str, b: str) -> int:
    """How many characters two texts begin with alike."""
    for place, (ours, theirs) in enumerate(zip(a, b, strict=False)):
        if ours != theirs:
            return place
    return min(len(a), len(b))


def shared_end(a: str, b: str) -> int:
    """How many characters two texts end with alike."""
    return shared_start(a[::-1], b[::-1])


def _at_a_line(teacher: str, start: int, end: int) -> tuple[int, int]:
    """The same insertion further right: where its first line begins, or as far as it goes."""
    first, length = start, len(teacher) - start - end
    while True:
        if start == 0 or (teacher[start - 1] == "\n" and teacher[start : start + 1] != "\n"):
            return start, end
        if end == 0 or start - first >= length or teacher[start] != teacher[start + length]:
            return start, end
        start, end = start + 1, end - 1


def _differ(a: str, b: str) -> tuple[list[Part], list[Part]]:
    if not a or not b:
        return [(a, True)], [(b, True)]
    ours, theirs = _WORDS.findall(a), _WORDS.findall(b)
    if len(ours) * len(theirs) > _MOST_PAIRS:
        return [(a, True)], [(b, True)]
    left: list[Part] = []
    right: list[Part] = []
    matcher = SequenceMatcher(None, ours, theirs, autojunk=False)
    for _, i, i_end, j, j_end in matcher.get_opcodes():
        mine, other = "".join(ours[i:i_end]), "".join(theirs[j:j_end])
        # Single marks and spaces that happen to agree would only chop up what differs.
        own = mine != other or not re.search(r"\w", mine)
        left.append((mine, own))
        right.append((other, own))
    return left, right


def _joined(head: str, middle: list[Part], tail: str) -> list[Part]:
    """The parts without empty ones; neighbours of the same kind are one."""
    parts: list[Part] = []
    for text, own in [(head, False), *middle, (tail, False)]:
        if not text:
            continue
        if parts and parts[-1][1] == own:
            parts[-1] = (parts[-1][0] + text, own)
        else:
            parts.append((text, own))
    return parts

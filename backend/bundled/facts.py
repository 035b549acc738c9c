"""Multiple-choice facts: sentences to complete, with four endings of which one is right.

Every choice repeats the beginning of the sentence, because SmolLM2-135M-Instruct answers so:
it got 85 % of 362 such sentences right, and 53 % of 350 similar questions with bare answers.
Sentences that it was sure of by more than 5.6 nats are left out: they leave no room to fall.
"""

import random
from typing import TypedDict

from backend.bundled.facts_daily import DAILY
from backend.bundled.facts_nature import NATURE
from backend.bundled.facts_people import PEOPLE

CHOICES = 4


class Fact(TypedDict):
    """One question; `answer` is the index of the right choice."""

    id: str
    question: str
    choices: list[str]
    answer: int
    topic: str


def facts() -> list[Fact]:
    """Returns the facts with topics spread evenly, so that the first n are a fair sample."""
    rng = random.Random(41)
    entries = _spread_topics(rng)
    answers = [index % CHOICES for index in range(len(entries))]
    rng.shuffle(answers)
    return [
        _fact(f"fact-{number:03d}", entry, answer, rng)
        for number, (entry, answer) in enumerate(zip(entries, answers, strict=True), start=1)
    ]


def _spread_topics(rng: random.Random) -> list[tuple[str, str]]:
    """Returns topic and line of every fact, each topic shuffled and spread evenly over the list."""
    placed: list[tuple[float, str, str]] = []
    for topics in (NATURE, PEOPLE, DAILY):
        for topic, text in topics.items():
            lines = text.strip().splitlines()
            rng.shuffle(lines)
            placed += [
                ((index + rng.random()) / len(lines), topic, line)
                for index, line in enumerate(lines)
            ]
    return [(topic, line) for _, topic, line in sorted(placed)]


def _fact(name: str, entry: tuple[str, str], answer: int, rng: random.Random) -> Fact:
    topic, line = entry
    beginning, right, *wrong = (part.strip() for part in line.split("|"))
    rng.shuffle(wrong)
    endings = [*wrong[:answer], right, *wrong[answer:]]
    return {
        "id": name,
        "question": f"Complete the sentence: {beginning} ...",
        "choices": [f"{beginning} {ending}" for ending in endings],
        "answer": answer,
        "topic": topic,
    }

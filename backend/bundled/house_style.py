"""Messages to a shop and replies in its house style, which leave the middle in free words.

A reply opens with the thanks and the name, says one free sentence that names the subject,
and closes with the greeting of the desk on a line of its own.
"""

import random
from collections.abc import Mapping

from backend.bundled.house_style_wordings import (
    HELD_OUT_LEADS,
    HELD_OUT_MESSAGES,
    HELD_OUT_NAMES,
    HELD_OUT_REPLIES,
    HELD_OUT_SUBJECTS,
    LEADS,
    MESSAGES,
    NAMES,
    REPLIES,
    SUBJECTS,
)
from backend.bundled.rows import HELD_OUT_ROWS, TRAINING_ROWS, Row, distinct_rows, sentence

GREETING = "Kind regards, Maple Desk"
Texts = tuple[str, ...]
Topics = Mapping[str, Texts]


def training_rows() -> list[Row]:
    """Returns the training rows."""
    return distinct_rows("house-style-training", 31, TRAINING_ROWS, _draw_training)


def held_out_rows() -> list[Row]:
    """Returns the held-out rows: other names, subjects, messages and replies than in training."""
    return distinct_rows("house-style-held-out", 32, HELD_OUT_ROWS, _draw_held_out)


def _draw_training(rng: random.Random, index: int) -> Row:
    return _row(rng, index, (LEADS, NAMES), (SUBJECTS, MESSAGES, REPLIES))


def _draw_held_out(rng: random.Random, index: int) -> Row:
    topics = (HELD_OUT_SUBJECTS, HELD_OUT_MESSAGES, HELD_OUT_REPLIES)
    return _row(rng, index, (HELD_OUT_LEADS, HELD_OUT_NAMES), topics)


def _row(
    rng: random.Random,
    index: int,
    letter: tuple[Texts, Texts],
    topics: tuple[Topics, Topics, Topics],
) -> Row:
    leads, names = letter
    subjects, messages, replies = topics
    kinds = sorted(subjects)
    topic = kinds[index % len(kinds)]
    name, subject = rng.choice(names), rng.choice(subjects[topic])
    message = sentence(rng.choice(messages[topic]).format(subject=subject))
    reply = sentence(rng.choice(replies[topic]).format(subject=subject))
    return {
        "id": "",
        "prompt": f"{rng.choice(leads).format(name=name)} {message}",
        "demonstration": f"Thank you, {name}. {reply}\n{GREETING}",
        "reference": [f"thank you, {name.lower()}", GREETING.lower(), subject],
        "tags": [topic],
    }

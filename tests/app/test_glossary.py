"""Every word of the lab has its sentences, an anchor, and where promised a picture."""

from __future__ import annotations

import json
import re

import pytest

from app.glossary import TERMS, plain_sentences
from app.routes import STATIC, _bundle

PROMISED = (
    "policy", "rollout", "on-policy", "teacher", "student", "demonstration", "divergence",
    "forward KL", "reverse KL", "LoRA", "adapter", "premise", "forgetting", "probe", "prior",
    "EMA teacher", "preset", "checkpoint", "held-out rows", "interval",
)  # fmt: skip
PICTURED = (
    "policy",
    "rollout",
    "student",
    "teacher",
    "divergence",
    "lora",
    "premise",
    "forgetting",
)


@pytest.mark.parametrize("word", PROMISED)
def test_a_promised_word_is_explained(word: str) -> None:
    assert word.lower() in plain_sentences()


def test_anchors_differ_and_sentences_are_whole() -> None:
    anchors = [term.anchor for term in TERMS]
    assert len(set(anchors)) == len(anchors)
    for term in TERMS:
        assert re.fullmatch(r"[a-z][a-z-]*", term.anchor)
        assert term.plain.endswith(".")
        assert term.expert.endswith(".")


@pytest.mark.parametrize("anchor", PICTURED)
def test_a_picture_is_drawn_for_it(anchor: str) -> None:
    source = (STATIC / "glossary.js").read_text("utf-8")
    pictures = source[source.index("const PICTURES") : source.index("function picture(")]
    assert re.search(rf'^ +"?{anchor}"?: \[', pictures, re.MULTILINE)


def test_scripts_use_only_words_that_the_glossary_has() -> None:
    used = {
        word
        for path in STATIC.glob("*.js")
        for word in re.findall(r'sdlab\.term\("([^"]+)"', path.read_text("utf-8"))
    }
    assert used
    assert {word.lower() for word in used} <= set(plain_sentences())


def test_every_page_gets_the_plain_sentences_with_its_scripts() -> None:
    words = _bundle().decode().rpartition("sdlab.words = ")[2].rstrip(";")
    assert json.loads(words)["rollout"]["plain"].startswith("An answer that the student writes")

"""Pieces of byte-level and of SentencePiece tokenizers become text that a reader knows."""

from __future__ import annotations

import pytest
from tokenizers import decoders, pre_tokenizers

from backend.text.pieces import uses_bytes, visible_piece


@pytest.mark.parametrize(
    ("piece", "spells_bytes", "visible"),
    [
        ("Ġthe", True, " the"),
        ("Ċ", True, "\n"),
        ("Ã©", True, "é"),
        ("ðŁ", True, "\\xf0\\x9f"),
        ("世", True, "世"),
        ("▁the", False, " the"),
        ("<0x0A>", False, "\n"),
        ("<0xF0>", False, "\\xf0"),
        ("##ing", False, "##ing"),
    ],
)
def test_a_piece_is_shown_as_its_text(piece: str, spells_bytes: bool, visible: str) -> None:
    assert visible_piece(piece, spells_bytes) == visible


def test_every_text_is_spelled_back_from_its_bytes() -> None:
    text = "".join(map(chr, range(0x24F))) + "世界🙂"
    pieces = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    ((piece, _),) = pieces.pre_tokenize_str(text)
    assert visible_piece(piece, True) == text == decoders.ByteLevel().decode([piece])


def test_byte_level_decoders_are_found_also_in_a_sequence() -> None:
    assert uses_bytes({"decoder": {"type": "ByteLevel"}})
    assert uses_bytes({"decoder": {"type": "Sequence", "decoders": [{"type": "ByteLevel"}]}})
    assert not uses_bytes({"decoder": {"type": "Metaspace"}})
    assert not uses_bytes({"decoder": None})

"""A model's tokenizer as GGUF files hold it: byte-level BPE, whose splitting llama.cpp knows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import gguf
from tokenizers import Tokenizer

from backend.errors import ModelError
from backend.text.model_files import read_text_files
from backend.text.tokenizer import TextTokenizer

_LLAMA3_SPLIT: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@dataclass(frozen=True)
class Vocabulary:
    """Tokens by id with their types, merges, and llama.cpp's name for how text is split."""

    tokens: list[str]
    types: list[int]
    merges: list[str]
    splitting: str


def read_vocabulary(folder: Path, size: int) -> Vocabulary:
    """From tokenizer.json; ids beyond it, up to ``size``, are unused. Raises ModelError."""
    document = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    model = document["model"]
    if model.get("type") != "BPE" or model.get("byte_fallback") or document.get("normalizer"):
        raise unsupported("the model's tokenizer is no byte-level BPE")
    names = {number: token for token, number in model["vocab"].items()}
    types = dict.fromkeys(names, gguf.TokenType.NORMAL)
    for added in document.get("added_tokens") or ():
        names[added["id"]] = added["content"]
        kind = gguf.TokenType.CONTROL if added["special"] else gguf.TokenType.USER_DEFINED
        types[added["id"]] = kind
    if max(names) >= size:
        raise unsupported(
            f"the model's tokenizer has more tokens ({max(names) + 1}) than the model ({size})"
        )
    return Vocabulary(
        [names.get(number, f"[PAD{number}]") for number in range(size)],
        [int(types.get(number, gguf.TokenType.UNUSED)) for number in range(size)],
        [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]],
        _splitting(document.get("pre_tokenizer") or {}, bool(model.get("ignore_merges"))),
    )


def add_tokenizer(writer: gguf.GGUFWriter, vocabulary: Vocabulary, text: TextTokenizer) -> None:
    """Vocabulary, end and padding tokens, and the chat template that the lab read it with."""
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(vocabulary.splitting)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.types)
    writer.add_token_merges(vocabulary.merges)
    writer.add_eos_token_id(text.end_id)
    writer.add_pad_token_id(text.pad_id)
    bos = read_text_files(text.folder).special_tokens.get("bos_token")
    plain = Tokenizer.from_file(str(text.folder / "tokenizer.json"))
    bos_id = None if bos is None else plain.token_to_id(bos)
    if bos_id is not None:
        writer.add_bos_token_id(bos_id)
    writer.add_add_bos_token(bos_id is not None and bos_id in plain.encode("").ids)
    writer.add_chat_template(text.chat_template)


def _splitting(document: Mapping[str, Any], ignores_merges: bool) -> str:
    """llama.cpp's name for a pre-tokenizer; with ``llama-bpe`` it never splits whole words."""
    parts = document.get("pretokenizers") or [document]
    kinds = [part.get("type") for part in parts]
    byte_level: Mapping[str, Any] = parts[-1]
    if kinds[-1] == "ByteLevel" and not byte_level.get("add_prefix_space"):
        uses_regex = byte_level.get("use_regex", True)
        by_merges = uses_regex and not ignores_merges
        if kinds == ["ByteLevel"] and by_merges:
            return "gpt-2"
        if kinds == ["Digits", "ByteLevel"] and by_merges and parts[0].get("individual_digits"):
            return "smollm"
        if kinds == ["Split", "ByteLevel"] and ignores_merges and not uses_regex:
            pattern = parts[0].get("pattern", {}).get("Regex")
            if pattern == _LLAMA3_SPLIT and parts[0].get("behavior") == "Isolated":
                return "llama-bpe"
    raise unsupported(
        "the model's tokenizer splits text in a way that has no name in GGUF files here"
    )


def unsupported(problem: str) -> ModelError:
    """The error for a model that cannot become a GGUF file."""
    return ModelError(
        problem,
        where="--format",
        remedy="export it with --format merged; llama.cpp's own converter reads that folder",
    )

"""What the files of a model's folder say about its text: special tokens, chat template, limits."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from backend.errors import ModelError

# transformers' names; templates read them as variables.
_NAMED_TOKENS: Final = (
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
)
_LENGTH_KEYS: Final = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len")
# Tokenizers that state no limit are saved with 10^30.
_NO_LIMIT: Final = 10**9


@dataclass(frozen=True)
class TextFiles:
    """The tokenizer as JSON text, and what stands beside it."""

    tokenizer_json: str
    special_tokens: dict[str, str]
    chat_template: str | None
    end_ids: frozenset[int]
    pad_id: int | None
    context_length: int | None


def read_text_files(folder: Path) -> TextFiles:
    """Reads ``folder`` as ``save_pretrained`` writes it; nothing in it is executed.

    Raises ModelError for a missing folder or tokenizer.json, and for files that are no JSON.
    """
    settings = _read_json(folder / "tokenizer_config.json")
    config = _read_json(folder / "config.json")
    generation = _read_json(folder / "generation_config.json")
    text_config = {**config, **(config.get("text_config") or {})}
    return TextFiles(
        tokenizer_json=_read_tokenizer(folder),
        special_tokens=_special_tokens(folder, settings),
        chat_template=_chat_template(folder, settings),
        end_ids=_ids(generation.get("eos_token_id")) | _ids(text_config.get("eos_token_id")),
        pad_id=next(iter(_ids(text_config.get("pad_token_id"))), None),
        context_length=_context_length(text_config, settings),
    )


def _read_tokenizer(folder: Path) -> str:
    path = folder / "tokenizer.json"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    if not folder.is_dir():
        raise ModelError(
            "there is no such folder", where=str(folder), remedy="give the folder of a model"
        )
    found = next((p.name for p in sorted(folder.glob("*.model"))), None)
    held = f"it holds {found}, which only transformers can read" if found else "it is missing"
    raise ModelError(
        f"a model needs tokenizer.json, but {held}",
        where=str(folder),
        remedy="load the tokenizer once with AutoTokenizer and save it there with save_pretrained",
    )


def _read_json(path: Path) -> dict[str, Any]:
    """The object in a file that may be missing."""
    if not path.is_file():
        return {}
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelError(
            f"not valid JSON ({error})", where=str(path), remedy="fetch the model again"
        ) from error
    if not isinstance(document, dict):
        raise ModelError(
            f"expected an object, found {type(document).__name__}",
            where=str(path),
            remedy="fetch the model again",
        )
    return document


def _special_tokens(folder: Path, settings: dict[str, Any]) -> dict[str, str]:
    merged = settings
    # transformers reads the older file only where the newer one lists no added tokens.
    if "added_tokens_decoder" not in settings:
        merged = {**settings, **_read_json(folder / "special_tokens_map.json")}
    named = {name: _token_text(merged.get(name)) for name in _NAMED_TOKENS}
    return {name: text for name, text in named.items() if text is not None}


def _token_text(value: Any) -> str | None:
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else None


def _chat_template(folder: Path, settings: dict[str, Any]) -> str | None:
    path = folder / "chat_template.jinja"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    template = settings.get("chat_template")
    if isinstance(template, list):
        by_name = {entry.get("name"): entry.get("template") for entry in template}
        template = by_name.get("default")
    return template if isinstance(template, str) else None


def _ids(value: Any) -> frozenset[int]:
    values = value if isinstance(value, list) else [value]
    return frozenset(number for number in values if isinstance(number, int))


def _context_length(config: dict[str, Any], settings: dict[str, Any]) -> int | None:
    for value in (*(config.get(key) for key in _LENGTH_KEYS), settings.get("model_max_length")):
        if isinstance(value, int) and 0 < value < _NO_LIMIT:
            return value
    return None

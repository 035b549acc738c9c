"""Tokens and prompts of a model without loading torch: the one place that renders both roles."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Final

from jinja2 import TemplateError
from tokenizers import Tokenizer
from transformers.utils.chat_template_utils import render_jinja_template

from backend.data.demonstration import Message
from backend.errors import ModelError
from backend.text.model_files import read_text_files
from backend.text.pieces import uses_bytes, visible_piece

# For base models, which were never taught turns. A new line closes each label, so that an answer
# is tokenized as at the start of a text and needs no leading space.
PLAIN_LAYOUT: Final = (
    "{% for message in messages %}"
    "{{ {'system': '', 'user': 'Question:\n', 'assistant': 'Answer:\n', 'tool': 'Result:\n'}"
    "[message['role']] + message['content'] + '\n\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Answer:\n' }}{% endif %}"
)


def tokenizer_of(folder: Path) -> TextTokenizer:
    """The folder's tokenizer, read once: one of 50,000 tokens takes a fifth of a second.

    Raises ModelError.
    """
    file = folder / "tokenizer.json"
    return _read(folder, file.stat().st_mtime_ns if file.is_file() else 0)


@lru_cache(maxsize=4)
def _read(folder: Path, changed: int) -> TextTokenizer:
    del changed
    return TextTokenizer(folder)


class TextTokenizer:
    """The tokenizer and chat template in a model's folder; equal to AutoTokenizer's.

    Text that looks like a special token becomes one, as it does in AutoTokenizer.
    Raises ModelError where the folder cannot be read or names no end token.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files = read_text_files(folder)
        try:
            self._tokenizer = Tokenizer.from_str(self._files.tokenizer_json)
        # The Rust side raises bare Exception for whatever it cannot read.
        except Exception as error:
            raise ModelError(
                f"tokenizer.json cannot be read ({error})",
                where=str(folder),
                remedy="fetch the model again",
            ) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._uses_bytes = uses_bytes(json.loads(self._files.tokenizer_json))
        self.has_chat_template = self._files.chat_template is not None
        self.chat_template = self._files.chat_template or self._plain_layout()
        self.eos_ids = self._find_eos_ids()

    def encode(self, text: str) -> list[int]:
        """Token ids of ``text``; nothing is added before or after it."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def token_starts(self, text: str) -> list[tuple[int, int]]:
        """(id, place in ``text`` where it begins) of each token that :meth:`encode` gives.

        The bytes of one character that several tokens spell all begin where it does.
        """
        found = self._tokenizer.encode(text, add_special_tokens=False)
        return [
            (token_id, span[0]) for token_id, span in zip(found.ids, found.offsets, strict=True)
        ]

    def is_added(self, token_id: int) -> bool:
        """Whether a token was added to the vocabulary, as special tokens are."""
        return token_id in self._added_ids

    def decode(self, ids: Sequence[int], skip_special: bool = True) -> str:
        """The text of ``ids``; incomplete characters become the replacement character."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=skip_special)
        return text

    def token_strings(self, ids: Sequence[int]) -> list[str]:
        """One readable string a token; bytes that are no whole character stand as ``\\xf0``."""
        return [self._token_string(token_id) for token_id in ids]

    def apply_chat(self, messages: Sequence[Message], add_generation_prompt: bool = True) -> str:
        """The conversation as the model reads it. Raises ModelError where its template refuses."""
        turns = [{"role": turn.role, "content": turn.content} for turn in messages]
        try:
            rendered, _ = render_jinja_template(
                conversations=[turns],
                chat_template=self.chat_template,
                add_generation_prompt=add_generation_prompt,
                **self._files.special_tokens,
            )
        except (TemplateError, TypeError, ValueError) as error:
            roles = ", ".join(turn.role for turn in messages) or "none"
            raise ModelError(
                f"the model's chat template refuses turns by {roles} ({error})",
                where=str(self.folder),
                remedy="choose another context or model, or change the rows' turns",
            ) from error
        text: str = rendered[0]
        return text

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of the conversation up to where the assistant's answer begins."""
        return self.encode(self.apply_chat(messages))

    @property
    def context_length(self) -> int:
        """Tokens the model can read. Raises ModelError where its files do not say."""
        if self._files.context_length is None:
            raise ModelError(
                "no file says how many tokens the model can read",
                where=str(self.folder),
                remedy="add max_position_embeddings to config.json",
            )
        return self._files.context_length

    @cached_property
    def end_id(self) -> int:
        """The end token to write after an answer: the one the chat template puts there.

        Else the tokenizer's eos. Some models (Gemma) end turns with another token than texts.
        """
        probe = [Message(role="user", content="a"), Message(role="assistant", content="b")]
        if self.has_chat_template:
            prompt = self.apply_chat(probe[:1])
            whole = self.apply_chat(probe, add_generation_prompt=False)
            after = self.encode(whole[len(prompt) :] if whole.startswith(prompt) else whole)
            ends = [token_id for token_id in after if token_id in self.eos_ids]
            if ends:
                return ends[0] if whole.startswith(prompt) else ends[-1]
        named = self._named_id("eos_token")
        return min(self.eos_ids) if named is None else named

    @cached_property
    def pad_id(self) -> int:
        """The token that fills up batches; the end token where the model names none."""
        for token_id in (self._named_id("pad_token"), self._files.pad_id):
            if token_id is not None:
                return token_id
        return self.end_id

    def _named_id(self, name: str) -> int | None:
        text = self._files.special_tokens.get(name)
        token_id: int | None = None if text is None else self._tokenizer.token_to_id(text)
        return token_id

    def _find_eos_ids(self) -> frozenset[int]:
        named = self._named_id("eos_token")
        ids = self._files.end_ids | ({named} if named is not None else set())
        if not ids:
            raise ModelError(
                "no file names the token that ends an answer",
                where=str(self.folder),
                remedy="add eos_token_id to generation_config.json",
            )
        return ids

    def _plain_layout(self) -> str:
        starts = self._tokenizer.encode("", add_special_tokens=True).ids
        bos = self._named_id("bos_token")
        return "{{ bos_token }}" + PLAIN_LAYOUT if bos in starts else PLAIN_LAYOUT

    def _token_string(self, token_id: int) -> str:
        piece = self._tokenizer.id_to_token(token_id)
        if piece is None:
            return f"<id {token_id}>"
        if token_id in self._added_ids:
            return str(piece)
        return visible_piece(piece, self._uses_bytes)

    @cached_property
    def _added_ids(self) -> frozenset[int]:
        return frozenset(self._tokenizer.get_added_tokens_decoder())

"""A byte-level tokenizer with a ChatML template, built in code: the same ids on every machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

END_OF_TEXT: Final = "<|endoftext|>"
TURN_START: Final = "<|im_start|>"
TURN_END: Final = "<|im_end|>"
SPECIAL_TOKENS: Final = (END_OF_TEXT, TURN_START, TURN_END)

CHATML: Final = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

_WORDS: Final = (
    " the",
    " and",
    " you",
    " is",
    " of",
    " to",
    " in",
    " on",
    " answer",
    " light",
    " question",
    "assistant",
    "example",
    "response",
    "system",
    "user",
)


def build_tokenizer(folder: Path, *, chat_template: str | None = CHATML) -> Path:
    """Writes ``tokenizer.json`` and ``tokenizer_config.json`` into ``folder`` and returns it.

    About 340 tokens: the special ones (ids 0 to 2), all bytes, and what spells a few words.
    The end of a turn is the eos token, the end of text the pad token.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(_byte_pairs())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": TURN_END,
        "pad_token": END_OF_TEXT,
        "clean_up_tokenization_spaces": False,
    }
    if chat_template is not None:
        config["chat_template"] = chat_template
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    return folder


def _byte_pairs() -> models.BPE:
    """Each word is spelled from left to right: ``Ġ t``, ``Ġt h``, ``Ġth e``."""
    tokens = [*SPECIAL_TOKENS, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    merges: dict[tuple[str, str], None] = {}
    for word in _WORDS:
        letters = word.replace(" ", "Ġ")
        for end in range(1, len(letters)):
            merges[letters[:end], letters[end]] = None
    tokens += dict.fromkeys(left + right for left, right in merges)
    return models.BPE(
        vocab={token: number for number, token in enumerate(tokens)}, merges=list(merges)
    )

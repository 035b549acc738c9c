"""The tokenizer equals AutoTokenizer, reads what model folders hold, and never loads torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, processors
from transformers import AutoTokenizer

from backend.data.demonstration import Message
from backend.errors import ModelError
from backend.text.tokenizer import TextTokenizer
from tests.tiny_tokenizer import CHATML, build_tokenizer

# Llama's way: a start token, trimmed texts, and a refusal of orders the model was not taught.
STRICT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% elif message['role'] == 'user' %}{{ '[Q] ' + message['content'] | trim + ' [/Q]' }}"
    "{% else %}{{ ' ' + message['content'] | trim + ' ' + eos_token }}{% endif %}"
    "{% endfor %}"
)
ROLES = ("system", "user", "assistant")


def write(folder: Path, name: str, document: object) -> None:
    (folder / name).write_text(json.dumps(document), encoding="utf-8")


def update_settings(folder: Path, **changes: object) -> None:
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    write(folder, "tokenizer_config.json", {**settings, **changes})


def start_with_bos(folder: Path) -> None:
    """Makes the tokenizer put the end of text before every text, as many base models do."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    update_settings(folder, bos_token="<|endoftext|>")


def turns(*pairs: tuple[str, str]) -> list[Message]:
    return [Message.model_validate({"role": role, "content": text}) for role, text in pairs]


def assert_equal_to_transformers(folder: Path, messages: list[Message], prompt: bool) -> None:
    ours, theirs = TextTokenizer(folder), AutoTokenizer.from_pretrained(folder)
    plain = [message.model_dump() for message in messages]
    text = ours.apply_chat(messages, add_generation_prompt=prompt)
    assert text == theirs.apply_chat_template(plain, tokenize=False, add_generation_prompt=prompt)
    expected = theirs.apply_chat_template(plain, add_generation_prompt=prompt)["input_ids"]
    assert ours.encode(text) == expected
    for skip in (True, False):
        assert ours.decode(expected, skip) == theirs.decode(expected, skip_special_tokens=skip)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.mark.parametrize(
    "messages",
    [
        turns(("user", "Turn on the light")),
        turns(("system", "Be short."), ("user", "the question")),
        turns(("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"), ("user", "e")),
        turns(("user", "Grüße, 世界 🙂 e\u0301 \u200b\u2028 ﷽")),
        turns(("user", "is <|im_end|> special? <|im_start|>assistant\nyes<|endoftext|>")),
        turns(("user", "{{ messages }} {% raise %} $x {prompt} \\n")),
        turns(("user", "  spaces kept \n\n"), ("assistant", ""), ("user", "\t")),
    ],
    ids=["one", "system", "many", "unicode", "special", "template-like", "spaces"],
)
@pytest.mark.parametrize("prompt", [True, False])
def test_prompts_equal_those_of_auto_tokenizer(
    folder: Path, messages: list[Message], prompt: bool
) -> None:
    assert_equal_to_transformers(folder, messages, prompt)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(ROLES), st.text(max_size=40)), min_size=1, max_size=4))
def test_any_conversation_is_rendered_as_by_auto_tokenizer(
    folder: Path, pairs: list[tuple[str, str]]
) -> None:
    assert_equal_to_transformers(folder, turns(*pairs), True)


def test_a_template_in_its_own_file_wins_and_reads_special_tokens(tmp_path: Path) -> None:
    build_tokenizer(tmp_path)
    start_with_bos(tmp_path)
    (tmp_path / "chat_template.jinja").write_text(STRICT_TEMPLATE)
    messages = turns(("user", " a "), ("assistant", "b"), ("user", "c"))
    assert_equal_to_transformers(tmp_path, messages, True)
    assert TextTokenizer(tmp_path).apply_chat(messages).startswith("<|endoftext|>[Q] a [/Q]")


def test_special_tokens_come_from_the_older_file_too(tmp_path: Path) -> None:
    build_tokenizer(tmp_path, chat_template=STRICT_TEMPLATE)
    write(
        tmp_path,
        "special_tokens_map.json",
        {"bos_token": {"content": "<|im_start|>"}, "eos_token": "<|endoftext|>"},
    )
    assert_equal_to_transformers(tmp_path, turns(("user", "a"), ("assistant", "b")), False)


def test_the_default_of_several_templates_is_used(tmp_path: Path) -> None:
    build_tokenizer(tmp_path, chat_template=None)
    named = [{"name": "rag", "template": "no"}, {"name": "default", "template": CHATML}]
    update_settings(tmp_path, chat_template=named)
    assert_equal_to_transformers(tmp_path, turns(("user", "a")), True)


def test_a_refusing_template_is_explained(tmp_path: Path) -> None:
    build_tokenizer(tmp_path, chat_template=STRICT_TEMPLATE)
    with pytest.raises(ModelError, match="refuses turns by system, user"):
        TextTokenizer(tmp_path).apply_chat(turns(("system", "a"), ("user", "b")))


def test_encoding_adds_nothing_even_where_the_tokenizer_would(tmp_path: Path) -> None:
    build_tokenizer(tmp_path)
    start_with_bos(tmp_path)
    tokenizer = TextTokenizer(tmp_path)
    assert 0 not in tokenizer.encode("the light")
    assert 0 not in tokenizer.prompt_ids(turns(("user", "the light")))


def test_text_survives_encoding_and_decoding(folder: Path) -> None:
    tokenizer = TextTokenizer(folder)
    text = "the answer is  on\n🙂é"
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_token_strings_are_readable(folder: Path) -> None:
    tokenizer = TextTokenizer(folder)
    ids = tokenizer.encode(" the answer\n<|im_end|>é")
    assert tokenizer.token_strings([*ids, 9999]) == [
        " the",
        " answer",
        "\n",
        "<|im_end|>",
        "\\xc3",
        "\\xa9",
        "<id 9999>",
    ]


def test_all_end_ids_are_found(tmp_path: Path) -> None:
    build_tokenizer(tmp_path)
    assert TextTokenizer(tmp_path).eos_ids == {2}
    write(tmp_path, "config.json", {"eos_token_id": 5, "max_position_embeddings": 64})
    write(tmp_path, "generation_config.json", {"eos_token_id": [0, 7]})
    assert TextTokenizer(tmp_path).eos_ids == {0, 2, 5, 7}


def test_the_end_of_an_answer_is_what_the_template_writes(tmp_path: Path) -> None:
    build_tokenizer(tmp_path)
    update_settings(tmp_path, eos_token="<|endoftext|>")
    write(tmp_path, "generation_config.json", {"eos_token_id": [0, 2]})
    tokenizer = TextTokenizer(tmp_path)
    assert tokenizer.end_id == 2
    assert tokenizer.pad_id == 0


def test_a_folder_without_any_end_token_is_refused(tmp_path: Path) -> None:
    build_tokenizer(tmp_path)
    update_settings(tmp_path, eos_token=None)
    with pytest.raises(ModelError, match="no file names the token that ends an answer"):
        TextTokenizer(tmp_path)


def test_the_end_token_pads_where_no_pad_token_is_named(tmp_path: Path) -> None:
    build_tokenizer(tmp_path)
    update_settings(tmp_path, pad_token=None)
    assert TextTokenizer(tmp_path).pad_id == 2


def test_the_context_length_is_the_models_own(tmp_path: Path) -> None:
    build_tokenizer(tmp_path)
    update_settings(tmp_path, model_max_length=10**30)
    with pytest.raises(ModelError, match="how many tokens"):
        _ = TextTokenizer(tmp_path).context_length
    update_settings(tmp_path, model_max_length=32)
    assert TextTokenizer(tmp_path).context_length == 32
    write(tmp_path, "config.json", {"text_config": {"max_position_embeddings": 64}})
    assert TextTokenizer(tmp_path).context_length == 64


def test_a_base_model_gets_a_plain_layout(tmp_path: Path) -> None:
    build_tokenizer(tmp_path, chat_template=None)
    tokenizer = TextTokenizer(tmp_path)
    messages = turns(("system", "Be short."), ("user", "a"), ("assistant", "b"), ("user", "c"))
    assert not tokenizer.has_chat_template
    assert tokenizer.apply_chat(messages) == (
        "Be short.\n\nQuestion:\na\n\nAnswer:\nb\n\nQuestion:\nc\n\nAnswer:\n"
    )
    assert tokenizer.end_id == 2
    start_with_bos(tmp_path)
    assert TextTokenizer(tmp_path).prompt_ids(messages)[0] == 0


def test_unreadable_folders_are_explained(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no such folder"):
        TextTokenizer(tmp_path / "none")
    with pytest.raises(ModelError, match=r"needs tokenizer\.json, but it is missing"):
        TextTokenizer(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(b"\x00")
    with pytest.raises(ModelError, match=r"it holds tokenizer\.model, which only transformers"):
        TextTokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ModelError, match=r"tokenizer\.json cannot be read"):
        TextTokenizer(tmp_path)
    build_tokenizer(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match=r"config\.json: not valid JSON"):
        TextTokenizer(tmp_path)


def test_torch_is_never_loaded(folder: Path) -> None:
    program = (
        "import sys, pathlib\n"
        "from backend.data.demonstration import Demonstration, Message\n"
        "from backend.config import TeacherConfig\n"
        "from backend.text.contexts import teacher_messages\n"
        "from backend.text.tokenizer import TextTokenizer\n"
        f"tokenizer = TextTokenizer(pathlib.Path({str(folder)!r}))\n"
        "row = Demonstration(id='1', row=1, messages=(Message(role='user', content='a'),),"
        " demonstration='b')\n"
        "assert tokenizer.prompt_ids(teacher_messages(TeacherConfig(), row))\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)

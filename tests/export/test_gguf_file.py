"""The GGUF file: what transformers' own loader reads back from it, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGUFReader
from tokenizers import Regex, Tokenizer, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from backend.atomic import file_sha256
from backend.errors import ModelError
from backend.export.gguf_file import write_gguf
from backend.export.gguf_tokenizer import read_vocabulary
from backend.models.language_model import LanguageModel
from backend.text.contexts import student_messages
from tests.export.test_merged_model import trained
from tests.export.tiny_checkpoint import TEXT
from tests.tiny_model import build_model, change_json, load_tiny
from tests.tiny_tokenizer import build_tokenizer
from tests.training.tiny_runs import demonstration, logits_of

TEXTS = (TEXT, "light.dim(3)", "é🙂 and  two spaces\n\n", "<|im_start|>user\nthe 2026<|im_end|>")


def change_tokenizer(folder: Path, **values: Any) -> None:
    path = folder / "tokenizer.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **values}), "utf-8")


def student(folder: Path, *, full: bool = False) -> LanguageModel:
    return trained(folder, "full" if full else "adapter").model


@pytest.mark.parametrize("full", [False, True], ids=["adapter", "full"])
@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
def test_transformers_reads_the_students_logits_back(
    tied: bool, full: bool, tmp_path: Path
) -> None:
    base = build_model(tmp_path / "base")
    if not tied:
        network = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        network.lm_head.weight = torch.nn.Parameter(network.lm_head.weight.detach() * 0.5)
        network.config.tie_word_embeddings = False
        network.save_pretrained(base)
    model = student(base, full=full)
    logits, original = logits_of(model, TEXT), logits_of(load_tiny(base), TEXT)
    written = write_gguf(model, "tiny", tmp_path / "out" / "tiny.gguf")
    back = AutoModelForCausalLM.from_pretrained(
        written.path.parent, gguf_file="tiny.gguf", dtype=torch.float32,
        quantization_config=GgufConfig(dequantize=True),
    )  # fmt: skip
    ids = torch.tensor([model.tokenizer.encode(TEXT)])
    with torch.no_grad():
        torch.testing.assert_close(back(input_ids=ids).logits[0], logits, atol=0.02, rtol=0.01)
    assert not torch.allclose(logits, original, atol=0.1)
    assert written.sha256 == file_sha256(written.path)
    assert written.bytes == written.path.stat().st_size


def test_the_tokenizer_and_chat_template_are_in_it(tiny_folder: Path, tmp_path: Path) -> None:
    model = student(tiny_folder)
    written = write_gguf(model, "tiny", tmp_path / "tiny.gguf")
    back = AutoTokenizer.from_pretrained(tmp_path, gguf_file="tiny.gguf")
    for text in TEXTS:
        assert back.encode(text, add_special_tokens=False) == model.tokenizer.encode(text)
    assert back.eos_token_id == model.tokenizer.end_id
    assert back.pad_token_id == model.tokenizer.pad_id
    messages = student_messages(demonstration(1))
    turns = [{"role": turn.role, "content": turn.content} for turn in messages]
    rendered = back.apply_chat_template(turns, add_generation_prompt=True)["input_ids"]
    assert rendered == model.tokenizer.prompt_ids(messages)
    fields = GGUFReader(written.path).fields
    assert fields["general.architecture"].contents() == "llama"
    assert fields["tokenizer.ggml.pre"].contents() == "gpt-2"
    assert fields["tokenizer.ggml.add_bos_token"].contents() is False


def test_no_place_of_the_user_is_in_it(tiny_folder: Path, tmp_path: Path) -> None:
    content = write_gguf(student(tiny_folder), "tiny", tmp_path / "tiny.gguf").path.read_bytes()
    assert str(tiny_folder).encode() not in content
    assert str(tmp_path).encode() not in content


@pytest.mark.parametrize("family", ["gpt2", "gemma2", "granite"])
def test_other_architectures_are_refused_with_the_way_that_works(
    family: str, tmp_path: Path
) -> None:
    model = student(build_model(tmp_path / "base", family=family))
    with pytest.raises(ModelError, match=f"of type {family}, and GGUF .* --format merged"):
        write_gguf(model, "tiny", tmp_path / "tiny.gguf")
    assert not (tmp_path / "tiny.gguf").exists()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}},
         r"scales its positions \(linear\)"),
        ({"hidden_act": "gelu"}, "activation is gelu"),
    ],
)  # fmt: skip
def test_what_a_plain_llama_has_not_is_refused(
    changes: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    base = build_model(tmp_path / "base")
    change_json(base / "config.json", **changes)
    with pytest.raises(ModelError, match=problem):
        write_gguf(student(base), "tiny", tmp_path / "tiny.gguf")


BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
DIGITS = {"type": "Digits", "individual_digits": True}


@pytest.mark.parametrize(
    ("pre_tokenizer", "name"),
    [
        (BYTES, "gpt-2"),
        ({"type": "Sequence", "pretokenizers": [DIGITS, BYTES]}, "smollm"),
        ({"type": "Sequence", "pretokenizers": [{**DIGITS, "individual_digits": False}, BYTES]},
         None),
        ({**BYTES, "add_prefix_space": True}, None),
        ({"type": "Whitespace"}, None),
        (None, None),
    ],
)  # fmt: skip
def test_how_text_is_split_has_a_name_or_is_refused(
    pre_tokenizer: dict[str, Any] | None, name: str | None, tiny_folder: Path, tmp_path: Path
) -> None:
    shutil.copy(tiny_folder / "tokenizer.json", tmp_path)
    change_tokenizer(tmp_path, pre_tokenizer=pre_tokenizer)
    if name is None:
        with pytest.raises(ModelError, match=r"splits text in a way .* --format merged"):
            read_vocabulary(tmp_path, 1000)
    else:
        assert read_vocabulary(tmp_path, 1000).splitting == name


# As Llama 3 has it: digits by threes, and a line's end with the punctuation before it.
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def split_like_llama3(
    folder: Path,
    *,
    pattern: str = LLAMA3,
    behavior: str = "isolated",
    ignore_merges: bool = True,
    use_regex: bool = False,
) -> Path:
    """The tiny tokenizer, splitting text by a pattern before it spells it in bytes."""
    tokenizer = Tokenizer.from_file(str(build_tokenizer(folder) / "tokenizer.json"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), behavior),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex),
    ])  # fmt: skip
    tokenizer.model.ignore_merges = ignore_merges
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def test_llama3s_splitting_has_its_name(tmp_path: Path) -> None:
    vocabulary = read_vocabulary(split_like_llama3(tmp_path), 1000)
    assert vocabulary.splitting == "llama-bpe"
    assert "Ġth e" in vocabulary.merges


@pytest.mark.parametrize(
    "changes",
    [
        {"pattern": LLAMA3.replace("{1,3}", "")},
        {"behavior": "removed"},
        {"use_regex": True},
        {"ignore_merges": False},
    ],
)
def test_what_is_nearly_llama3s_splitting_is_refused(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    split_like_llama3(tmp_path, **changes)
    with pytest.raises(ModelError, match="splits text in a way"):
        read_vocabulary(tmp_path, 1000)


def test_other_splittings_spell_every_word_by_merges(tiny_folder: Path, tmp_path: Path) -> None:
    tokenizer = Tokenizer.from_file(str(tiny_folder / "tokenizer.json"))
    tokenizer.model.ignore_merges = True
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ModelError, match="splits text in a way"):
        read_vocabulary(tmp_path, 1000)


def test_a_tokenizer_that_is_no_byte_level_bpe_is_refused(
    tiny_folder: Path, tmp_path: Path
) -> None:
    shutil.copy(tiny_folder / "tokenizer.json", tmp_path)
    change_tokenizer(tmp_path, normalizer={"type": "Lowercase"})
    with pytest.raises(ModelError, match="is no byte-level BPE"):
        read_vocabulary(tmp_path, 1000)


def test_ids_beyond_the_tokenizer_are_unused(tiny_folder: Path) -> None:
    vocabulary = read_vocabulary(tiny_folder, 1000)
    assert len(vocabulary.tokens) == len(vocabulary.types) == 1000
    assert vocabulary.tokens[999] == "[PAD999]"
    assert vocabulary.types[:3] == [3, 3, 3]
    assert (vocabulary.types[3], vocabulary.types[999]) == (1, 5)
    with pytest.raises(ModelError, match="more tokens"):
        read_vocabulary(tiny_folder, 10)

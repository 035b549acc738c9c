"""The exported adapter: whole, portable, equal to the byte, nothing in it but the student."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from backend.errors import ModelError, StateError, UserError
from backend.export.adapter import AdapterSource, write_adapter
from backend.text.contexts import student_messages
from tests.export.tiny_checkpoint import TEXT, TinyCheckpoint, make_checkpoint
from tests.tiny_model import build_model, change_json
from tests.tiny_tokenizer import build_tokenizer
from tests.training.tiny_runs import demonstration

FILES = [
    "README.md",
    "adapter_config.json",
    "adapter_model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
]


@pytest.fixture(scope="module")
def made(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> TinyCheckpoint:
    return make_checkpoint(tiny_folder, tmp_path_factory.mktemp("checkpoints"))


@pytest.fixture
def source(made: TinyCheckpoint) -> AdapterSource:
    return AdapterSource(made.saved.folder, made.saved.sha256, made.base, "tiny-llama")


def test_on_the_base_it_gives_the_students_logits_with_peft_alone(
    source: AdapterSource, made: TinyCheckpoint, tmp_path: Path
) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = write_adapter(source, "a card", tmp_path / "adapter").path
    base = AutoModelForCausalLM.from_pretrained(made.base, dtype="float32")
    model = PeftModel.from_pretrained(base, str(folder)).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer(TEXT, add_special_tokens=False, return_tensors="pt")
    with torch.no_grad():
        logits_LV = model(**inputs).logits[0]
    torch.testing.assert_close(logits_LV, made.logits_LV)
    assert not torch.allclose(logits_LV, made.base_logits_LV, atol=1e-2)


def test_the_tokenizer_in_it_renders_the_labs_prompts(
    source: AdapterSource, made: TinyCheckpoint, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    from backend.text.tokenizer import TextTokenizer

    folder = write_adapter(source, "a card", tmp_path / "adapter").path
    messages = student_messages(demonstration(1))
    theirs = AutoTokenizer.from_pretrained(folder).apply_chat_template(
        [turn.model_dump() for turn in messages], add_generation_prompt=True, return_dict=False
    )
    assert theirs == TextTokenizer(made.base).prompt_ids(messages)


def test_it_holds_the_student_and_what_it_needs_and_nothing_else(
    source: AdapterSource, made: TinyCheckpoint, tmp_path: Path
) -> None:
    folder = write_adapter(source, "a card", tmp_path / "adapter").path
    assert sorted(path.name for path in folder.iterdir()) == FILES
    ours = load_file(folder / "adapter_model.safetensors")
    theirs = load_file(made.saved.folder / "adapter_model.safetensors")
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert (folder / "README.md").read_text() == "a card"


def test_no_file_names_a_place_on_the_users_disk(
    source: AdapterSource, made: TinyCheckpoint, tmp_path: Path
) -> None:
    """PEFT notes the base's folder in adapter_config.json, and transformers the tokenizer's."""
    base = shutil.copytree(made.base, tmp_path / "private" / "base")
    change_json(base / "tokenizer_config.json", name_or_path=str(base), tokenizer_file=str(base))
    assert str(made.base) in (source.checkpoint / "adapter_config.json").read_text()
    private = AdapterSource(source.checkpoint, source.manifest_sha256, base, "tiny-llama")
    folder = write_adapter(private, "a card", tmp_path / "adapter").path
    for path in folder.iterdir():
        content = path.read_bytes()
        for place in (tmp_path, made.base, made.saved.folder, Path.home()):
            assert str(place).encode() not in content, path.name
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "tiny-llama"


def test_a_base_without_chat_template_gets_the_layout_that_was_trained_with(
    made: TinyCheckpoint, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    from backend.text.tokenizer import TextTokenizer

    plain = shutil.copytree(made.base, tmp_path / "plain")
    build_tokenizer(plain, chat_template=None)
    source = AdapterSource(made.saved.folder, made.saved.sha256, plain, "plain")
    folder = write_adapter(source, "a card", tmp_path / "adapter").path
    messages = student_messages(demonstration(1))
    rendered = AutoTokenizer.from_pretrained(folder).apply_chat_template(
        [turn.model_dump() for turn in messages], add_generation_prompt=True, tokenize=False
    )
    assert rendered == TextTokenizer(plain).apply_chat(messages)
    assert rendered.startswith("Question:\n")


def test_a_zip_file_is_the_same_to_the_byte_and_holds_the_folders_files(
    source: AdapterSource, tmp_path: Path
) -> None:
    first = write_adapter(source, "a card", tmp_path / "one.zip")
    again = write_adapter(source, "a card", tmp_path / "deeper" / "two.ZIP")
    folder = write_adapter(source, "a card", tmp_path / "folder")
    assert first.path.read_bytes() == again.path.read_bytes()
    assert (first.sha256, first.bytes) == (again.sha256, first.path.stat().st_size)
    with zipfile.ZipFile(first.path) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == FILES
        for name in FILES:
            assert archive.read(name) == (folder.path / name).read_bytes()
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_the_same_adapter_has_the_same_hash_as_a_folder(
    source: AdapterSource, tmp_path: Path
) -> None:
    one = write_adapter(source, "a card", tmp_path / "one")
    two = write_adapter(source, "a card", tmp_path / "two")
    other = write_adapter(source, "another card", tmp_path / "three")
    assert one.sha256 == two.sha256 != other.sha256
    assert one.bytes == sum(path.stat().st_size for path in one.path.iterdir())


def test_an_empty_folder_is_filled_and_one_with_content_left_alone(
    source: AdapterSource, tmp_path: Path
) -> None:
    empty, full = tmp_path / "empty", tmp_path / "full"
    empty.mkdir()
    full.mkdir()
    (full / "thesis.txt").write_text("mine")
    write_adapter(source, "a card", empty)
    assert sorted(path.name for path in empty.iterdir()) == FILES
    with pytest.raises(StateError, match=r"full: this folder is not empty; name another place"):
        write_adapter(source, "a card", full)
    assert [path.name for path in full.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("name", "is_folder", "words"),
    [
        ("taken.zip", False, "there is such a file already"),
        ("taken.zip", True, "this is a folder"),
        ("taken", False, "this is a file"),
    ],
)
def test_what_is_at_the_target_is_not_lost(
    source: AdapterSource, tmp_path: Path, name: str, is_folder: bool, words: str
) -> None:
    target = tmp_path / name
    target.mkdir() if is_folder else target.write_text("mine")
    with pytest.raises(StateError, match=words):
        write_adapter(source, "a card", target)
    assert target.is_dir() if is_folder else target.read_text() == "mine"


@pytest.mark.parametrize("name", ["adapter", "adapter.zip"])
@pytest.mark.parametrize("changed", ["adapter_model.safetensors", "manifest.json"])
def test_a_changed_checkpoint_is_refused_and_leaves_nothing(
    source: AdapterSource, tmp_path: Path, name: str, changed: str
) -> None:
    checkpoint = shutil.copytree(source.checkpoint, tmp_path / "step-00000006")
    content = bytearray((checkpoint / changed).read_bytes())
    content[-2] ^= 1
    (checkpoint / changed).write_bytes(content)
    target = tmp_path / "out" / name
    broken = AdapterSource(checkpoint, source.manifest_sha256, source.base_folder, "tiny")
    with pytest.raises(StateError, match=rf"step-00000006: {changed} has changed since"):
        write_adapter(broken, "a card", target)
    assert list(target.parent.iterdir()) == []


def test_a_checkpoint_that_is_gone_is_told_in_words(source: AdapterSource, tmp_path: Path) -> None:
    gone = AdapterSource(tmp_path / "gone", source.manifest_sha256, source.base_folder, "tiny")
    with pytest.raises(StateError, match="the checkpoint is not there any more"):
        write_adapter(gone, "a card", tmp_path / "adapter")


def test_a_base_without_tokenizer_is_refused(source: AdapterSource, tmp_path: Path) -> None:
    base = build_model(tmp_path / "base")
    (base / "tokenizer.json").unlink()
    bare = AdapterSource(source.checkpoint, source.manifest_sha256, base, "tiny")
    with pytest.raises(ModelError, match=r"needs tokenizer\.json"):
        write_adapter(bare, "a card", tmp_path / "adapter")
    assert not (tmp_path / "adapter").exists()


@pytest.mark.parametrize("name", ["adapter", "adapter.zip"])
def test_a_place_that_cannot_be_written_is_told_in_words(
    source: AdapterSource, tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UserError, match="the adapter cannot be written") as raised:
        write_adapter(source, "a card", tmp_path / "file" / name)
    assert raised.value.exit_code == 2
    assert raised.value.remedy


@pytest.mark.parametrize("name", ["adapter.tar", "adapter.tar.GZ", "adapter.safetensors"])
def test_a_kind_of_file_that_is_not_written_is_refused(
    source: AdapterSource, tmp_path: Path, name: str
) -> None:
    """A folder of that name would look like the file."""
    with pytest.raises(UserError, match="file is written") as raised:
        write_adapter(source, "a card", tmp_path / name)
    assert raised.value.remedy == "name a folder, or a file that ends in .zip"
    assert not (tmp_path / name).exists()

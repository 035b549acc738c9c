"""Assembles what a user takes home: a PEFT folder, or the same as a ZIP file.

A run that trained all weights has no adapter: its folder is the whole model.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from backend.atomic import PARTIAL, file_sha256, folder_sha256, new_file, new_folder, size_of
from backend.errors import StateError, UserError, is_disk_full
from backend.export.archive import check_kind, pack
from backend.text.model_files import read_text_files
from backend.text.tokenizer import TextTokenizer

CARD: Final = "README.md"
CONFIG: Final = "adapter_config.json"
WEIGHTS: Final = "adapter_model.safetensors"
MODEL_CONFIG: Final = "config.json"
MODEL_WEIGHTS: Final = "model.safetensors"
CHAT_TEMPLATE: Final = "chat_template.jinja"
TOKENIZER_CONFIG: Final = "tokenizer_config.json"
MANIFEST: Final = "manifest.json"
# Copied where the base model has them; a folder of the lab always has tokenizer.json.
_TOKENIZER_FILES: Final = (
    "tokenizer.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    CHAT_TEMPLATE,
)
# transformers writes down where a tokenizer was loaded from: a path of the user.
_PLACES: Final = frozenset({"name_or_path", "tokenizer_file", "special_tokens_map_file"})
_GENERATION: Final = "generation_config.json"
# Of a base's config: where it lay, and what its weights were stored in.
_NOT_OF_TRAINED: Final = frozenset({"_name_or_path", "torch_dtype", "quantization_config"})


@dataclass(frozen=True)
class AdapterSource:
    """What an adapter is made from.

    ``base_name`` goes into adapter_config.json in place of the folder that PEFT noted there: a
    hub id, or a name that is no place, as PeftModel.from_pretrained(base, folder) never reads it.
    """

    checkpoint: Path
    manifest_sha256: str
    base_folder: Path
    base_name: str


@dataclass(frozen=True)
class Exported:
    """Where the adapter was written; the hash is the file's, or that of the folder's listing."""

    path: Path
    sha256: str
    bytes: int


def write_adapter(
    source: AdapterSource, card: str, target: Path, *, replace: bool = False
) -> Exported:
    """Writes the adapter as the folder ``target``, or as one file if that ends in ``.zip``.

    A ZIP file of the same content is the same to the byte. Raises StateError for a checkpoint
    that has changed and for a target that holds something (unless it is to be replaced), and
    UserError where it cannot be written. After an error nothing is left.
    """
    target = target.expanduser().resolve()
    is_zip = target.suffix.lower() == ".zip"
    with _in_words(target):
        _check_target(target, is_zip, replace)
        if not is_zip:
            with new_folder(target, replace=replace or target.is_dir()) as scratch:
                _fill(source, card, scratch)
            return Exported(target, folder_sha256(target), size_of(target))
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            dir=target.parent, prefix=f".{target.name}.", suffix=PARTIAL
        ) as scratch_name:
            _fill(source, card, Path(scratch_name))
            with new_file(target) as partial:
                pack(Path(scratch_name), partial)
    return Exported(target, file_sha256(target), size_of(target))


def _check_target(target: Path, is_zip: bool, replace: bool) -> None:
    """Raises StateError where something is that must not be lost, and UserError for its kind."""
    check_kind(target)
    if not target.exists():
        return
    is_folder = target.is_dir()
    if is_folder is is_zip:
        found = "this is a folder" if is_folder else "this is a file"
    elif replace or (is_folder and not any(target.iterdir())):
        return
    else:
        found = "this folder is not empty" if is_folder else "there is such a file already"
    raise StateError(found, where=str(target), remedy="name another place, or remove it first")


def _fill(source: AdapterSource, card: str, folder: Path) -> None:
    """Weights and config, what text needs, and the card."""
    hashes = _read_manifest(source)
    is_model = MODEL_WEIGHTS in hashes
    for name in (MODEL_WEIGHTS,) if is_model else (WEIGHTS, CONFIG):
        shutil.copyfile(source.checkpoint / name, folder / name)
        if file_sha256(folder / name) != hashes.get(name):
            raise _changed(source, name)
    if is_model:
        _copy_model_config(source.base_folder, folder)
    else:
        config = json.loads((folder / CONFIG).read_text("utf-8"))
        _write_json(folder / CONFIG, {**config, "base_model_name_or_path": source.base_name})
    copy_text_files(source.base_folder, folder)
    (folder / CARD).write_text(card, "utf-8")


def _copy_model_config(base: Path, folder: Path) -> None:
    """The base's config, but for the type of the weights: those that were trained are fp32."""
    config = json.loads((base / MODEL_CONFIG).read_text("utf-8"))
    kept = {key: value for key, value in config.items() if key not in _NOT_OF_TRAINED}
    _write_json(folder / MODEL_CONFIG, {**kept, "dtype": "float32"})
    if (base / _GENERATION).is_file():
        shutil.copyfile(base / _GENERATION, folder / _GENERATION)


def _read_manifest(source: AdapterSource) -> dict[str, str]:
    """The checkpoint's own list of hashes, if it is the one that was registered."""
    path = source.checkpoint / MANIFEST
    try:
        if file_sha256(path) != source.manifest_sha256:
            raise _changed(source, MANIFEST)
        files: dict[str, str] = json.loads(path.read_text("utf-8"))["files"]
    except FileNotFoundError as error:
        raise StateError(
            "the checkpoint is not there any more",
            where=str(source.checkpoint),
            remedy="export another one with --checkpoint, or train again",
        ) from error
    return files


def _changed(source: AdapterSource, name: str) -> StateError:
    return StateError(
        f"{name} has changed since the checkpoint was written",
        where=str(source.checkpoint),
        remedy="export another one with --checkpoint, or train again",
    )


def copy_text_files(base: Path, folder: Path) -> None:
    """Tokenizer and chat template, and the layout that the lab used where a base has none."""
    has_template = read_text_files(base).chat_template is not None
    for name in _TOKENIZER_FILES:
        if (base / name).is_file():
            shutil.copyfile(base / name, folder / name)
    if (base / TOKENIZER_CONFIG).is_file():
        settings: dict[str, Any] = json.loads((base / TOKENIZER_CONFIG).read_text("utf-8"))
        kept = {key: value for key, value in settings.items() if key not in _PLACES}
        _write_json(folder / TOKENIZER_CONFIG, kept)
    if not has_template:
        (folder / CHAT_TEMPLATE).write_text(TextTokenizer(base).chat_template, "utf-8")


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", "utf-8")


@contextmanager
def _in_words(target: Path) -> Iterator[None]:
    """Turns the system's errors into ones that say what to do."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"the adapter cannot be written ({error})",
            where=str(target),
            remedy="free some space" if is_disk_full(error) else "name another place",
        ) from error

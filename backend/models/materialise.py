"""Makes a model source into a local folder of safetensors and tokenizer files, once."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import torch
import transformers
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

from backend.atomic import new_folder
from backend.errors import ModelError
from backend.models.sources import ModelSource, bundled_gguf, find_source

log = logging.getLogger(__name__)

HUB_FILES = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]


def local_folder(name: str, home: Path) -> Path:
    """The folder of ``name``; a bundled GGUF is converted (40 s, once), a hub model downloaded."""
    source = find_source(name, home)
    if source.kind == "bundled":
        return _bundled_folder(source)
    if source.kind == "hub":
        return _hub_folder(source)
    return Path(source.location)


def _bundled_folder(source: ModelSource) -> Path:
    folder = Path(source.location)
    if (folder / "config.json").is_file():
        return folder
    gguf = bundled_gguf(source.name.removeprefix("bundled:"))
    folder.parent.mkdir(parents=True, exist_ok=True)
    _need_disk(folder.parent, 700)
    log.info("converting %s to safetensors, once (about 40 s, 520 MiB)", gguf.name)
    # Two workers may convert at once: the later one replaces an equal folder.
    with new_folder(folder, replace=True) as scratch:
        _convert(gguf, scratch)
    return folder


def _convert(gguf: Path, target: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    tokenizer.save_pretrained(target)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        dtype=torch.float32,
        quantization_config=transformers.GgufConfig(dequantize=True),
    )
    model.save_pretrained(target)


def _hub_folder(source: ModelSource) -> Path:
    try:
        return Path(snapshot_download(source.location, allow_patterns=HUB_FILES))
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, OSError) as error:
        raise ModelError(
            f"cannot fetch {source.location} from the hub ({type(error).__name__})",
            where="model",
            remedy="check the id and the network, or give a local folder",
        ) from error


def _need_disk(folder: Path, mib: int) -> None:
    free = shutil.disk_usage(folder).free >> 20
    if free < mib:
        raise ModelError(
            f"{free} MiB free under {folder}, {mib} MiB needed",
            where="disk",
            remedy="free some space or set SDLAB_HOME to a larger disk",
        )

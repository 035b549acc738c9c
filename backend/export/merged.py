"""The student as a transformers model of its own: the base with the adapter merged in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from backend.atomic import folder_sha256, new_folder, size_of
from backend.export.adapter import CARD, MODEL_CONFIG, Exported, copy_text_files
from backend.models.language_model import LanguageModel

# transformers notes where a model was loaded from: a path of the user.
_PLACE: Final = "_name_or_path"


def write_merged(model: LanguageModel, card: str, target: Path) -> Exported:
    """Writes the student as the folder ``target``, in place of what is there.

    ``AutoModelForCausalLM.from_pretrained(target)`` gives its logits. The model cannot be trained
    afterwards. It is to be loaded in fp32: merged in half precision, a small adapter is lost.
    """
    network = model.trained.plain()
    target.parent.mkdir(parents=True, exist_ok=True)
    with new_folder(target, replace=True) as scratch:
        network.save_pretrained(scratch)
        copy_text_files(model.tokenizer.folder, scratch)
        config = json.loads((scratch / MODEL_CONFIG).read_text("utf-8"))
        config.pop(_PLACE, None)
        (scratch / MODEL_CONFIG).write_text(json.dumps(config, indent=2) + "\n", "utf-8")
        (scratch / CARD).write_text(card, "utf-8")
    return Exported(target, folder_sha256(target), size_of(target))

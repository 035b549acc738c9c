"""Which folder of this disk holds a base model already; fetches nothing, never loads torch."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import try_to_load_from_cache

from backend.models.sources import find_source


def folder_on_disk(name: str, home: Path) -> Path | None:
    """The model's folder; None for one that is still to be converted or downloaded.

    Raises ModelError for a name that means no model.
    """
    source = find_source(name, home)
    if source.kind == "hub":
        cached = try_to_load_from_cache(source.location, "config.json")
        return Path(cached).parent if isinstance(cached, str) else None
    folder = Path(source.location)
    return folder if (folder / "config.json").is_file() else None

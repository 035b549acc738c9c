"""Files that commands read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backend.documents import parse_yaml
from backend.errors import ConfigError


def read_config(path: Path) -> dict[str, Any]:
    """The settings in a YAML file. Raises ConfigError."""
    try:
        return parse_yaml(path.read_text("utf-8"), str(path))
    except FileNotFoundError as error:
        raise ConfigError(
            "there is no such file", where=str(path), remedy="check the path"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"cannot read the file ({error})", where=str(path), remedy="give a YAML file"
        ) from error

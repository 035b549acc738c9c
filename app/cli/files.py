"""Files that commands read, and places that they write to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backend.documents import parse_yaml
from backend.errors import ConfigError, UserError, is_disk_full


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


@contextmanager
def written_to(target: Path | None) -> Iterator[None]:
    """Raises UserError where the system does not let the user's ``target`` be made."""
    try:
        yield
    except OSError as error:
        if target is None or is_disk_full(error) or not _is_on_the_way(error, target):
            raise
        raise UserError(
            f"the file cannot be written ({error.strerror})",
            where=str(target),
            remedy="name a place that you may write to",
        ) from error


def _is_on_the_way(error: OSError, target: Path) -> bool:
    """Whether it is about a folder of ``target``, or a file beside it: its temporary one."""
    if not error.filename:
        return False
    folder, place = target.absolute().parent, Path(error.filename).absolute()
    return place in (folder, *folder.parents) or place.parent == folder

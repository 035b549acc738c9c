"""A folder as a ZIP file, which several exports can be taken home as."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Final

from backend.errors import UserError

# The first time that a ZIP file can hold.
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
# A folder with such a name would be taken for a file.
_NOT_WRITTEN: Final = frozenset(
    {".7z", ".bz2", ".gz", ".rar", ".safetensors", ".tar", ".tgz", ".xz", ".zst"}
)


def check_kind(target: Path) -> None:
    """Raises UserError for a name that asks for a kind of file which no export writes."""
    kind = target.suffix.lower()
    if kind in _NOT_WRITTEN:
        raise UserError(
            f"no {kind} file is written",
            where=str(target),
            remedy="name a folder, or a file that ends in .zip",
        )


def pack(folder: Path, target: Path) -> None:
    """Writes the files of ``folder`` as a ZIP file: the same content is the same to the byte."""
    # Stored, not deflated: weights hardly shrink, and zlib's output depends on its version.
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.iterdir()):
            entry = zipfile.ZipInfo(path.name, _EPOCH)
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            entry.file_size = path.stat().st_size
            with path.open("rb") as file, archive.open(entry, "w") as packed:
                shutil.copyfileobj(file, packed, 1 << 20)

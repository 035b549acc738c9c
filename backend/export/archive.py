"""A folder as a ZIP file, which several exports can be taken home as."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Final

# The first time that a ZIP file can hold.
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


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

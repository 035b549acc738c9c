"""Unpacks a zip into a folder of its own, unless it holds what no archive of data does."""

from __future__ import annotations

import lzma
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Final

from backend.data.report import FileError

MARK: Final = b"PK\x03\x04"
_MOST_FILES: Final = 10_000
# Text is packed to a fifth, seldom to a fiftieth: more is made to fill a disk.
_MOST_RATIO: Final = 200
_SMALL: Final = 16 << 20
_DRIVE: Final = re.compile(r"[A-Za-z]:")
_SHEET: Final = "xl/workbook.xml"
# What zipfile and its unpackers raise over a file that is torn or packed in an unknown way.
_FAULTS: Final = (
    *(OSError, ValueError, EOFError, RuntimeError, NotImplementedError),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)
_REPACK: Final = "pack the data files alone, with plain names"


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """A temporary folder with the files of a zip, gone afterwards. Raises FileError."""
    with _opened(path) as archive, TemporaryDirectory(prefix="sdlab-zip-") as name:
        folder = Path(name)
        for member in _checked(archive):
            target = folder / PurePosixPath(member.filename.replace("\\", "/"))
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                # zipfile hands out no more than the size that the archive tells of a file.
                with archive.open(member) as packed, target.open("wb") as plain:
                    shutil.copyfileobj(packed, plain, 1 << 20)
            except _FAULTS as error:
                raise _torn(f"{member.filename[:80]}: {error}") from error
        yield folder


def unpacked_bytes(path: Path) -> int:
    """How many bytes a zip's files have, by its own word, which unpacking holds it to."""
    with _opened(path) as archive:
        return sum(member.file_size for member in _checked(archive))


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except _FAULTS as error:
        raise _torn(str(error)) from error
    with archive:
        yield archive


def _checked(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The files to unpack. Raises FileError for what no honest archive of data has."""
    # Not is_dir(), which fails on a name that is empty.
    members = [member for member in archive.infolist() if not member.filename.endswith("/")]
    names = {member.filename for member in members}
    if _SHEET in names:
        raise FileError("binary", "it is a spreadsheet", "save the sheet as CSV UTF-8")
    if not members:
        raise FileError("no_rows", "the zip archive is empty", "pack the data files into it")
    if len(members) > _MOST_FILES or len(names) < len(members):
        found = f"{len(members):,} files" if len(members) > _MOST_FILES else "a name twice"
        raise FileError("zip", f"the zip archive holds {found}", _REPACK)
    for member in members:
        _check_member(member)
    return members


def _check_member(member: zipfile.ZipInfo) -> None:
    name = member.filename.replace("\\", "/")
    shown = f'"{member.filename[:80]}"'
    if not name:
        raise FileError("zip", "the zip archive holds a file without a name", _REPACK)
    if name.startswith("/") or _DRIVE.match(name) or ".." in name.split("/") or "\0" in name:
        raise FileError("zip", f"the zip archive names {shown}, a place outside of it", _REPACK)
    if stat.S_ISLNK(member.external_attr >> 16):
        raise FileError("zip", f"{shown} in the zip archive is a link", _REPACK)
    if member.flag_bits & 1:
        raise FileError(
            "zip", f"{shown} in the zip archive is encrypted", "pack it without password"
        )
    if name.lower().endswith((".zip", ".gz", ".7z", ".rar", ".tar", ".tgz", ".bz2", ".xz", ".zst")):
        raise FileError("zip", f"{shown} in the zip archive is an archive again", _REPACK)
    if member.file_size > max(_SMALL, _MOST_RATIO * member.compress_size):
        ratio = member.file_size // max(member.compress_size, 1)
        raise FileError(
            "zip",
            f"{shown} in the zip archive would grow {ratio:,} times when unpacked",
            "unpack it yourself and add the data file, if you trust it",
        )


def _torn(reason: str) -> FileError:
    return FileError(
        "torn", f"the zip archive cannot be unpacked ({reason})", "pack or fetch it again"
    )

"""The one way files come into being: a temporary name, fsync, rename; and their checksums."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PARTIAL: Final = ".partial"
_CHUNK: Final = 1 << 20


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A temporary path to write to; at the end it is synced and takes the place of ``path``.

    After an error nothing is left, and what ``path`` held before is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(path)
    try:
        yield partial
        _sync(partial)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    _sync(path.parent)


@contextmanager
def new_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """An empty temporary folder to fill; at the end it is synced and renamed to ``path``.

    Raises FileExistsError if ``path`` exists, unless it is to be replaced. After an error nothing
    is left, and what ``path`` held before is untouched.
    """
    if path.exists() and not replace:
        raise FileExistsError(f"{path} exists")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(path)
    partial.mkdir()
    try:
        yield partial
        for place, _, names in os.walk(partial, topdown=False):
            for name in names:
                _sync(Path(place, name))
            _sync(Path(place))
        _put_in_place(partial, path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    _sync(path.parent)


def write_bytes(path: Path, content: bytes) -> None:
    """``content`` as the file ``path``, whole or not at all."""
    with new_file(path) as partial:
        partial.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """``content`` in UTF-8 as the file ``path``, whole or not at all."""
    write_bytes(path, content.encode())


def remove_partials(folder: Path) -> None:
    """Deletes what writers that were killed left directly in ``folder`` or one level below."""
    for pattern in (f".*{PARTIAL}", f"*/.*{PARTIAL}"):
        for left in folder.glob(pattern):
            if left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's content, as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def folder_manifest(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file below ``folder`` by its relative path, in order."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): file_sha256(path) for path in files}


def folder_sha256(folder: Path) -> str:
    """One SHA-256 for names and contents of a folder: that of its ``sha256sum`` listing."""
    lines = (f"{digest}  {name}\n" for name, digest in folder_manifest(folder).items())
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def size_of(path: Path) -> int:
    """The bytes of a file, or of all files below a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(inner.stat().st_size for inner in path.rglob("*") if inner.is_file())


def _partial(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}{PARTIAL}")


def _put_in_place(partial: Path, path: Path) -> None:
    if not path.exists():
        partial.rename(path)
        return
    # A folder cannot be renamed over one with content: the old one steps aside first.
    aside = _partial(path)
    path.rename(aside)
    try:
        partial.rename(path)
    except OSError:
        aside.rename(path)
        raise
    shutil.rmtree(aside)


def _sync(path: Path) -> None:
    # Windows cannot open a folder for syncing, and wants a writable handle for a file.
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

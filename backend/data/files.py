"""Whether a file can be read at all: there, of a bearable size, and text in UTF-8."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from pathlib import Path
from typing import Final

from backend.atomic import size_of
from backend.data.encodings import likely_encoding
from backend.data.formats import zip_archive
from backend.data.report import FileError

_CHUNK: Final = 1 << 20
_PARQUET: Final = b"PAR1"
_OTHER_KINDS: Final = (
    (b"\x1f\x8b", "a gzip archive", "unpack it with gunzip and add what is inside"),
    (b"BZh", "a bzip2 archive", "unpack it and add what is inside"),
    (b"\xfd7zXZ", "an xz archive", "unpack it and add what is inside"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", "unpack it and add what is inside"),
    (b"%PDF", "a PDF document", "put its rows into a JSONL or CSV file"),
    (b"SQLite format 3", "a SQLite database", "export its table as CSV"),
    (b"\x89PNG", "a picture", "add a JSONL, JSON, CSV or Parquet file"),
    (b"GGUF", "a model", "add a JSONL, JSON, CSV or Parquet file"),
)
_WIDE_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_SAVE_AS_UTF8: Final = "save it as UTF-8 (in a spreadsheet: CSV UTF-8)"


def check_file(path: Path, max_mib: int) -> None:
    """Raises FileError unless ``path`` holds 1 byte to ``max_mib``, unpacked, and may be read."""
    if not path.exists():
        raise FileError("no_file", "there is no such file", "check the path")
    if path.is_dir():
        size = size_of(path)
    elif path.is_file():
        size = path.stat().st_size
        if size == 0:
            raise FileError("no_rows", "the file is empty", "add one demonstration a row")
    else:
        raise FileError("no_file", "it is a device or pipe", "save its content as a file first")
    _check_size(size, max_mib, "it has")
    if path.is_file() and read_head(path, len(zip_archive.MARK)) == zip_archive.MARK:
        _check_size(zip_archive.unpacked_bytes(path), max_mib, "unpacked it would have")


def _check_size(size: int, max_mib: int, has: str) -> None:
    if size > max_mib << 20:
        raise FileError(
            "too_large",
            f"{has} {size / (1 << 20):,.1f} MiB, the limit is {max_mib:,} MiB",
            "split the file, or raise SDLAB_MAX_UPLOAD_MIB",
        )


def read_head(path: Path, size: int = 1 << 16) -> bytes:
    """The first bytes of a file. Raises FileError where it may not be read."""
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise FileError(
            "unreadable", f"it cannot be read ({reason})", "give access to it"
        ) from error


def is_parquet(head: bytes) -> bool:
    return head.startswith(_PARQUET)


def check_kind(head: bytes) -> None:
    """Raises FileError for archives, pictures and other files that hold no rows of text."""
    for start, name, remedy in _OTHER_KINDS:
        if head.startswith(start):
            raise FileError("binary", f"it is {name}", remedy)
    if head.lstrip()[:9].lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise FileError("format", "it is a web page or XML", "download the data file itself")


def encoding_of(head: bytes) -> str:
    """How a text that is read begins; what is not UTF-8 is refused, see :func:`check_text`."""
    return "UTF-8 with a byte order mark" if head.startswith(codecs.BOM_UTF8) else "UTF-8"


def check_text(path: Path, *, rows_are_lines: bool = False) -> None:
    """Raises FileError at the first byte that is not UTF-8 text, with its offset and line.

    A pass of its own: readers can then decode as they stream and never meet half a character.
    """
    with path.open("rb") as file:
        start = file.read(4)
        for mark, name in _WIDE_MARKS:
            if start.startswith(mark):
                raise FileError("encoding", f"it is {name} text, not UTF-8", _SAVE_AS_UTF8)
        file.seek(0)
        _check_stream(file.read, rows_are_lines)


def _check_stream(read: Callable[[int], bytes], rows_are_lines: bool) -> None:
    offset, line, rest = 0, 1, b""
    while True:
        chunk = read(_CHUNK)
        data = rest + chunk
        fault = data.find(b"\0")
        if fault < 0:
            try:
                _, used = codecs.utf_8_decode(data, "strict", not chunk)
            except UnicodeDecodeError as error:
                fault = error.start
        if fault >= 0:
            where = line + data.count(b"\n", 0, fault)
            raise _not_text(data, fault, offset + fault, where, rows_are_lines)
        if not chunk:
            return
        line += data.count(b"\n", 0, used)
        offset += used
        rest = data[used:]


def _not_text(data: bytes, at: int, offset: int, line: int, rows_are_lines: bool) -> FileError:
    place = f"at offset {offset:,} (line {line:,})"
    row = line if rows_are_lines else None
    near = data[max(at - 2048, 0) : at + 2048]
    if data[at] == 0 and near.count(0) * 3 > len(near):
        text, kind = f"a NUL byte {place}: this looks like UTF-16 text", "encoding"
    elif data[at] == 0 or sum(byte < 9 or 13 < byte < 27 for byte in near) * 50 > len(near):
        text, kind = f"byte 0x{data[at]:02x} {place} is no text: the file is binary", "binary"
    elif at >= len(data) - 3 and data[at] >= 0xC2:
        text, kind = f"the last character, {place}, is cut in two", "torn"
    else:
        guess = likely_encoding(data[at : at + 4096])
        text = f"byte 0x{data[at]:02x} {place} is not UTF-8; it looks like {guess}"
        kind = "encoding"
    remedy = {
        "binary": "add a JSONL, JSON, CSV or Parquet file, or remove the byte",
        "encoding": _SAVE_AS_UTF8,
        "torn": "fetch or write the file again: its end is missing",
    }[kind]
    return FileError(kind, text, remedy, row=row)

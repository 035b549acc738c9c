"""The formats that demonstrations come in, told apart by content and name; readers stream rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from backend.data.files import check_kind, is_parquet, read_head
from backend.data.formats import arrow, zip_archive
from backend.data.formats.arrow import read_arrow
from backend.data.formats.csv_table import read_csv
from backend.data.formats.json_list import read_json
from backend.data.formats.jsonl import read_jsonl
from backend.data.formats.parquet import read_parquet
from backend.data.formats.parts import (
    data_files,
    is_saved_dataset,
    read_parts,
    read_saved_dataset,
)
from backend.data.formats.passages import read_passages
from backend.data.formats.position import Position
from backend.data.formats.row import Row
from backend.data.formats.strict_json import JsonError, parse
from backend.data.report import FileError, Problem

Reader = Callable[[Path, Position | None], Iterator[Row | Problem]]

SUFFIXES: Final[Mapping[str, str]] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".txt": "text",
    ".md": "text",
}


def read(path: Path, position: Position | None = None) -> Iterator[Row | Problem]:
    """Rows and row problems of a file in order. Raises FileError where it cannot be read on."""
    return READERS[detect(path)](path, position)


def _read_folder(path: Path, position: Position | None = None) -> Iterator[Row | Problem]:
    """The data files of a folder one after the other."""
    yield from read_parts(data_files(path, tuple(SUFFIXES)), read, position)


def _read_zip(path: Path, position: Position | None = None) -> Iterator[Row | Problem]:
    """What a zip holds: one data file, several, or the folder of a saved dataset."""
    with zip_archive.unpacked(path) as folder:
        inner = next((each for each in _folders(folder) if is_saved_dataset(each)), None)
        if inner is not None:
            yield from read_saved_dataset(inner, position)
            return
        files = data_files(folder, tuple(SUFFIXES))
        yield from read_parts(files, read, position)


def _folders(folder: Path) -> Iterator[Path]:
    yield folder
    yield from sorted(path for path in folder.rglob("*") if path.is_dir())


READERS: Final[Mapping[str, Reader]] = {
    "jsonl": read_jsonl,
    "json": read_json,
    "csv": read_csv,
    "parquet": read_parquet,
    "arrow": read_arrow,
    "text": read_passages,
    "dataset": read_saved_dataset,
    "folder": _read_folder,
    "zip": _read_zip,
}


def detect(path: Path) -> str:
    """The name of the reader for a file: what it holds decides, its ending where that is unclear.

    Raises FileError for archives, web pages and anything else that holds no rows.
    """
    if path.is_dir():
        return "dataset" if is_saved_dataset(path) else "folder"
    head = read_head(path)
    named = SUFFIXES.get(path.suffix.lower())
    if is_parquet(head):
        return "parquet"
    if head.startswith(arrow.FILE_MARK) or (
        head.startswith(arrow.STREAM_MARK) and named == "arrow"
    ):
        return "arrow"
    if head.startswith(zip_archive.MARK):
        return "zip"
    check_kind(head)
    if named in ("parquet", "arrow"):
        kind = f"{named.capitalize()} file"
        raise FileError("torn", f"it is no {kind}, whatever its name says", "save it again")
    return _detect_text(path, head, named)


def _detect_text(path: Path, head: bytes, named: str | None) -> str:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if named == "csv":
        return named
    if start[:1] == b"[" and named != "text" and not (named == "jsonl" and _is_lines(start)):
        return "json"
    if start[:1] == b"{":
        return "jsonl" if named == "jsonl" or _is_lines(start) else "json"
    if named is not None:
        return named
    raise FileError(
        "format",
        f'its name ends in "{path.suffix}", and its content does not tell its format',
        "name it .jsonl, .json, .csv, .parquet, .arrow or .txt",
    )


def _is_lines(start: bytes) -> bool:
    """Whether a whole value stands on the first line and more follows."""
    first, _, rest = start.partition(b"\n")
    try:
        parse(first.decode(errors="replace"))
    except JsonError as error:
        return error.kind != "not_json" and bool(rest.strip())
    return bool(rest.strip())

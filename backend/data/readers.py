"""The formats that demonstrations come in, told apart by content and name; readers stream rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from backend.data.files import check_kind, is_parquet, read_head
from backend.data.formats.csv_table import read_csv
from backend.data.formats.json_list import read_json
from backend.data.formats.jsonl import read_jsonl
from backend.data.formats.parquet import read_parquet
from backend.data.formats.row import Row
from backend.data.formats.strict_json import JsonError, parse
from backend.data.report import FileError, Problem

Reader = Callable[[Path], Iterator[Row | Problem]]

READERS: Final[Mapping[str, Reader]] = {
    "jsonl": read_jsonl,
    "json": read_json,
    "csv": read_csv,
    "parquet": read_parquet,
}
_SUFFIXES: Final = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}


def read(path: Path) -> Iterator[Row | Problem]:
    """Rows and row problems of a file in order. Raises FileError where it cannot be read on."""
    return READERS[detect(path)](path)


def detect(path: Path) -> str:
    """The name of the reader for a file: what it holds decides, its ending where that is unclear.

    Raises FileError for archives, web pages and anything else that holds no rows.
    """
    head = read_head(path)
    named = _SUFFIXES.get(path.suffix.lower())
    if is_parquet(head):
        return "parquet"
    check_kind(head)
    if named == "parquet":
        raise FileError("torn", "it is no Parquet file, whatever its name says", "save it again")
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if named == "csv":
        return named
    if start[:1] == b"[" and not (named == "jsonl" and _is_lines(start)):
        return "json"
    if start[:1] == b"{":
        return "jsonl" if named == "jsonl" or _is_lines(start) else "json"
    if named is not None:
        return named
    raise FileError(
        "format",
        f'its name ends in "{path.suffix}", and its content does not tell its format',
        "name it .jsonl, .json, .csv or .parquet",
    )


def _is_lines(start: bytes) -> bool:
    """Whether a whole value stands on the first line and more follows."""
    first, _, rest = start.partition(b"\n")
    try:
        parse(first.decode(errors="replace"))
    except JsonError as error:
        return error.kind != "not_json" and bool(rest.strip())
    return bool(rest.strip())

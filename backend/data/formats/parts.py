"""Reads several files as one: the parts of a dataset, each with the split it belongs to."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from backend.data.formats.arrow import read_arrow
from backend.data.formats.position import Position
from backend.data.formats.row import Row
from backend.data.report import FileError, Problem

SPLIT_COLUMN: Final = "split"
_MOST_PARTS: Final = 10_000
# Words that tell a split within a file's path: data/train-00000-of-00002.parquet.
_SPLITS: Final = re.compile(r"(?<![a-z])(train|training|test|valid|validation|dev|eval)(?![a-z])")
_WRITTEN: Final = "write it again with save_to_disk"

ReadOne = Callable[[Path, Position | None], Iterator[Row | Problem]]


class Part(NamedTuple):
    """A file within a folder, its path there, and its split, if it tells one."""

    path: Path
    name: str
    split: str


def read_saved_dataset(folder: Path, position: Position | None = None) -> Iterator[Row | Problem]:
    """Rows of a folder written by ``save_to_disk``, all splits in order. Raises FileError."""
    yield from read_parts(saved_parts(folder), read_arrow, position)


def is_saved_dataset(folder: Path) -> bool:
    """Whether ``load_from_disk`` of Hugging Face's datasets would read the folder."""
    return any((folder / name).is_file() for name in ("dataset_dict.json", "state.json"))


def saved_parts(folder: Path) -> list[Part]:
    """The Arrow files that a saved dataset names. Raises FileError for those that are not there."""
    if not (folder / "dataset_dict.json").is_file():
        return _split_parts(folder, folder, "")
    splits = _document(folder / "dataset_dict.json", "dataset_dict.json").get("splits")
    if not isinstance(splits, list) or not all(isinstance(name, str) for name in splits):
        raise FileError("dataset", 'dataset_dict.json has no list of "splits"', _WRITTEN)
    return [part for name in splits for part in _split_parts(folder, _inside(folder, name), name)]


def _split_parts(root: Path, folder: Path, split: str) -> list[Part]:
    place = (folder / "state.json").relative_to(root).as_posix()
    state = _document(folder / "state.json", place)
    if state.get("_indices_data_files"):
        raise FileError(
            "dataset",
            f"{place} says that only some rows of its files belong to it",
            "flatten it with flatten_indices() and save it again",
        )
    files = state.get("_data_files")
    if not isinstance(files, list):
        raise FileError("dataset", f'{place} has no list of "_data_files"', _WRITTEN)
    parts = []
    for entry in files:
        name = entry.get("filename") if isinstance(entry, dict) else None
        if not isinstance(name, str):
            raise FileError("dataset", f"{place} names a data file by no text", _WRITTEN)
        path = _inside(folder, name)
        if not path.is_file():
            raise FileError("dataset", f'{place} names "{name[:80]}", which is not there', _WRITTEN)
        parts.append(Part(path, path.relative_to(root).as_posix(), split))
    return parts


def data_files(folder: Path, suffixes: Sequence[str]) -> list[Part]:
    """The files of a folder that end in one of ``suffixes``, by name; hidden ones are passed over.

    Raises FileError where there are none.
    """
    found = []
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        is_hidden = any(part.startswith((".", "__MACOSX")) for part in inner.parts)
        if path.suffix.lower() in suffixes and not is_hidden and path.is_file():
            found.append(Part(path, inner.as_posix(), _split_of(inner.as_posix())))
    if not found:
        raise FileError(
            "folder",
            "it is a folder without data files",
            "give a JSONL, JSON, CSV, Parquet or Arrow file, or a folder that holds some",
        )
    if len(found) > _MOST_PARTS:
        raise FileError("folder", f"it holds {len(found):,} data files", "join them into fewer")
    return found


def read_parts(
    parts: Sequence[Part], read: ReadOne, position: Position | None
) -> Iterator[Row | Problem]:
    """The rows of all parts, numbered on; a column says each row's split where there are several.

    What is wrong is told with the part's name and the row's number there. Raises FileError.
    """
    has_splits = len({part.split for part in parts}) > 1
    before = 0
    for part in parts:
        last = before
        try:
            for row in read(part.path, position):
                last = before + (row.number if isinstance(row, Row) else row.row or 0)
                if isinstance(row, Problem):
                    yield _placed(row, part, last)
                elif has_splits and part.split and SPLIT_COLUMN not in row.fields:
                    yield Row(last, {**row.fields, SPLIT_COLUMN: part.split})
                else:
                    yield Row(last, row.fields)
        except FileError as error:
            inner = error.problem
            place = part.name if inner.row is None else f"{part.name}, row {inner.row}"
            number = None if inner.row is None else before + inner.row
            raise FileError(
                inner.kind, f"in {place}: {inner.problem}", inner.remedy, row=number
            ) from error
        before = last


def _placed(problem: Problem, part: Part, number: int) -> Problem:
    text = f"in {part.name}, row {problem.row}: {problem.problem}"
    return problem.model_copy(update={"row": number, "problem": text})


def _split_of(name: str) -> str:
    found = _SPLITS.findall(name.lower())
    return found[-1] if found else ""


def _inside(folder: Path, name: str) -> Path:
    """The path ``name`` below the folder. Raises FileError where it leads out of it."""
    path = folder / name
    if not name or not path.resolve().is_relative_to(folder.resolve()):
        raise FileError("dataset", f'it names "{name[:80]}", a place outside of it', _WRITTEN)
    return path


def _document(path: Path, place: str) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FileError("dataset", f"{place} cannot be read ({error})", _WRITTEN) from error
    if not isinstance(document, dict):
        raise FileError("dataset", f"{place} is no JSON object", _WRITTEN)
    return document

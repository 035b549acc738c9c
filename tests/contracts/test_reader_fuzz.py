"""Every reader against bytes that nobody wrote: rows, or words with a remedy, never a traceback.

Hypothesis draws them anew at each run; ``_EXAMPLES`` bounds how long that takes.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.data.looking import look
from backend.data.preview import preview
from backend.data.readers import READERS
from backend.data.report import ReportedDataError
from tests.contracts.test_readers import SUFFIXES, WRITERS, assert_only_words
from tests.data.loading import load
from tests.data.test_any_rows import check_words

_EXAMPLES = 40
ROWS = [
    {"question": "Turn on the light", "answer": "light.on()"},
    {"question": 'quotes " and , and ;', "answer": "two\nlines"},
    {"question": "Grüße 🙂\u2028", "answer": "  {x} $y \\n "},
    {"question": "Shut the door", "answer": "door.shut()"},
]
# What readers tell formats, values, lines and lengths apart by.
TOKENS = [
    *(b"{", b"}", b"[", b"]", b'"', b",", b";", b":", b"\\", b"\\u", b"\t", b"\n", b"\r", b"\0"),
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"\xff", b"\xed\xa0\xbd", b"PK\x03\x04", b"PAR1", b"ARROW1"),
    *(b"NaN", b"1e999", b"-", b"null", b"=1+1", b"# ", b"\x1f\x8b", b"<html", b"../", b"[" * 2000),
    *(b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\x80\x00\x00\x00"),
]
BYTES = st.binary(max_size=120) | st.lists(st.sampled_from(TOKENS), max_size=12).map(b"".join)
# What is done to a file at a place: as much taken out, and something put in there.
EDITS = st.lists(
    st.tuples(st.integers(0, 1 << 16), st.integers(0, 12), BYTES | st.binary(max_size=2)),
    min_size=1,
    max_size=4,
)
WHICH = st.integers(0, 3)
bounded = settings(max_examples=_EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


def writer(name: str) -> Callable[[Path], None]:
    return lambda path: WRITERS[name](path, ROWS)


def write_tsv(path: Path) -> None:
    lines = [f"{row['question']}\t{row['answer']}".replace("\n", " ") for row in ROWS]
    path.write_text("question\tanswer\n" + "\n".join(lines) + "\n", "utf-8")


def zip_of(name: str) -> Callable[[Path], None]:
    """Writes a zip whose one file is of this format, in place of its packed bytes."""

    def write(path: Path) -> None:
        path.mkdir()
        WRITERS[name](path / f"rows.{SUFFIXES.get(name, name)}", ROWS)

    return write


# By what it is: its file's name, and what writes a whole one.
KINDS: dict[str, tuple[str, Callable[[Path], None]]] = {
    name: (f"x.{SUFFIXES.get(name, name)}", writer(name)) for name in READERS
}
KINDS["tsv"] = ("x.tsv", write_tsv)
ZIPPED = {
    f"zip of {name}": (f"{name}.folder", zip_of(name))
    for name in READERS
    if name not in ("zip", "folder")
}
every_kind = pytest.mark.parametrize("kind", [*KINDS, *ZIPPED])


@every_kind
@bounded
@given(edits=EDITS, of=WHICH)
def test_a_whole_file_that_was_changed_anywhere_ends_in_words(
    kind: str, edits: list[tuple[int, int, bytes]], of: int, tmp_path: Path
) -> None:
    def change(content: bytes) -> bytes:
        for at, taken, put in edits:
            place = at % (len(content) + 1)
            content = content[:place] + put + content[place + taken :]
        return content

    check(kind, tmp_path, of, change)


@every_kind
@bounded
@given(content=BYTES, of=WHICH)
def test_any_bytes_in_place_of_a_file_end_in_words(
    kind: str, content: bytes, of: int, tmp_path: Path
) -> None:
    check(kind, tmp_path, of, lambda _: content)


def check(kind: str, folder: Path, of: int, change: Callable[[bytes], bytes]) -> None:
    """Reads, looks at and loads a file of this kind, or a folder of whose files one is changed."""
    path = written(kind, folder)
    files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    file = files[of % len(files)]
    file.write_bytes(change(file.read_bytes()))
    if kind in ZIPPED:
        path = packed(path)
    assert_only_words(path)
    for act in (lambda: preview(look(path, 1), {}, ()), lambda: load(path, keep_good=True)):
        try:
            act()
        except ReportedDataError as error:
            check_words(error, error.report.problems)


def written(kind: str, folder: Path) -> Path:
    """A fresh copy of a whole file or folder of this kind."""
    name, write = (KINDS | ZIPPED)[kind]
    whole, path = folder / "whole" / name, folder / "changed" / name
    if not whole.exists():
        whole.parent.mkdir()
        write(whole)
    shutil.rmtree(path.parent, ignore_errors=True)
    path.parent.mkdir()
    copy = shutil.copytree if whole.is_dir() else shutil.copyfile
    copy(whole, path)
    return path


def packed(folder: Path) -> Path:
    """A sound zip of what the folder holds: its checksums are those of the changed files."""
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for each in sorted(folder.rglob("*")):
            if each.is_file():
                archive.write(each, each.relative_to(folder).as_posix())
    return path


def test_every_reader_is_fuzzed() -> None:
    assert set(READERS) <= set(KINDS)

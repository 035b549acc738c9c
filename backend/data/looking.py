"""What a file is and its first rows, read once however often its columns are chosen anew."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Final

from backend.atomic import size_of
from backend.data.files import check_file, encoding_of, read_head
from backend.data.readers import detect, read
from backend.data.report import FileError, Findings, ReportedDataError
from backend.data.validation import Entry, characters_of, first_rows, with_fault

_TEXTS: Final = frozenset({"jsonl", "json", "csv", "text"})
_REMEMBERED: Final = 8
_MOST_CHARACTERS: Final = 4 << 20

Mark = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True)
class Looked:
    """A file before anyone asked what its columns mean; ``encoding`` is that of a text."""

    file: str
    bytes: int
    format: str
    encoding: str
    rows: tuple[Entry, ...]

    @property
    def characters(self) -> int:
        """How many characters its first rows have."""
        return sum(map(characters_of, self.rows))


def look(path: Path, max_mib: int) -> Looked:
    """The file with its first rows; the rest is not looked at.

    Raises ReportedDataError where it cannot be read. What ends the reading after that is the last
    of ``rows``.
    """
    try:
        check_file(path, max_mib)
        form = detect(path)
        # Of the files in a zip or folder each has its own.
        encoding = encoding_of(read_head(path)) if form in _TEXTS else ""
        with closing(with_fault(read(path))) as rows:  # type: ignore[type-var]
            return Looked(path.name, size_of(path), form, encoding, tuple(first_rows(rows)))
    except FileError as error:
        raise reported(error, path.name) from error


def reported(error: FileError, file: str) -> ReportedDataError:
    """What loading the file would say."""
    findings = Findings()
    fatal = findings.stop(error.problem)
    return ReportedDataError(findings.report(ok=False), file, fatal)


class Looks:
    """Files that were looked at lately; one is read again only when it has changed."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: dict[Mark, Looked] = {}

    def __call__(self, path: Path, max_mib: int) -> Looked:
        """As :func:`look`."""
        mark = _mark(path)
        with self._lock:
            known = self._kept.pop(mark, None)
        found = known or look(path, max_mib)
        if known or found.characters <= _MOST_CHARACTERS:
            with self._lock:
                self._kept[mark] = found
                for oldest in list(self._kept)[:-_REMEMBERED]:
                    del self._kept[oldest]
        return found


def _mark(path: Path) -> Mark:
    """Changes whenever the file does, or any file in the folder; empty where there is none."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    found = [(str(each.absolute()), each.stat()) for each in files if each.is_file()]
    return tuple((name, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in found)

"""The one door from a file of demonstrations to both parts of a task, or to a report of faults."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, TextIO, TypeVar

from backend.atomic import new_file, size_of
from backend.data.demonstration import Demonstration
from backend.data.files import check_file
from backend.data.formats.position import Position
from backend.data.gathering import Gathering, Numbers, first_places
from backend.data.mapping import ColumnMapping, Remembered, check_complete
from backend.data.notices import look_over
from backend.data.parting import APART, MAIN, Parted, distinct, part, part_by_file
from backend.data.readers import detect, read
from backend.data.report import FileError, Findings, Problem, Report, ReportedDataError, count_of
from backend.data.split import DEFAULT_SHARE, Chosen, HeldOut, Together
from backend.data.spool import StoredRows
from backend.data.validation import draft, read_rows

_TOLD_EVERY: Final = 2_000


Stage = Literal["reading", "storing", "comparing", "looking through"]
Item = TypeVar("Item")


@dataclass(frozen=True)
class Progress:
    """How far something has come; ``share`` is of the bytes of its files, or of its rows."""

    stage: Stage
    rows: int
    share: float


Watch = Callable[[Progress], None]


def unwatched(_: Progress) -> None:
    """Nobody waits for news; a watcher that raises ends the loading, which then leaves nothing."""


def told(
    rows: Iterable[Item], stage: Stage, total: int, watch: Watch, before: int = 0
) -> Iterator[Item]:
    """The rows, while ``watch`` hears how many of ``total`` there were, ``before`` among them."""
    for number, row in enumerate(rows, before):
        if number % _TOLD_EVERY == 0:
            watch(Progress(stage, number, number / total))
        yield row


@dataclass(frozen=True)
class Loading:
    """How a file is to be read and parted.

    ``held_out`` is a share of the rows (a float), a number of them (an int), a file of its own,
    tags or groups, or None for what the file says itself. Rows of a prompt stay ``together``, and
    so do those of a group, or of a first tag.
    """

    overrides: Mapping[str, str] = field(default_factory=dict)
    held_out: HeldOut = None
    together: Together = "group"
    seed: int = 0
    keep_good: bool = False
    scorer: str = "exact"
    max_mib: int = 1024
    remembered: Sequence[Remembered] = ()
    # Where texts are kept meanwhile, and where faulty rows are written to.
    scratch: Path | None = None
    faulty_to: Path | None = None
    watch: Watch = unwatched


@dataclass(frozen=True)
class Loaded:
    """A task's rows, ready to be stored; ``split`` says how they were parted, in plain values."""

    training: StoredRows
    held_out: StoredRows
    report: Report
    mapping: ColumnMapping
    split: dict[str, Any]
    origin: dict[str, Any]
    content_hash: str


def load_demonstrations(path: Path, loading: Loading) -> Loaded:
    """Reads, checks and parts a file; writes nothing but faulty rows, where they are wanted.

    Raises ReportedDataError, with the whole report, for any faulty row (unless ``keep_good``) and
    for a file that cannot be read or parted.
    """
    with _faulty_file(loading.faulty_to) as faulty:
        findings = Findings(faulty)
        try:
            return _Load(loading, findings).run(path)
        except FileError as error:
            fatal = findings.stop(error.problem)
            raise ReportedDataError(
                findings.report(ok=False), path.name or str(path), fatal
            ) from error


@contextmanager
def _faulty_file(target: Path | None) -> Iterator[TextIO | None]:
    """A file for faulty rows, which is there afterwards also where the rows were refused."""
    if target is None:
        yield None
        return
    refusal: ReportedDataError | None = None
    with new_file(target) as partial, partial.open("w", encoding="utf-8") as file:
        try:
            yield file
        except ReportedDataError as error:
            refusal = error
    if refusal is not None:
        raise refusal


class _Load:
    """One file, or two, on the way to both parts of a task."""

    def __init__(self, loading: Loading, findings: Findings) -> None:
        self._loading, self._findings = loading, findings
        self._position = Position()
        self._total_bytes = 0
        self._origin: dict[str, Any] = {}
        chosen = loading.held_out
        self._gathered = Gathering(
            loading.seed,
            loading.scratch,
            KEYS[loading.together],
            marker_of(chosen) if isinstance(chosen, Chosen) else lambda row: False,
        )

    def run(self, path: Path) -> Loaded:
        loading, findings, gathered = self._loading, self._findings, self._gathered
        held_out = loading.held_out
        self._total_bytes = sum(
            size_of(each) for each in (path, held_out) if isinstance(each, Path) and each.exists()
        )
        mapping = self._read(path, MAIN)
        if isinstance(held_out, Path):
            findings.within = held_out.name
            self._read(held_out, APART)
            apart = self._distinct(APART, mapping)
            findings.within = ""
            rows = self._distinct(MAIN, mapping)
            self._settle_faults(path.name)
            parted = part_by_file(gathered, rows, apart, findings)
        else:
            rows = self._distinct(MAIN, mapping)
            self._settle_faults(path.name)
            self._check_distinct(rows)
            parted = part(gathered, rows, held_out, loading.together, findings)
        look_over(gathered, parted, mapping, findings)
        loading.watch(Progress("reading", findings.rows_read, 1.0))
        return self._loaded(parted, mapping)

    def _loaded(self, parted: Parted, mapping: ColumnMapping) -> Loaded:
        loading, gathered = self._loading, self._gathered
        return Loaded(
            training=gathered.rows(parted.training),
            held_out=gathered.rows(parted.held_out, parted.prefixed),
            report=self._findings.report(ok=True),
            mapping=mapping,
            split=_split_document(loading, parted, mapping),
            origin={
                **self._origin,
                "keep_good": loading.keep_good,
                "left_out": self._findings.faulty_rows,
            },
            content_hash=gathered.content_hash(parted.training, parted.held_out, loading.scorer),
        )

    def _read(self, path: Path, source: int) -> ColumnMapping:
        """Takes a file's good rows in; faults go to the findings. Raises FileError."""
        findings, before = self._findings, self._findings.rows_read
        check_file(path, self._loading.max_mib)
        found = draft(read(path, self._position), self._loading.overrides, self._loading.remembered)
        if found.sample:
            check_complete(found.mapping, found.columns)
        if source == MAIN:
            self._origin = {
                "file": path.name,
                "format": detect(path),
                "shape": found.shape.name,
                "reason": found.shape.reason,
            }
        for number, row in enumerate(read_rows(found.rows, found.mapping, findings)):
            if row is not None:
                self._gathered.add(row.demonstration, row.side, source)
            if number % _TOLD_EVERY == 0:
                self._tell()
        if findings.rows_read == before:
            raise FileError("no_rows", "it holds no rows", "add one demonstration a row")
        return found.mapping

    def _tell(self) -> None:
        share = self._position.bytes / max(self._total_bytes, 1)
        # Archives are read unpacked: their share is not known before the end.
        self._loading.watch(Progress("reading", self._findings.rows_read, min(share, 0.99)))

    def _distinct(self, source: int, mapping: ColumnMapping) -> Numbers:
        """A file's rows without doubles; those with the id of an earlier one are faults."""
        gathered, findings = self._gathered, self._findings
        places = distinct(gathered, source, findings)
        kept, earliest = first_places(gathered.column("id", places), places)
        doubled = earliest != places
        rows = gathered.column("row")
        for row, first in zip(
            gathered.rows(places[doubled]), earliest[doubled].tolist(), strict=True
        ):
            findings.add_row([_doubled_id(row, int(rows[first]), mapping)])
        return kept

    def _settle_faults(self, file: str) -> None:
        """Raises ReportedDataError for faulty rows, or records that they are left out by choice."""
        findings = self._findings
        if findings.faults and not self._loading.keep_good:
            report = findings.report(ok=False)
            raise ReportedDataError(report, file, report.problems[0])
        faults = count_of(findings.faults, "problem")
        findings.warn(
            "left_out", findings.faults, f"{faults}: the good rows are kept, as you chose"
        )

    def _check_distinct(self, rows: Numbers) -> None:
        findings = self._findings
        if len(rows) >= 2:
            return
        if findings.faults:
            found = f"only {len(rows)} of {findings.rows_read:,} rows is distinct and without fault"
        elif findings.rows_read > 1:
            found = f"all {findings.rows_read:,} rows are the same"
        else:
            found = "it holds only 1 row"
        raise FileError(
            "too_few",
            f"{found}; a task needs 2, one to train on and one to hold out",
            "add rows with other prompts",
        )


def _doubled_id(row: Demonstration, first: int, mapping: ColumnMapping) -> Problem:
    return Problem(
        row=row.row,
        field=mapping.column("id") or "id",
        problem=f'the id "{row.id[:40]}" already stands in row {first}',
        remedy="give each row an id of its own",
        kind="duplicate_id",
        content=row.model_dump(mode="json"),
    )


def marker_of(chosen: Chosen) -> Callable[[Demonstration], bool]:
    wanted = frozenset(chosen.names)
    if chosen.by == "group":
        return lambda row: row.group in wanted
    return lambda row: not wanted.isdisjoint(row.tags)


# What must not be parted besides the rows of a prompt.
KEYS: Final[Mapping[Together, Callable[[Demonstration], str | None]]] = {
    "prompt": lambda row: None,
    "group": lambda row: row.group,
    "tag": lambda row: row.tags[0] if row.tags else None,
}


def _split_document(loading: Loading, parted: Parted, mapping: ColumnMapping) -> dict[str, Any]:
    held_out = loading.held_out
    values: dict[str, Any] = {
        "file": lambda: held_out.name if isinstance(held_out, Path) else "",
        "column": lambda: mapping.column("split"),
        "tag": lambda: list(held_out.names) if isinstance(held_out, Chosen) else [],
        "share": lambda: DEFAULT_SHARE if held_out is None else held_out,
    }
    value = values.get("tag" if parted.by == "group" else parted.by, lambda: held_out)()
    counts = {"training": len(parted.training), "held_out": len(parted.held_out)}
    document = {"by": parted.by, "value": value, "seed": loading.seed, **counts}
    if loading.together != "prompt" and (loading.together == "tag" or mapping.column("group")):
        document["together"] = loading.together
    return document

"""The one door from a file of demonstrations to both parts of a task, or to a report of faults."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.data.demonstration import Demonstration
from backend.data.files import check_file
from backend.data.mapping import ColumnMapping
from backend.data.notices import look_over
from backend.data.progress import COMPARING, READING, Progress, counted, tell_nobody
from backend.data.readers import read
from backend.data.report import FileError, Findings, Problem, Report, ReportedDataError, count_of
from backend.data.split import Rows, drop_duplicates, drop_leaks, split_rows
from backend.data.validation import validate_rows


@dataclass(frozen=True)
class Loaded:
    """A task's rows, ready to be stored; ``split`` says how they were parted, in plain values."""

    training: tuple[Demonstration, ...]
    held_out: tuple[Demonstration, ...]
    report: Report
    mapping: ColumnMapping
    split: dict[str, Any]
    content_hash: str


def load_demonstrations(
    path: Path,
    *,
    overrides: Mapping[str, str],
    held_out: float | int | Path,
    seed: int,
    keep_good: bool,
    scorer: str,
    max_mib: int,
    progress: Progress = tell_nobody,
) -> Loaded:
    """Reads, checks and parts a file; nothing is written anywhere.

    ``held_out`` is a share of the rows (a float), a number of them (an int), or a file of its own.
    Raises ReportedDataError, with the whole report, for any faulty row (unless ``keep_good``) and
    for a file that cannot be read or parted, and whatever ``progress`` raises.
    """
    findings = Findings()
    try:
        rows, mapping = _read_part(path, overrides, max_mib, findings, progress)
        if isinstance(held_out, Path):
            findings.within = held_out.name
            apart, _ = _read_part(held_out, overrides, max_mib, findings, progress)
            findings.within = ""
            _settle_faults(findings, keep_good, path.name)
            training, apart = _keep_apart(rows, apart, findings)
        else:
            _settle_faults(findings, keep_good, path.name)
            _check_distinct(rows, findings)
            training, apart = split_rows(rows, held_out, seed)
        total = len(training) + len(apart)
        progress(COMPARING, 0, total)
        look_over([*training, *apart], mapping, findings)
    except FileError as error:
        fatal = findings.stop(error.problem)
        raise ReportedDataError(findings.report(ok=False), path.name, fatal) from error
    return Loaded(
        training=tuple(training),
        held_out=tuple(apart),
        report=findings.report(ok=True),
        mapping=mapping,
        split=_split_document(held_out, seed, training, apart),
        content_hash=content_hash(counted(training, COMPARING, progress, total), apart, scorer),
    )


def _read_part(
    path: Path,
    overrides: Mapping[str, str],
    max_mib: int,
    findings: Findings,
    progress: Progress,
) -> tuple[Rows, ColumnMapping]:
    """A file's distinct rows; row faults go to ``findings``. Raises FileError."""
    before = findings.rows_read
    check_file(path, max_mib)
    stream = counted(read(path), READING, progress)
    rows, mapping = validate_rows(stream, overrides, findings)
    if findings.rows_read == before:
        raise FileError("no_rows", "it holds no rows", "add one demonstration a row")
    rows, doubles = drop_duplicates(rows)
    findings.warn("duplicate", doubles, f"{count_of(doubles, 'duplicate')} of earlier rows dropped")
    return _without_doubled_ids(rows, mapping, findings), mapping


def _without_doubled_ids(rows: Rows, mapping: ColumnMapping, findings: Findings) -> Rows:
    first: dict[str, Demonstration] = {}
    for row in rows:
        if first.setdefault(row.id, row) is not row:
            findings.add(
                Problem(
                    row=row.row,
                    field=mapping.column("id") or "id",
                    problem=f'the id "{row.id[:40]}" already stands in row {first[row.id].row}',
                    remedy="give each row an id of its own",
                    kind="duplicate_id",
                )
            )
    return list(first.values())


def _settle_faults(findings: Findings, keep_good: bool, file: str) -> None:
    """Raises ReportedDataError for faulty rows, or records that they are left out by choice."""
    if findings.faults and not keep_good:
        report = findings.report(ok=False)
        raise ReportedDataError(report, file, report.problems[0])
    faults = count_of(findings.faults, "problem")
    findings.warn("left_out", findings.faults, f"{faults}: the good rows are kept, as you chose")


def _check_distinct(rows: Rows, findings: Findings) -> None:
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


def _keep_apart(rows: Rows, apart: Rows, findings: Findings) -> tuple[Rows, Rows]:
    """Training rows without those whose prompts are held out, and held-out rows with own ids."""
    for name, part in (("file", rows), ("held-out file", apart)):
        if not part:
            raise FileError("too_few", f"the {name} has no row without fault", "add rows")
    training = drop_leaks(rows, apart)
    leaks = len(rows) - len(training)
    findings.warn(
        "leak",
        leaks,
        f"{count_of(leaks, 'training row')} dropped: the prompt also stands in the held-out file",
    )
    if not training:
        raise FileError(
            "held_out",
            "every prompt of the file also stands in the held-out file",
            "give a held-out file with other rows",
        )
    taken = {row.id for row in training}
    return training, [
        row.model_copy(update={"id": f"held-out:{row.id}"}) if row.id in taken else row
        for row in apart
    ]


def _split_document(
    held_out: float | int | Path, seed: int, training: Rows, apart: Rows
) -> dict[str, Any]:
    counts = {"seed": seed, "training": len(training), "held_out": len(apart)}
    if isinstance(held_out, Path):
        return {"by": "file", "value": held_out.name, **counts}
    return {"by": "count" if isinstance(held_out, int) else "share", "value": held_out, **counts}


def content_hash(
    training: Iterable[Demonstration], held_out: Iterable[Demonstration], scorer: str
) -> str:
    """SHA-256 over what trains and scores: texts, references, tags, parts, their order, the scorer.

    Ids and row numbers do not count: they follow from where a row stood in its file.
    """
    digest = hashlib.sha256(json.dumps(scorer).encode())
    for part, rows in (("training", training), ("held_out", held_out)):
        for row in rows:
            content = row.model_dump(mode="json", exclude={"id", "row"})
            digest.update(json.dumps([part, content], sort_keys=True).encode())
    return digest.hexdigest()

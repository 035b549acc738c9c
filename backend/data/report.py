"""What is wrong or noteworthy about uploaded rows: each problem with its row, field and remedy."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, TextIO

from pydantic import Field

from backend.config import Frozen
from backend.errors import DataError

LISTED_PROBLEMS: Final = 1000
# Ways to name the fields of a row that are told apart, each with the row where it first stood.
_COLUMN_SETS: Final = 100


class Problem(Frozen):
    """One fault of one row; ``row`` is None where the file as a whole is at fault."""

    row: int | None
    field: str
    problem: str
    remedy: str
    # What REPORT's counts are keyed by, and the row as it stood; not part of the document.
    kind: str = Field("", exclude=True)
    content: Any = Field(None, exclude=True, repr=False)

    def without_content(self) -> Problem:
        return self.model_copy(update={"content": None})


class Report(Frozen):
    """REPORT of the command line: at most 1000 problems are listed, all are counted by kind."""

    ok: bool
    rows_read: int
    problems: tuple[Problem, ...] = ()
    counts: dict[str, int] = Field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def warned(self, kind: str, count: int, text: str) -> Report:
        """The report with one more warning about ``count`` rows, unless there are none."""
        if not count:
            return self
        counts = {**self.counts, kind: self.counts.get(kind, 0) + count}
        return self.model_copy(update={"counts": counts, "warnings": (*self.warnings, text)})


class ReportedDataError(DataError):
    """Rows that cannot be taken; ``report`` names them all, the message only ``first``."""

    def __init__(self, report: Report, file: str, first: Problem) -> None:
        self.report = report
        super().__init__(
            first.problem + _others(report),
            where=file if first.row is None else f"{file}, row {first.row}",
            remedy=first.remedy,
        )

    @property
    def details(self) -> Mapping[str, Any]:
        return {"report": self.report.model_dump(mode="json")}


class FileError(DataError):
    """A file that cannot be read on, as the problem that its report lists."""

    def __init__(
        self, kind: str, problem: str, remedy: str, *, row: int | None = None, field: str = ""
    ) -> None:
        self.problem = Problem(row=row, field=field, problem=problem, remedy=remedy, kind=kind)
        super().__init__(problem, where="" if row is None else f"row {row}", remedy=remedy)


class Findings:
    """Collects problems and warnings while rows stream by; memory stays bounded.

    Every faulty row is written to ``faulty`` as a line of JSON: its number, what is wrong with it,
    and what stands there.
    """

    def __init__(self, faulty: TextIO | None = None) -> None:
        self.rows_read = 0
        self.counts: Counter[str] = Counter()
        self.faults = 0
        self.faulty_rows = 0
        # Named in problems and warnings where they are about a second file.
        self.within = ""
        # How often rows have these names of fields, and the first such row.
        self.column_sets: dict[tuple[str, ...], list[int]] = {}
        self._problems: list[Problem] = []
        self._warnings: list[str] = []
        self._faulty = faulty

    def saw_columns(self, row: int, fields: Mapping[str, Any]) -> None:
        """Counts the ways in which rows name their fields."""
        names = tuple(fields)
        seen = self.column_sets.get(names)
        if seen is not None:
            seen[0] += 1
        elif len(self.column_sets) < _COLUMN_SETS:
            self.column_sets[names] = [1, row]

    def add_row(self, problems: Sequence[Problem]) -> None:
        """All that is wrong with one row."""
        self.faulty_rows += 1
        listed = [self.add(problem) for problem in problems]
        if self._faulty is not None:
            document = {
                "row": listed[0].row,
                "problems": [
                    {"field": each.field, "problem": each.problem, "remedy": each.remedy}
                    for each in listed
                ],
                "content": listed[0].content,
            }
            # Half characters, which faulty rows may hold, are no UTF-8: they stay escaped.
            self._faulty.write(json.dumps(document, default=str) + "\n")

    def add(self, problem: Problem) -> Problem:
        """Counts a problem, lists it while there is room, and returns it as it is listed."""
        if self.within:
            problem = problem.model_copy(update={"problem": self._placed(problem.problem)})
        self.faults += 1
        self.counts[problem.kind] += 1
        if len(self._problems) < LISTED_PROBLEMS:
            # What stands in the row goes into its own file, not into the report.
            listed = problem if problem.content is None else problem.without_content()
            self._problems.append(listed)
        return problem

    def stop(self, problem: Problem) -> Problem:
        """As :meth:`add`, for what ends the reading: it is listed first, whatever came before."""
        problem = self.add(problem)
        self._problems = [problem, *(other for other in self._problems if other is not problem)]
        del self._problems[LISTED_PROBLEMS:]
        return problem

    def warn(self, kind: str, count: int, text: str) -> None:
        """Keeps ``text``, a sentence about ``count`` rows, unless there are none."""
        if count:
            self.counts[kind] += count
            self._warnings.append(self._placed(text))

    def _placed(self, text: str) -> str:
        return f"in {self.within}: {text}" if self.within else text

    def report(self, ok: bool) -> Report:
        """The report on all that was found so far."""
        return Report(
            ok=ok,
            rows_read=self.rows_read,
            problems=tuple(self._problems),
            counts=dict(self.counts),
            warnings=tuple(self._warnings),
        )


def count_of(number: int, noun: str) -> str:
    """``1 row``, ``1,000 rows``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _others(report: Report) -> str:
    others = len(report.problems) - 1
    if not others:
        return ""
    at_least = "at least " if len(report.problems) >= LISTED_PROBLEMS else ""
    return f" (and {at_least}{others:,} more problem{'' if others == 1 else 's'})"

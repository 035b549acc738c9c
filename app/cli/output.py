"""What the commands print: documents as JSON or as plain lines, errors in one sentence."""

from __future__ import annotations

import json
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from backend.bootstrap import build_lab
from backend.errors import Fault, SdlabError, disk_full, is_disk_full
from backend.lab import Lab
from backend.settings import Settings, validate_settings

Command = TypeVar("Command", bound=Callable[..., Any])


def json_option(command: Command) -> Command:
    """Adds ``--json`` to a command."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


@contextmanager
def open_lab() -> Iterator[Lab]:
    """The lab at SDLAB_HOME, closed afterwards."""
    lab = build_lab(validate_settings())
    try:
        yield lab
    finally:
        lab.close()


@contextmanager
def all_or_nothing() -> Iterator[None]:
    """Ctrl-C within ends the command, and says that what was begun is undone."""
    try:
        yield
    except KeyboardInterrupt:
        # How far it is stands on a line that has no end yet.
        line_end = "\n" if sys.stderr.isatty() else ""
        tell(f"{line_end}sdlab: interrupted; nothing was stored")
        raise click.exceptions.Exit(130) from None


def show(document: Any, as_json: bool, lines: Callable[[Any], Iterator[str]]) -> None:
    """Prints ``document``: as JSON, or the lines that a person reads."""
    if as_json:
        click.echo(json.dumps(document, ensure_ascii=False, indent=1, default=str))
        return
    for line in lines(document):
        click.echo(line)


def tell(line: str) -> None:
    """A line on what is going on, to stderr so that stdout stays the result."""
    click.echo(line, err=True)


def show_error(error: SdlabError, as_json: bool) -> int:
    """One sentence to stderr, and the error's document to stdout with ``--json``."""
    click.echo(f"sdlab: {error}", err=True)
    if as_json:
        document = {"error": error.as_document(), **error.details}
        click.echo(json.dumps(document, ensure_ascii=False, indent=1))
    elif "report" in error.details:
        for line in problem_lines(error.details["report"]["problems"][1:11]):
            click.echo(line, err=True)
    return error.exit_code


def problem_lines(problems: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A report's problems, a line each."""
    for problem in problems:
        row = "" if problem["row"] is None else f"row {problem['row']}: "
        field = f"{problem['field']}: " if problem["field"] else ""
        yield f"  {row}{field}{problem['problem']}; {problem['remedy']}"


def failure_log(error: Exception) -> SdlabError:
    """Writes an unexpected error's traceback to a file, and returns the fault that names it.

    A full disk is no fault of ours, whoever met it: that is the user's to put right.
    """
    if is_disk_full(error):
        return disk_full(
            error,
            where=str(Settings().home),
            remedy="free some space or set SDLAB_HOME to a larger disk; nothing was stored by "
            "halves",
        )
    text = "".join(traceback.format_exception(error))
    folder = Settings().home / "logs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"fault-{time.strftime('%Y%m%d-%H%M%S')}.log"
        path.write_text(text, "utf-8")
    except OSError:
        with tempfile.NamedTemporaryFile(
            "w", prefix="sdlab-fault-", suffix=".log", delete=False, encoding="utf-8"
        ) as handle:
            handle.write(text)
            path = Path(handle.name)
    first_line = (str(error).splitlines() or [""])[0]
    return Fault(
        f"{type(error).__name__}: {first_line}",
        where="a fault of ours",
        remedy=f"the log is in {path}; please report it",
    )


def percent(score: Mapping[str, Any]) -> str:
    """A SCORE as ``41 % (27 to 56, n 48)``; nats stay nats."""
    if score.get("metric") == "kl_nats":
        return f"{score['score']:.3f} nats ({score['low']:.3f} to {score['high']:.3f})"
    middle, low, high = (100 * float(score[key]) for key in ("score", "low", "high"))
    return f"{middle:.0f} % ({low:.0f} to {high:.0f}, n {score['n']})"


def table(rows: Sequence[Sequence[str]], indent: str = "") -> Iterator[str]:
    """Rows of text in aligned columns."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield indent + "  ".join(cells).rstrip()


def duration(seconds: float | None) -> str:
    """``4 min``, ``35 s``, ``2 h 10 min``; a dash where nobody knows."""
    if seconds is None:
        return "-"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"

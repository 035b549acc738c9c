"""What the upload form gives, read and answered: every mistake beside its field."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gradio.utils import get_upload_folder

from app.components.problems import go_to, no_problems, problems
from app.long_actions import Progress
from backend.errors import DataError, SdlabError
from backend.lab import Lab

FILE: Final = "task-file"
NAME: Final = "task-name"
COLUMNS: Final = "task-columns"
SCORER: Final = "task-scorer"
HELD_OUT: Final = "task-held-out"
_BY_WHERE: Final = {"file": FILE, "name": NAME, "scorer": SCORER, "held_out": HELD_OUT}
# Kinds in a report's counts that are about the form, not about the file's rows.
_BY_KIND: Final = {"mapping": COLUMNS, "held_out": HELD_OUT}
_SHARE: Final = re.compile(r"0?\.\d{1,6}|[01]\.\d{0,6}")
_PERCENT: Final = re.compile(r"(\d{1,2}(?:\.\d{1,4})?) ?%")
# The values of the problems view and of the report view.
Shown = tuple[dict[str, Any], dict[str, Any] | None]


@dataclass(frozen=True)
class Upload:
    """The form's values as they came; nothing in them is trusted."""

    file: Any
    name: Any
    columns: Any
    scorer: Any
    held_out: Any
    keep_good: Any


def check(lab: Lab, upload: Upload, progress: Progress) -> Shown:
    """The values of the problems view and of the report view; nothing is stored."""

    def look(arguments: dict[str, Any]) -> Shown:
        return no_problems(), {
            "ok": True,
            **lab.views.check_upload(**arguments, progress=progress),
        }

    return _answer(lab, upload, look)


def add(lab: Lab, upload: Upload, progress: Progress) -> Shown:
    """As :func:`check`, and stores the task: then the page goes on to it."""

    def store(arguments: dict[str, Any]) -> Shown:
        plain = {**arguments, "held_out": repr(arguments["held_out"])}
        stored = lab.add_task(**plain, progress=progress)
        added = "new" if stored["is_new"] else "known"
        link = f"tasks?task={stored['name']}&version={stored['version']}&added={added}"
        return go_to(link), None

    return _answer(lab, upload, store)


def read_held_out(given: Any) -> float | int:
    """A share or a number of rows. Raises DataError for anything else: a path reads our disk."""
    text = str(given if given is not None else "").strip().replace(",", ".")
    if re.fullmatch(r"\d{1,9}", text):
        return int(text)
    if _SHARE.fullmatch(text):
        return float(text)
    percent = _PERCENT.fullmatch(text)
    if percent:
        return float(percent[1]) / 100
    raise DataError(
        f'"{text[:40]}" is neither a share nor a number of rows' if text else "nothing is given",
        where="held_out",
        remedy="write a share such as 0.2, or a number of rows such as 40",
    )


def uploaded(given: Any) -> Path:
    """The file that a browser sent here. Raises DataError for any other place on this disk."""
    if not given:
        raise DataError("no file is chosen", where="file", remedy="choose one, or load the sample")
    folder = Path(get_upload_folder()).resolve()
    try:
        path = Path(str(given)).resolve()
        is_ours = path.is_relative_to(folder) and path.is_file()
    except (OSError, ValueError):
        is_ours = False
    if not is_ours:
        raise DataError(
            "this file was not uploaded here, or is gone since",
            where="file",
            remedy="choose it again",
        )
    return path


def _answer(lab: Lab, upload: Upload, act: Callable[[dict[str, Any]], Shown]) -> Shown:
    found: dict[str, str] = {}

    def attempt(read: Callable[[], Any]) -> Any:
        try:
            return read()
        except SdlabError as error:
            found[_field(error)] = _sentence(error)

    name, scorer = str(upload.name or "").strip(), str(upload.scorer or "")
    attempt(lambda: lab.views.check_names(name, scorer))
    arguments = {
        "path": attempt(lambda: uploaded(upload.file)),
        "name": name,
        "columns": _columns(str(upload.columns or "")),
        "scorer": scorer,
        "held_out": attempt(lambda: read_held_out(upload.held_out)),
        "keep_good": upload.keep_good is True,
    }
    if found:
        return problems(found, focus=True), None
    try:
        return act(arguments)
    except SdlabError as error:
        report = error.details.get("report")
        shown = {"ok": False, "file": arguments["path"].name, "report": report} if report else None
        return problems({_field(error): _sentence(error)}, focus=True), shown


def _columns(text: str) -> list[str]:
    """``prompt=question, demonstration=answer``; a line each where a name holds a comma."""
    parts = text.splitlines() if "\n" in text.strip() else text.split(",")
    return [part.strip() for part in parts if part.strip()]


def _field(error: SdlabError) -> str:
    if error.where in _BY_WHERE:
        return _BY_WHERE[error.where]
    report = error.details.get("report")
    if report is None:
        return COLUMNS
    kinds = [field for kind, field in _BY_KIND.items() if kind in report["counts"]]
    return kinds[0] if kinds else FILE


def _sentence(error: SdlabError) -> str:
    """The command line's sentence, with the form's words for its options."""
    place = "" if error.where in _BY_WHERE else f"{error.where}: " if error.where else ""
    text = f"{place}{error.message}" + (f"; {error.remedy}" if error.remedy else "")
    return text.replace("with --map ", "under Columns, as in ").replace("as --map ", "as ")

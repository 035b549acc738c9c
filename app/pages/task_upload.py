"""What the upload form gives, read and answered: every mistake beside its field."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from app import faulty_rows
from app.components.problems import go_to, no_problems, problems
from app.long_actions import Progress, watch_of
from app.pages.task_held_out import read_held_out, read_seed, read_together
from app.pages.task_opened import link_to
from app.pages.task_source import at_hub, fetched_place, hub_name, source
from backend.errors import DataError, SdlabError
from backend.lab import Lab

FILE: Final = "task-file"
HUB: Final = "task-hub"
NAME: Final = "task-name"
COLUMNS: Final = "task-preview"
SCORER: Final = "task-scorer"
HELD_OUT: Final = "task-held-out"
TOGETHER: Final = "task-together"
SEED: Final = "task-seed"
_BY_WHERE: Final = {
    "file": FILE,
    "hub": HUB,
    "name": NAME,
    "scorer": SCORER,
    "held_out": HELD_OUT,
    "together": TOGETHER,
    "seed": SEED,
}
# Kinds in a report's counts that are about the form, not about the file's rows.
_BY_KIND: Final = {"mapping": COLUMNS, "held_out": HELD_OUT}
_MAP: Final = re.compile(r" with --map \w+=COLUMN")
# The values of the problems view and of the report view.
Shown = tuple[dict[str, Any], dict[str, Any] | None]


@dataclass(frozen=True)
class Upload:
    """The form's values as they came, in the order of its fields; nothing in them is trusted.

    ``columns`` are the roles that a person chose a column for; the lab keeps them meanwhile.
    """

    file: Any
    hub: Any
    name: Any
    scorer: Any
    by: Any
    amount: Any
    names: Any
    apart: Any
    together: Any
    seed: Any
    keep_good: Any
    columns: Mapping[str, str] | None


def look(lab: Lab, upload: Upload) -> Shown:
    """The values of the problems view and of the preview: the first rows as they will be read."""
    nothing = {"none": True}
    if not upload.file and not hub_name(upload.hub):
        return no_problems(), nothing
    try:
        path = source(lab, upload.file, upload.hub)
        found = lab.views.preview(path, _known_name(lab, upload.name), columns_of(upload))
    except SdlabError as error:
        return problems({_field(error): _sentence(error)}), nothing
    if found["incomplete"]:
        found["incomplete"]["remedy"] = _in_words_of_the_form(found["incomplete"]["remedy"])
    return no_problems(), {**found, "chosen": dict(upload.columns or {})}


def fetch(lab: Lab, upload: Upload, progress: Progress) -> Shown:
    """Brings a dataset of the hub here; the page then looks at it."""
    try:
        if upload.file:
            raise DataError(
                "a file is chosen already", where="hub", remedy="remove it first, or leave this out"
            )
        lab.views.fetch_dataset(
            hub_name(upload.hub),
            fetched_place(lab),
            lambda done, total: progress("fetching", done, total),
        )
    except DataError as error:
        return problems({HUB: _sentence(at_hub(error) if error.where != "hub" else error)}), None
    return {**no_problems(), "look": True}, None


def check(lab: Lab, upload: Upload, progress: Progress) -> Shown:
    """The values of the problems view and of the report view; nothing is stored."""

    def examine(arguments: dict[str, Any]) -> Shown:
        found = lab.views.check_upload(**arguments, watch=watch_of(progress))
        return no_problems(), {"ok": True, **found, "file": arguments["path"].name}

    return _answer(lab, upload, examine)


def add(lab: Lab, upload: Upload, progress: Progress) -> Shown:
    """As :func:`check`, and stores the task: then the page goes on to it."""

    def store(arguments: dict[str, Any]) -> Shown:
        stored = lab.add_task(**arguments, watch=watch_of(progress))
        return go_to(link_to(stored, "new" if stored["is_new"] else "known")), None

    return _answer(lab, upload, store)


def columns_of(upload: Upload) -> list[str]:
    """The chosen columns as the command line's options have them."""
    return [f"{role}={column}" for role, column in (upload.columns or {}).items()]


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
        "path": attempt(lambda: source(lab, upload.file, upload.hub)),
        "name": name,
        "columns": columns_of(upload),
        "scorer": scorer,
        "held_out": attempt(
            lambda: read_held_out(upload.by, upload.amount, upload.names, upload.apart)
        ),
        "together": attempt(lambda: read_together(upload.together)),
        "seed": attempt(lambda: read_seed(upload.seed)),
        "keep_good": upload.keep_good is True,
    }
    if found:
        return problems(found, focus=True), None
    key, place = faulty_rows.new_place(lab.settings.home)
    try:
        told, shown = act({**arguments, "faulty_to": place})
    except SdlabError as error:
        report = error.details.get("report")
        shown = {"ok": False, "file": arguments["path"].name, "report": report} if report else None
        told = problems({_field(error): _sentence(error)}, focus=True)
    rows = faulty_rows.count(place)
    return told, {**shown, "faulty": {"id": key, "rows": rows}} if shown else None


def _known_name(lab: Lab, given: Any) -> str:
    """The name, by which an earlier mapping is found, once it is one."""
    name = str(given or "").strip()
    try:
        lab.views.check_names(name, "exact")
    except DataError:
        return ""
    return name


def _field(error: SdlabError) -> str:
    if error.where in _BY_WHERE:
        return _BY_WHERE[error.where]
    report = error.details.get("report")
    if report is None:
        return FILE
    kinds = [field for kind, field in _BY_KIND.items() if kind in report["counts"]]
    return kinds[0] if kinds else FILE


def _sentence(error: SdlabError) -> str:
    """The command line's sentence, with the form's words for its options."""
    place = "" if error.where in _BY_WHERE else f"{error.where}: " if error.where else ""
    text = f"{place}{error.message}" + (f"; {error.remedy}" if error.remedy else "")
    return _in_words_of_the_form(text)


def _in_words_of_the_form(text: str) -> str:
    text = _MAP.sub(" under Columns", text).replace("as in --scorer-options", "after its colon")
    return text.replace("--scorer-options '", "after its colon '")

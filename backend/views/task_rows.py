"""The rows of a version as their page lists them: found by a text, in an order, page by page."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from backend.data.load import Progress, Watch, told, unwatched
from backend.errors import ConfigError, NotFound
from backend.jobs.documents import Document
from backend.jobs.tasks import StoredTask, find_task
from storage.database import Database
from storage.models import TaskRow, TaskVersion
from storage.task_rows import PlacedRow, rows_at, rows_in_order
from storage.tasks import Part, Tasks

PAGE: Final = 50
_SHOWN_CHARACTERS: Final = 600
# No fewer than the page's actions, whose lists are to be here when they have ended.
_REMEMBERED: Final = 32


class _Line(NamedTuple):
    """What rows are ordered by; lengths in characters."""

    position: int
    prompt: int
    demonstration: int
    tag: str


_BY_NUMBER: Final = "row"
# Rows that are alike in what they are ordered by stay in the order of the task.
SORTS: Final[Mapping[str, Callable[[_Line], Any]]] = {
    _BY_NUMBER: lambda line: line.position,
    "longest-prompt": lambda line: -line.prompt,
    "shortest-prompt": lambda line: line.prompt,
    "longest-demonstration": lambda line: -line.demonstration,
    "shortest-demonstration": lambda line: line.demonstration,
    # Rows without a tag come last.
    "tag": lambda line: (not line.tag, line.tag.casefold()),
}


@dataclass(frozen=True)
class RowsRequest:
    """Which rows are looked at; ``find`` stands somewhere in their texts, tags or id."""

    task: str
    version: str = ""
    part: str = ""
    page: int = 1
    sort: str = _BY_NUMBER
    find: str = ""


class RowLists:
    """Lists of rows; versions never change, so what was looked through stays known."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._found: dict[tuple[str, Part | None, str, str], array[int]] = {}

    def page(self, request: RowsRequest, watch: Watch = unwatched) -> Document:
        """A page of a version's rows, training rows first unless sorted otherwise.

        ``place`` counts a version's rows from 1; a page beyond the last is the last. ``watch``
        hears of the rows that are looked through, and may raise. Raises NotFound, and ConfigError
        for an unknown order.
        """
        if request.sort not in SORTS:
            raise ConfigError(
                f'rows cannot be ordered by "{request.sort[:40]}"',
                where="sort",
                remedy=f"choose one of {', '.join(SORTS)}",
            )
        version = find_version(self._database, request.task, request.version).version
        counts: dict[Part, int] = {"training": version.training, "held_out": version.held_out}
        part = next((name for name in counts if name == request.part), None)
        find = request.find.strip().casefold()
        places = None
        if find or request.sort != _BY_NUMBER:
            places = self._places(version, part, request.sort, find, watch)
        of = counts[part] if part else sum(counts.values())
        count = of if places is None else len(places)
        pages = max(1, -(-count // PAGE))
        page = min(max(1, request.page), pages)
        first = (page - 1) * PAGE
        if places is None:
            rows = Tasks(self._database).page(version.id, first, PAGE, part)
        else:
            some = places[first : first + PAGE].tolist()
            rows = rows_at(self._database, version.id, some)
        return {
            "rows": [_row(row) for row in rows],
            "version": version.number,
            "part": part or "",
            "page": page,
            "pages": pages,
            "count": count,
            "of": of,
            "total": sum(counts.values()),
            "sort": request.sort,
            "sorts": list(SORTS),
            "find": request.find,
        }

    def _places(
        self, version: TaskVersion, part: Part | None, sort: str, find: str, watch: Watch
    ) -> array[int]:
        """Positions of the rows that hold ``find``, in the order of ``sort``."""
        key = (version.id, part, sort, find)
        if key not in self._found:
            of = {"training": version.training, "held_out": version.held_out}
            total = of[part] if part else sum(of.values())
            rows = rows_in_order(self._database, version.id, part)
            lines = [
                _line(row)
                for row in told(rows, "looking through", total, watch)
                if not find or _holds(row.content, find)
            ]
            watch(Progress("looking through", total, 1.0))
            lines.sort(key=SORTS[sort])
            self._found[key] = array("q", [line.position for line in lines])
            for oldest in list(self._found)[:-_REMEMBERED]:
                self._found.pop(oldest, None)
        return self._found[key]


def find_version(database: Database, name: str, number: str) -> StoredTask:
    """The version of an address, whose ``number`` may be empty. Raises NotFound."""
    plain = name.partition("@")[0] if number else name
    return find_task(database, f"{plain}@{number}" if number else plain)


def find_row(database: Database, name: str, number: str, place: int) -> TaskRow:
    """The row at ``place``, which counts a version's rows from 1. Raises NotFound."""
    version = find_version(database, name, number).version
    rows = version.training + version.held_out
    found = Tasks(database).row(version.id, place - 1) if 0 < place <= rows else None
    if found is None:
        raise NotFound(
            f"there is no row {place}", where="row", remedy=f"choose one from 1 to {rows:,}"
        )
    return found


def row_fields(database: Database, name: str, number: str, place: int) -> Document:
    """The whole row at ``place`` as it can be changed by hand. Raises NotFound."""
    row = find_row(database, name, number, place)
    content = row.content
    return {
        "place": place,
        "split": row.part,
        "messages": content["messages"],
        "demonstration": content["demonstration"],
        "reference": content.get("reference"),
        "tags": list(content.get("tags") or ()),
        "group": content.get("group") or "",
    }


def short(text: str) -> str:
    """The beginning of a text, for lists."""
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + " …"


def _row(row: TaskRow) -> Document:
    content, line = row.content, _line(row)
    return {
        "place": row.position + 1,
        "part": row.part,
        "id": content["id"],
        "prompt": short(content["messages"][-1]["content"]),
        "turns": len(content["messages"]),
        "demonstration": short(content["demonstration"]),
        "tags": list(content.get("tags") or ())[:8],
        "lengths": [line.prompt, line.demonstration],
    }


def _line(row: TaskRow | PlacedRow) -> _Line:
    content = row.content
    prompt = sum(len(turn["content"]) for turn in content["messages"])
    tags = content.get("tags") or [""]
    return _Line(row.position, prompt, len(content["demonstration"]), tags[0])


def _holds(content: Mapping[str, Any], find: str) -> bool:
    reference = content.get("reference") or ()
    texts = [
        *(turn["content"] for turn in content["messages"]),
        content["demonstration"],
        *([reference] if isinstance(reference, str) else reference),
        *(content.get("tags") or ()),
        content["id"],
        content.get("group") or "",
    ]
    return any(find in text.casefold() for text in texts)

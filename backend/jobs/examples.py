"""Checks as papers made them: their data as a task, of which all rows are looked at."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from backend.data.load import Loading
from backend.errors import ConfigError, DataError
from backend.jobs.task_edits import write_task
from backend.jobs.tasks import pinned_name
from backend.settings import Settings
from storage.database import Database

_REQUEST: Final = (
    "These are the functions of {api}:\n\n{documentation}\n\n"
    "Name the calls that the request needs, each in two lines: Action with a function's name, and "
    "Action Input with its parameters as JSON.\n\nRequest: {request}"
)


def toolalpaca_rows(apis: Any) -> Iterator[dict[str, str]]:
    """A row for each instruction of ToolAlpaca's evaluation file. Raises KeyError, TypeError."""
    for api in apis:
        pairs = zip(api["Instructions"], api["Golden_Answers"], strict=True)
        for number, (request, calls) in enumerate(pairs, start=1):
            prompt = _REQUEST.format(
                api=api["Name"], documentation=api["NLDocumentation"].strip(), request=request
            )
            lines = [
                f"Action: {call['Action']}\nAction Input: {call['Action_Input']}" for call in calls
            ]
            answer = "\n".join(lines)
            yield {"id": f"{api['Name']}-{number}", "prompt": prompt, "demonstration": answer}


# By name: what makes rows of the file, and the scorer that its paper names.
EXAMPLES: Final[Mapping[str, tuple[Callable[[Any], Iterator[dict[str, str]]], str]]] = {
    "toolalpaca": (toolalpaca_rows, 'tool-calls:{"any_order": true}'),
}
# A few calls with their parameters.
_ANSWER_TOKENS: Final = 128


def example_premise(
    database: Database, settings: Settings, example: str, path: Path
) -> dict[str, Any]:
    """Adds the example's file as a task, once; returns the premise check's document for all rows.

    Raises ConfigError for an unknown example and DataError for a file of another shape.
    """
    if example not in EXAMPLES:
        raise ConfigError(
            f'there is no example "{example}"',
            where="--example",
            remedy=f"choose one of {', '.join(EXAMPLES)}",
        )
    read, scorer = EXAMPLES[example]
    try:
        rows = list(read(json.loads(path.read_text("utf-8"))))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"this is no evaluation file of {example} ({type(error).__name__}: {error})",
            where=str(path),
            remedy="give the file as it was published, such as eval_simulated.json",
        ) from error
    stored = write_task(database, settings, example, rows, Loading(scorer=scorer)).stored
    return {
        "task": pinned_name(stored), "rows": "all", "limit": 0, "max_new_tokens": _ANSWER_TOKENS,
    }  # fmt: skip

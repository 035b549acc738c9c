"""Writes the tables of docs/methods.md from the presets: ``python -m tests.method_docs``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from backend.presets import PRESETS

DOCUMENT = Path(__file__).parents[1] / "docs/methods.md"
_TABLE = re.compile(r"<!-- choices: (\S+) -->\n.*?<!-- end -->", re.DOTALL)


def table(name: str) -> str:
    """A preset's summary and choices, each with its source."""
    preset = PRESETS[name]
    rows = [
        f"| `{key}` | `{_in_line(choice.value)}` | {choice.source} |"
        for key, choice in preset.choices.items()
    ]
    head = f"`{name}`: {preset.summary}.\n\n| setting | value | source |\n|---|---|---|\n"
    return head + "\n".join(rows)


def with_tables(text: str) -> str:
    """The document with every table as the presets are now."""
    return _TABLE.sub(
        lambda found: f"<!-- choices: {found[1]} -->\n{table(found[1])}\n<!-- end -->", text
    )


def named(text: str) -> list[str]:
    """The presets that have a table."""
    return [found[1] for found in _TABLE.finditer(text)]


def _in_line(value: object) -> str:
    """As YAML on one line: a text with line breaks is quoted, with these spelled."""
    if isinstance(value, str) and "\n" in value:
        return json.dumps(value)
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, sort_keys=False)
    return text.strip().removesuffix("...").strip()


if __name__ == "__main__":
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text("utf-8")), "utf-8")

"""docs/scorers.md says of each scorer what the registry says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from backend.evaluation.scorers import SCORERS
from backend.evaluation.scorers.judge import PROMPT

PAGE = Path(__file__).parents[2] / "docs/scorers.md"


def section(name: str) -> str:
    """What the page has to hold of a scorer; print it to write the page."""
    scorer = SCORERS[name]
    lines = [f"### `{name}`\n", f"{scorer.summary}\n"]
    if scorer.parameters.model_fields:
        lines.append("| parameter | default | meaning |\n|---|---|---|")
    for field, about in scorer.parameters.model_fields.items():
        shown = "needed" if about.default is PydanticUndefined else f"`{json.dumps(about.default)}`"
        shown = shown if len(shown) <= 42 else "see below"
        short = f"; `{name}:VALUE` gives it" if field == scorer.short else ""
        lines.append(f"| `{field}` | {shown} | {about.description}{short} |")
    return "\n".join(lines)


@pytest.mark.parametrize("name", SCORERS)
def test_the_page_has_every_scorer_with_its_parameters(name: str) -> None:
    assert section(name) in PAGE.read_text("utf-8")


def test_the_page_has_the_judges_prompt() -> None:
    assert PROMPT in PAGE.read_text("utf-8")

"""docs/security.md names for each rule a test that exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def rules() -> list[tuple[str, str]]:
    """Each rule of the page with what stands in the column of its tests."""
    text = (ROOT / "docs/security.md").read_text("utf-8")
    section = text.partition("## Rules, each with its test")[2].partition("\n## ")[0]
    return re.findall(r"^\| (?!rule |---)(.+?) \| (.+) \|$", section, re.MULTILINE)


@cache
def names_in(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize(("rule", "named"), rules())
def test_the_tests_of_a_rule_exist(rule: str, named: str) -> None:
    found = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", named)
    assert found, f"{rule}: no test is named"
    assert [name for path, name in found if name not in names_in(ROOT / path)] == []

"""docs/checklist.md names, line by line, exactly the tests that say which line they cover."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINES = 28


def covered() -> Iterator[tuple[int, str]]:
    """(line, test) from the tests' docstrings: ``Checklist 14, 15 and 18``."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                text = ast.get_docstring(node) or ""
                for numbers in re.findall(r"Checklist ((?:\d+(?:, | and )?)+)", text):
                    for number in re.findall(r"\d+", numbers):
                        yield int(number), f"{path.name}::{node.name}"


def listed() -> Iterator[tuple[int, str]]:
    """(line, test) from the table; (line, "") where it names none."""
    for row in (ROOT / "docs/checklist.md").read_text("utf-8").splitlines():
        found = re.match(r"\| (\d+) \|(.*)\|(.*)\|$", row)
        if found:
            number, file = int(found[1]), ""
            names = re.findall(r"`(test_\w+)(\.py)?`", found[3])
            if not names:
                assert "not in this version: issue 5" in found[3]
                yield number, ""
            for name, is_file in names:
                if is_file:
                    file = f"{name}.py"
                else:
                    yield number, f"{file}::{name}"


def test_the_table_has_every_line_once_and_in_order() -> None:
    numbers = [number for number, _ in listed()]
    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(1, LINES + 1))


def test_the_table_names_the_tests_that_say_so() -> None:
    assert {each for each in listed() if each[1]} == set(covered())

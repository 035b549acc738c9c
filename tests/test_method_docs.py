"""docs/methods.md says of each method what the code does."""

from __future__ import annotations

import re

import pytest

from backend.config import DivergenceConfig, RunConfig
from backend.methods import DEFAULT_PRESETS, PRESETS
from backend.text.contexts import CONTEXTS
from backend.training.alarms import RULES
from tests.method_docs import DOCUMENT, named, table, with_tables

TEXT = DOCUMENT.read_text("utf-8")


def section(method: str) -> str:
    found = re.search(rf"^## {method}: .*?(?=^## )", TEXT, re.DOTALL | re.MULTILINE)
    assert found, method
    return found[0]


def test_the_tables_are_written_from_the_presets() -> None:
    """If not: python -m tests.method_docs"""
    assert with_tables(TEXT) == TEXT


@pytest.mark.parametrize("name", named(TEXT))
def test_every_choice_is_one_row_of_its_table(name: str) -> None:
    rows = table(name).split("\n\n")[1].splitlines()
    assert len(rows) == 2 + len(PRESETS[name].choices)
    assert all(row.startswith("|") and row.endswith("|") for row in rows)


@pytest.mark.parametrize("method", DEFAULT_PRESETS)
def test_every_method_has_formula_source_defaults_and_what_goes_wrong(method: str) -> None:
    text = section(method)
    assert "What goes wrong." in text
    assert named(text)
    assert DEFAULT_PRESETS[method] in named(text)
    assert re.search(r"L = |arXiv \d{4}\.\d{5}", text)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_spoken_of(name: str) -> None:
    assert f"`{name}`" in section(name.split("/")[0])


def test_every_part_is_in_its_table() -> None:
    kinds, supports = (
        DivergenceConfig.model_fields[field].annotation.__args__  # type: ignore[union-attr]
        for field in ("kind", "support")
    )
    for name in (*kinds, *supports, *CONTEXTS):
        assert f"`{name}`" in TEXT, name
    assert "Nine alarms" in TEXT
    assert len(RULES) == 9


def test_every_setting_that_it_names_exists() -> None:
    groups = {name: field.annotation for name, field in RunConfig.model_fields.items()}
    for group, setting in re.findall(r"`(rollout|teacher|divergence|token_weights)\.(\w+)`", TEXT):
        assert setting in groups[group].model_fields, f"{group}.{setting}"  # type: ignore[union-attr]

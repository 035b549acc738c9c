"""Stylesheets of different pages reach each other: a class must mean the same thing on all."""

from __future__ import annotations

import re
from itertools import combinations

from app.routes import STATIC

SHARED = "lab.css"


def classes(name: str) -> set[str]:
    return set(re.findall(r"\.(sd-[a-z0-9-]+)", (STATIC / name).read_text("utf-8")))


def test_a_class_of_two_pages_is_defined_with_what_all_pages_share() -> None:
    pages = sorted(path.name for path in STATIC.glob("*.css") if path.name != SHARED)
    assert len(pages) > 3
    clashes = {
        f"{name}: {first}, {second}"
        for first, second in combinations(pages, 2)
        for name in (classes(first) & classes(second)) - classes(SHARED)
    }
    assert not clashes

"""Stylesheets and scripts of all pages reach each other: a name must mean the same on all."""

from __future__ import annotations

import re
from collections import Counter
from itertools import combinations

from app.routes import STATIC

SHARED = "lab.css"


def classes(name: str) -> set[str]:
    return set(re.findall(r"\.(sd-[a-z0-9-]+)", (STATIC / name).read_text("utf-8")))


def without_comments(style: str) -> str:
    return re.sub(r"/\*.*?\*/", "", style, flags=re.DOTALL)


def test_a_class_of_two_pages_is_defined_with_what_all_pages_share() -> None:
    pages = sorted(path.name for path in STATIC.glob("*.css") if path.name != SHARED)
    assert len(pages) > 3
    clashes = {
        f"{name}: {first}, {second}"
        for first, second in combinations(pages, 2)
        for name in (classes(first) & classes(second)) - classes(SHARED)
    }
    assert not clashes


def test_in_the_dark_only_variables_differ() -> None:
    """Gradio serves each rule twice, once scoped: that one outdoes a rule for body.dark."""
    for path in STATIC.glob("*.css"):
        for rule in re.findall(
            r"body\.dark[^{]*{[^}]*}", without_comments(path.read_text("utf-8"))
        ):
            head, _, body = rule.partition("{")
            assert head.strip() == "body.dark", path.name
            assert all(
                each.strip().startswith("--") for each in body.strip(" }\n").split(";") if each
            )


def test_a_view_is_drawn_by_one_function() -> None:
    names = re.compile(r"sdlab\.views(?:\.([a-z]+)|\[\"([a-z-]+)\"\]) = ")
    found = Counter(
        first or second
        for path in STATIC.glob("*.js")
        for first, second in names.findall(path.read_text("utf-8"))
    )
    assert found["task-changes"] == 1
    assert [name for name, count in found.items() if count > 1] == []

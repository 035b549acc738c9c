"""What every page begins with: the head line with the lab's state, a title and a purpose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import gradio as gr

from app.components.looks import Query
from app.components.view import live, view
from backend.lab import Lab

# Path and name of each page in the head line.
PLACES: Final = (
    ("", "Runs"),
    ("tasks", "Tasks"),
    ("launch", "Launch"),
    ("traces", "Traces"),
    ("forgetting", "Forgetting"),
    ("glossary", "Glossary"),
)


def head(current: str) -> gr.HTML:
    """The head line, with ``current`` marked; Gradio's own bar of pages is put away."""
    gr.Navbar(visible=False)
    return view("header", "header", {"current": current, "places": PLACES, "status": None})


def keep_live(
    blocks: gr.Blocks,
    lab: Lab,
    current: str,
    header: gr.HTML,
    views: list[gr.HTML],
    read: Callable[[Query], list[Any]],
) -> None:
    """Fills the head line and ``views`` from the URL and the lab, at once and every 2 s."""

    def read_all(query: Query) -> list[Any]:
        state = {"current": current, "places": PLACES, "status": lab.views.status()}
        return [state, *read(query)]

    live(blocks, [header, *views], read_all)

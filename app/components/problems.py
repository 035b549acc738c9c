"""A user's mistakes, each beside the field that it belongs to; and where to go once all is well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import gradio as gr

from app.components.view import view

_LONGEST: Final = 600


def problems_view(elem_id: str) -> gr.HTML:
    """The view that puts messages beside fields; those of no field stand in its own place."""
    return view("problems", elem_id)


def no_problems() -> dict[str, Any]:
    """All is well: earlier messages go."""
    return {"problems": {}}


def problems(messages: Mapping[str, str], *, focus: bool = False) -> dict[str, Any]:
    """Messages by the ``elem_id`` of their field; ``""`` for what belongs to none.

    ``focus`` takes the keyboard to the first field at fault, which only an answer to a button may.
    """
    cut = {
        field: text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"
        for field, text in messages.items()
    }
    return {"problems": cut, "focus": focus}


def go_to(link: str) -> dict[str, Any]:
    """Leads on to another page of the lab."""
    return {"problems": {}, "go": link}

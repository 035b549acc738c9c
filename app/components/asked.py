"""Views that are drawn when the page opens and when one of them asks, not on a timer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from app.components.view import Query


def on_request(blocks: gr.Blocks, views: list[gr.HTML], read: Callable[[Query], list[Any]]) -> None:
    """Fills ``views`` from the page's query now, and whenever one's script triggers ``select``.

    A script writes into the address what it wants to see (``sdlab.setQuery``) before it asks.
    """

    def fill(request: gr.Request) -> Any:
        values = read(dict(request.query_params))
        return values if len(values) != 1 else values[0]

    quiet: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    blocks.load(fill, None, views, **quiet)
    for each in views:
        each.select(fill, None, views, **quiet)

"""A place on a page that app/static draws from a JSON value; it stays when the value changes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import gradio as gr

from app.access.roles import for_role
from app.components.looks import Looks, Query

EVERY_S: Final = 2.0
# No place in a line, no sign of work, no endpoint for programs.
QUIET: Final[Mapping[str, Any]] = {
    "queue": False,
    "show_progress": "hidden",
    "api_visibility": "private",
}
# Relative, so that the lab works under a sub-path; one file, so that it is fetched once.
_HEAD: Final = '<script src="lab/views.js"></script>'
_ON_LOAD: Final = "window.sdlab.mount({kind}, element, props, watch, trigger);"


def view(kind: str, elem_id: str, value: Any = None, **settings: Any) -> gr.HTML:
    """A view of app/static/KIND.js. Text in ``value`` is shown as text, never as HTML."""
    return gr.HTML(
        value=value,
        html_template='<div class="sd-view"></div>',
        js_on_load=_ON_LOAD.format(kind=json.dumps(kind)),
        head=_HEAD,
        apply_default_css=False,
        elem_id=elem_id,
        elem_classes=[f"sd-{kind}"],
        **settings,
    )


def live(
    blocks: gr.Blocks,
    views: list[gr.HTML],
    read: Callable[[Query], list[Any]],
    every_s: float | None = EVERY_S,
) -> None:
    """Fills ``views`` with what ``read`` makes of the page's query, at once and every 2 s.

    Not every 2 s where ``every_s`` is None; but whenever a view's script triggers ``select``,
    having written into the address what it wants to see (``sdlab.setQuery``).

    A value that has not changed is not sent again. All that is shown comes from the URL and the
    lab, so a reload, a second tab and a restarted server show the same. Timers of several pages
    with one address share what they read.
    """
    seen = gr.State(value=[""] * len(views))
    outputs = [*views, seen]
    looks = Looks(read, EVERY_S / 2)

    def filler(look: Callable[[Query], tuple[list[Any], list[str]]]) -> Callable[..., list[Any]]:
        @for_role("viewer")
        def fill(before: list[str], request: gr.Request) -> list[Any]:
            values, after = look(dict(request.query_params))
            changed = [
                gr.skip() if old == new else value
                for value, old, new in zip(values, before, after, strict=True)
            ]
            return [*changed, gr.skip() if before == after else after]

        return fill

    blocks.load(filler(looks.fresh), [seen], outputs, **QUIET)
    for each in views:
        if isinstance(each, gr.HTML):
            each.select(filler(looks.fresh), [seen], outputs, **QUIET)
    if every_s is not None:
        gr.Timer(every_s).tick(filler(looks.recent), [seen], outputs, **QUIET)

"""The pages, one file each; each has a URL of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import gradio as gr

from app.access.roles import LabBlocks
from app.pages import forgetting, glossary, launch, run, runs, tasks, traces
from backend.lab import Lab

# By path; each function builds its page within the block that is open.
PAGES: Final[Mapping[str, tuple[str, Callable[[gr.Blocks, Lab], None]]]] = {
    "tasks": ("Tasks", tasks.page),
    "launch": ("Launch", launch.page),
    "run": ("Run", run.page),
    "traces": ("Traces", traces.page),
    "forgetting": ("Forgetting", forgetting.page),
    "glossary": ("Glossary", glossary.page),
}


def build_pages(lab: Lab) -> gr.Blocks:
    """All pages of the lab as one Gradio app; Runs is the first."""
    with LabBlocks(title="sdlab", analytics_enabled=False) as blocks:
        runs.page(blocks, lab)
    for path, (name, page) in PAGES.items():
        with blocks.route(name, path):
            page(blocks, lab)
    return blocks

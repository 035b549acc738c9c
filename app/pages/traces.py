"""Traces."""

from __future__ import annotations

import gradio as gr

from app.components.shell import head, keep_live
from backend.lab import Lab


def page(blocks: gr.Blocks, lab: Lab) -> None:
    """The page."""
    header = head("traces")
    keep_live(blocks, lab, "traces", header, [], lambda query: [])

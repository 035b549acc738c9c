"""Glossary."""

from __future__ import annotations

import gradio as gr

from app.components.shell import head, keep_live
from backend.lab import Lab


def page(blocks: gr.Blocks, lab: Lab) -> None:
    """The page."""
    header = head("glossary")
    keep_live(blocks, lab, "glossary", header, [], lambda query: [])

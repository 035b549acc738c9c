"""Glossary: the lab's words, plain and exact."""

from __future__ import annotations

import gradio as gr

from app.components.shell import head, keep_live
from app.components.view import view
from app.glossary import TERMS, term_document
from backend.lab import Lab


def page(blocks: gr.Blocks, lab: Lab) -> None:
    """The page; each word has an anchor, as in ``glossary#rollout``."""
    header = head("glossary")
    view("glossary", "glossary", {"terms": [term_document(term) for term in TERMS]})
    keep_live(blocks, lab, "glossary", header, [], lambda query: [])

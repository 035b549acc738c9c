"""What an event leaves as it is costs the server nothing, and reaches the browser as it would."""

from __future__ import annotations

import json
import subprocess
import sys

# Gradio leaves event loops open behind it.
PROGRAM = """
import asyncio, json
import gradio as gr
from gradio.state_holder import SessionState
from app.components.skips import SkippingBlocks

def build(kind):
    with kind() as blocks:
        outputs = [gr.HTML(), gr.HTML(), gr.Button("b"), gr.State(["old"])]
        gr.Timer(1).tick(lambda: None, None, outputs)
    return blocks

told = []
for kind in (gr.Blocks, SkippingBlocks):
    blocks = build(kind)
    (event,) = blocks.fns.values()
    state = SessionState(blocks)
    before = [state[each._id] for each in event.outputs]
    changes = [gr.skip(), "new", gr.update(visible=False), gr.skip()]
    sent = asyncio.run(blocks.postprocess_data(event, changes, state))
    is_same = [state[each._id] is old for each, old in zip(event.outputs, before)]
    told.append({"sent": sent, "is_same": is_same, "state": state[event.outputs[3]._id]})
print(json.dumps(told))
"""


def test_a_skipped_output_is_left_alone() -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    plain, skipping = json.loads(ended.stdout)
    assert skipping["sent"][1:] == plain["sent"][1:]
    assert skipping["sent"][0] == {"__type__": "update"}
    assert skipping["state"] == plain["state"] == ["old"]
    assert plain["is_same"] == [False, True, False, True]
    assert skipping["is_same"] == [True, True, False, True]

"""A server does not grow with the pages that were ever opened on it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

# Gradio leaves event loops open behind it.
PROGRAM = """
import json, pathlib, sys, tracemalloc
import httpx
from app.server import serve
from backend.bootstrap import build_lab
from backend.settings import Settings
from bench.load import _body, _tick

lab = build_lab(Settings(home=pathlib.Path(sys.argv[1])))
server = serve(lab, port=0)
held = server.pages.app.state_holder
with httpx.Client(base_url=server.url, timeout=30) as client:
    event = _tick(client.get("config").json(), "")

    def look(name):
        answer = client.post("gradio_api/run/predict", json=_body(event, name))
        return answer.raise_for_status().json()["data"]

    first, again = look("a page"), look("a page")
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(30):
        look(f"page {number}")
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    most, held.capacity = held.capacity, len(held.session_data)
    look("one more")
    known = [name in held for name in ("a page", "page 0", "one more")]
    back = look("a page")
server.close()
lab.close()
skipped = lambda values: all(value == {"__type__": "update"} for value in values if value)
print(json.dumps({"skipped": [skipped(each) for each in (first, again, back)],
                  "known": known, "most": most, "kib_a_page": grown / 30 / 1024}))
"""


def test_pages_once_opened_cost_little_and_are_forgotten_in_the_end(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(ended.stdout.splitlines()[-1])
    # With all that Gradio keeps it would be 220 and what is shown, of 10,000 pages.
    assert told["kib_a_page"] < 60
    assert told["most"] == 1000
    assert told["known"] == [False, True, True]
    assert told["skipped"] == [False, True, False], "a forgotten page is sent everything again"

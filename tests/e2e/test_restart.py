"""The server dies during a run: the worker goes on, and the open page finds its way back."""

from __future__ import annotations

import re
import signal
import sqlite3
import time
from collections.abc import Iterator

import psutil
import pytest
from playwright.sync_api import Page, expect

from tests.cli.command import Command
from tests.e2e.conftest import LiveServer, Troubles, end_workers

DEADLINE_S = 300.0
STEPS = 400


@pytest.fixture
def run_id(server: LiveServer, tiny_run: list[str]) -> Iterator[str]:
    """A run of the tiny model that takes longer than the test."""
    run = Command(server.home)("train", *tiny_run, "--steps", STEPS).done()
    yield run["id"]
    Command(server.home)("stop", run["id"])
    end_workers(server.home)


def pid_and_step(server: LiveServer, run_id: str) -> tuple[int | None, int, str]:
    with sqlite3.connect(server.home / "lab.sqlite", timeout=30) as database:
        found = database.execute("SELECT pid, step, state FROM runs WHERE id = ?", (run_id,))
        pid, step, state = found.fetchone()
    return pid, step, state


def wait_for_step(server: LiveServer, run_id: str, step: int) -> int:
    """The worker's process id, once it has done ``step`` steps."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        pid, done, state = pid_and_step(server, run_id)
        if pid is not None and done >= step:
            return pid
        assert state in ("queued", "starting", "running"), state
        time.sleep(0.05)
    raise AssertionError(f"step {step} was not reached within {DEADLINE_S} s")


@pytest.mark.timeout(900)
def test_a_run_and_its_open_page_survive_the_server(
    server: LiveServer, page: Page, troubles: Troubles, run_id: str
) -> None:
    # What a browser says of a server that is gone.
    troubles.expected = ("ERR_", "Failed to fetch", "Failed to load", "Connection", "preload CSS")
    pid = wait_for_step(server, run_id, 3)
    page.goto(f"{server.url}/run?id={run_id}")
    facts = page.locator("#run-summary .sd-facts")
    expect(facts).to_contain_text(re.compile(r"step \d+/400"))
    expect(page.locator("#run-metrics .js-plotly-plot")).to_be_visible()

    server.end(signal.SIGKILL)
    expect(page.locator("#sd-away")).to_be_visible(timeout=20_000)
    assert psutil.pid_exists(pid)
    before = pid_and_step(server, run_id)[1]
    server.start()

    expect(page.locator("#sd-away")).to_have_count(0, timeout=30_000)
    assert wait_for_step(server, run_id, before + 3) == pid
    # The page has loaded again and counts on by itself.
    expect(facts).to_contain_text(re.compile(r"step \d+/400"))
    seen = _step(facts.inner_text())
    deadline = time.monotonic() + 30
    while _step(facts.inner_text()) <= seen and time.monotonic() < deadline:
        page.wait_for_timeout(200)
    assert _step(facts.inner_text()) > seen
    with sqlite3.connect(server.home / "lab.sqlite", timeout=30) as database:
        found = database.execute(
            "SELECT step FROM metrics WHERE run_id = ? AND key = 'loss' ORDER BY step", (run_id,)
        )
        steps = [row[0] for row in found]
    assert steps == list(range(1, len(steps) + 1))


def _step(facts: str) -> int:
    found = re.search(r"step (\d+)/", facts)
    assert found, facts
    return int(found[1])

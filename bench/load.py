"""Fifty people look at one lab while a run goes on: does it stay quick, sound and of one size?

    python -m bench.load                  ten minutes, on a machine that does nothing else
    python -m bench.load --minutes 1      to try it

Two of them are real browsers; the others do what a page does: its timer's event and the sign of
life every 2 s, and a connection that stays open. Prints one JSON document; exits 1 on a miss.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
from playwright.async_api import Page, async_playwright

from bench.browser import FLAGS, chromium_path
from bench.server import Served, environment, running_server

SDLAB: Final = str(Path(sys.executable).with_name("sdlab"))
ONE_THREAD: Final = {"SDLAB_THREADS": "1"}
EVERY_S: Final = 2.0
READY_S: Final = 180.0
MOST_MS: Final = 300.0
# The first part of the time fills caches and pools; then the size may not grow by more than this.
WARM_UP_SHARE: Final = 0.3
MOST_GROWTH_MIB: Final = 16.0
PAGES: Final = ("", "run?id={run}", "tasks", "launch", "traces?run={run}", "forgetting")
DURATIONS: Final = """() => {
  const found = performance.getEntriesByType("resource")
    .filter((each) => each.name.includes("/gradio_api/run/predict")).map((each) => each.duration);
  performance.clearResourceTimings();
  return found;
}"""


@dataclass
class Measured:
    """What came out, as it comes in."""

    client_ms: list[float] = field(default_factory=list)
    browser_ms: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    memory_mib: list[float] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    server_cpu_s: list[float] = field(default_factory=list)

    def document(self, clients: int, minutes: float) -> dict[str, Any]:
        """All of it, and whether it is good enough."""
        steady = self.memory_mib[int(len(self.memory_mib) * WARM_UP_SHARE) :]
        quarter = max(1, len(steady) // 4)
        first, last = (statistics.median(part) for part in (steady[:quarter], steady[-quarter:]))
        updates = self.client_ms + self.browser_ms
        misses = {
            "slow": statistics.median(updates) >= MOST_MS,
            "browsers slow": statistics.median(self.browser_ms) >= MOST_MS,
            "errors": bool(self.errors),
            "memory grows": last - first > MOST_GROWTH_MIB,
            "the run stands still": self.steps[-1] <= self.steps[0],
        }
        return {
            "clients": clients,
            "minutes": minutes,
            "cores": os.cpu_count(),
            "load_average": os.getloadavg(),
            "updates": len(updates),
            "update_ms": _quantiles(updates),
            "browser_update_ms": _quantiles(self.browser_ms),
            "server_cpu_ms_per_update": round(
                1000 * (self.server_cpu_s[-1] - self.server_cpu_s[0]) / len(updates), 1
            ),
            "errors": {"count": len(self.errors), "first": self.errors[:10]},
            "memory_mib": {"first_quarter": round(first, 1), "last_quarter": round(last, 1)},
            "steps_of_the_run": [self.steps[0], self.steps[-1]],
            "misses": [name for name, missed in misses.items() if missed],
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=50, help="two of them real browsers")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sdlab-load-") as folder:
        found = asyncio.run(_measure(Path(folder), options.clients, options.minutes))
    document = found.document(options.clients, options.minutes)
    print(json.dumps(document, indent=1))
    return 1 if document["misses"] else 0


async def _measure(folder: Path, clients: int, minutes: float) -> Measured:
    found = Measured()
    with _lab(folder) as (served, run):
        url = served.url
        ends = time.monotonic() + 60 * minutes
        async with _browsers(url, run, found) as pages:
            await asyncio.gather(
                *(_client(url, run, n, ends, found) for n in range(clients - len(pages))),
                *(_watch_browser(page, ends, found) for page in pages),
                _watch_server(url, run, served.process, ends, found),
            )
    return found


@contextlib.contextmanager
def _lab(folder: Path) -> Iterator[tuple[Served, str]]:
    """A served lab of its own with a run of a tiny model that will not end by itself."""
    home = folder / "home"
    variables = environment(home, **ONE_THREAD)

    def sdlab(*arguments: str) -> Any:
        line = [SDLAB, *arguments, "--json"]
        told = subprocess.run(line, env=variables, check=True, stdout=subprocess.PIPE)
        return json.loads(told.stdout)

    making = (
        "import sys, pathlib; from tests.tiny_model import build_model; "
        "from tests.lab.tiny_tasks import rows, write_rows; place = pathlib.Path(sys.argv[1]); "
        "build_model(place / 'tiny-llama'); write_rows(place / 'lights.jsonl', rows(60))"
    )
    subprocess.run([sys.executable, "-c", making, str(folder)], env=variables, check=True)
    sdlab("task", "add", str(folder / "lights.jsonl"), "--name", "lights")
    settings = ("batch_size=2", "max_new_tokens=8", "evaluate.every=50", "evaluate.limit=4",
                "evaluate.probes=[task]", "evaluate.premise=false")  # fmt: skip
    options = [part for setting in settings for part in ("--set", setting)]
    run = sdlab("train", "--task", "lights", "--method", "sdft", "--steps", "1000000",
                "--model", str(folder / "tiny-llama"), *options)["id"]  # fmt: skip
    with running_server(home, folder / "server.log", **ONE_THREAD) as served:
        try:
            _wait_for_step(served.url, run)
            yield served, run
        finally:
            sdlab("stop", run)
            deadline = time.monotonic() + READY_S
            while sdlab("show", run)["state"] == "cancelling" and time.monotonic() < deadline:
                time.sleep(1.0)


def _wait_for_step(url: str, run: str) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        with httpx.Client(base_url=url, timeout=30) as client:
            if _step(_tick(client.get("config").json(), "run"), client, run) > 0:
                return
        time.sleep(1.0)
    raise SystemExit(f"the run did not begin within {READY_S:.0f} s")


def _tick(config: dict[str, Any], page: str) -> dict[str, Any]:
    """The event of a page's timer."""
    on_page = set(config["page"][page]["dependencies"])
    return next(
        dict(each)
        for each in config["dependencies"]
        if each["id"] in on_page and any(target[1] == "tick" for target in each["targets"])
    )


def _body(event: dict[str, Any], session: str) -> dict[str, Any]:
    data = [None] * len(event["inputs"])
    return {"data": data, "fn_index": event["id"], "session_hash": session, "event_data": None}


def _step(event: dict[str, Any], client: httpx.Client, run: str) -> int:
    """The step that the run's page shows; asked by a session that has seen nothing yet."""
    body = _body(event, uuid.uuid4().hex)
    answer = client.post("gradio_api/run/predict", params={"id": run}, json=body)
    for value in answer.raise_for_status().json()["data"]:
        if isinstance(value, dict) and isinstance(value.get("run"), dict):
            return int(value["run"].get("progress", {}).get("step") or 0)
    return 0


async def _client(url: str, run: str, number: int, ends: float, found: Measured) -> None:
    """One page that stays open."""
    page, _, query = PAGES[number % len(PAGES)].format(run=run).partition("?")
    session = uuid.uuid4().hex
    # People do not open their pages all at once.
    await asyncio.sleep(EVERY_S * (number % 17) / 17)
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        try:
            await client.get(f"{page}?{query}")
            event = _tick((await client.get("config", params={"page": page})).json(), page)
            alive = asyncio.create_task(_stay(client, session))
            while time.monotonic() < ends:
                begun = time.monotonic()
                address = f"gradio_api/run/predict?{query}"
                answer = await client.post(address, json=_body(event, session))
                found.client_ms.append(1000 * (time.monotonic() - begun))
                alike = await client.get("healthz")
                for each in (answer, alike):
                    if each.status_code != 200:
                        found.errors.append(f"{page or 'runs'}: {each.status_code}")
                await asyncio.sleep(max(0.0, EVERY_S - (time.monotonic() - begun)))
            alive.cancel()
        except (httpx.HTTPError, ValueError) as error:
            found.errors.append(f"{page or 'runs'}: {type(error).__name__} {error}")


async def _stay(client: httpx.AsyncClient, session: str) -> None:
    """The connection by which Gradio knows that a page is open."""
    async with client.stream("GET", f"gradio_api/heartbeat/{session}", timeout=None) as beats:
        async for _ in beats.aiter_lines():
            pass


@contextlib.asynccontextmanager
async def _browsers(url: str, run: str, found: Measured) -> AsyncIterator[list[Page]]:
    """Two real browsers, one on the list of runs and one on the run."""
    path = chromium_path()
    async with async_playwright() as playwright:
        browsers = [
            await playwright.chromium.launch(executable_path=path, args=FLAGS) for _ in range(2)
        ]
        pages = []
        for browser, place in zip(browsers, PAGES[:2], strict=True):
            page = await browser.new_page()
            page.on("pageerror", lambda error: found.errors.append(f"page error: {error}"))
            page.on("console", lambda said: _note(said, found))
            await page.goto(url + place.format(run=run))
            await page.wait_for_selector("#header [data-drawn=true]", timeout=60_000)
            pages.append(page)
        yield pages
        for browser in browsers:
            await browser.close()


def _note(said: Any, found: Measured) -> None:
    if said.type == "error":
        found.errors.append(f"console: {said.text}")


async def _watch_browser(page: Page, ends: float, found: Measured) -> None:
    while time.monotonic() < ends:
        await asyncio.sleep(5.0)
        found.browser_ms += await page.evaluate(DURATIONS)


async def _watch_server(
    url: str, run: str, server: psutil.Process, ends: float, found: Measured
) -> None:
    with httpx.Client(base_url=url, timeout=60) as client:
        event = _tick(client.get("config").json(), "run")
        while time.monotonic() < ends:
            found.memory_mib.append(server.memory_info().rss / 2**20)
            found.server_cpu_s.append(sum(server.cpu_times()[:2]))
            found.steps.append(await asyncio.to_thread(_step, event, client, run))
            await asyncio.sleep(2.0)


def _quantiles(values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=100)
    return {"median": round(cuts[49], 1), "p95": round(cuts[94], 1), "most": round(max(values), 1)}


if __name__ == "__main__":
    sys.exit(main())

"""A real server on a real lab, and a real Chromium that reports everything that goes wrong."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.cli.command import SDLAB, Command, environment
from tests.lab.tiny_tasks import rows, write_rows

READY_S = 90.0
# Playwright's 5 s are too few beside other work on two cores: plotly alone took longer to draw.
expect.set_options(timeout=20_000)


@dataclass
class LiveServer:
    """``sdlab serve`` as a process; it can be killed and started again on the same port."""

    home: Path
    log: Path
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        assert self.process is None or self.process.poll() is not None
        before = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [SDLAB, "serve", "--port", str(self.port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **environment(self.home), **self.settings},
            )
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline:
            told = self.log.read_text("utf-8")[before:]
            urls = [line for line in told.splitlines() if line.startswith("http://")]
            if urls:
                self.port = urlsplit(urls[0]).port or 0
                if self._answers():
                    return
            assert self.process.poll() is None, told
            time.sleep(0.05)
        raise AssertionError(f"not ready after {READY_S} s:\n{self.log.read_text('utf-8')}")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def end(self, number: signal.Signals) -> None:
        """Signals the server and waits for its end."""
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(timeout=30)


@dataclass
class Troubles:
    """What a page did that it must not do."""

    url: str
    found: list[str] = field(default_factory=list)
    # Patterns of whole messages that are no trouble for now.
    expected: tuple[str, ...] = ()

    def watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self._note(f"page error: {error}"))
        page.on(
            "console", lambda m: self._note(f"console: {m.text}") if m.type == "error" else None
        )
        page.on("request", lambda request: self._check(request.url))

    def _check(self, url: str) -> None:
        # data: and blob: come from the page itself.
        if not url.startswith((self.url, "data:", "blob:")):
            self._note(f"request to another machine: {url}")

    def _note(self, trouble: str) -> None:
        if not any(re.fullmatch(pattern, trouble, re.DOTALL) for pattern in self.expected):
            self.found.append(trouble)


@pytest.fixture(scope="session")
def server(bundled_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One server for all tests, as Gradio takes seconds to import; its lab has the real model."""
    folder = tmp_path_factory.mktemp("e2e")
    home = folder / "home"
    home.mkdir()
    (home / "models").symlink_to(bundled_models)
    server = LiveServer(home, folder / "server.log")
    server.start()
    yield server
    server.end(signal.SIGTERM)
    end_workers(home)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test tells what the server and the workers were doing."""
    report = yield
    server = getattr(item, "funcargs", {}).get("server")
    if report.failed and isinstance(server, LiveServer):
        for process in workers(server.home):
            process.send_signal(signal.SIGUSR1)
        if server.process is not None and server.process.poll() is None:
            server.process.send_signal(signal.SIGUSR1)
        time.sleep(1.0)
        logs = [server.log, *sorted(server.home.glob("runs/*/worker.log"), key=os.path.getmtime)]
        for log in (logs[0], *logs[1:][-3:]):
            report.sections.append((str(log), log.read_text("utf-8")[-6000:]))
        runs = Command(server.home)("runs").out
        report.sections.append(("runs", runs[-6000:]))
    return report


def workers(home: Path) -> list[psutil.Process]:
    """The living workers of a lab."""
    found = psutil.process_iter(["cmdline"])
    return [
        process
        for process in found
        if {str(home), "backend.jobs.worker"} <= set(process.info["cmdline"] or [])
    ]


def end_workers(home: Path) -> None:
    """Workers outlive their server; those of a test must not."""
    for process in workers(home):
        process.kill()
        process.wait(timeout=30)


@pytest.fixture
def freed_slot(server: LiveServer) -> Iterator[None]:
    """Ends the test's runs after it, so that the next one does not wait for them."""
    yield
    command = Command(server.home)
    for run in command("runs").done():
        if run["state"] in ("queued", "starting", "running"):
            command("stop", run["id"])
    end_workers(server.home)


@pytest.fixture
def tiny_run(server: LiveServer, tiny_folder: Path, tmp_path: Path) -> list[str]:
    """Options of ``train`` for a run of the tiny model, on a task that the lab then has."""
    file = write_rows(tmp_path / "lights.jsonl", rows(40))
    Command(server.home)("task", "add", file, "--name", "lights").done()
    settings = (
        "batch_size=2", "max_new_tokens=8", "checkpoint_every=5", "evaluate.every=0",
        "evaluate.limit=4", "evaluate.max_new_tokens=4", "evaluate.probes=[task]",
        "evaluate.premise=false", "traces.every=0",
    )  # fmt: skip
    options = ["--task", "lights", "--method", "sdft", "--model", str(tiny_folder)]
    return [*options, *(part for setting in settings for part in ("--set", setting))]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = os.environ.get("SDLAB_CHROMIUM") or shutil.which("chromium")
    assert path, "Chromium is missing: run make setup-dev"
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    context.set_default_timeout(30_000)
    yield context
    context.close()


@pytest.fixture
def troubles(server: LiveServer) -> Iterator[Troubles]:
    """Fails the test at its end for any console error, page error or request that leaves."""
    noted = Troubles(server.url)
    yield noted
    assert noted.found == []


@pytest.fixture
def page(context: BrowserContext, troubles: Troubles) -> Page:
    page = context.new_page()
    troubles.watch(page)
    return page

"""``sdlab serve``: the lab in a browser, and the supervisor of its jobs, until it is stopped."""

from __future__ import annotations

import os
import signal
import sys
import threading
import webbrowser
from typing import TYPE_CHECKING, Final

import click

from app.cli.output import open_lab, tell
from backend.lab import Lab

if TYPE_CHECKING:
    from app.server import Server

_QUIET: Final = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 7860 or the next free one.")
def serve(host: str, port: int | None) -> None:
    """Show the lab in a browser and run what is queued, until stopped with Ctrl-C."""
    with open_lab() as lab:
        server = start(lab, host, port)
        wait_for_a_signal()
        tell("stopping; runs under way go on, and the next server finds them")
        server.close()


def start(lab: Lab, host: str = "127.0.0.1", port: int | None = None) -> Server:
    """The lab's server, its address told."""
    tell(f"opening the lab at {lab.settings.home}")
    os.environ.update(_QUIET)
    # Gradio takes seconds to import and reads its environment then; no other command needs it.
    from app.server import serve as serve_pages

    server = serve_pages(lab, host, port)
    click.echo(server.url)
    tell("Ctrl-C ends the server, not its runs")
    return server


def show_in_browser(server: Server) -> None:
    """Opens the lab in the user's browser, where there is a screen.

    Without one, a browser for text would take over the terminal.
    """
    if sys.platform in ("darwin", "win32") or {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ):
        webbrowser.open(server.url)


def wait_for_a_signal() -> None:
    """Returns once the process is asked to end."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    stopped.wait()

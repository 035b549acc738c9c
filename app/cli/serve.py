"""``sdlab serve``: the lab in a browser, and the supervisor of its jobs, until it is stopped."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import webbrowser
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

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
    # Before the address is told: whoever reads it may ask to end at once.
    ended = asked_to_end()
    tell_stacks()
    with open_lab() as lab:
        server = start(lab, host, port)
        ended.wait()
        tell("stopping; runs under way go on, and the next server finds them")
        server.close()


def start(lab: Lab, host: str = "127.0.0.1", port: int | None = None) -> Server:
    """The lab's server, its address told."""
    tell(f"opening the lab at {lab.settings.home}")
    # What a browser uploads stays in the lab, not in a folder that all users of the machine share.
    uploads = str(lab.settings.home / "browser-uploads")
    os.environ.update(_QUIET, GRADIO_TEMP_DIR=uploads)
    # Whom uvicorn believes a client's address and https: nobody, unless there is a proxy.
    proxies = "127.0.0.1,::1" if lab.settings.root_path else ""
    os.environ.setdefault("FORWARDED_ALLOW_IPS", proxies)
    # Gradio takes seconds to import and reads its environment then; no other command needs it.
    from app.server import FIRST_PORT
    from app.server import serve as serve_pages

    server = serve_pages(lab, host, port)
    wanted = FIRST_PORT if port is None else port
    if wanted not in (0, urlsplit(server.url).port):
        tell(f"port {wanted} is taken, so that the lab has the next free one:")
    click.echo(server.url)
    tell("Ctrl-C ends the server, not its runs")
    return server


def show_in_browser(server: Server) -> None:
    """Opens the lab in the user's browser, where there is a screen.

    Without one, a browser for text would take over the terminal.
    """
    if sys.platform in ("darwin", "win32") or {"DISPLAY", "WAYLAND_DISPLAY"} & set(os.environ):
        webbrowser.open(server.url)


def tell_stacks() -> None:
    """A SIGUSR1 from now on writes all threads' stacks to stderr: what a server waits for."""
    if hasattr(signal, "SIGUSR1"):
        faulthandler.register(signal.SIGUSR1)


def asked_to_end() -> threading.Event:
    """Set once the process is asked to end, by Ctrl-C or SIGTERM."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    return ended

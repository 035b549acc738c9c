"""``sdlab serve``: the lab's supervisor, until it is stopped."""

from __future__ import annotations

import os
import signal
import threading

import click

from app.cli.output import open_lab, tell


@click.command()
def serve() -> None:
    """Start queued runs and watch over them until stopped with Ctrl-C; there are no pages yet."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with open_lab() as lab:
        tell(f"supervising the lab at {lab.settings.home}; Ctrl-C ends this, not its runs")
        lab.supervise(f"sdlab serve, process {os.getpid()}", stopped.is_set)
    tell("stopped; runs under way go on, and the next supervisor finds them")

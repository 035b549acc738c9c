"""Serves the lab's pages on this machine, and supervises its jobs meanwhile."""

from __future__ import annotations

import logging
import socket
import threading
import time
from dataclasses import dataclass
from typing import Final

import gradio as gr
from fastapi.middleware import Middleware

from app.access.doors import Door, OpenDoor, PasswordDoor
from app.access.sign_in import UsersDoor
from app.components.sessions import MOST, remember_little
from app.guards import Guard
from app.pages import build_pages
from app.routes import STATIC, own_routes
from app.theme import THEME
from app.uploads import UPLOADS, Limits, remove_old_uploads
from backend.errors import StateError, UserError
from backend.lab import Lab
from backend.settings import Settings, names_in
from backend.users import Users

log = logging.getLogger("sdlab.server")

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]", "::1")
FIRST_PORT: Final = 7860
_PORTS: Final = 100


@dataclass(frozen=True)
class Server:
    """A lab that answers at ``url`` until it is closed."""

    url: str
    pages: gr.Blocks
    stopped: threading.Event
    supervision: threading.Thread

    def close(self) -> None:
        """Stops serving and supervising; runs under way go on."""
        self.stopped.set()
        self.supervision.join(timeout=10)
        self.pages.close(verbose=False)


def serve(lab: Lab, host: str = "127.0.0.1", port: int | None = None) -> Server:
    """Serves the lab. Without a port, the first free one from 7860 on; 0 is any free one.

    Raises UserError for an address that cannot be had, and StateError, with its address, where
    another server has the lab already.
    """
    settings = lab.settings
    door = _door(settings)
    _refuse_open_door(host, door)
    _refuse_second(lab)
    hosts = (*LOOPBACK, host, *names_in(settings.allowed_hosts))
    remove_old_uploads(settings.home / UPLOADS, time.time())
    port = free_port(host, port)
    url = f"http://{host}:{port}/"
    pages = build_pages(lab)
    pages.launch(
        server_name=host,
        server_port=port,
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        inbrowser=False,
        show_error=False,
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        mcp_server=False,
        pwa=False,
        footer_links=[],
        theme=THEME,
        css_paths=sorted(STATIC.glob("*.css")),
        max_file_size=f"{settings.max_upload_mib}mb",
        root_path=settings.root_path.rstrip("/"),
        state_session_capacity=MOST,
        app_kwargs={
            "routes": [*door.routes, *own_routes(lab)],
            "middleware": [
                Middleware(
                    Guard,
                    hosts=hosts,
                    door=door,
                    limits=Limits(settings),
                    root_path=settings.root_path,
                )
            ],
            "openapi_url": None,
            "docs_url": None,
            "redoc_url": None,
        },
    )
    remember_little(pages)
    stopped = threading.Event()
    supervision = threading.Thread(
        target=_supervise, args=(lab, url, stopped), name="supervisor", daemon=True
    )
    supervision.start()
    return Server(url, pages, stopped, supervision)


def free_port(host: str, port: int | None) -> int:
    """``port`` if it can be had, or the next one that can. Raises UserError."""
    first = FIRST_PORT if port is None else port
    for candidate in range(first, first + _PORTS) if first else (0,):
        try:
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, candidate))
                return int(probe.getsockname()[1])
        except OSError as error:
            reason = error.strerror
    raise UserError(
        f"cannot listen on {host}:{first} ({reason})",
        where="--host, --port",
        remedy="name an address of this machine and a free port above 1023",
    )


def _door(settings: Settings) -> Door:
    """How people come in. Raises UserError where the settings leave nobody, or two ways."""
    if settings.auth and settings.password:
        raise UserError(
            "both a password for all and users are set",
            where="SDLAB_PASSWORD, SDLAB_AUTH",
            remedy="unset one of them",
        )
    if settings.password:
        return PasswordDoor(settings.password)
    if not settings.auth:
        return OpenDoor()
    users = Users(settings.users_file)
    if not users.people():
        raise UserError(
            "nobody may sign in: there are no users yet",
            where="SDLAB_AUTH",
            remedy="run: sdlab user add NAME --role admin",
        )
    return UsersDoor(users, settings)


def _refuse_open_door(host: str, door: Door) -> None:
    """The lab takes files and starts processes: whoever reaches it from elsewhere needs a word."""
    if host not in LOOPBACK and isinstance(door, OpenDoor):
        raise UserError(
            f"listening on {host} would let others on the network use this lab",
            where="--host",
            remedy="set SDLAB_PASSWORD, or SDLAB_AUTH=users, first; or leave --host out",
        )


def _refuse_second(lab: Lab) -> None:
    address = lab.server_address()
    if address is not None:
        raise StateError(
            f"the lab is already served at {address}",
            where=f"lab {lab.settings.home}",
            remedy="open that address, or stop that server first",
        )


def _supervise(lab: Lab, url: str, stopped: threading.Event) -> None:
    """Supervises as soon as nobody else does: a command with --wait may have the lab until then."""
    while not stopped.is_set():
        try:
            lab.supervise(url, stopped.is_set)
        except StateError as error:
            log.info("%s; waiting for it to end", error)
        except Exception:
            # The pages must stay: they say what is wrong, and the next round may go well.
            log.exception("supervising failed; trying again")
        stopped.wait(1.0)

"""What the server remembers of each open page: little, and of a bounded number of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Final

import gradio as gr
from gradio.state_holder import SessionState, StateHolder

# Gradio never forgets a page that was closed; only the least used of too many. Who comes back to a
# forgotten one sees the same: what is shown stands in the address and the lab.
MOST: Final = 1000


class Remembered(SessionState):  # type: ignore[misc]
    """One page's own values.

    Gradio keeps with them what every component of every page is like and shows, for links to a
    page as it stands, which the lab never answers (app/uploads.py). That is 220 KiB and 4 ms of the
    event loop for a page just opened, and a copy of all that it is sent later.
    """

    def __init__(self, blocks: gr.Blocks) -> None:
        super().__init__(SimpleNamespace(default_config=blocks.default_config, blocks=()))

    def __setitem__(self, key: int, value: Any) -> None:
        super().__setitem__(key, value)
        self.config_values.clear()

    def _update_config(self, key: int) -> None:
        pass

    def _update_value_in_config(self, key: int, value: Any) -> None:
        pass


class Sessions(StateHolder):  # type: ignore[misc]
    """The open pages of a server, by the names that they gave themselves."""

    def __getitem__(self, session_id: str) -> SessionState:
        if session_id not in self:
            self.session_data[session_id] = Remembered(self.blocks)
        return super().__getitem__(session_id)


def remember_little(pages: gr.Blocks) -> None:
    """Makes the launched ``pages`` keep no more of those who look at them than they need."""
    sessions = Sessions()
    pages.app.state_holder = sessions
    sessions.set_blocks(pages)

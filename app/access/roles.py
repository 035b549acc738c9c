"""What a role may do: every event of the pages and every route is checked here, on the server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import gradio as gr
from gradio.blocks import BlockFunction

from app.access.sign_in import LOGIN, LOGOUT
from app.components.skips import SkippingBlocks
from app.uploads import names_an_address
from backend.users import Person, Role

Event = TypeVar("Event", bound=Callable[..., Any])
_ARTICLE: Final = {"viewer": "a", "trainer": "a", "admin": "an"}
_NEEDS: Final = "sdlab_role"
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# Gradio's routes that carry events, or end what an event began: LabBlocks looks at the event.
_EVENTS: Final = tuple(
    f"/gradio_api/{name}" for name in ("queue/join", "run/", "api/", "call/", "cancel", "reset")
)


def for_role(role: Role) -> Callable[[Event], Event]:
    """Marks what an event calls as needing ``role``; unmarked, it needs a trainer."""

    def mark(event: Event) -> Event:
        setattr(event, _NEEDS, role)
        return event

    return mark


class LabBlocks(SkippingBlocks):
    """Pages whose events are refused to people whose role does not reach.

    An event acts, and needs a trainer, unless ``for_role`` marks it: one that is forgotten is
    refused to viewers. A forged event comes through here like one of the pages' own.
    """

    async def process_api(
        self, block_fn: BlockFunction | int, inputs: list[Any], *args: Any, **kwargs: Any
    ) -> Any:
        event = self.fns[block_fn] if isinstance(block_fn, int) else block_fn
        person = _person(kwargs.get("request"))
        needed = role_for_event(event)
        if person is None or not person.may(needed):
            raise gr.Error(refusal(person, needed), title="Not allowed", print_exception=False)
        if names_an_address(inputs):
            raise gr.Error("files come from your disk", title="Not allowed", print_exception=False)
        return await super().process_api(block_fn, inputs, *args, **kwargs)


def role_for_event(event: BlockFunction) -> Role:
    """The least role that an event needs."""
    needed: Role = getattr(event.fn, _NEEDS, "trainer")
    return needed


def role_for_route(method: str, path: str) -> Role:
    """The least role that a request needs: what writes is a trainer's unless it is known better."""
    if method in _READING or path in (LOGIN, LOGOUT) or path.startswith(_EVENTS):
        return "viewer"
    return "trainer"


def refusal(person: Person | None, needed: Role) -> str:
    """Why something is refused, in a sentence."""
    if person is None:
        return "sign in first"
    return f"your role here is {person.role}, and this needs {_ARTICLE[needed]} {needed}"


def _person(request: Any) -> Person | None:
    """Who sent an event; Gradio hands on the request that brought it, also through its queue."""
    first = request[0] if isinstance(request, list) else request
    scope = getattr(getattr(first, "request", None), "scope", {})
    found = scope.get("user")
    return found if isinstance(found, Person) else None

"""What one row of a task is once it has been read and mapped."""

from __future__ import annotations

from typing import Literal

from backend.config import Frozen


class Message(Frozen):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str


class Demonstration(Frozen):
    """A prompt and the answer that shows how it is done.

    ``messages`` is the conversation up to the answer and ends with a user or tool turn;
    ``reference`` is what a scorer compares with (default: the demonstration itself); ``feedback``
    is what may be said of a wrong answer, for teachers that are shown it. Rows of one ``group``
    are never parted between training and held-out rows.
    """

    id: str
    row: int
    messages: tuple[Message, ...]
    demonstration: str
    reference: str | tuple[str, ...] | None = None
    tags: tuple[str, ...] = ()
    group: str | None = None
    feedback: str | None = None

    @property
    def prompt(self) -> str:
        """The last turn's text, for lists and traces."""
        return self.messages[-1].content

    @property
    def target(self) -> str | tuple[str, ...]:
        """What a scorer compares an answer with."""
        return self.demonstration if self.reference is None else self.reference

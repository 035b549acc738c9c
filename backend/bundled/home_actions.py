"""What an action of the home is: a command, and the wordings that ask for it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Wording:
    """Ways to ask for an action: orders go into a polite frame, statements stand alone."""

    orders: tuple[str, ...]
    statements: tuple[str, ...]


@dataclass(frozen=True)
class Action:
    """A command template, and its wordings in training and on held-out rows."""

    command: str
    training: Wording
    held_out: Wording

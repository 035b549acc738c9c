"""What each role reads: the student the prompt alone, the teacher a demonstration beside it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from backend.config import TeacherConfig
from backend.data.demonstration import Demonstration, Message
from backend.errors import ConfigError, DataError

Messages = tuple[Message, ...]
Context = Callable[[Sequence[Message], str], Messages]

# The paper's wording (arXiv 2601.19897, figure 2), with the empty lines of its public code.
PAPER_TEMPLATE: Final = (
    "{prompt}\n\n"
    "This is an example for a response to the question:\n"
    "{demonstration}\n\n"
    "Now answer with a response of your own, including the thinking process:"
)
ANSWER_FIRST_TEMPLATE: Final = "The expected answer is: {demonstration}\n\n{prompt}"
_SYSTEM_LINE: Final = "Here is an example of a good response to the user's next request:\n"
_PLACEHOLDER: Final = re.compile(r"\{(prompt|demonstration)\}")


def from_template(messages: Sequence[Message], demonstration: str, template: str) -> Messages:
    """The last question laid out by ``template``; earlier turns stay.

    ``{prompt}`` and ``{demonstration}`` are replaced in one pass, so that braces, ``$`` and even
    placeholders in the user's own text survive.
    """
    head, question, tail = _around_question(messages)
    values = {"prompt": question.content, "demonstration": demonstration}
    text = _PLACEHOLDER.sub(lambda match: values[match[1]], template)
    return (*head, Message(role="user", content=text), *tail)


def earlier_turn(messages: Sequence[Message], demonstration: str, times: int = 1) -> Messages:
    """Question and demonstration as ``times`` earlier exchanges, then the question again."""
    head, question, tail = _around_question(messages)
    exchange = (question, *tail)
    answered = (*exchange, Message(role="assistant", content=demonstration))
    return (*head, *answered * times, *exchange)


def in_system_message(messages: Sequence[Message], demonstration: str) -> Messages:
    """The demonstration at the end of the system message, which is added where there is none."""
    shown = _SYSTEM_LINE + demonstration
    if messages and messages[0].role == "system":
        shown = f"{messages[0].content}\n\n{shown}"
        messages = messages[1:]
    return (Message(role="system", content=shown), *messages)


CONTEXTS: Final[Mapping[str, Context]] = {
    "paper": partial(from_template, template=PAPER_TEMPLATE),
    "earlier-turn": earlier_turn,
    "earlier-turn-twice": partial(earlier_turn, times=2),
    "answer-first": partial(from_template, template=ANSWER_FIRST_TEMPLATE),
    "system": in_system_message,
    # A run brings its own template; this one shows the form.
    "template": partial(from_template, template=PAPER_TEMPLATE),
}


def student_messages(demonstration: Demonstration) -> Messages:
    """What the student reads: the prompt as it stands."""
    return demonstration.messages


def teacher_messages(config: TeacherConfig, demonstration: Demonstration) -> Messages:
    """What the teacher reads. Raises ConfigError as :func:`find_context` does."""
    return find_context(config)(demonstration.messages, demonstration.demonstration)


def find_context(config: TeacherConfig) -> Context:
    """The function behind ``config.context``.

    Raises ConfigError for an unknown name, and for a template without both placeholders.
    """
    if config.context not in CONTEXTS:
        near = difflib.get_close_matches(config.context, CONTEXTS, n=1)
        hint = f'; did you mean "{near[0]}"?' if near else ""
        raise ConfigError(
            f'there is no context "{config.context}"{hint}',
            where="teacher.context",
            remedy=f"choose one of {', '.join(CONTEXTS)}",
        )
    if config.context != "template" or config.template is None:
        return CONTEXTS[config.context]
    found = set(_PLACEHOLDER.findall(config.template))
    for name in ("prompt", "demonstration"):
        if name not in found:
            raise ConfigError(
                f"the template has no {{{name}}}",
                where="teacher.template",
                remedy=f"put {{{name}}} where the row's {name} belongs",
            )
    return partial(from_template, template=config.template)


def _around_question(messages: Sequence[Message]) -> tuple[Messages, Message, Messages]:
    """The turns before the last user turn, that turn, and what follows it (results of tools)."""
    for place in range(len(messages) - 1, -1, -1):
        if messages[place].role == "user":
            return tuple(messages[:place]), messages[place], tuple(messages[place + 1 :])
    raise DataError(
        "the prompt has no user turn",
        where="messages",
        remedy="add the user's question before the answer",
    )

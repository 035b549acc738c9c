"""What each role reads: the student the prompt alone, the teacher something beside it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

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
# siyan-zhao/OPSD, data_collator.py, without its last line, which asks for a boxed number.
REFERENCE_TEMPLATE: Final = (
    "{prompt}\n\n"
    "Here is a reference solution to this problem:\n{demonstration}\n\n\n"
    "After understanding the reference solution and the rationale behind each step, now articulate "
    "your own step-by-step reasoning that derives the same final answer to the problem below:\n"
)
# lasgroup/SDPO, verl/trainer/config/actor/actor.yaml.
SIBLING_TEMPLATE: Final = (
    "{prompt}\nCorrect solution:\n\n{demonstration}\n\nCorrectly solve the original question."
)
FEEDBACK_TEMPLATE: Final = (
    "{prompt}\nThe following is feedback from your unsuccessful earlier attempt:\n\n"
    "{demonstration}\n\nCorrectly solve the original question."
)
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


def nothing(messages: Sequence[Message], demonstration: str) -> Messages:
    """The prompt as the student reads it."""
    return tuple(messages)


CONTEXTS: Final[Mapping[str, Context]] = {
    "paper": partial(from_template, template=PAPER_TEMPLATE),
    "earlier-turn": earlier_turn,
    "earlier-turn-twice": partial(earlier_turn, times=2),
    "answer-first": partial(from_template, template=ANSWER_FIRST_TEMPLATE),
    "system": in_system_message,
    "several": earlier_turn,
    "reference-solution": partial(from_template, template=REFERENCE_TEMPLATE),
    "reference-earlier-turn": partial(earlier_turn, times=2),
    "successful-sibling": partial(from_template, template=SIBLING_TEMPLATE),
    "feedback": partial(from_template, template=FEEDBACK_TEMPLATE),
    "sibling-or-feedback": partial(from_template, template=SIBLING_TEMPLATE),
    "prompt-only": nothing,
    # A run brings its own template; this one shows the form.
    "template": partial(from_template, template=PAPER_TEMPLATE),
}


Shown = Literal["demonstration", "reference", "sibling", "feedback", "nothing"]
# What a form shows, where that is not the demonstration.
SHOWS: Final[Mapping[str, Shown]] = {
    "reference-solution": "reference",
    "reference-earlier-turn": "reference",
    "successful-sibling": "sibling",
    "feedback": "feedback",
    "sibling-or-feedback": "sibling",
    "prompt-only": "nothing",
}
# The forms that every row can be shown in, without a text of the user's own.
DEMONSTRATION_FORMS: Final = tuple(
    name for name in CONTEXTS if name not in SHOWS and name != "template"
)


def rests_on_premise(teacher: TeacherConfig) -> bool:
    """Whether there is a teacher, and it is shown what its row holds: a demonstration or solution.

    Not what a group of rollouts gives, or nothing.
    """
    shown = SHOWS.get(teacher.context, "demonstration")
    return teacher.weights != "none" and shown in ("demonstration", "reference")


@dataclass(frozen=True)
class Lesson:
    """What a row's teacher may be shown that the row itself does not hold."""

    others: tuple[Demonstration, ...] = ()
    sibling: str | None = None
    feedback: str | None = None


NO_LESSON: Final = Lesson()


def student_messages(demonstration: Demonstration) -> Messages:
    """What the student reads: the prompt as it stands."""
    return demonstration.messages


def teacher_messages(
    config: TeacherConfig, demonstration: Demonstration, lesson: Lesson = NO_LESSON
) -> Messages:
    """What the teacher reads: the prompt alone where the lesson has nothing that the form shows.

    Raises ConfigError as :func:`find_context` does.
    """
    form = find_context(config)
    shown, is_feedback = _shown(config, demonstration, lesson)
    if shown is None:
        return demonstration.messages
    messages = (CONTEXTS["feedback"] if is_feedback else form)(demonstration.messages, shown)
    if config.context != "several":
        return messages
    others = [other for other in lesson.others if other.id != demonstration.id]
    return _after_others(messages, others[: config.examples])


def has_lesson(config: TeacherConfig, demonstration: Demonstration, lesson: Lesson) -> bool:
    """Whether the form has something to show for this row."""
    return _shown(config, demonstration, lesson)[0] is not None


def _shown(
    config: TeacherConfig, demonstration: Demonstration, lesson: Lesson
) -> tuple[str | None, bool]:
    """The text to be shown, and whether it is feedback instead of what the form is made for."""
    kind = SHOWS.get(config.context, "demonstration")
    if kind == "sibling":
        if lesson.sibling is None and config.context == "sibling-or-feedback":
            return lesson.feedback, True
        return lesson.sibling, False
    if kind == "reference":
        reference = demonstration.target
        return reference if isinstance(reference, str) else "\n".join(reference), False
    return {"feedback": lesson.feedback, "nothing": ""}.get(
        kind, demonstration.demonstration
    ), False


def _after_others(messages: Messages, others: Sequence[Demonstration]) -> Messages:
    """Other rows, answered, after the system message and before everything else."""
    head = messages[:1] if messages[0].role == "system" else ()
    answered: list[Message] = []
    for other in others:
        _, question, tail = _around_question(other.messages)
        answered += [question, *tail, Message(role="assistant", content=other.demonstration)]
    return (*head, *answered, *messages[len(head) :])


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

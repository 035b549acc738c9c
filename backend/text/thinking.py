"""What a thinking model wrote, without its thoughts."""

from __future__ import annotations

from typing import Final

_START: Final = "<think>"
_END: Final = "</think>"


def strip_thinking(answer: str) -> str:
    """The answer without its ``<think>`` blocks, also one that never ends.

    Some chat templates open the block in the prompt, so that an answer holds only its end.
    """
    end = answer.find(_END)
    if end >= 0 and not 0 <= answer.find(_START) < end:
        answer = answer[end + len(_END) :]
    kept = []
    place = 0
    while (start := answer.find(_START, place)) >= 0:
        kept.append(answer[place:start])
        end = answer.find(_END, start)
        place = len(answer) if end < 0 else end + len(_END)
    return "".join([*kept, answer[place:]]).strip()

"""Rules that an answer to an instruction must keep; each check is a value from a JSONL file."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

Check = Mapping[str, Any]


def passes(check: Check, answer: str) -> bool:
    """Whether ``answer`` keeps the rule. Raises KeyError for an unknown kind."""
    return CHECKS[check["kind"]](check, answer.strip())


def _has(text: str, part: str) -> bool:
    return part.casefold() in text.casefold()


CHECKS: Final[Mapping[str, Callable[[Check, str], bool]]] = {
    "contains": lambda check, text: any(_has(text, part) for part in check["any"]),
    "contains_all": lambda check, text: all(_has(text, part) for part in check["all"]),
    "excludes": lambda check, text: not any(_has(text, part) for part in check["none"]),
    "starts_with": lambda check, text: text.casefold().startswith(check["text"].casefold()),
    "ends_with": lambda check, text: text.casefold().endswith(check["text"].casefold()),
    "max_words": lambda check, text: 0 < len(text.split()) <= check["n"],
    "min_lines": lambda check, text: (
        len([ln for ln in text.splitlines() if ln.strip()]) >= check["n"]
    ),
    "uppercase": lambda check, text: text.isupper(),
    "lowercase": lambda check, text: text.islower(),
    "regex": lambda check, text: re.search(check["pattern"], text) is not None,
    "all_of": lambda check, text: all(passes(inner, text) for inner in check["checks"]),
}

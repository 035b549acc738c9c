"""What several prompts begin with alike, which is read once."""

from __future__ import annotations

from collections.abc import Sequence


def common_beginning(prompts: Sequence[Sequence[int]]) -> int:
    """How many tokens all prompts begin with; at least one is left of each."""
    if len(prompts) < 2:
        return 0
    alike = 0
    for tokens in zip(*prompts, strict=False):
        if len(set(tokens)) > 1:
            break
        alike += 1
    return min(alike, min(map(len, prompts)) - 1)

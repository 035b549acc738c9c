"""Rows that are read together: few enough, and not too long together."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from backend.evaluation.batches import BATCH_ROWS, BATCH_TOKENS, batches


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 2 * BATCH_TOKENS), max_size=80))
def test_every_row_is_read_once_with_those_of_its_length(lengths: list[int]) -> None:
    made = list(batches(lengths))
    order = [place for together in made for place in together]
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[place] for place in order] == sorted(lengths)
    for together in made:
        longest = max(lengths[place] for place in together)
        assert 1 <= len(together) <= BATCH_ROWS
        assert len(together) == 1 or len(together) * longest <= BATCH_TOKENS


def test_short_rows_are_read_as_many_at_once_as_may_be() -> None:
    assert [len(together) for together in batches([100] * 70)] == [32, 32, 6]
    assert [len(together) for together in batches([4000] * 10)] == [4, 4, 2]

"""The page bench says which targets are met, by the median."""

from __future__ import annotations

from bench.pages import missed, table


def measured(*ready_ms: float, painted_ms: float = 100.0) -> dict[str, object]:
    painted = [{"from_value_ms": painted_ms, "from_click_ms": 900.0}]
    return {"opened": {"Runs": [{"ready_ms": each} for each in ready_ms]}, "painted": painted}


def test_the_median_is_what_counts() -> None:
    assert missed(measured(300, 400, 9000)) == []
    assert missed(measured(300, 2500, 9000)) == ["Runs"]


def test_painting_has_a_target_of_its_own() -> None:
    assert missed(measured(300, painted_ms=300)) == ["1,000 tokens, from value to frame"]


def test_the_table_shows_median_range_first_and_target() -> None:
    assert "| Runs | 2,600 | 300 | 9,000 | 2,600 | 2,500: MISSED |" in table(
        measured(2600, 300, 9000)
    )

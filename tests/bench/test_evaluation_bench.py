"""The evaluation bench asks short items, the same of both sides, and says which targets are met."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from backend.models.products import packs
from bench.evaluation import AGREEMENT, Timed, compared, disturbed_adapter, result_of
from bench.items import items_of_facts
from bench.plain import plain
from tests.tiny_model import load_tiny
from tests.training.tiny_runs import logits_of

pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
RIGHT, WRONG = (1.0, "a"), (0.0, "b")


def timed(
    *seconds: tuple[float, float], theirs: tuple[float, str] = RIGHT
) -> list[tuple[Timed, Timed]]:
    return [(Timed(ours, [RIGHT, WRONG]), Timed(other, [theirs, WRONG])) for ours, other in seconds]


def test_the_median_ratio_is_what_counts() -> None:
    met = result_of("choices", timed((1.0, 1.0), (1.0, 2.0), (1.0, 9.0)), 0.0)
    assert (met["ratio"], met["spread"], met["missed"]) == (2.0, [1.0, 9.0], False)
    assert (met["items"], met["score"]) == (6, 0.5)
    assert result_of("choices", timed((1.0, 1.9)), 0.0)["missed"]


def test_written_answers_have_no_target() -> None:
    assert not result_of("written answers", timed((1.0, 0.5)), 0.0)["missed"]


@pytest.mark.parametrize("theirs", [WRONG, (1.0, "c"), (0.0, "a")])
def test_another_score_or_answer_fails_it(theirs: tuple[float, str]) -> None:
    found = result_of("choices", timed((1.0, 9.0), theirs=theirs), 0.0)
    assert (found["differing_items"], found["missed"]) == (1, True)


def test_likelihoods_apart_fail_it() -> None:
    assert result_of("choices", timed((1.0, 9.0)), 2 * AGREEMENT)["missed"]


def test_items_are_a_thousand_short_ones() -> None:
    items = items_of_facts(1000)
    assert len({(item.context, item.choices) for item in items}) == 1000
    assert all(len(set(item.choices)) == 4 and item.answer in range(4) for item in items)
    assert all(choice.startswith(" ") for item in items for choice in item.choices)
    assert max(len(item.context.split()) for item in items) < 50
    with pytest.raises(ValueError, match="give 1 to 1108"):
        items_of_facts(2000)


@pytest.mark.parametrize("work", ["choices", "written answers"])
def test_both_sides_score_the_same(work: str, tiny_folder: Path) -> None:
    model = load_tiny(tiny_folder)
    disturbed_adapter(model)
    found = compared(model, work, items_of_facts(12), 2)
    assert (found["items"], found["differing_items"]) == (12, 0)
    assert 0 < found["likelihoods_apart"] <= AGREEMENT
    assert found["batch_size"] in found["tried_s"]


def test_the_plain_model_has_no_layer_of_the_labs(tiny_folder: Path) -> None:
    model = load_tiny(tiny_folder)
    disturbed_adapter(model)
    replaced = [each for each in model.network.modules() if "forward" in each.__dict__]
    own = logits_of(model)
    with plain(model):
        assert not [each for each in model.network.modules() if "forward" in each.__dict__]
        torch.testing.assert_close(logits_of(model), own, atol=1e-4, rtol=1e-4)
    assert replaced == [each for each in model.network.modules() if "forward" in each.__dict__]
    assert replaced or not packs()

"""Two processes that share a step's rows take the step that one process takes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from backend.training.ranks import ALONE, Ranks
from tests.training.rank_steps import gradients
from tests.training.tiny_runs import tiny_config

ROOT = Path(__file__).parents[2]
# Where nothing is drawn by chance, the rollouts are those of one process as well.
CONFIGS = {
    "sft": tiny_config("sft", batch_size=5),
    "teacher": tiny_config(rollout__source="demonstration", batch_size=5),
    "micro-batches": tiny_config("sft", batch_size=5, micro_batch_size=2),
    "greedy": tiny_config(rollout__temperature=1.0, rollout__top_k=1, batch_size=5),
    "both losses": tiny_config(
        rollout__top_k=1, batch_size=5, divergence__nll_share=0.3, token_weights__average="token"
    ),
}


@pytest.fixture(scope="module")
def together(tiny_folder, tmp_path_factory):
    """What each of two processes found of each configuration."""
    target = tmp_path_factory.mktemp("ranks")
    documents = json.dumps([config.as_document() for config in CONFIGS.values()])
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.training.rank_steps", str(tiny_folder),
             str(target / "meeting"), str(number), "2", str(target), documents], cwd=ROOT,
        )
        for number in range(2)
    ]  # fmt: skip
    assert [process.wait(120) for process in started] == [0, 0]
    return {
        name: [load_file(target / f"{place}-{number}.safetensors") for number in range(2)]
        for place, name in enumerate(CONFIGS)
    }


@pytest.mark.parametrize("name", CONFIGS)
def test_gradients_are_those_of_one_process(name, together, tiny_folder):
    alone, (first, second) = gradients(tiny_folder, CONFIGS[name]), together[name]
    assert first.keys() == second.keys() == alone.keys()
    for key, expected in alone.items():
        atol = 1e-5 * max(1.0, float(expected.abs().max()))
        torch.testing.assert_close(first[key], expected, atol=atol, rtol=1e-5, msg=key)
        assert torch.equal(first[key], second[key]), "all take the same step"
    assert float(alone["loss"][1]) > 0


def test_shares_cover_all_rows_once_and_evenly():
    for size in (1, 2, 3, 7):
        shares = [Ranks(number, size).share(10) for number in range(size)]
        assert [row for share in shares for row in share] == list(range(10))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_alone_there_is_nobody_to_ask():
    values = torch.arange(3)
    assert ALONE.join(values) is values
    assert ALONE.agree("x") == "x"
    assert ALONE.join_lists([1, 2]) == [1, 2]
    drawn = torch.rand(2, generator=torch.Generator().manual_seed(3))
    again = torch.rand(2, generator=ALONE.set_apart(torch.Generator().manual_seed(3)))
    assert torch.equal(drawn, again)


def test_no_two_processes_draw_the_same():
    drawn = [
        float(torch.rand((), generator=Ranks(n, 3).set_apart(torch.Generator().manual_seed(2**62))))
        for n in range(3)
    ]
    assert len(set(drawn)) == 3

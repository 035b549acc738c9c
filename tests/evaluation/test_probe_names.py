"""Names of probes: what they stand for, and what is said of those that mean nothing here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from backend.config import EvaluateConfig, RunConfig
from backend.errors import ConfigError
from backend.evaluation.probe_names import expand, split_benchmark
from backend.methods import resolve
from backend.models.workload import BENCHMARK, Lengths, planned_scoring

HELLASWAG = "lm-eval:hellaswag:acc_norm"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python that finds the package, as a name only: nothing of it is imported for a name."""
    monkeypatch.delitem(sys.modules, "lm_eval", raising=False)
    (tmp_path / "lm_eval").mkdir()
    (tmp_path / "lm_eval" / "__init__.py").write_text("raise ImportError('not for a name')")
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("installed")
def test_a_benchmark_is_a_probe_where_its_package_is_installed() -> None:
    assert expand(["task", HELLASWAG, "prior:facts", HELLASWAG]) == [
        "task", HELLASWAG, "prior:facts",
    ]  # fmt: skip


def test_without_the_package_a_benchmark_is_refused_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    with pytest.raises(ConfigError, match=r"needs the package lm-eval.*sdlab\[benchmarks\]"):
        expand(["task", HELLASWAG])
    assert expand(["task"]) == ["task"]


@pytest.mark.parametrize(
    ("name", "task", "metric"),
    [
        (HELLASWAG, "hellaswag", "acc_norm,none"),
        ("lm-eval:gsm8k:exact_match,strict-match", "gsm8k", "exact_match,strict-match"),
        ("lm-eval:a:b:acc", "a:b", "acc,none"),
    ],
)
def test_a_benchmark_is_a_task_and_lm_evals_own_key(name: str, task: str, metric: str) -> None:
    assert split_benchmark(name) == (task, metric)


@pytest.mark.parametrize("name", ["lm-eval:", "lm-eval:hellaswag", "lm-eval:hellaswag:"])
@pytest.mark.usefixtures("installed")
def test_a_benchmark_without_task_or_metric_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="names no benchmark and metric; write lm-eval:TASK:ME"):
        expand([name])


def test_an_unknown_probe_is_refused_with_all_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r'no probe "priors"; choose .* or lm-eval:TASK:METRIC'):
        expand(["priors"])


def test_a_benchmark_has_its_place_in_the_estimate() -> None:
    evaluate = EvaluateConfig(probes=(HELLASWAG,), limit=50, premise=False)
    run: RunConfig = resolve({"task": "t", "method": "sft"}).model_copy(
        update={"evaluate": evaluate}
    )
    found = planned_scoring(run, [HELLASWAG], 96, Lengths(55, 0, 15))[0]
    assert (found.rows, found.read) == (2 * 50, BENCHMARK.read)

"""Estimates: near what was measured, growing with what grows, and refusing what cannot work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backend.config import RunConfig
from backend.errors import ConfigError, ModelError
from backend.methods import resolve
from backend.models.estimate import Estimate, duration, estimate, in_words, refusal
from backend.models.hardware import HardwareProfile
from backend.models.workload import (
    PRIOR_PROBES,
    Lengths,
    Scoring,
    expected_answer,
    planned_scoring,
    step_work,
)
from tests.models.test_dimensions import QWEN_7B

# The machine on which the steps were measured, the home commands task, and the demo's tickets.
TWO_CORES = HardwareProfile("2 CPU cores", False, 196.0, 46.0, 24_105, 21_000)
H100 = HardwareProfile("NVIDIA H100 80GB HBM3", True, 989_000.0, 3350.0, 81_559, 80_000)
LENGTHS = Lengths(prompt=55, teacher_prompt=135, demonstration=15)
TICKETS = Lengths(48, 133, 13, longest_demonstration=18, shared_prompt=24)
PROBES = ["task", "prior:facts", "prior:instructions", "prior:kl"]


def config(method: str = "sdft", **changes: Any) -> RunConfig:
    return resolve({"task": "home-commands", "method": method, **changes})


def estimated(
    run: RunConfig,
    profile: HardwareProfile = TWO_CORES,
    scoring: tuple[Scoring, ...] = (),
    lengths: Lengths = LENGTHS,
) -> Estimate:
    found = estimate(run, lengths, scoring, profile, Path("/nowhere"))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("method", "measured_s"), [("sdft/small-model", 4.3), ("sft/small-model", 1.7)]
)
def test_a_step_takes_about_what_was_measured(method: str, measured_s: float) -> None:
    found = estimated(config(method, steps=36), lengths=TICKETS)
    assert found.step_s == pytest.approx(measured_s, rel=0.2)


def test_what_the_student_wrote_is_not_read_again_unless_in_parts() -> None:
    whole, split = (
        estimated(config("sdft/paper", batch_size=32, micro_batch_size=size)).by_part["student_s"]
        for size in (0, 8)
    )
    assert whole < 0.7 * split


@pytest.mark.parametrize(
    ("scoring", "measured_s"),
    [
        (PRIOR_PROBES["prior:facts"], 9.3),
        (PRIOR_PROBES["prior:instructions"], 5.5),
        (PRIOR_PROBES["prior:kl"], 10.2),
    ],
)
def test_a_probe_takes_about_what_was_measured(scoring: Scoring, measured_s: float) -> None:
    found = estimated(config(), scoring=(scoring,)).by_part["evaluation_s"]
    assert found == pytest.approx(measured_s, rel=0.3)


@pytest.mark.parametrize(("method", "measured_mib"), [("sdft", 3073), ("sft", 2886)])
def test_memory_is_about_what_was_measured(method: str, measured_mib: float) -> None:
    assert estimated(config(method)).peak_memory_mib == pytest.approx(measured_mib, rel=0.15)


def test_parts_add_up_to_the_whole() -> None:
    run = config(steps=30)
    found = estimated(run, scoring=tuple(planned_scoring(run, PROBES, 96, LENGTHS)))
    seconds = sum(part for name, part in found.by_part.items() if name.endswith("_s"))
    mib = sum(part for name, part in found.by_part.items() if name.endswith("_mib"))
    assert seconds == pytest.approx(found.total_s)
    assert mib == pytest.approx(found.peak_memory_mib)
    steps = sum(found.by_part[f"{part}_s"] for part in ("rollouts", "teacher", "student"))
    assert steps == pytest.approx(30 * found.step_s)


def test_without_teacher_or_rollouts_these_cost_nothing() -> None:
    found = estimated(config("sft"))
    assert found.by_part["teacher_s"] == found.by_part["rollouts_s"] == 0
    assert estimated(config()).by_part["teacher_s"] > 0


def test_time_grows_with_steps_rows_and_lengths() -> None:
    usual, longer = estimated(config("sft")), estimated(config("sft", steps=600))
    assert longer.step_s == pytest.approx(usual.step_s)
    assert longer.total_s - usual.total_s == pytest.approx(540 * usual.step_s)
    assert estimated(config(batch_size=16)).step_s > 1.7 * estimated(config()).step_s
    long = Lengths(prompt=550, teacher_prompt=1350, demonstration=15)
    assert estimated(config(), lengths=long).step_s > 6 * estimated(config()).step_s


def test_micro_batches_save_memory_and_not_time() -> None:
    whole, split = (
        estimated(config(batch_size=32)),
        estimated(config(batch_size=32, micro_batch_size=4)),
    )
    assert split.by_part["activations_mib"] < whole.by_part["activations_mib"] / 6
    assert split.step_s >= whole.step_s


def test_an_ema_teacher_keeps_a_copy_of_the_adapter() -> None:
    ema, live = (
        estimated(config(teacher={"weights": weights})).by_part["adapter_mib"]
        for weights in ("ema", "live")
    )
    assert ema == pytest.approx(live * 5 / 4)


def test_all_weights_need_gradients_moments_and_an_average_of_their_own() -> None:
    """In fp32: 4 bytes each for weights, gradients, two moments and the average; and the base."""
    adapter, full = estimated(config()), estimated(config(adapter={"full": True}))
    weights = full.parameters * 4 / 2**20
    assert full.by_part["weights_mib"] == pytest.approx(weights)
    assert full.by_part["adapter_mib"] == pytest.approx(5 * weights)
    assert full.peak_memory_mib > adapter.peak_memory_mib + 4 * weights
    assert full.disk_mib > adapter.disk_mib + 4 * weights
    assert full.by_part["student_s"] > 1.2 * adapter.by_part["student_s"]
    on_gpu = estimated(config(adapter={"full": True}), H100)
    assert on_gpu.by_part["adapter_mib"] == pytest.approx(5 * weights)


def test_dora_takes_more_of_all_and_four_bits_take_less_memory() -> None:
    plain, dora = estimated(config(), H100), estimated(config(adapter={"dora": True}), H100)
    # A magnitude for each of a layer's outputs: 0.3 % of what rank 16 has, five times.
    outputs = 30 * (3 * 576 + 2 * 192 + 2 * 1536)
    more = dora.by_part["adapter_mib"] - plain.by_part["adapter_mib"]
    assert more == pytest.approx(5 * outputs * 4 / 2**20)
    assert dora.step_s > plain.step_s
    assert dora.by_part["activations_mib"] > plain.by_part["activations_mib"]
    small = estimated(config(adapter={"four_bit": True}), H100)
    assert small.by_part["weights_mib"] < 0.5 * plain.by_part["weights_mib"]
    assert estimated(config(adapter={"rslora": True}), H100) == plain


def test_all_weights_that_do_not_fit_are_refused_with_the_adapter_as_remedy() -> None:
    small = HardwareProfile("2 CPU cores", False, 196.0, 46.0, 3_500, 3_000)
    assert refusal(estimated(config(), small), small) is None
    refused = refusal(estimated(config(adapter={"full": True}), small), small)
    assert isinstance(refused, ModelError)
    assert "train an adapter instead of all weights (adapter.full)" in refused.remedy


def test_a_gpu_is_faster_and_holds_half_the_bytes() -> None:
    cpu, gpu = estimated(config()), estimated(config(), H100)
    assert gpu.step_s < cpu.step_s / 5
    assert gpu.by_part["weights_mib"] == pytest.approx(cpu.by_part["weights_mib"] / 2)


@pytest.mark.parametrize("method", ["sdft", "sft", "sdft/paper"])
def test_seven_billion_weights_are_refused_on_this_cpu(method: str) -> None:
    run = config(method, model="Qwen/Qwen2.5-7B-Instruct")
    refused = refusal(estimated(run), TWO_CORES)
    assert isinstance(refused, ModelError)
    assert refused.exit_code == 2
    assert "7.0 billion weights" in refused.message
    assert "23.5 GiB" in refused.message
    assert "choose a smaller model" in refused.remedy
    assert refusal(estimated(run), TWO_CORES, forced=True) is not None


def test_seven_billion_weights_on_disk_are_refused_as_well(tmp_path: Path) -> None:
    import json

    (tmp_path / "config.json").write_text(json.dumps(QWEN_7B))
    found = estimated(config(model=str(tmp_path)))
    assert found.parameters == 7_615_616_512
    assert found.download_mib == 0
    refused = refusal(found, TWO_CORES)
    assert refused is not None
    assert f"{found.peak_memory_mib / 1024:.1f} GiB of memory" in refused.message


def test_where_the_weights_fit_the_remedy_names_the_other_knobs() -> None:
    refused = refusal(estimated(config(batch_size=512)), TWO_CORES)
    assert isinstance(refused, ModelError)
    assert "set micro_batch_size to 1, lower batch_size" in refused.remedy
    assert refusal(estimated(config(batch_size=512, micro_batch_size=8)), TWO_CORES) is None


def test_more_than_three_days_are_refused_unless_forced() -> None:
    found = estimated(config(steps=100_000))
    refused = refusal(found, TWO_CORES)
    assert isinstance(refused, ConfigError)
    assert f"about {round(found.total_s / 86_400)} days" in refused.message
    assert "or force it" in refused.remedy
    assert refusal(found, TWO_CORES, forced=True) is None


def test_the_demo_is_not_refused() -> None:
    for method in ("sdft", "sft", "sft/careless"):
        assert refusal(estimated(config(method)), TWO_CORES) is None


def test_words_for_an_estimate() -> None:
    found = Estimate("m", 1, 5, 360, 1946, 0, 0, {})
    assert in_words(found) == "about 6 minutes here, 1.9 GiB of memory"
    hub = estimated(config(model="Qwen/Qwen2.5-0.5B"))
    assert "after a download of 0.9 GiB (rough: the model is not on this disk" in in_words(hub)
    assert "unknown" in in_words(None)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "about 1 second"), (40, "about 40 seconds"), (340, "about 6 minutes"),
     (5500, "about 2 hours"), (40 * 3600, "about 2 days"), (1e8, "about 1,157 days")],
)  # fmt: skip
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_model_of_unknown_size_has_no_estimate() -> None:
    run = config(model="microsoft/phi-2")
    assert estimate(run, LENGTHS, [], TWO_CORES, Path("/nowhere")) is None


def test_a_bundled_model_needs_disk_until_it_is_converted(tmp_path: Path) -> None:
    before = estimate(config(), LENGTHS, [], TWO_CORES, tmp_path)
    folder = tmp_path / "models" / "smollm2-135m-instruct"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    after = estimate(config(), LENGTHS, [], TWO_CORES, tmp_path)
    assert before is not None
    assert after is not None
    assert before.download_mib == after.download_mib == 0
    assert before.disk_mib - after.disk_mib == pytest.approx(520)
    assert before.total_s - after.total_s == pytest.approx(40)


def test_a_mean_step_follows_the_schedules() -> None:
    work = step_work(config(steps=60), LENGTHS)
    assert work.by_student == pytest.approx(8 * 0.5, rel=0.05)
    assert work.by_teacher == 0
    assert 12 < work.completion < 18
    assert work.longest_completion == 30
    shown = step_work(config("sft"), LENGTHS)
    assert (shown.by_student, shown.completion, shown.longest_completion) == (0, 16, 30)


@pytest.mark.parametrize(
    ("source", "longest"),
    [("student", 64), ("demonstration", 200), ({"demonstration": 0.5, "student": "rest"}, 200)],
)
def test_the_longest_completion_is_generated_or_shown(source: Any, longest: int) -> None:
    """Demonstrations are not cut: memory is reckoned for the longest one."""
    lengths = Lengths(prompt=55, teacher_prompt=135, demonstration=15, longest_demonstration=200)
    run = config(rollout={"source": source, "max_new_tokens": 64})
    assert step_work(run, lengths).longest_completion == longest


def test_answers_end_long_before_a_generous_limit() -> None:
    assert expected_answer(20, 15) == 20
    assert expected_answer(2048, 15) == 45
    assert expected_answer(2048, 500) == 1500


def test_planned_scoring_counts_ends_curve_premise_and_traces() -> None:
    run = config(steps=60, evaluate={"every": 20, "along_limit": 24, "probes": ["task"]},
                 traces={"every": 10, "watched": 8})  # fmt: skip
    ends, along, student, teacher, traces = planned_scoring(run, ["task"], 96, LENGTHS)
    assert (ends.rows, ends.together) == (2 * 96, 32)
    assert (along.rows, along.together) == (2 * 24, 24)
    assert student.rows == teacher.rows == 32
    assert teacher.read > student.read
    assert traces.rows == 7 * 8
    bare = config("sft", evaluate={"every": 0}, traces={"every": 0})
    assert [one.rows for one in planned_scoring(bare, ["prior:facts"], 96, LENGTHS)] == [2 * 277]


def test_nothing_here_loads_torch() -> None:
    modules = "backend.models.estimate, backend.jobs.exports, backend.jobs.health"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, check=False)
    assert done.returncode == 0


def test_devices_share_rows_and_a_cpu_shares_its_memory() -> None:
    run = {"batch_size": 32, "devices": 4}
    alone, together = (estimated(config(**changes), H100) for changes in ({"batch_size": 32}, run))
    assert together.step_s == pytest.approx(alone.step_s / 4)
    assert together.by_part["weights_mib"] == alone.by_part["weights_mib"]
    assert together.by_part["cache_mib"] == pytest.approx(alone.by_part["cache_mib"] / 4)
    alone, together = (estimated(config(**changes)) for changes in ({"batch_size": 32}, run))
    assert together.step_s == alone.step_s
    assert together.by_part["weights_mib"] == pytest.approx(4 * alone.by_part["weights_mib"])
    assert together.by_part["cache_mib"] == pytest.approx(alone.by_part["cache_mib"])

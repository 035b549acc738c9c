"""What would only fail in the worker is refused before it is queued."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.errors import ConfigError, ModelError, StateError
from backend.jobs.work.context import run_folder
from backend.lab import Lab

LARGE = "org/model-900B"


def queue_premise(lab: Lab, model: str) -> str:
    return lab.premise({"task": "lights", "model": model})


def queue_evaluation(lab: Lab, model: str) -> str:
    return lab.evaluate(model, {"probes": ["prior:facts"]})


@pytest.mark.parametrize("launch", [queue_premise, queue_evaluation])
def test_a_model_that_does_not_fit_is_refused(
    launch: Callable[[Lab, str], str],
    lab: Lab,
    add_task: Callable[..., str],
    tiny_folder: Path,
) -> None:
    add_task()
    with pytest.raises(ModelError, match=r"GiB of memory, and this machine .*choose a smaller"):
        launch(lab, LARGE)
    assert lab.runs() == []
    assert launch(lab, str(tiny_folder))


def test_probes_along_the_run_are_some_of_its_probes(
    lab: Lab, add_task: Callable[..., str], tiny_folder: Path
) -> None:
    document = {"task": add_task(), "method": "sft", "model": str(tiny_folder)}
    for along in (["prior:facts"], ["none"], ["task:lights"]):
        with pytest.raises(ConfigError):
            lab.configure({**document, "evaluate": {"probes": ["task"], "along": along}})
    with pytest.raises(ConfigError, match=r'evaluate.along: "prior:facts" is to be scored'):
        lab.configure({**document, "evaluate": {"probes": ["task"], "along": ["prior:facts"]}})
    assert lab.configure({**document, "evaluate": {"probes": ["task"]}}), "the usual ones"
    assert lab.configure({**document, "evaluate": {"probes": ["prior"], "along": ["prior:kl"]}})


def test_a_run_to_start_from_must_fit(
    lab: Lab, add_task: Callable[..., str], train: Callable[..., Any], tiny_folder: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    first = train(add_task(), "sft")
    document = {"task": "lights", "method": "sft", "model": str(tiny_folder),
                "start_from": first["id"][:8]}  # fmt: skip
    assert lab.configure(document)[0].start_from == first["id"]

    for rank in ({"rank": 8}, {"alpha": 8}, {"targets": ["q_proj"]}):
        (key,) = rank
        with pytest.raises(ConfigError, match=rf"^adapter.{key}: the adapter of .* has {key} "):
            lab.configure({**document, "adapter": rank})
    with pytest.raises(ConfigError, match=r"has full false, .* true; set adapter.full to false"):
        lab.configure({**document, "adapter": {"full": True}})
    taught = {"weights": "run", "run": first["id"][:8]}
    assert lab.configure({**document, "method": "sdft", "start_from": None, "teacher": taught})
    with pytest.raises(ConfigError, match=r"adapter.rank: the adapter of .* has rank"):
        lab.configure({**document, "method": "sdft", "start_from": None, "teacher": taught,
                       "adapter": {"rank": 8}})  # fmt: skip

    other = tmp_path / "other"
    other.mkdir()
    for file in tiny_folder.iterdir():
        (other / file.name).symlink_to(file)
    with pytest.raises(ConfigError, match=r"start_from: .* trained .*, and this run is on"):
        lab.configure({**document, "model": str(other)})

    premise = lab.premise({"task": "lights", "model": str(tiny_folder)})
    with pytest.raises(ConfigError, match="a job of kind premise, which has no adapter"):
        lab.configure({**document, "start_from": premise})


def test_a_run_to_start_from_must_have_a_checkpoint(
    lab: Lab, add_task: Callable[..., str], train: Callable[..., Any], tiny_folder: Path
) -> None:
    document = {"task": add_task(), "method": "sft", "model": str(tiny_folder)}
    (queued,) = lab.train(lab.configure(document))
    with pytest.raises(StateError, match=r"start_from: .* has no checkpoint yet"):
        lab.configure({**document, "start_from": queued})
    lab.stop(queued)
    trained = train("lights", "sft")
    (manifest,) = run_folder(lab.settings, trained["id"]).glob("checkpoints/*/manifest.json")
    manifest.write_text("{}")
    with pytest.raises(StateError, match="has a damaged last checkpoint"):
        lab.configure({**document, "start_from": trained["id"]})


def test_a_base_in_four_bits_is_refused_without_a_gpu(
    lab: Lab, add_task: Callable[..., str], tiny_folder: Path
) -> None:
    document = {"task": add_task(), "method": "sdft", "model": str(tiny_folder),
                "adapter": {"four_bit": True}}  # fmt: skip
    with pytest.raises(ConfigError, match=r"adapter.four_bit: a base in 4 bits needs a GPU"):
        lab.configure(document)

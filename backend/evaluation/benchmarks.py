"""Named benchmarks, run by lm-eval over the model as it stands in memory, adapter in place."""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from backend.evaluation.lm_eval_model import lm_eval_model
from backend.evaluation.probe_names import split_benchmark
from backend.evaluation.probes import ProbeUnavailable, some
from backend.models.language_model import LanguageModel
from backend.training.recorder import Item

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BenchmarkProbe:
    """``lm-eval:TASK:METRIC``; METRIC is lm-eval's key, ``acc_norm,none`` or short ``acc_norm``.

    Prompts are lm-eval's own, without a chat template, so that scores compare with published ones.
    A limit chooses items as for all probes, not the first ones. ``tasks_folder`` holds tasks
    in place of lm-eval's own, which take some seconds to list.
    """

    name: str
    tasks_folder: Path | None = None

    @property
    def task(self) -> str:
        return split_benchmark(self.name)[0]

    @property
    def metric(self) -> str:
        """The exact key under which lm-eval reports the score."""
        return split_benchmark(self.name)[1]

    def identity(self, limit: int) -> str:
        version = importlib.metadata.version("lm-eval")
        return f"lm-eval {version} read by the lab {limit}"

    def run(self, model: LanguageModel, limit: int) -> list[Item]:
        """Every item's own value. Raises ProbeUnavailable, as for a data set that is not here."""
        manager = importlib.import_module("lm_eval.tasks").TaskManager(
            include_path=None if self.tasks_folder is None else str(self.tasks_folder),
            include_defaults=self.tasks_folder is None,
        )
        found = self._evaluate(model, manager, self._places(manager, limit))
        metric, _, wanted_filter = self.metric.partition(",")
        items = []
        for task, samples in found["samples"].items():
            kept = [sample for sample in samples if sample["filter"] == wanted_filter]
            values = [sample.get(metric) for sample in kept]
            self._check(found["results"][task], values)
            items += [
                _item(task, sample, float(value))
                for sample, value in zip(kept, values, strict=True)
            ]
        return items

    def _places(self, manager: Any, limit: int) -> dict[str, list[int]]:
        """The documents to ask, by (sub)task."""
        try:
            tasks = manager.load([self.task])["tasks"]
            counts = {name: len(task.eval_docs) for name, task in tasks.items()}
        # Whatever a data set's own code, its host or the network raises.
        except Exception as error:
            log.info("%s cannot be loaded", self.name, exc_info=True)
            raise ProbeUnavailable(
                f"the benchmark cannot be loaded ({type(error).__name__}: {error})",
                where=self.name,
                remedy="check its name; lm-eval fetches its data set from the hub when it is first "
                "used, which needs a network",
            ) from error
        every = [(name, place) for name, count in counts.items() for place in range(count)]
        chosen: dict[str, list[int]] = {}
        for name, place in some(every, limit, lambda each: _item_id(*each)):
            chosen.setdefault(name, []).append(place)
        return chosen

    def _evaluate(
        self, model: LanguageModel, manager: Any, places: Mapping[str, Sequence[int]]
    ) -> Any:
        wrapped = lm_eval_model(model)
        try:
            with torch.no_grad(), model.merged(), model.compute.autocast():
                return importlib.import_module("lm_eval").simple_evaluate(
                    wrapped,
                    tasks=list(places),
                    samples={name: list(chosen) for name, chosen in places.items()},
                    task_manager=manager,
                    bootstrap_iters=0,
                )
        except ValueError as error:
            # Tasks that run what the model wrote are refused by lm-eval, and rightly so.
            raise ProbeUnavailable(f"lm-eval refuses it ({error})", where=self.name) from error

    def _check(self, result: Mapping[str, Any], values: Sequence[Any]) -> None:
        """Every item has a value, and the task's score is their mean."""
        if self.metric not in result:
            keys = (key for key in result if "," in key and "_stderr" not in key)
            raise ProbeUnavailable(
                f"the benchmark has no metric {self.metric}, only {' '.join(sorted(keys))}",
                where=self.name,
                remedy="name one of these",
            )
        numbers = [value for value in values if isinstance(value, int | float)]
        if len(numbers) < len(values) or not math.isclose(
            math.fsum(numbers) / len(numbers), result[self.metric], abs_tol=1e-6
        ):
            raise ProbeUnavailable(
                f"its {self.metric} is no mean of items, so it has no interval here",
                where=self.name,
                remedy="name a metric that judges item by item, such as acc",
            )


def _item_id(task: str, place: int) -> str:
    return f"{task}-{place}"


def _item(task: str, sample: Mapping[str, Any], value: float) -> Item:
    arguments = sample["arguments"]
    answers = [str(argument[1]) for argument in arguments if isinstance(argument[1], str)]
    return Item(
        _item_id(task, sample["doc_id"]),
        str(arguments[0][0]),
        str(sample["target"]),
        _answer(answers, sample["filtered_resps"]),
        value,
    )


def _answer(choices: Sequence[str], responses: Sequence[Any]) -> str:
    """The likeliest choice of a question, or what the model wrote."""
    scored = [
        response[0]
        for response in responses
        if isinstance(response, list | tuple) and isinstance(response[0], float)
    ]
    if choices and len(scored) == len(choices):
        return choices[scored.index(max(scored))].strip()
    return str(responses[0])

"""The probes that a configuration names, made into values, and run before, along and after."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from backend.bundled import material_path
from backend.config import EvaluateConfig
from backend.errors import ConfigError, StopRequested
from backend.evaluation.benchmarks import BenchmarkProbe
from backend.evaluation.probe_names import BENCHMARK, expand
from backend.evaluation.probes import (
    ChoiceProbe,
    InstructionProbe,
    KlProbe,
    NothingScored,
    Probe,
    ProbeUnavailable,
    TaskProbe,
    evaluate,
    fingerprint,
    part_of,
)
from backend.models.language_model import LanguageModel
from backend.training.recorder import Evaluation, Recorder

# The rows, version and scorer of a task by name; raises NotFound.
FindTask = Callable[[str], TaskProbe]


class Suite:
    """Runs probes on a model and records them; a base model's scores are measured only once.

    ``benchmarks`` is a folder of lm-eval tasks in place of its own.
    """

    def __init__(
        self,
        names: Sequence[str],
        own_task: TaskProbe | None,
        find_task: FindTask,
        recorder: Recorder,
        benchmarks: Path | None = None,
    ) -> None:
        self._names = expand(names)
        self._own_task = own_task
        self._find_task = find_task
        self._recorder = recorder
        self._benchmarks = benchmarks
        # Asking again would wait for the network at every point of the curve.
        self._unavailable: set[str] = set()

    def measure(
        self, model: LanguageModel, step: int, limits: EvaluateConfig, *, is_base: bool
    ) -> list[Evaluation]:
        """Scores every probe as the model stands after ``step`` steps, and records the scores.

        Where the run has a curve, its point is a part of these items and costs nothing more.
        """
        own = self._own_task.name if self._own_task else ""
        wholes: dict[str, Evaluation] = {}
        for name in self._names:
            probe = self._probe(name, model)
            if probe.name in wholes or name in self._unavailable:
                continue
            self._heed_stop()
            limit = limits.limit
            if probe.name == "prior:facts":
                limit = limits.facts_limit
            elif probe.name.startswith("task:") and probe.name != own:
                limit = limits.other_limit or limits.limit
            score = self._score_of_base if is_base else evaluate
            try:
                whole = score(probe, model, limit)
            except ProbeUnavailable as error:
                self._skip(name, error, step)
                continue
            self._keep(step, whole)
            if limits.every and name in expand(limits.along):
                self._part(name, step, whole, limits.along_limit)
            wholes[probe.name] = whole
        return list(wholes.values())

    def look(self, model: LanguageModel, step: int, limits: EvaluateConfig) -> list[Evaluation]:
        """A point of the curve: fewer probes, on the same part of their items each time."""
        made = []
        for name in self._names:
            if name in expand(limits.along) and name not in self._unavailable:
                self._heed_stop()
                try:
                    made.append(evaluate(self._probe(name, model), model, limits.along_limit))
                except ProbeUnavailable as error:
                    self._skip(name, error, step)
                    continue
                self._keep(step, made[-1], subset=True)
        return made

    def _part(self, name: str, step: int, whole: Evaluation, limit: int) -> None:
        """The point of the curve at an end of the run."""
        try:
            self._keep(step, part_of(whole, limit), subset=True)
        except NothingScored as error:
            self._skip(name, error, step)

    def _keep(self, step: int, found: Evaluation, *, subset: bool = False) -> None:
        self._recorder.evaluation(step, found, subset=subset)
        if found.failed:
            count, whole = len(found.failed), len(found.failed) + found.n
            self._recorder.event(
                "items_failed",
                f"{found.probe}: {count} of {whole} items have no score: {found.failed[0].reason}",
                level="warning",
                probe=found.probe,
                step=step,
            )

    def _skip(self, name: str, error: ProbeUnavailable, step: int) -> None:
        """A benchmark whose data set is not here costs its scores, not the run."""
        if not isinstance(error, NothingScored):
            self._unavailable.add(name)
        self._recorder.event(
            "probe_skipped", f"not scored: {error}", level="warning", probe=name, step=step
        )

    def _heed_stop(self) -> None:
        """A wish to stop does not wait for probes that are still to come."""
        if self._recorder.stop_requested():
            raise StopRequested("stopped while evaluating")

    def _score_of_base(self, probe: Probe, model: LanguageModel, limit: int) -> Evaluation:
        mark = fingerprint(probe, model, limit)
        known = self._recorder.known_evaluation(mark)
        if known:
            return known
        made = evaluate(probe, model, limit)
        # What was measured with gaps is measured again.
        return made if made.failed else replace(made, fingerprint=mark)

    def _probe(self, name: str, model: LanguageModel) -> Probe:
        if name == "task":
            if self._own_task is None:
                raise ConfigError(
                    "the probe task needs a run that has one",
                    where="evaluate.probes",
                    remedy="name it, as in task:NAME",
                )
            return self._own_task
        if name.startswith("task:"):
            return self._find_task(name.removeprefix("task:"))
        if name.startswith(BENCHMARK):
            return BenchmarkProbe(name, self._benchmarks)
        return prior_probe(name, self._base_answers(name, model))

    def _base_answers(self, name: str, model: LanguageModel) -> Mapping[str, str]:
        """The base's own answers, if an evaluation of the base has kept them."""
        if name != "prior:kl":
            return {}
        known = self._recorder.known_evaluation(fingerprint(prior_probe(name, {}), model, 0))
        return {item.item_id: item.answer for item in known.items} if known else {}


def prior_probe(name: str, base_answers: Mapping[str, str]) -> Probe:
    """One of the PRIOR probes, from the bundled items."""
    if name == "prior:facts":
        return ChoiceProbe(name, _rows("facts"))
    if name == "prior:instructions":
        return InstructionProbe(name, _rows("instructions"))
    return KlProbe(name, _rows("everyday"), base_answers)


def _rows(name: str) -> list[dict[str, Any]]:
    path: Path = material_path(f"probes/{name}.jsonl")
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]

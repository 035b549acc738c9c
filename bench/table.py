"""The engine's targets with what was measured for them: the documents that the benches wrote.

    python -m bench.table FOLDER

A missed target fails it, and so does one that was not measured. Where a target could not be reached
there is a floor at the value that was: below it the engine has become slower.
"""

from __future__ import annotations

import argparse
import json
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import evaluation, growth, memory, rollouts, step, traces


@dataclass(frozen=True)
class Row:
    """One figure: the median, what it may be at most or must be at least, its spread and floor."""

    work: str
    value: float | None
    target: float
    is_most: bool
    spread: Sequence[float] = ()
    floor: float | None = None

    @property
    def is_met(self) -> bool:
        return self.value is not None and self._is_within(self.target)

    @property
    def is_missed(self) -> bool:
        """Also below its floor, where it has one."""
        floor = self.target if self.floor is None else self.floor
        return self.value is None or not (self._is_within(self.target) or self._is_within(floor))

    def _is_within(self, bound: float) -> bool:
        assert self.value is not None
        return self.value <= bound if self.is_most else self.value >= bound

    def __str__(self) -> str:
        if self.value is None:
            return f"| {self.work} | not measured | {self._bound} | missed |"
        low_high = " to ".join(f"{each:.2f}" for each in self.spread)
        figure = f"{self.value:.2f}{f' ({low_high})' if low_high else ''}"
        word = "met" if self.is_met else "missed"
        if word == "missed" and not self.is_missed:
            word = f"missed, above its floor of {self.floor}"
        return f"| {self.work} | {figure} | {self._bound} | {word} |"

    @property
    def _bound(self) -> str:
        return f"{'at most' if self.is_most else 'at least'} {self.target:g}"


def rows_of(folder: Path) -> list[Row]:
    """All rows, in the order of the benches; those whose document is missing have no value."""
    return [*_steps(folder), *_memory(folder), *_rollouts(folder), _greedy(folder),
            *_growth(folder), *_traces(folder), _evaluation(folder)]  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the table; 1 where a target is missed or was not measured."""
    parser = argparse.ArgumentParser(prog="python -m bench.table")
    parser.add_argument("folder", type=Path)
    rows = rows_of(parser.parse_args(argv).folder)
    print("| work | measured | target | |\n|---|---:|---:|---|")
    print("\n".join(map(str, rows)))
    return int(any(row.is_missed for row in rows))


def _read(folder: Path, name: str) -> Any:
    path = folder / f"{name}.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


def _row(
    work: str,
    found: Any,
    target: float,
    *,
    is_most: bool,
    value: Callable[[Any], Any],
    floor: float | None = None,
) -> Row:
    if found is None:
        return Row(work, None, target, is_most)
    return Row(work, value(found), target, is_most, found.get("spread", ()), floor)


def _steps(folder: Path) -> list[Row]:
    ratios, limits = [], []
    for (prompts, tokens, per_prompt, system), target in step.TARGETS.items():
        answers = f"{per_prompt} answers of " if per_prompt > 1 else ""
        beginning = f", system prompt of {system}" if system else ""
        work = f"{prompts} prompts, {answers}{tokens} tokens{beginning}"
        found = _read(folder, f"step-{prompts}-{tokens}-{per_prompt}-{system}")
        agrees = found is None or step.agrees(found["disagreement"])
        value = _ratio if agrees else (lambda _: float("inf"))
        ratios.append(_row(f"step against TRL: {work}", found, target, is_most=True, value=value))
        limit = found and found["limit"]
        limits.append(
            _row(f"share of the arithmetic limit: {work}", limit, step.LIMIT_TARGET,
                 is_most=False, value=lambda each: each["share"])
        )  # fmt: skip
    return ratios + limits


def _ratio(found: Any) -> float:
    ratio: float = found["ratio"]
    return ratio


def _memory(folder: Path) -> list[Row]:
    work = "memory of a step against TRL: 32 prompts, 128 tokens"
    return [_row(work, _read(folder, "memory"), memory.TARGET, is_most=True, value=_ratio)]


def _rollouts(folder: Path) -> list[Row]:
    document = _read(folder, "rollouts") or {"results": []}
    found = {result["work"]: result for result in document["results"]}
    return [
        _row(f"rollouts against generate: {work}", found.get(work), target,
             is_most=False, value=_ratio, floor=rollouts.FLOORS.get(work))
        for work, target in rollouts.TARGETS.items()
    ]  # fmt: skip


def _greedy(folder: Path) -> Row:
    """The share of the tests that passed, by the report that pytest writes for others."""
    path, work = folder / "greedy.xml", "greedy tokens are generate's: share of the tests"
    if not path.is_file():
        return Row(work, None, 1.0, is_most=False)
    suites = [*ElementTree.parse(path).getroot().iter("testsuite")]
    tests = sum(int(suite.get("tests", 0)) for suite in suites)
    lost = sum(int(suite.get(kind, 0)) for suite in suites
               for kind in ("failures", "errors", "skipped"))  # fmt: skip
    return Row(work, (tests - lost) / max(tests, 1), 1.0, is_most=False)


def _growth(folder: Path) -> list[Row]:
    found = _read(folder, "growth")
    return [
        _row("a token at 2,048 against one at 256", found, growth.TIME_TARGET,
             is_most=True, value=_ratio),
        _row("divergence's memory, 8 times the tokens", found and found["memory"],
             growth.MEMORY_TARGET, is_most=True, value=_ratio),
    ]  # fmt: skip


def _traces(folder: Path) -> list[Row]:
    document = _read(folder, "traces") or {"results": [None]}
    return [
        _row("step with traces" + (f": {found['run']}" if found else ""), found, traces.TARGET,
             is_most=True, value=_ratio)
        for found in document["results"]
    ]  # fmt: skip


def _evaluation(folder: Path) -> Row:
    document = _read(folder, "evaluation") or {"results": []}
    found = next((each for each in document["results"] if each["work"] == "choices"), None)
    work, target = "1,000 items against lm-eval", evaluation.TARGETS["choices"]
    assert target is not None
    if found is not None and found["differing_items"]:
        return Row(work, 0.0, target, is_most=False)
    return _row(work, found, target, is_most=False, value=_ratio)


if __name__ == "__main__":
    sys.exit(main())

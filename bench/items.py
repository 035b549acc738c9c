"""Short multiple-choice items made of the bundled facts, and a task of lm-eval's on this disk."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from backend.bundled import material_path

# What is asked about a fact, and how an ending is given as the answer.
WORDINGS: Final = (
    ("Complete the sentence with the right ending.\nSentence: {beginning} ...\nEnding:", " {end}"),
    ("Question: How does this sentence end? {beginning} ...\n{listed}\nAnswer:", " {end}."),
    (
        "A sentence about {topic} lacks its ending.\n"
        "Sentence: {beginning} ...\nThe last words in full:",
        " {last} {end}.",
    ),
    (
        "Teacher: Who can finish this sentence about {topic}? {beginning} ...\nPupil: It is",
        ' "{end}", of course.',
    ),
)
_MEAN: Final = {"aggregation": "mean", "higher_is_better": True}


@dataclass(frozen=True)
class Item:
    """A context with its choices, each with the space before it, of which one is right."""

    context: str
    choices: tuple[str, ...]
    answer: int


def items_of_facts(count: int) -> list[Item]:
    """So many items, facts and wordings mixed. Raises ValueError where there are not as many."""
    lines = material_path("probes/facts.jsonl").read_text("utf-8").splitlines()
    every = [_item(json.loads(line), *wording) for line in lines for wording in WORDINGS]
    if not 1 <= count <= len(every):
        raise ValueError(f"{count} items were asked for; give 1 to {len(every)}")
    return random.Random(0).sample(every, count)


def _item(fact: Mapping[str, Any], context: str, answer: str) -> Item:
    """A fact's question is ``Complete the sentence: BEGINNING ...``, its choices repeat that."""
    beginning = fact["question"].removeprefix("Complete the sentence: ").removesuffix(" ...")
    ends = [choice.removeprefix(beginning).strip() for choice in fact["choices"]]
    listed = "\n".join(f"{letter}. {end}" for letter, end in zip("ABCD", ends, strict=True))
    last = " ".join(beginning.split()[-2:])
    return Item(
        context.format(beginning=beginning, listed=listed, topic=fact["topic"]),
        tuple(answer.format(end=end, last=last) for end in ends),
        fact["answer"],
    )


def write_task(folder: Path, work: str, items: Sequence[Item]) -> None:
    """The items as lm-eval's task ``bench``: "choices" to score, or "written answers" of a line."""
    folder.mkdir(parents=True)
    data = folder / "items.jsonl"
    rows = [
        {"context": item.context, "choices": item.choices, "answer": item.answer} for item in items
    ]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    task: dict[str, Any] = {
        "task": "bench",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data)}, "cache_dir": str(folder / "cache")},
        "test_split": "test",
        "doc_to_text": "{{context}}",
        "target_delimiter": "",
        "metadata": {"version": 1.0},
    }
    if work == "choices":
        task |= {
            "output_type": "multiple_choice",
            "doc_to_target": "{{answer}}",
            "doc_to_choice": "{{choices}}",
            "metric_list": [{"metric": "acc", **_MEAN}],
        }
    else:
        task |= {
            "output_type": "generate_until",
            "doc_to_target": "{{choices[answer]}}",
            "generation_kwargs": {"until": ["\n"], "max_gen_toks": 16, "do_sample": False},
            "metric_list": [{"metric": "exact_match", **_MEAN}],
        }
    (folder / "bench.yaml").write_text(yaml.safe_dump(task), "utf-8")

"""The card of an adapter or a model: what was trained how, what was measured, how to load it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import yaml

# A PEFT adapter; a model all of whose weights were trained; a model with its adapter merged in.
Form = Literal["adapter", "full", "merged"]


@dataclass(frozen=True)
class BaseFacts:
    """The model under the adapter, named so that it tells no place on the user's disk.

    ``hub_id`` is where its weights, or those that it was made from, are published.
    """

    name: str
    hub_id: str | None
    licence: str
    recipe: str = ""


@dataclass(frozen=True)
class TaskFacts:
    """The version of the task whose training rows were learned."""

    name: str
    version: int
    training: int
    held_out: int
    content_hash: str
    scorer: str


@dataclass(frozen=True)
class Measured:
    """A score with its 95 % interval."""

    score: float
    n: int
    low: float
    high: float


@dataclass(frozen=True)
class ProbeFacts:
    """A probe before and after training; ``is_subset``: on some of its items only."""

    probe: str
    metric: str
    before: Measured | None
    after: Measured | None
    is_subset: bool = False


@dataclass(frozen=True)
class CardFacts:
    """All that a card says."""

    run_id: str
    run_name: str
    step: int
    total_steps: int
    preset: str
    summary: str
    differences: tuple[tuple[str, Any, Any], ...]
    base: BaseFacts
    task: TaskFacts | None
    config_yaml: str
    probes: tuple[ProbeFacts, ...]
    premise: str | None
    versions: Mapping[str, str]
    date: str
    form: Form = "adapter"


LOADING_MODEL: Final = """\
from transformers import AutoModelForCausalLM, AutoTokenizer

MODEL = "."  # the folder that holds this card

tokenizer = AutoTokenizer.from_pretrained(MODEL)
model = AutoModelForCausalLM.from_pretrained(MODEL, dtype="float32")

"""
LOADING_ADAPTER: Final = """\
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

BASE = {base}
ADAPTER = "."  # the folder that holds this card

tokenizer = AutoTokenizer.from_pretrained(ADAPTER)
base = AutoModelForCausalLM.from_pretrained(BASE, dtype="float32")
model = PeftModel.from_pretrained(base, ADAPTER)

"""
ANSWERING: Final = """\
messages = [{"role": "user", "content": "..."}]
prompt = tokenizer.apply_chat_template(
    messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"
)
answer = model.generate(**prompt, max_new_tokens=64, do_sample=False)
print(tokenizer.decode(answer[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True))
"""

_CAUTION: Final = (
    "These are small test sets. The interval says how far chance alone may have moved a score: "
    "where the intervals of before and after overlap widely, no change has been shown. The "
    "scores say nothing about prompts unlike those of the probes, or about safety, bias and "
    "truthfulness, for which this adapter was not examined."
)


def model_card(facts: CardFacts) -> str:
    """The card in Markdown with the front matter that Hugging Face reads; equal for equal facts."""
    sections = [_head(facts), _training(facts), _scores(facts), _how_to_load(facts), _rest(facts)]
    return f"---\n{_front_matter(facts)}---\n\n" + "\n\n".join(sections) + "\n"


def _front_matter(facts: CardFacts) -> str:
    document: dict[str, Any] = {}
    is_adapter = facts.form == "adapter"
    if facts.base.hub_id:
        relation = "adapter" if is_adapter else "finetune"
        document |= {"base_model": facts.base.hub_id, "base_model_relation": relation}
    document |= {
        "library_name": "peft" if is_adapter else "transformers",
        "pipeline_tag": "text-generation",
        "tags": [*(["lora"] if is_adapter else []), "sdlab", facts.preset.split("/")[0]],
    }
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)


def _head(facts: CardFacts) -> str:
    steps = f"after {facts.step} steps"
    if facts.step != facts.total_steps:
        steps = f"after {facts.step} of {facts.total_steps} planned steps"
    base = _plain(facts.base.name)
    what = {
        "adapter": f"A LoRA adapter on {base}",
        "full": f"{base} with all its weights",
        "merged": f"{base} with a LoRA adapter merged into its weights",
    }
    return (
        f"# {_plain(facts.run_name)}\n\n"
        f"{what[facts.form]}, trained with sdlab by `{facts.preset}` "
        f"({facts.summary}), {steps}. Run `{facts.run_id}`, {facts.date}."
    )


def _training(facts: CardFacts) -> str:
    lines = ["## Training", ""]
    task = facts.task
    if task is None:
        lines.append("- Task: no longer in the lab")
    else:
        lines += [
            f"- Task: {_plain(task.name)}, version {task.version}: {task.training} training rows; "
            f"{task.held_out} held-out rows, never trained on",
            f"- Content hash of the task: `{task.content_hash}`",
            f"- Scorer of the task: `{task.scorer}`",
        ]
    if facts.differences:
        lines.append(f"- Settings that differ from the preset `{facts.preset}`:")
        lines += [
            f"  - `{key}`: {_value(ours)} (preset: {_value(theirs)})"
            for key, theirs, ours in facts.differences
        ]
    else:
        lines.append(f"- All settings are those of the preset `{facts.preset}`")
    if facts.premise:
        lines.append(f"- Premise check before the first step: {_plain(facts.premise)}")
    return "\n".join([*lines, "", "The whole configuration:", "", _fenced(facts.config_yaml)])


def _scores(facts: CardFacts) -> str:
    if not facts.probes:
        return "## Measured\n\nNothing was measured at this checkpoint."
    lines = [
        "## Measured",
        "",
        "With 95 % intervals; n is the number of items. `kl_nats` is the distance from the base "
        "model's own answers (0: none), for which less is better.",
        "",
        "| probe | metric | before | after |",
        "|---|---|---|---|",
        *_score_rows(facts.probes),
        "",
    ]
    if any(probe.is_subset for probe in facts.probes):
        lines += ["\\* on a fixed subset of the probe's items.", ""]
    return "\n".join([*lines, _CAUTION])


def _score_rows(probes: Sequence[ProbeFacts]) -> Iterator[str]:
    for probe in probes:
        mark = " \\*" if probe.is_subset else ""
        cells = (_measured(side, probe.metric) for side in (probe.before, probe.after))
        yield f"| {_plain(probe.probe)}{mark} | `{probe.metric}` | {' | '.join(cells)} |"


def _measured(measured: Measured | None, metric: str) -> str:
    if measured is None:
        return "not measured"
    numbers = (measured.score, measured.low, measured.high)
    if metric.endswith("_nats"):
        score, low, high = (f"{number:.3f}" for number in numbers)
    else:
        score, low, high = (f"{100 * number:.1f} %" for number in numbers)
    return f"{score} ({low} to {high}, n = {measured.n})"


def _how_to_load(facts: CardFacts) -> str:
    if facts.form != "adapter":
        return (
            "## How to load it\n\nThe weights are float32, as the lab trained them: in half "
            "precision what a short training changed may be lost.\n\n"
            + _fenced(LOADING_MODEL + ANSWERING, "python")
        )
    base = facts.base.hub_id if facts.base.hub_id and not facts.base.recipe else facts.base.name
    lines = ["## How to load it", ""]
    if facts.base.recipe:
        lines += [facts.base.recipe, ""]
    lines += [
        "The base is named explicitly: `adapter_config.json` holds its name for the record only.",
        "",
        _fenced(LOADING_ADAPTER.format(base=json.dumps(base)) + ANSWERING, "python"),
        "",
        "The lab reads the base in float32 on a CPU and in bfloat16 on a GPU; only the same type "
        "gives the same numbers.",
    ]
    return "\n".join(lines)


def _rest(facts: CardFacts) -> str:
    versions = "\n".join(f"- {name} {version}" for name, version in facts.versions.items())
    what = "adapter" if facts.form == "adapter" else "model"
    return (
        f"## Licence\n\n{facts.base.licence} The {what}'s own licence is for those to choose who "
        "hold the rights in the demonstrations.\n\n"
        f"## Versions\n\n{versions}"
    )


def _value(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000)
    # YAML ends a bare value with a line of three dots.
    text = " ".join(text.removesuffix("...\n").split())
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{ticks}{text}{ticks}"


def _plain(text: str) -> str:
    """User's text on one line, without meaning to Markdown or HTML."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(text.split()))


def _fenced(text: str, language: str = "yaml") -> str:
    """A block whose fence is longer than any in the text."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"

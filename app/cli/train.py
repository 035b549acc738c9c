"""``sdlab train``: queue a run from a file or from options, with an estimate first."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import yaml

from app.cli.files import read_config
from app.cli.output import json_option, open_lab, show, tell
from app.cli.runs import run_lines
from app.cli.waiting import QUEUED, exit_code_of, wait_for
from backend.config import DEFAULT_MODEL
from backend.errors import ConfigError
from backend.methods import set_dotted

SHORT_FORMS = {
    "learning_rate": "optimizer.learning_rate",
    "rank": "adapter.rank",
    "context": "teacher.context",
    "max_new_tokens": "rollout.max_new_tokens",
}


@click.command()
@click.argument("config", required=False, type=click.Path(path_type=Path))
@click.option("--task", "task_name", help="A task, or task@version.")
@click.option("--method", help="A method or preset, such as sdft or sdft/paper.")
@click.option("--model", help=f"Default: {DEFAULT_MODEL}.")
@click.option("--steps", type=int)
@click.option("--seed", type=int)
@click.option("--name")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any setting, dotted.")
@click.option("--baseline", metavar="METHOD", help="Also train this, with all else equal.")
@click.option("--start-from", metavar="RUN", help="Go on from a run's adapter.")
@click.option("--force", is_flag=True, help="Queue it even if it takes days.")
@click.option("--anyway", is_flag=True, help="Queue it although its premise is no-go.")
@click.option("--wait", is_flag=True, help="Supervise the run until it ends.")
@json_option
def train(
    config: Path | None,
    task_name: str | None,
    method: str | None,
    model: str | None,
    steps: int | None,
    seed: int | None,
    name: str | None,
    settings: tuple[str, ...],
    baseline: str | None,
    start_from: str | None,
    force: bool,
    anyway: bool,
    wait: bool,
    as_json: bool,
) -> None:
    """Train on a task's demonstrations, as CONFIG.yaml or the options say."""
    options = {"task": task_name, "method": method, "model": model, "steps": steps, "seed": seed,
               "name": name, "start_from": start_from, "anyway": anyway or None}  # fmt: skip
    document = _document(config, {k: v for k, v in options.items() if v is not None}, settings)
    with open_lab() as lab:
        configs = lab.configure(document, baseline=baseline)
        estimates = [lab.estimate(each, forced=force) for each in configs]
        for each, estimate in zip(configs, estimates, strict=True):
            tell(f"  {each.method}: {estimate['words']}")
        lab.check_gate(configs)
        for words in filter(None, map(lab.premise_words, configs)):
            tell(f"  {words}")
        ids = lab.train(configs)
        if wait:
            documents = wait_for(lab, ids)
        else:
            tell(QUEUED)
            documents = [lab.run(run_id) for run_id in ids]
        show(documents if baseline else documents[0], as_json, _lines)
        if wait:
            raise click.exceptions.Exit(exit_code_of(documents))


def _lines(documents: Any) -> Iterator[str]:
    for document in documents if isinstance(documents, list) else [documents]:
        yield from run_lines(document)


def _document(
    config: Path | None, options: dict[str, Any], settings: tuple[str, ...]
) -> dict[str, Any]:
    document = read_config(config) if config is not None else {}
    document |= options
    if config is None and not {"task", "method"} <= document.keys():
        raise ConfigError(
            "neither a configuration file nor both --task and --method were given",
            where="train",
            remedy="try: sdlab train --task NAME --method sdft --wait",
        )
    for setting in settings:
        key, equals, text = setting.partition("=")
        if not equals or not key:
            raise ConfigError(f'"{setting}" is no setting', where="--set", remedy="write KEY=VALUE")
        set_dotted(document, SHORT_FORMS.get(key, key), _value(text, setting))
    return document


def _value(text: str, setting: str) -> Any:
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(
            f'the value of "{setting}" is not valid YAML', where="--set", remedy="quote it"
        ) from error
    # YAML 1.1 reads 3e-4, without a dot, as text.
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value

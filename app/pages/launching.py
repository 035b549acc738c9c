"""The launch page's two buttons: check the premise, and launch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from app.components.problems import go_to, no_problems, problems
from app.pages.launch_form import ANYWAY, Form, sentence
from app.pages.launch_plan import configure, estimates
from app.pages.once import Once
from backend.config import RunConfig
from backend.errors import SdlabError, StateError
from backend.lab import Lab


def premise_of(lab: Lab, config: RunConfig) -> dict[str, Any]:
    """The value of the premise view: what is known of this task, model and context."""
    has_teacher = config.teacher.weights != "none"
    try:
        known = lab.views.premise(config.task, config.model, config.teacher.context)
    except SdlabError:  # The fields say it already.
        known = {"found": None, "pending": None, "context": config.teacher.context}
    return {
        **known,
        "has_teacher": has_teacher,
        "is_no_go": _refused(lab, [config]) is not None,
    }


def launch(lab: Lab, once: Once, form: Form, session: str) -> dict[str, Any]:
    """Queues the run, its baseline before it, and leads to its page; or says what is wrong."""
    configs, mistakes = configure(lab, form)
    if mistakes:
        return problems(mistakes, focus=True)
    _, mistakes = estimates(lab, configs, forced=form.anyway)
    refused = None if mistakes else _refused(lab, configs)
    if refused is not None:
        mistakes[ANYWAY] = sentence(refused)
    if mistakes:
        return problems(mistakes, focus=True)
    # SFT first: it is the quicker one, and the run is then compared as soon as it ends.
    ordered = configs[::-1]
    run = once(_key("launch", session, ordered), lambda: lab.train(ordered)[-1])
    return go_to(f"run?id={run}")


def _refused(lab: Lab, configs: Sequence[RunConfig]) -> SdlabError | None:
    """Why the premise of a run speaks against its launch; None where it goes ``anyway``."""
    try:
        lab.check_gate(configs)
    except StateError as error:
        return error
    except SdlabError:  # The fields say it already.
        return None
    return None


def check_premise(lab: Lab, once: Once, form: Form, session: str) -> dict[str, Any]:
    """Queues a premise check of every context form, unless one is under way."""
    configs, mistakes = configure(lab, form)
    if mistakes:
        return problems(mistakes, focus=True)
    config = configs[0]
    if premise_of(lab, config)["pending"]:
        return no_problems()
    document = {
        "task": config.task,
        "model": config.model,
        "max_new_tokens": config.evaluate.max_new_tokens,
    }
    once(_key("premise", session, configs[:1]), lambda: lab.premise(document))
    return no_problems()


def end_premise(lab: Lab, config: RunConfig) -> dict[str, Any]:
    """Ends the premise check on this task and model that is queued or under way."""
    pending = premise_of(lab, config)["pending"]
    try:
        if pending:
            lab.stop(pending["run"])
    except SdlabError as error:  # It has ended by itself since.
        return problems({"": str(error)})
    return no_problems()


def _key(verb: str, session: str, configs: Sequence[RunConfig]) -> str:
    wish = json.dumps([verb, session, [config.as_document() for config in configs]])
    return hashlib.sha256(wish.encode()).hexdigest()

"""What is refused before it is queued."""

from __future__ import annotations

import pytest

from backend.errors import ConfigError
from backend.jobs.launch_checks import check_premise_context
from backend.text.contexts import DEMONSTRATION_FORMS


@pytest.mark.parametrize("name", ["auto", *DEMONSTRATION_FORMS, "reference-solution"])
def test_a_premise_check_takes_any_form_that_needs_no_text(name: str) -> None:
    check_premise_context(name)


def test_a_template_without_its_text_is_refused() -> None:
    with pytest.raises(ConfigError, match="--context: a premise check has no template of its own"):
        check_premise_context("template")


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(ConfigError, match='there is no context "papr"; did you mean "paper"'):
        check_premise_context("papr")

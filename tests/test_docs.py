"""README and docs show commands, settings and files that the code knows."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from app.cli import sdlab
from backend.config import RunConfig
from backend.methods import resolve
from backend.settings import Settings

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def code_in(document: Path) -> Iterator[str]:
    """The lines of code blocks and the inline code of a document; line breaks inside are joined."""
    text = document.read_text("utf-8")
    for block in re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE):
        yield from (line.strip() for line in block.splitlines())
    without_blocks = re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)
    for code in re.findall(r"`([^`]+)`", without_blocks):
        yield " ".join(code.split())


def starting_with(command: str) -> list[str]:
    pattern = re.compile(rf"{command} [a-z-]")
    return sorted({code for each in DOCUMENTS for code in code_in(each) if pattern.match(code)})


@pytest.mark.parametrize("line", starting_with("sdlab"))
def test_commands_in_the_docs_exist_with_their_options(line: str) -> None:
    words = shlex.split(line)[1:]
    command: click.Command = sdlab
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None
        command = found
    known = {name for option in command.params for name in option.opts} | {"--help"}
    assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("line", starting_with("make"))
def test_make_targets_in_the_docs_exist(line: str) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    command = re.split(r"&&|#", line)[0]
    assert {w for w in shlex.split(command)[1:] if "=" not in w} <= set(targets)


def test_the_configuration_in_the_readme_is_valid_and_names_real_settings() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    block = re.search(r"^```yaml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert block
    config = resolve(yaml.safe_load(block[1]))
    assert config.method == "sdft/small-model"
    assert set(yaml.safe_load(block[1])) <= set(RunConfig.model_fields)


def test_operations_lists_every_setting() -> None:
    text = (ROOT / "docs/operations.md").read_text("utf-8")
    listed = re.findall(r"^\| `SDLAB_(\w+)` \|", text, re.MULTILINE)
    assert [name.lower() for name in listed] == list(Settings.model_fields)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text("utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []

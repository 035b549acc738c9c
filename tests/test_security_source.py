"""What the source may not do at all: unpickle, run strings, trust code of models, ask addresses."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT = Path(__file__).parents[1]
SOURCES: Final = sorted(
    path
    for package in ("app", "backend", "storage", "sdlab")
    for path in (ROOT / package).rglob("*.py")
)
UNPICKLING: Final = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
ASKING: Final = {"urllib.request", "http.client", "requests", "httpx", "aiohttp", "urllib3"}
RUNNING: Final = {"os.system", "os.popen", "eval", "exec", "compile", "pty.spawn"}
# What a model wrote is run here and nowhere else: off by default, in a process that is locked in.
SANDBOX: Final = ROOT / "backend/evaluation/scorers/sandboxed.py"
LOADING: Final = {"torch.load", "numpy.load", "np.load", "yaml.load", "joblib.load"}


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text("utf-8")))


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in nodes(path):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def calls(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    for node in nodes(path):
        if isinstance(node, ast.Call):
            words = {each.arg: ast.unparse(each.value) for each in node.keywords if each.arg}
            yield ast.unparse(node.func), words


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_neither_unpickles_nor_runs_strings_nor_trusts_a_models_code(path: Path) -> None:
    assert not imported(path) & UNPICKLING
    for name, words in calls(path):
        assert name not in LOADING, name
        assert name not in RUNNING or path == SANDBOX, name
        assert words.get("shell", "False") == "False", name
        assert words.get("trust_remote_code", "False") == "False", name


def test_nothing_asks_an_address_by_itself() -> None:
    """Models come through huggingface_hub, by ids that are checked; pages of the lab ask nobody.

    The judge's address is the administrator's, from the environment; it is checked first.
    """
    asking = {str(path.relative_to(ROOT)) for path in SOURCES if imported(path) & ASKING}
    assert asking == {"backend/evaluation/scorers/chat.py"}

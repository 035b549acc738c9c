"""The doctor: well on a healthy lab, and for each broken one the right finding and remedy."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from backend.jobs.health import (
    Check,
    check_access,
    check_bundled_model,
    check_database,
    check_disk,
    check_health,
    check_package,
    check_port,
    check_torch,
)
from backend.jobs.identity import this_process
from backend.settings import Settings
from storage.database import Database
from storage.models import SupervisorLock
from storage.supervisors import Supervisors

NAMES = [
    "python",
    "torch",
    "transformers",
    "peft",
    "gradio",
    "disk",
    "memory",
    "write access",
    "database",
    "bundled model",
    "port",
]


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port of this machine on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def supervisor(database: Database, address: str) -> SupervisorLock | None:
    Supervisors(database).acquire("me", this_process(), address, lambda _: True)
    return Supervisors(database).holder()


def test_a_healthy_lab_is_well(database: Database, settings: Settings) -> None:
    """All but port and memory, which are the machine's affair."""
    checks = check_health(settings)
    assert [check.name for check in checks] == NAMES
    ill = [check for check in checks if not check.ok and check.name not in ("port", "memory")]
    assert ill == []
    assert all(check.found for check in checks)
    assert all(bool(check.remedy) != check.ok for check in checks)


def test_torch_is_asked_elsewhere_and_the_home_left_as_it_was(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from backend.settings import Settings; "
        "from backend.jobs.health import check_health; "
        f"checks = check_health(Settings(home=Path({str(tmp_path / 'lab')!r}))); "
        "print(*(check.found for check in checks if check.name == 'torch')); "
        "sys.exit('torch' in sys.modules)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert " on " in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_lab_that_is_not_made_yet_is_no_fault(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "lab"
    access, disk = check_access(home), check_disk(home)
    database, _ = check_database(Settings(home=home))
    assert access.ok
    assert f"{home} does not exist yet" in access.found
    assert disk.ok
    assert database.ok
    assert "not made yet" in database.found
    assert list(tmp_path.iterdir()) == []


def test_the_probe_file_is_gone_afterwards(tmp_path: Path) -> None:
    assert check_access(tmp_path).ok
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("below", ["", "lab"])
def test_a_file_in_the_folders_place_is_found(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    check = check_access(tmp_path / "file" / below)
    assert not check.ok
    assert f"{tmp_path / 'file'} is a file" in check.found
    assert "SDLAB_HOME" in check.remedy
    assert check_disk(tmp_path / "file" / below).ok


def test_a_database_that_is_none_is_found(tmp_path: Path) -> None:
    (tmp_path / "lab.sqlite").write_bytes(b"no database, but long enough to be one" * 100)
    check, _ = check_database(Settings(home=tmp_path))
    assert not check.ok
    assert "file is not a database" in check.found
    assert "*.backup" in check.remedy


def test_a_damaged_database_is_found(database: Database, settings: Settings) -> None:
    assert check_database(settings)[0].ok
    assert database.file is not None
    database.close()
    with sqlite3.connect(database.file) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'metrics'"
        ).fetchone()
    connection.close()
    content = bytearray(database.file.read_bytes())
    content[(root - 1) * size : root * size] = b"\xff" * size
    database.file.write_bytes(content)
    check, _ = check_database(settings)
    assert not check.ok
    assert "damaged" in check.found or "malformed" in check.found
    assert check.remedy


@pytest.mark.parametrize(
    ("change", "ok", "found"),
    [
        ("UPDATE alembic_version SET version_num = 'from-the-future'", False, "newer version"),
        ("DELETE FROM alembic_version", True, "empty"),
    ],
)
def test_the_schemas_version_is_told(
    database: Database, settings: Settings, change: str, ok: bool, found: str
) -> None:
    with database.write() as session:
        session.execute(text(change))
    check, _ = check_database(settings)
    assert check.ok is ok
    assert found in check.found
    assert ok or "update sdlab" in check.remedy


@pytest.mark.parametrize("url", ["no url", "unknown://host/lab", "sqlite:///:memory:"])
def test_a_database_url_that_cannot_work_is_told(tmp_path: Path, url: str) -> None:
    check, _ = check_database(Settings(home=tmp_path, database_url=url))
    assert not check.ok
    assert "SDLAB_DATABASE_URL" in check.remedy


def test_a_password_in_the_url_is_not_shown(tmp_path: Path) -> None:
    url = "unknown://lab:secret@host/lab"
    check, _ = check_database(Settings(home=tmp_path, database_url=url))
    assert "secret" not in check.found


def test_the_bundled_model_is_ready_once_it_is_converted(tmp_path: Path) -> None:
    before = check_bundled_model(tmp_path)
    assert before.ok
    assert "the first run converts it" in before.found
    folder = tmp_path / "models" / "smollm2-135m-instruct"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    assert check_bundled_model(tmp_path).found.endswith("converted")


def test_a_missing_package_is_found_with_the_command_that_installs_it() -> None:
    check = check_package("no-such-package-at-all")
    assert check == Check(
        "no-such-package-at-all",
        False,
        "not installed",
        "run: python -m pip install no-such-package-at-all",
    )


def test_torch_that_cannot_be_imported_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torch.py").write_text("raise ImportError('libtorch.so is missing')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    check = check_torch()
    assert not check.ok
    assert "libtorch.so is missing" in check.found
    assert "pip install torch" in check.remedy


def test_a_taken_port_is_found(taken_port: int) -> None:
    check = check_port(None, taken_port)
    assert not check.ok
    assert "in use" in check.found
    assert "--port" in check.remedy


def test_a_free_port_is_free(taken_port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert check_port(None, port).ok


def test_the_labs_own_server_may_have_the_port(
    database: Database, settings: Settings, taken_port: int
) -> None:
    ours = supervisor(database, f"http://127.0.0.1:{taken_port}")
    assert check_port(ours, taken_port).ok
    _, holder = check_database(settings)
    assert holder is not None
    assert holder.address == f"http://127.0.0.1:{taken_port}"


def test_a_server_of_the_lab_elsewhere_does_not_excuse_the_port(
    database: Database, taken_port: int
) -> None:
    elsewhere = supervisor(database, "http://127.0.0.1:1")
    assert not check_port(elsewhere, taken_port).ok


def test_a_home_that_cannot_even_be_looked_at_is_told(tmp_path: Path) -> None:
    """Its name is too long for any disk: every look at it is an error, for root as well."""
    home = tmp_path / ("x" * 300) / "lab"
    checks = {check.name: check for check in check_health(Settings(home=home))}
    assert list(checks) == NAMES
    for name in ("disk", "write access"):
        assert not checks[name].ok
        assert "too long" in checks[name].found
    assert "set SDLAB_HOME to a folder of yours" in checks["write access"].remedy

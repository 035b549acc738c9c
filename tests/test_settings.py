"""Where a lab lives, as people write it."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.errors import ConfigError
from backend.settings import Settings, validate_settings


def test_a_tilde_is_the_users_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SDLAB_HOME", "~/my lab")
    assert Settings().home == tmp_path / "my lab"
    assert Settings(home=Path("~/other")).home == tmp_path / "other"


def test_a_home_stays_the_same_wherever_one_works(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SDLAB_HOME", "lab")
    assert Settings().home == tmp_path / "lab"


def test_an_empty_home_is_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SDLAB_HOME", raising=False)
    usual = Settings().home
    monkeypatch.setenv("SDLAB_HOME", "")
    assert Settings().home == usual
    assert usual.is_absolute()


def test_a_user_who_is_none_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDLAB_HOME", "~no-such-user-here/lab")
    with pytest.raises(ConfigError, match=r"SDLAB_HOME is .*that of no user"):
        validate_settings()


def test_a_mirror_that_there_is_not_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDLAB_MIRRORS", "tensorboard, wandb")
    assert validate_settings().mirror_names == ("tensorboard", "wandb")
    monkeypatch.setenv("SDLAB_MIRRORS", "visdom")
    with pytest.raises(ConfigError, match=r"SDLAB_MIRRORS is 'visdom': .*trackio"):
        validate_settings()

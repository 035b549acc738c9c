"""Where base models come from, and what is said of names that mean none."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from backend.errors import ModelError
from backend.models.compute import Compute
from backend.models.materialise import local_folder
from backend.models.sources import BUNDLED, find_source, model_config


def test_a_bundled_model_lives_under_home(tmp_path: Path) -> None:
    for key in BUNDLED:
        source = find_source(f"bundled:{key}", tmp_path)
        assert (source.kind, source.location) == ("bundled", str(tmp_path / "models" / key))


def test_a_local_folder_goes_by_its_absolute_path(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_folder.parent)
    source = find_source(tiny_folder.name, tmp_path)
    assert (source.kind, source.name) == ("local", str(tiny_folder.resolve()))
    assert local_folder(tiny_folder.name, tmp_path) == tiny_folder.resolve()


def test_a_hub_id_is_recognised_without_asking_the_hub(tmp_path: Path) -> None:
    source = find_source("HuggingFaceTB/SmolLM2-135M-Instruct", tmp_path)
    assert (source.kind, source.location) == ("hub", "HuggingFaceTB/SmolLM2-135M-Instruct")


NO_MODELS = (
    *("", "smollm", "a/b/c", "/no/such/folder", "a/../b", "org/na me"),
    *(
        "x" * 5000,
        "a/" + "x" * 500,
        "~nobody-at-all/x",
        "a\0b",
        "a/b..c",
        "a/b--c",
        "a/b-",
        "a/b.git",
    ),
)


@pytest.mark.parametrize("name", NO_MODELS, ids=range(len(NO_MODELS)))
def test_a_name_that_means_nothing_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="model:") as caught:
        find_source(name, tmp_path)
    assert caught.value.remedy
    assert len(caught.value.message) < 300


def test_an_unknown_bundled_model_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r'no bundled model "gpt".*choose bundled:smollm2'):
        find_source("bundled:gpt", tmp_path)


def test_a_folder_without_a_configuration_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"has no config\.json"):
        find_source(str(tmp_path), tmp_path)
    for content in ("{", "[]"):
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(ModelError, match=r"config\.json"):
            model_config(tmp_path)


def test_a_bundled_model_is_converted_only_once(tiny_folder: Path, tmp_path: Path) -> None:
    """A folder that is there is taken as it is."""
    key = next(iter(BUNDLED))
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / key).symlink_to(tiny_folder)
    assert local_folder(f"bundled:{key}", tmp_path) == tmp_path / "models" / key


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_half_precision_runs_under_autocast_and_fp32_does_not(dtype: torch.dtype) -> None:
    layer = torch.nn.Linear(4, 4)
    with Compute(torch.device("cpu"), dtype).autocast():
        assert layer(torch.randn(2, 4)).dtype == dtype

"""How a waiting command ends tells whose the failure is: 2 for the user's, 1 for ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from app.cli import main
from app.cli.waiting import exit_code_of, must_be_done
from backend.errors import SdlabError
from tests.cli import contract
from tests.cli.command import environment
from tests.lab.tiny_tasks import rows, write_rows

Main = Callable[..., tuple[int, str, str]]
BAD_MODEL = {"code": "bad_model", "message": "gone", "remedy": "put it back", "exit_code": 2}
FAULT = {"code": "fault", "message": "it broke", "remedy": "see the log", "exit_code": 1}


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Main:
    """sdlab in this process, with real workers."""
    for name, value in environment(tmp_path / "home").items():
        monkeypatch.setenv(name, value)

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run


def job(state: str, error: dict[str, object] | None = None) -> dict[str, object]:
    return {"id": "0123456789ab", "name": "a job", "state": state, "error": error, "log": None}


def test_a_resumed_run_that_fails_again_ends_with_the_code_of_its_failure(
    call: Main, tiny_folder: Path, tmp_path: Path
) -> None:
    file = write_rows(tmp_path / "rows.jsonl", rows(6))
    call("task", "add", file, "--name", "lights")
    away = tmp_path / "model"
    away.mkdir()
    for part in tiny_folder.iterdir():
        (away / part.name).symlink_to(part)
    options = ("--task", "lights", "--method", "sft", "--model", away, "--steps", 4, "--set",
               "evaluate.probes=[task]", "--set", "learning_rate=1e30", "--set",
               "optimizer.warmup_steps=0", "--json")  # fmt: skip
    queued = contract.one_document(call("train", *options)[1])
    call("stop", queued["id"])

    away.rename(tmp_path / "moved")
    code, out, err = call("resume", queued["id"], "--wait", "--json")
    assert code == 2, out + err
    run = contract.one_document(out)
    assert (run["state"], run["error"]["code"]) == ("failed", "bad_model")
    assert f"sdlab: {run['name']} ({run['id'][:8]}): {run['error']['message']}" in err

    (tmp_path / "moved").rename(away)
    code, out, err = call("resume", queued["id"], "--wait", "--json")
    assert code == 2
    run = contract.one_document(out)
    assert (run["state"], run["error"]["code"]) == ("failed", "not_finite")
    assert "the loss of step" in err


@pytest.mark.parametrize(
    ("jobs", "code"),
    [
        ([job("done"), job("cancelled")], 0),
        ([job("done"), job("failed", BAD_MODEL)], 2),
        ([job("failed", FAULT), job("failed", BAD_MODEL)], 1),
        ([job("lost", FAULT)], 1),
    ],
)
def test_of_several_failures_a_fault_counts_most(
    jobs: list[dict[str, object]], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code_of(jobs) == code
    assert capsys.readouterr().err.count("\n") == sum(bool(each["error"]) for each in jobs)


@pytest.mark.parametrize(
    ("document", "code", "exit_code"),
    [
        (job("failed", BAD_MODEL), "bad_model", 2),
        (job("failed", FAULT), "fault", 1),
        (job("cancelled"), "wrong_state", 2),
    ],
)
def test_a_job_that_must_be_done_raises_its_own_error(
    document: dict[str, object], code: str, exit_code: int
) -> None:
    with pytest.raises(SdlabError) as failed:
        must_be_done(document)
    assert (failed.value.code, failed.value.exit_code) == (code, exit_code)
    assert must_be_done(job("done"))["state"] == "done"

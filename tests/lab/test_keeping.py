"""What the lab keeps: weighed, deleted after a preview, collected, copied while in use."""

from __future__ import annotations

import os
import tarfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.bootstrap import build_lab
from backend.errors import DataError, NotFound, StateError
from backend.jobs.launchers import LAUNCHERS
from backend.lab import Lab, restore_lab
from backend.settings import Settings
from backend.training.checkpoints import verify_checkpoint
from storage.claims import Claims
from storage.metrics import Metrics, put_metrics
from storage.models import ACTIVE, Run
from storage.runs import Runs

Train = Callable[..., Any]


def test_a_run_is_weighed_and_deleted_with_all_that_it_made(
    lab: Lab, add_task: Callable[..., str], train: Train
) -> None:
    run = train(add_task())
    other = train("lights", method="sft")
    (seen,) = [each for each in lab.keeping.sizes()["runs"] if each["id"] == run["id"]]
    folder = lab.settings.home / "runs" / run["id"]
    assert [point["step"] for point in seen["checkpoints"]] == [2]
    assert seen["traces"] > 0
    assert seen["folder"] > sum(each["bytes"] for each in seen["checkpoints"]) > 0

    preview = lab.keeping.delete([run["id"]])
    assert preview == {"deleted": False, "runs": [seen]}
    assert folder.is_dir()
    assert lab.keeping.delete([run["id"]], preview=False)["deleted"]
    assert not folder.exists()
    assert [each["id"] for each in lab.runs()] == [other["id"]]
    assert lab.keeping.sizes()["unused"] == 0
    with pytest.raises(NotFound):
        lab.keeping.delete([run["id"]])


def test_what_is_still_needed_is_not_deleted(lab: Lab) -> None:
    first, second = Runs(lab.database).enqueue(
        Run(name="first", kind="train", config={}), Run(name="second", kind="train", config={})
    )
    with pytest.raises(StateError, match="first cannot be deleted: it is queued"):
        lab.keeping.delete(["first"])
    lab.stop("first")
    with lab.database.write() as session:
        session.get_one(Run, second.id).config = {"start_from": first.id}
    with pytest.raises(StateError, match=r"second .* goes on from it"):
        lab.keeping.delete(["first"], preview=False)
    lab.stop("second")
    assert len(lab.keeping.delete(["first", "second"], preview=False)["runs"]) == 2
    assert lab.runs() == []


def test_files_that_nothing_refers_to_are_collected(lab: Lab, add_task: Callable[..., str]) -> None:
    add_task()
    home = lab.settings.home
    old = [home / "uploads" / "left.jsonl", home / "runs" / "0123456789ab" / "worker.log"]
    new = home / "uploads" / "on-its-way.jsonl"
    for path in (*old, new):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    for path in (old[0], old[1].parent):
        os.utime(path, times=(time.time() - 7200,) * 2)

    assert lab.keeping.sizes()["unused"] == 2
    found = [each["path"] for each in lab.keeping.collect()["files"]]
    assert found == ["runs/0123456789ab", "uploads/left.jsonl"]
    lab.keeping.collect(preview=False)
    assert not any(path.exists() for path in old)
    assert new.exists()
    assert lab.keeping.collect()["files"] == []
    assert lab.task("lights")["name"] == "lights"


def test_a_lab_in_use_is_copied_and_put_back_whole(
    lab: Lab, add_task: Callable[..., str], train: Train, tmp_path: Path
) -> None:
    run = train(add_task())
    active, _ = Runs(lab.database).enqueue(
        *(Run(name=name, kind="train", config={}) for name in ("active", "waiting"))
    )
    Claims(lab.database).ensure_slots(["cpu:0"])
    assert Claims(lab.database).claim("someone") is not None
    ended = threading.Event()

    def write() -> None:
        step = 0
        while not ended.is_set():
            step += 1
            with lab.database.write() as session:
                put_metrics(session, active.id, [("loss", step, 1.0), ("twin", step, 1.0)])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = lab.keeping.backup(tmp_path / "lab.tar")
    finally:
        ended.set()
        writer.join()
    with pytest.raises(StateError, match="it exists"):
        lab.keeping.backup(tmp_path / "lab.tar")

    settings = Settings(home=tmp_path / "elsewhere", threads=1)
    restore_lab(settings, Path(made["path"]))
    with pytest.raises(StateError, match="not empty"):
        restore_lab(settings, Path(made["path"]))
    copy = build_lab(settings, LAUNCHERS["inline"])
    try:
        again = copy.run(run["id"])
        for part in ("state", "metrics", "evaluations", "checkpoints", "artifacts", "config"):
            assert again[part] == run[part]
        (point,) = again["checkpoints"]
        folder = settings.home / "runs" / run["id"] / "checkpoints" / f"step-{point['step']:08d}"
        assert verify_checkpoint(folder)["step"] == 2
        assert [each.name for each in Runs(copy.database).queued()] == ["active", "waiting"]
        assert Runs(copy.database).all(states=ACTIVE) == []
        assert [slot.run_id for slot in Claims(copy.database).slots()] == [None]
        loss, twin = (Metrics(copy.database).series(active.id, key) for key in ("loss", "twin"))
        assert loss == twin, "of one moment"
        assert copy.export_task("lights", tmp_path / "rows.jsonl")
    finally:
        copy.close()
    assert Runs(lab.database).get(active.id).state == "starting", "the lab itself is as it was"


def test_what_is_no_backup_is_refused(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    text, empty, evil = (tmp_path / name for name in ("a.txt", "b.tar", "c.tar"))
    text.write_text("hello")
    tarfile.open(empty, "w").close()
    with tarfile.open(evil, "w") as archive:
        archive.add(text, "../../escaped.txt")
    for file in (text, empty, evil):
        with pytest.raises(DataError, match="no backup of a lab"):
            restore_lab(settings, file)
    assert list(settings.home.iterdir()) == []
    assert not (tmp_path.parent / "escaped.txt").exists()

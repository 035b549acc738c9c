"""Curves are told to other tools as well; what these do wrong costs a run nothing."""

import struct
import sys
import time

import pytest

from backend.jobs import mirrors
from backend.jobs.launchers import launch_inline
from backend.jobs.mirrors import MIRRORS, Mirrored, Mirrors
from backend.settings import MIRRORS as NAMES
from backend.training.recorder import Evaluation
from storage.claims import Claims
from storage.metrics import Metrics
from storage.runs import Runs

SCORE = Evaluation("task:lights", "exact", 0.5, 4, 0.1, 0.9)
# As wandb answers; it fails at the second line of a run.
WANDB = """
class Run:
    told = []
    def define_metric(self, name, step_metric): pass
    def log(self, values):
        self.told.append(values)
        if len(self.told) == 2: raise ConnectionError("no such host")
    def finish(self): self.told.append("finished")
def init(**settings):
    Run.settings = settings
    return Run()
"""
TRACKIO = "import time; time.sleep(600)"


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """Writes modules that stand for packages which are not installed here."""
    monkeypatch.syspath_prepend(tmp_path / "packages")
    (tmp_path / "packages").mkdir()

    def write(**sources):
        for name, source in sources.items():
            (tmp_path / "packages" / f"{name}.py").write_text(source)

    yield write
    for name in ("wandb", "trackio"):
        sys.modules.pop(name, None)


@pytest.fixture
def work(database, settings, add_run):
    """Works on a new run here, with these mirrors; returns its events."""

    def do(names, **config):
        run = add_run(**config)
        Claims(database).ensure_slots(["cpu:0"])
        claimed = Claims(database).claim("me")
        told = settings.model_copy(update={"mirrors": names})
        launch_inline(claimed, told, work="sample_work")
        assert Runs(database).get(run.id).state == "done"
        assert len(Metrics(database).series(run.id, "loss")) == config["steps"]
        return [(event.kind, event.message) for event in Runs(database).events(run.id)]

    return do


def test_every_name_of_the_settings_is_a_mirror():
    assert tuple(MIRRORS) == NAMES


def test_tensorboard_gets_a_file_that_it_can_read(tmp_path):
    told = []
    both = Mirrors(["tensorboard"], Mirrored("r1", "a run", tmp_path, {}), told.append)
    both.metrics(1, {"loss": 2.0})
    both.metrics(2, {"loss": 1.5, "entropy": 0.25})
    both.evaluation(2, SCORE, subset=False)
    both.close()
    assert told == []
    (file,) = (tmp_path / "tensorboard").glob("events.out.tfevents.*")
    assert scalars(file.read_bytes()) == [
        ("loss", 1, 2.0), ("loss", 2, 1.5), ("entropy", 2, 0.25), ("task/lights/exact", 2, 0.5)
    ]  # fmt: skip


def scalars(records):
    """(tag, step, value) of the events in a file of TensorBoard's."""
    from tensorboardX.proto.event_pb2 import Event

    found, at = [], 0
    while at < len(records):
        # Each record: its length, a checksum, its bytes, a checksum.
        (length,) = struct.unpack_from("<Q", records, at)
        event = Event.FromString(records[at + 12 : at + 12 + length])
        found += [(each.tag, event.step, each.simple_value) for each in event.summary.value]
        at += length + 16
    return found


def test_a_mirror_that_fails_is_told_and_the_run_goes_on(work, modules):
    modules(wandb=WANDB)
    events = work("wandb", steps=6)
    assert ("mirror", "no more curves to wandb: ConnectionError: no such host") in events


def test_a_mirror_that_is_not_installed_is_told_with_the_remedy(work):
    told = dict(work("trackio", steps=3, lags_s=0.1))["mirror"]
    assert 'pip install "sdlab[trackio]"' in told


def test_a_mirror_that_hangs_does_not_keep_the_run(work, modules, monkeypatch, caplog):
    modules(trackio=TRACKIO)
    monkeypatch.setattr(mirrors, "CLOSE_S", 0.2)
    began = time.monotonic()
    work("trackio", steps=3)
    assert time.monotonic() - began < 10
    assert "trackio did not end" in caplog.text


def test_nothing_leaves_the_machine_unless_its_user_says_so(modules, monkeypatch, tmp_path):
    modules(wandb=WANDB)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    for wanted in ("offline", "online"):
        both = Mirrors(["wandb"], Mirrored("r1", "a run", tmp_path, {"seed": 0}), print)
        both.close()
        found = sys.modules["wandb"].Run.settings
        assert (found["mode"], found["dir"], found["id"]) == (wanted, str(tmp_path), "r1")
        monkeypatch.setenv("WANDB_MODE", "online")

"""A job begins where its memory is free; else it waits for who has it, or says what would help."""

import json
import re

import pytest

from backend.errors import ModelError, StopRequested
from backend.jobs.identity import this_process
from backend.jobs.work.context import JobContext
from backend.jobs.work.memory import WAITING, Room, room_here, wait_for_memory, wait_to_export
from backend.methods import resolve
from backend.models.workload import Lengths
from storage.claims import Claim, Claims, hold
from tests.recording import ListRecorder

LENGTHS = Lengths(prompt=100, teacher_prompt=0, demonstration=50)
LITTLE, MUCH = Room("this machine", False, 8000, 1500, 400), Room("x", False, 8000, 7900, 400)


@pytest.fixture
def check(database, settings, add_run, tiny_folder):
    """Checks the memory for a run of 256 rows of 4,096 tokens, or as the changes say."""

    def run(*rooms, recorder, **changes):
        left = list(rooms)
        config = resolve(
            {"task": "lights", "method": "sdft", "model": str(tiny_folder), "batch_size": 256}
            | {"rollout": {"max_new_tokens": 4096}}
            | changes
        )
        job = JobContext("a-run", "train", {}, database, settings, recorder, settings.home)

        def look():
            return left.pop(0) if len(left) > 1 else left[0]

        wait_for_memory(job, config, LENGTHS, look, sleep=lambda _s: None)

    return run


@pytest.fixture
def another(database, add_run):
    """A run that this process works on; returns what sets its phase."""
    Claims(database).ensure_slots(["cpu:0"])
    run = add_run("train", name="the other")
    claimed = Claims(database).claim("owner")
    claim = Claim(run.id, "owner", claimed.attempt)
    Claims(database).start(claim, this_process())

    def set_phase(phase):
        with database.write() as session:
            assert hold(session, claim, phase=phase)

    return set_phase


def test_what_does_not_fit_is_told_with_a_knob_that_makes_it_fit(check):
    with pytest.raises(ModelError) as refused:
        check(LITTLE, recorder=ListRecorder())
    message = str(refused.value)
    assert "1.5 GiB of the 7.8 GiB of this machine are free" in message
    assert "the largest part: the activations" in message
    assert "sdlab resume a-run" in message
    rows = int(re.search(r"set micro_batch_size to (\d+)", message)[1])
    check(LITTLE, recorder=ListRecorder(), micro_batch_size=rows)
    with pytest.raises(ModelError):
        check(LITTLE, recorder=ListRecorder(), micro_batch_size=2 * rows)


@pytest.mark.parametrize(
    ("form", "free_mib", "knob"),
    [("gguf", 1500, "export it as merged"), ("gguf", 100, "as peft"), ("merged", 100, "as peft")],
)
def test_an_export_that_does_not_fit_is_told_with_a_format_that_does(
    form, free_mib, knob, database, settings, tmp_path
):
    llama = {"model_type": "llama", "hidden_size": 1024, "intermediate_size": 4096,
             "num_hidden_layers": 16, "num_attention_heads": 16, "vocab_size": 32000}  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(llama))
    config = resolve({"task": "lights", "method": "sdft", "model": str(tmp_path)})
    job = JobContext("an-export", "export", {}, database, settings, ListRecorder(), tmp_path)
    room = Room("this machine", False, 8000, free_mib, 0)
    with pytest.raises(ModelError, match=f"the export needs about.*{knob}"):
        wait_to_export(job, config, form, lambda: room, sleep=lambda _s: None)
    wait_to_export(job, config, form, lambda: MUCH, sleep=lambda _s: None)


def test_what_is_no_knob_is_told_as_well(check):
    no_room = Room("this machine", False, 8000, 1, 0)
    with pytest.raises(ModelError, match="torch itself"):
        check(no_room, recorder=ListRecorder(), batch_size=1, rollout={"max_new_tokens": 4})


def test_memory_that_another_run_has_is_waited_for(check, another):
    another("training")
    recorder = ListRecorder()
    check(*6 * [LITTLE], MUCH, recorder=recorder)
    assert [event.kind for event in recorder.events] == ["low_memory", "memory_again"]
    assert "at work: the other" in recorder.events[0].message
    assert recorder.events[0].level == "warning"


def test_two_that_wait_do_not_wait_for_each_other(check, another):
    another(WAITING)
    with pytest.raises(ModelError, match="micro_batch_size"):
        check(LITTLE, recorder=ListRecorder())


def test_memory_that_is_free_a_moment_later_is_no_failure(check):
    recorder = ListRecorder()
    check(LITTLE, LITTLE, MUCH, recorder=recorder)
    assert recorder.events == []


def test_who_waits_can_be_stopped(check, another):
    another("training")
    with pytest.raises(StopRequested):
        check(LITTLE, recorder=ListRecorder(stop_after=0))


def test_this_machine_has_memory_and_this_process_takes_some():
    room = room_here()
    assert 0 < room.free_mib <= room.total_mib
    assert room.own_mib > 50

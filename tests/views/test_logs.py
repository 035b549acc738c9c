"""A worker's log: its end, and what it says of something."""

import pytest

from backend.errors import ConfigError, NotFound
from tests.views.stored_runs import add_run

LOG = """\
2026-11-24 16:00:00,001 INFO sdlab.worker: run 1, attempt 1, kind train
2026-11-24 16:00:01,002 WARNING py.warnings: something is deprecated
  in this line
2026-11-24 16:00:02,003 ERROR sdlab.worker: run 1 failed
Traceback (most recent call last):
  File "step.py", line 3
ZeroDivisionError: one by none
2026-11-24 16:00:03,004 INFO sdlab.worker: run 1 is failed
Fatal Python error: Segmentation fault
"""


@pytest.fixture
def log(lab):
    run = add_run(lab.database)
    folder = lab.settings.home / "runs" / run.id
    folder.mkdir(parents=True)
    (folder / "worker.log").write_text(LOG)
    return lambda *arguments, **named: lab.views.log(run.id, *arguments, **named)


def test_without_a_search_it_is_the_end(log):
    assert log() + "\n" == LOG
    assert log(1) == "Fatal Python error: Segmentation fault"


def test_a_level_leaves_whole_entries_of_it_and_above(log):
    assert log(level="warning").count("\n") == LOG.count("\n") - 3
    errors = log(level="error").splitlines()
    assert errors[0].endswith("run 1 failed")
    assert errors[-1].startswith("Fatal"), "what a crash wrote has no level, and is an error"
    assert "deprecated" not in log(level="error")


def test_what_is_found_comes_with_what_belongs_to_it(log):
    assert len(log(find="zerodivision").splitlines()) == 4
    assert log(find="LINE", level="error").splitlines()[0].endswith("run 1 failed")
    assert log(find="no such thing") == ""


def test_an_unknown_level_and_an_unknown_run_are_told(log, lab):
    with pytest.raises(ConfigError, match="warning"):
        log(level="loud")
    with pytest.raises(NotFound):
        lab.views.log("nobody")

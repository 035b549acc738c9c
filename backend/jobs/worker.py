"""The detached process that does one attempt at one run: `python -P -m backend.jobs.worker`."""

from __future__ import annotations

import argparse
import faulthandler
import importlib
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from sqlalchemy.exc import SQLAlchemyError

from backend.atomic import remove_partials
from backend.errors import (
    Fault,
    Replaced,
    SdlabError,
    StopRequested,
    disk_full,
    is_disk_full,
    is_out_of_memory,
)
from backend.jobs.identity import this_process
from backend.jobs.mirrors import Mirrored, Mirrors
from backend.jobs.patience import patiently
from backend.jobs.recorder import StoredRecorder
from backend.jobs.usage import Usage
from backend.jobs.work.context import JobContext, Work, run_folder
from backend.settings import Settings
from storage.claims import Claim, Claims
from storage.database import Database, open_database, schema_state
from storage.models import Run

log = logging.getLogger("sdlab.worker")

EXIT_DONE: Final = 0
EXIT_REPLACED: Final = 3
EXIT_SCHEMA: Final = 4
WORK: Final = "backend.jobs.work.kinds"


def main(
    argv: Sequence[str] | None = None, *, inline: bool = False, settings: Settings | None = None
) -> int:
    """Does the attempt and stores how it ended; the exit code is 0 unless it could not.

    ``inline`` is for a caller's process: signals, logging and exit are then left alone.
    """
    options = _parse(argv)
    settings = settings or Settings(home=options.home)
    if not inline:
        log_to_stderr()
        tell_stacks()
    database = open_database(settings.database)
    try:
        if (state := patiently(lambda: schema_state(database))) != "current":
            log.error(
                "the database of %s has a schema %s than this worker knows; restart the server, "
                "which brings it up to date, or run the version of sdlab that wrote it",
                settings.home,
                state,
            )
            return EXIT_SCHEMA
        claim = Claim(options.run, options.owner, options.attempt)
        return _attempt(database, settings, claim, options.work, inline)
    finally:
        database.close()


def _attempt(database: Database, settings: Settings, claim: Claim, work: str, inline: bool) -> int:
    stop = threading.Event()
    if not inline:
        signal.signal(signal.SIGTERM, lambda _number, _frame: stop.set())
    claims = Claims(database)
    run = patiently(lambda: claims.start(claim, this_process()))
    if run is None:
        log.warning("run %s went to another attempt: nothing to do", claim.run_id)
        return EXIT_REPLACED
    log.info("run %s, attempt %d, kind %s", run.id, run.attempt, run.kind)
    beat = _Beat(database, claim, settings.beat_s, is_alone=not inline)
    mirrors = Mirrors(
        settings.mirror_names,
        Mirrored(run.id, run.name, run_folder(settings, run.id) / "mirrors", run.config),
        lambda message: claims.tell(claim, "mirror", message),
    )
    recorder = StoredRecorder(
        database, run.id, claim.owner, claim.attempt, settings, run.config, mirrors=mirrors,
        stop=stop,
    )  # fmt: skip
    beat.start()
    try:
        state, error = _work(run, work, database, settings, recorder)
    except Replaced as replaced:
        log.warning("%s", replaced)
        return EXIT_REPLACED
    finally:
        beat.end()
    if not patiently(lambda: claims.finish(claim, state, error)):
        log.warning("run %s went to another attempt; this one's end is not stored", run.id)
        return EXIT_REPLACED
    log.info("run %s is %s", run.id, state)
    # Once the run has ended, so that a slow one keeps nobody waiting.
    mirrors.close()
    return EXIT_DONE


def _work(
    run: Run, work: str, database: Database, settings: Settings, recorder: StoredRecorder
) -> tuple[Literal["done", "failed", "cancelled"], dict[str, Any] | None]:
    """Does the work; the final state and the error's document. Raises Replaced."""
    folder = run_folder(settings, run.id)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_partials(folder)
        do = _kind(importlib.import_module(work).KINDS, run.kind)
        do(JobContext(run.id, run.kind, run.config, database, settings, recorder, folder))
        recorder.flush()
    except Replaced:
        raise
    except StopRequested as stopped:
        log.info("stopped: %s", stopped)
        recorder.flush()
        return "cancelled", None
    except Exception as error:
        log.exception("run %s failed", run.id)
        _flush_last(recorder)
        return "failed", _document(error, run)
    return "done", None


def _flush_last(recorder: StoredRecorder) -> None:
    """Stores what was told before the failure, which is often what explains it."""
    try:
        recorder.flush()
    except SQLAlchemyError:
        log.exception("the last metrics could not be stored")


def _kind(kinds: Mapping[str, Work], kind: str) -> Work:
    if kind not in kinds:
        raise Fault(f'no work for runs of kind "{kind}", only {", ".join(kinds)}', where="worker")
    return kinds[kind]


def _document(error: Exception, run: Run) -> dict[str, Any]:
    """The error as the runs table keeps it: what, where, what to do, and its traceback."""
    told = error
    if is_disk_full(error):
        remedy = f"free some space, then: sdlab resume {run.id}"
        told = disk_full(error, where="", remedy=remedy)
    elif is_out_of_memory(error):
        told = Fault(
            "not enough memory",
            remedy="set micro_batch_size to 1, lower batch_size or rollout.max_new_tokens, or "
            f"choose a smaller model; where other programs took it: sdlab resume {run.id}",
        )
        told.code = "out_of_memory"
    elif not isinstance(error, SdlabError):
        told = Fault(
            f"{type(error).__name__}: {error}",
            remedy=f"see the traceback in its log; then: sdlab resume {run.id}",
        )
    assert isinstance(told, SdlabError)
    document = told.as_document()
    return {
        **document,
        "where": document["where"] or f"run {run.id}, attempt {run.attempt}",
        "exit_code": told.exit_code,
        "traceback": "".join(traceback.format_exception(error)),
    }


class _Beat:
    """A thread that raises the run's beat, and tells what the worker takes, until it is ended."""

    def __init__(
        self,
        database: Database,
        claim: Claim,
        every_s: float,
        *,
        is_alone: bool,
    ) -> None:
        self._claims, self._claim, self._every_s = Claims(database), claim, every_s
        # What a process takes that others work in as well says nothing of the run.
        self._usage = Usage() if is_alone else None
        self._is_alone = is_alone
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="beat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            try:
                use = None if self._usage is None else self._usage.sample()
                held = self._claims.beat(self._claim, use)
            except SQLAlchemyError as error:
                # The next beat may succeed; if none does, the supervisor ends this worker.
                log.warning("beat failed: %s", error)
                continue
            if not held:
                log.warning("run %s went to another attempt: exit", self._claim.run_id)
                if self._is_alone:
                    # The work is in the middle of something; whatever it would still write is
                    # not wanted.
                    os._exit(EXIT_REPLACED)
                return


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m backend.jobs.worker")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--owner", required=True)
    parser.add_argument("--attempt", type=int, required=True)
    parser.add_argument("--work", default=WORK, help="module whose KINDS names the work")
    return parser.parse_args(argv)


def log_to_stderr() -> None:
    """What is logged goes into the run's log."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.captureWarnings(True)


def tell_stacks() -> None:
    """A crash within native code, or a SIGUSR1, writes all threads' stacks into the log."""
    faulthandler.enable()
    if hasattr(signal, "SIGUSR1"):
        faulthandler.register(signal.SIGUSR1)


if __name__ == "__main__":
    sys.exit(main())

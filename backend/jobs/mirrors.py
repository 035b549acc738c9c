"""A run's curves told to other tools as well: TensorBoard, W&B, trackio; the lab's own stay first.

Each mirror works in a thread of its own, from the import on, so that one that fails or hangs costs
the run nothing. All write below the run's folder. None asks the network unless its user says so in
that tool's own variables (``WANDB_MODE=online``, ``TRACKIO_SPACE_ID``).
"""

from __future__ import annotations

import importlib
import logging
import os
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from backend.training.recorder import Evaluation

log = logging.getLogger(__name__)

PROJECT: Final = "sdlab"
# Points that may wait for a slow mirror; more are dropped.
_WAITING: Final = 10_000
# What a mirror gets to write its last once the run has ended.
CLOSE_S: Final = 20.0

Values = Mapping[str, float]
Tell = Callable[[str], object]


@dataclass(frozen=True)
class Mirrored:
    """The run that is mirrored; ``folder`` is where its mirrors may write."""

    run_id: str
    name: str
    folder: Path
    config: Mapping[str, Any]


class Mirror(Protocol):
    """What one tool is told."""

    def write(self, step: int, values: Values) -> None:
        """Values of a step; after a resume some steps come again."""

    def close(self) -> None:
        """Nothing more will come."""


class _TensorBoard:
    def __init__(self, run: Mirrored) -> None:
        self._make = importlib.import_module("tensorboardX").SummaryWriter
        self._folder = str(run.folder / "tensorboard")
        self._writer: Any = None

    def write(self, step: int, values: Values) -> None:
        if self._writer is None:
            # An attempt before may have told of later steps: they are to be forgotten.
            self._writer = self._make(logdir=self._folder, purge_step=step)
        for key, value in values.items():
            # Its names have no colons.
            self._writer.add_scalar(key.replace(":", "/"), value, step)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


class _Wandb:
    def __init__(self, run: Mirrored) -> None:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        os.environ.setdefault("WANDB_SILENT", "true")
        run.folder.mkdir(parents=True, exist_ok=True)
        self._run = importlib.import_module("wandb").init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            id=run.run_id,
            name=run.name,
            config=dict(run.config),
            dir=str(run.folder),
            mode=os.environ.get("WANDB_MODE", "offline"),
            resume="allow",
        )
        # Scores of a step may come after the metrics of later ones.
        self._run.define_metric("*", step_metric="optimizer_step")

    def write(self, step: int, values: Values) -> None:
        self._run.log({**values, "optimizer_step": step})

    def close(self) -> None:
        self._run.finish()


class _Trackio:
    def __init__(self, run: Mirrored) -> None:
        os.environ.setdefault("TRACKIO_DIR", str(run.folder / "trackio"))
        self._trackio = importlib.import_module("trackio")
        self._trackio.init(
            project=PROJECT,
            name=f"{run.name} {run.run_id}".strip(),
            config=dict(run.config),
            space_id=os.environ.get("TRACKIO_SPACE_ID"),
            resume="allow",
            embed=False,
        )

    def write(self, step: int, values: Values) -> None:
        self._trackio.log(dict(values), step=step)

    def close(self) -> None:
        self._trackio.finish()


MIRRORS: Final[Mapping[str, Callable[[Mirrored], Mirror]]] = {
    "tensorboard": _TensorBoard,
    "wandb": _Wandb,
    "trackio": _Trackio,
}


class Mirrors:
    """The mirrors of a run; nothing that they do or fail to do reaches the caller."""

    def __init__(self, names: Sequence[str], run: Mirrored, tell: Tell) -> None:
        self._threads = [_Thread(name, MIRRORS[name], run, tell) for name in names]
        for thread in self._threads:
            thread.start()

    def metrics(self, step: int, values: Values) -> None:
        for thread in self._threads:
            thread.put(step, dict(values))

    def evaluation(self, step: int, evaluation: Evaluation, *, subset: bool) -> None:
        part = " (part)" if subset else ""
        self.metrics(step, {f"{evaluation.probe}/{evaluation.metric}{part}": evaluation.score})

    def close(self) -> None:
        """Waits for what is still to be written, for a while."""
        for thread in self._threads:
            thread.put(0, None)
        for thread in self._threads:
            thread.join(CLOSE_S)
            if thread.is_alive():
                log.warning("%s did not end within %g s and is left behind", thread.name, CLOSE_S)


NOWHERE: Final = Mirrors((), Mirrored("", "", Path(), {}), log.warning)


class _Thread(threading.Thread):
    """One mirror, fed through a queue until it fails or the run ends."""

    def __init__(
        self, name: str, make: Callable[[Mirrored], Mirror], run: Mirrored, tell: Tell
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._make, self._run, self._tell = make, run, tell
        self._queue: queue.Queue[tuple[int, Values | None]] = queue.Queue(_WAITING)

    def put(self, step: int, values: Values | None) -> None:
        try:
            self._queue.put_nowait((step, values))
        except queue.Full:
            log.warning("%s is too slow: values of step %d are left out", self.name, step)

    def run(self) -> None:
        try:
            mirror = self._make(self._run)
            while (next_values := self._queue.get())[1] is not None:
                step, values = next_values
                mirror.write(step, values or {})
            mirror.close()
        except Exception as error:
            # Whatever a tool of others raises: the run has its own curves.
            log.warning("%s ends", self.name, exc_info=True)
            remedy = f'install it with: pip install "sdlab[{self.name}]"'
            more = f"; {remedy}" if isinstance(error, ImportError) else ""
            self._tell(f"no more curves to {self.name}: {type(error).__name__}: {error}{more}")

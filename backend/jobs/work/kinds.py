"""What each kind of run does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from backend.jobs.work.context import Work
from backend.jobs.work.evaluate import evaluate
from backend.jobs.work.export import export
from backend.jobs.work.leaks import leaks
from backend.jobs.work.premise import premise
from backend.jobs.work.replay import replay
from backend.jobs.work.train import train

KINDS: Final[Mapping[str, Work]] = {
    "train": train,
    "premise": premise,
    "evaluate": evaluate,
    "export": export,
    "replay": replay,
    "leaks": leaks,
}

"""Waits for a database that is locked, without room or away, where failing would lose a run."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final, TypeVar

from sqlalchemy.exc import OperationalError

from storage.database import may_pass

log = logging.getLogger(__name__)

PAUSE_S: Final = 1.0
Result = TypeVar("Result")


def patiently(do: Callable[[], Result], sleep: Callable[[float], object] = time.sleep) -> Result:
    """What ``do`` returns, done again and again as long as its failure is one that may pass."""
    is_told = False
    while True:
        try:
            return do()
        except OperationalError as error:
            if not may_pass(error):
                raise
            if not is_told:
                log.warning("the database cannot be used (%s); waiting for it", error.orig)
            is_told = True
            sleep(PAUSE_S)

"""The lab's work, in a worker that is killed where its first attempt's third checkpoint is done.

All files are written then, under a temporary name.
"""

import os
import signal
import sys

from backend.jobs.work.kinds import KINDS

__all__ = ["KINDS"]
DEADLY = "step-00000012"


def _die(event: str, arguments: tuple[object, ...]) -> None:
    if event == "os.rename" and DEADLY in str(arguments[0]):
        os.kill(os.getpid(), signal.SIGKILL)


if "--attempt 1" in " ".join(sys.argv):
    sys.addaudithook(_die)

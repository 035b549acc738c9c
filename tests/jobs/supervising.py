"""A supervisor as a process of its own, until it is killed; it can do so itself at a launch.

Its arguments: when it dies (claimed, launched, never), and how many slots it has.
"""

import os
import signal
import sys
from functools import partial

from backend.config import Settings
from backend.jobs.launchers import launch_local
from backend.jobs.supervisor import Supervisor
from storage.database import open_database


def main(dies: str, slots: str = "1") -> None:
    settings = Settings()
    launch = partial(launch_local, work="sample_work")

    def deadly(run, settings):
        child = launch(run, settings) if dies == "launched" else None
        os.kill(os.getpid(), signal.SIGKILL)
        return child

    launcher = deadly if dies in ("claimed", "launched") else launch
    database = open_database(settings.database)
    names = [f"cpu:{number}" for number in range(int(slots))]
    with Supervisor(database, settings, launcher, slots=names) as supervisor:
        supervisor.acquire("")
        supervisor.run_until(lambda: False, every_s=0.02)


if __name__ == "__main__":
    main(*sys.argv[1:])

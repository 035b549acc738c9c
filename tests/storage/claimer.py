"""A process that claims and ends runs until none is left; prints the ids it had."""

import sys
import time

from storage.claims import Claim, Claims
from storage.database import open_database
from storage.runs import Runs


def main(url: str, owner: str) -> None:
    database = open_database(url)
    claims, runs = Claims(database), Runs(database)
    while True:
        run = claims.claim(owner)
        if run is None:
            if not runs.all(states=["queued"], limit=1):
                break
            time.sleep(0.01)
            continue
        assert run.slot_id is not None, "a claimed run holds a slot"
        print(run.id, run.attempt)
        assert claims.finish(Claim(run.id, owner, run.attempt), "done")
    database.close()


if __name__ == "__main__":
    main(*sys.argv[1:])

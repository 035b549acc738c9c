"""A process that claims and ends runs until none is left; prints the ids it had."""

import sys
from collections import Counter

from storage.claims import Claim, Claims
from storage.database import open_database
from storage.runs import Runs


def main(url: str, owner: str) -> None:
    database = open_database(url)
    claims, runs = Claims(database), Runs(database)
    while runs.all(states=["queued"]):
        run = claims.claim(owner)
        if run is None:
            continue
        in_slots = Counter(slot.run_id for slot in claims.slots())
        assert in_slots[run.id] == 1, "a claimed run holds one slot"
        print(run.id, run.attempt)
        assert claims.finish(Claim(run.id, owner, run.attempt), "done")
    database.close()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""A migration that is killed in its middle: its table is there, and another one is gone."""

import os
import signal
import sys
from pathlib import Path

from sqlalchemy import event

from storage.database import migrate, open_database


def main(url: str, migrations: str) -> None:
    database = open_database(url)

    def die(connection, cursor, statement, *_):
        if "half_way" in statement:
            cursor.execute(statement)
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(database.engine, "before_cursor_execute", die)
    migrate(database, Path(migrations))


if __name__ == "__main__":
    main(*sys.argv[1:])

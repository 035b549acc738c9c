"""Takes rows in one by one: their texts go to a file, what parting them needs stays in memory."""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from backend.data.demonstration import Demonstration
from backend.data.fields import HELD_OUT, INVISIBLE, TRAINING, Side
from backend.data.report import FileError
from backend.data.split import draw_rank, prompt_key
from backend.data.spool import Spool, StoredRows

Numbers = NDArray[np.int64]
Mask = NDArray[np.bool_]
# Each row keeps about 100 bytes in memory.
MOST_ROWS: Final = 5_000_000
NO_GROUP: Final = 0
_SIDES: Final[dict[Side | None, int]] = {None: 0, TRAINING: 1, HELD_OUT: 2}
_COLUMNS: Final = (
    *("row", "source", "texts", "prompt", "id", "answer", "group", "length"),
    *("side", "marked", "invisible", "prompt_rank", "group_rank"),
)
_CONTENT: Final = b'"messages":'
_DIGEST: Final = 16


class Gathering:
    """Rows of one or two files in the order of their reading; ``sources`` says which file's.

    ``key_of`` gives a row the name of what must not be parted, ``is_marked`` whether it is wanted
    on the held-out side.
    """

    def __init__(
        self,
        seed: int,
        scratch: Path | None,
        key_of: Callable[[Demonstration], str | None],
        is_marked: Callable[[Demonstration], bool],
    ) -> None:
        self._seed = seed
        self._key_of, self._is_marked = key_of, is_marked
        self._spool = Spool(scratch)
        self._digests = bytearray()
        self._columns: dict[str, array[int]] = {name: array("q") for name in _COLUMNS}
        self.tags: Counter[str] = Counter()
        self.groups: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._columns["row"])

    def add(self, row: Demonstration, side: Side | None, source: int) -> None:
        """Keeps a row. Raises FileError where there are more than memory should be filled with."""
        if len(self) >= MOST_ROWS:
            raise FileError("too_large", f"it has over {MOST_ROWS:,} rows", "split the file")
        line = row.model_dump_json().encode()
        self._spool.add(line)
        # Ids and row numbers do not count: they follow from where a row stood in its file.
        content = line[line.index(_CONTENT) :]
        self._digests += hashlib.blake2b(content, digest_size=_DIGEST).digest()
        key, group = prompt_key(row), self._key_of(row)
        turns = tuple((turn.role, turn.content) for turn in row.messages)
        # Python's own hashes do for comparing within one process; the draw must be the same in all.
        values = {
            "row": row.row,
            "source": source,
            "texts": hash((turns, row.demonstration)),
            "prompt": hash(key),
            "id": hash(row.id),
            "answer": hash(row.demonstration),
            "group": NO_GROUP if group is None else hash(group),
            "length": sum(len(turn.content) for turn in row.messages) + len(row.demonstration),
            "side": _SIDES[side],
            "marked": self._is_marked(row),
            "invisible": _has_invisible(row),
            "prompt_rank": draw_rank(key, self._seed),
            "group_rank": 0 if group is None else draw_rank(group, self._seed),
        }
        for name, value in values.items():
            self._columns[name].append(value)
        _count(self.tags, row.tags)
        _count(self.groups, () if row.group is None else (row.group,))

    def column(self, name: str, places: Numbers | None = None) -> Numbers:
        """One value of all rows, or of those at ``places``."""
        values: Numbers = np.array(self._columns[name], dtype=np.int64)
        return values if places is None else values[places]

    def sides(self, places: Numbers) -> tuple[Mask, Mask]:
        """Which rows the file itself puts into training, and which it holds out."""
        side = self.column("side", places)
        return side == _SIDES[TRAINING], side == _SIDES[HELD_OUT]

    def rows(self, places: Sequence[int] | Numbers, prefixed: Sequence[int] = ()) -> StoredRows:
        """The rows at ``places``; the ids of those in ``prefixed`` say that they are held out."""
        return StoredRows(self._spool, [int(place) for place in places], frozenset(prefixed))

    def content_hash(self, training: Numbers, held_out: Numbers, scorer: str) -> str:
        """SHA-256 over what trains and scores: texts, references, tags, parts, order, scorer."""
        digest = hashlib.sha256(repr(scorer).encode())
        for part, places in ((TRAINING, training), (HELD_OUT, held_out)):
            digest.update(f"\0{part}\0{len(places)}\0".encode())
            view = memoryview(self._digests)
            for place in places:
                digest.update(view[place * _DIGEST : (place + 1) * _DIGEST])
        return digest.hexdigest()


def first_places(values: Numbers, places: Numbers) -> tuple[Numbers, Numbers]:
    """Of ``places``, those where a value stands for the first time, and for each the first one."""
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    earliest = places[first[inverse]]
    return places[np.sort(first)], earliest


def _has_invisible(row: Demonstration) -> bool:
    return INVISIBLE.search(row.demonstration) is not None or any(
        INVISIBLE.search(turn.content) for turn in row.messages
    )


def _count(counter: Counter[str], names: Sequence[str]) -> None:
    """Counts names as long as they are few: they are shown to a person."""
    for name in names:
        if name in counter or len(counter) < 1000:
            counter[name] += 1

"""Measures how fast ``sdlab task add`` takes demonstrations in, and in how much memory.

    python -m bench.upload                 100,000 short rows of JSONL; exits 1 on a miss
    python -m bench.upload --gb 1          a file of 10^9 bytes besides

Each file goes through the command itself, in a process of its own and into a lab of its own. From
its seconds those are taken off, and from its peak of memory that, of the same command with nothing
to do: ``sdlab task list`` of the empty lab. Seconds of the processor are told too, as they do not
grow with other work on the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from bench.machine import machine_document, save
from bench.server import environment

LEAST_ROWS_PER_S: Final = 20_000
MOST_GROWTH_MIB: Final = 1024
# Rows of the large file have some hundred words in the prompt, as documents have them.
LONG_CHARACTERS: Final = 2_000
SHORT: Final = "short rows"
_MEASURED: Final = ("sqlalchemy", "pydantic", "numpy")


@dataclass(frozen=True)
class Spent:
    """What a process took, from its start to its end."""

    clock_s: float
    processor_s: float
    peak_mib: float


@dataclass(frozen=True)
class Measured:
    """One file that was added, and what the command took with nothing to do."""

    name: str
    rows: int
    mb: float
    spent: Spent
    idle: Spent

    @property
    def clock_s(self) -> float:
        return self.spent.clock_s - self.idle.clock_s

    @property
    def rows_per_s(self) -> float:
        return self.rows / self.clock_s

    @property
    def growth_mib(self) -> float:
        return self.spent.peak_mib - self.idle.peak_mib

    def line(self) -> str:
        return (
            f"{self.name}: {self.rows:,} rows, {self.mb:,.1f} MB in {self.clock_s:.1f} s by the "
            f"clock ({self.rows_per_s:,.0f} rows/s, {self.mb / self.clock_s:.1f} MB/s; "
            f"{self.spent.processor_s - self.idle.processor_s:.1f} s of the processor); "
            f"memory grew by {self.growth_mib:,.0f} MiB"
        )

    def document(self) -> dict[str, Any]:
        return {**asdict(self), "rows_per_s": self.rows_per_s, "growth_mib": self.growth_mib}


def main() -> int:
    """Prints a line a file; 0 where all targets were met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000, help="of the file of short rows")
    parser.add_argument("--gb", type=float, default=0.0, help="size of a file of long rows")
    parser.add_argument("--times", type=int, default=3, help="how often the short rows are added")
    parser.add_argument("--json", type=Path, help="write all measurements there")
    asked = parser.parse_args()
    machine, found = machine_document(_MEASURED), []
    with tempfile.TemporaryDirectory(prefix="sdlab-bench-") as name:
        place = Path(name)
        file = write_rows(place / "short.jsonl", asked.rows, 0)
        found += [measure(place, SHORT, file, asked.rows) for _ in range(asked.times)]
        if asked.gb:
            file, rows = write_large(place / "large.jsonl", round(asked.gb * 1e9))
            found.append(measure(place, "large file", file, rows))
    for each in found:
        print(each.line())
    save(asked.json, {"machine": machine, "files": [each.document() for each in found]})
    missed = misses(found)
    for miss in missed:
        print(f"missed: {miss}", file=sys.stderr)
    return 1 if missed else 0


def misses(found: Sequence[Measured]) -> list[str]:
    """The targets that were not met: the median speed of short rows, and the memory of each."""
    rate = statistics.median(each.rows_per_s for each in found if each.name == SHORT)
    missed = []
    if rate < LEAST_ROWS_PER_S:
        missed.append(f"{rate:,.0f} rows/s, wanted {LEAST_ROWS_PER_S:,}")
    return missed + [
        f"{each.name}: {each.growth_mib:,.0f} MiB, at most {MOST_GROWTH_MIB:,}"
        for each in found
        if each.growth_mib > MOST_GROWTH_MIB
    ]


def measure(place: Path, name: str, file: Path, rows: int) -> Measured:
    """Adds a file to a lab of its own, which is gone afterwards."""
    with tempfile.TemporaryDirectory(dir=place) as home:
        idle = spent(Path(home), "task", "list")
        added = spent(Path(home), "task", "add", str(file), "--name", "bench", "--json")
    return Measured(name, rows, file.stat().st_size / 1e6, added, idle)


def spent(home: Path, *arguments: str) -> Spent:
    """What the command took. Raises RuntimeError where it failed."""
    settings = environment(home, SDLAB_MAX_UPLOAD_MIB="4096")
    command = [sys.executable, "-P", "-m", "sdlab", *arguments]
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    start = time.monotonic()
    child = os.posix_spawn(sys.executable, command, settings, file_actions=quiet)
    _, status, usage = os.wait4(child, 0)
    if status:
        told = f"sdlab {' '.join(arguments)} failed with status {os.waitstatus_to_exitcode(status)}"
        raise RuntimeError(told)
    return Spent(
        clock_s=time.monotonic() - start,
        processor_s=usage.ru_utime + usage.ru_stime,
        peak_mib=usage.ru_maxrss / 1024,
    )


def write_rows(path: Path, rows: int, characters: int, first: int = 0) -> Path:
    """Adds rows that all differ to a file; ``characters`` of filling in each prompt."""
    filling = " ".join(f"word{i}" for i in range(characters // 6))[:characters]
    with path.open("a", encoding="utf-8") as file:
        for i in range(first, first + rows):
            prompt = f"Turn on light number {i} in the kitchen. {filling}".strip()
            file.write(json.dumps({"prompt": prompt, "answer": f"light.on({i})"}) + "\n")
    return path


def write_large(path: Path, size: int) -> tuple[Path, int]:
    """A file of at least ``size`` bytes of long rows, and how many there are."""
    rows = 0
    while not path.exists() or path.stat().st_size < size:
        rows += 1_000
        write_rows(path, 1_000, LONG_CHARACTERS, first=rows - 1_000)
    return path, rows


if __name__ == "__main__":
    sys.exit(main())

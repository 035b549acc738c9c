"""Measures how fast demonstrations come in, and in how much memory; exits 1 on a miss.

    python bench/upload.py                    100,000 short rows of JSONL
    python bench/upload.py --rows 1000 --gib 1   a file of 1 GiB besides

Seconds are of the processor, so that other work on the machine does not count; on two idle cores
they are those of the clock, or more. Memory is what the process grows beyond its imports.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LEAST_ROWS_PER_S: Final = 20_000
MOST_GROWTH_MIB: Final = 1024
# Long rows of the large file: some hundred words in the prompt, as documents have them.
LONG_CHARACTERS: Final = 2_000


@dataclass(frozen=True)
class Measured:
    """One upload: its rows, the seconds of each stage, and what memory it took at most."""

    name: str
    rows: int
    mib: float
    reading_s: float
    storing_s: float
    clock_s: float
    growth_mib: float

    @property
    def rows_per_s(self) -> float:
        return self.rows / (self.reading_s + self.storing_s)

    def line(self) -> str:
        return (
            f"{self.name}: {self.rows:,} rows, {self.mib:,.0f} MiB; reading and validating "
            f"{self.reading_s:.1f} s of the processor, storing {self.storing_s:.1f} s "
            f"({self.rows_per_s:,.0f} rows/s), {self.clock_s:.1f} s by the clock; "
            f"memory grew by {self.growth_mib:,.0f} MiB"
        )


def main() -> int:
    """Prints a line a file; 0 where all goals were met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000, help="of the file of short rows")
    parser.add_argument("--gib", type=float, default=0.0, help="size of a file of long rows")
    asked = parser.parse_args()
    missed = []
    with tempfile.TemporaryDirectory(prefix="sdlab-bench-") as place:
        short = in_own_process(Path(place), "short rows", asked.rows, 0)
        print(short.line())
        if short.rows_per_s < LEAST_ROWS_PER_S:
            missed.append(f"{short.rows_per_s:,.0f} rows/s, wanted {LEAST_ROWS_PER_S:,}")
        found = [short]
        if asked.gib:
            rows = int(asked.gib * (1 << 30) / LONG_CHARACTERS)
            found.append(in_own_process(Path(place), "large file", rows, LONG_CHARACTERS))
            print(found[-1].line())
        for each in found:
            if each.growth_mib > MOST_GROWTH_MIB:
                missed.append(
                    f"{each.name}: {each.growth_mib:,.0f} MiB, at most {MOST_GROWTH_MIB:,}"
                )
    for miss in missed:
        print(f"missed: {miss}", file=sys.stderr)
    return 1 if missed else 0


def in_own_process(place: Path, name: str, rows: int, characters: int) -> Measured:
    """The measurement of a fresh process, whose peak of memory is no other's."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(measure, (place, name, rows, characters))


def measure(place: Path, name: str, rows: int, characters: int) -> Measured:
    """Writes a file, adds it to a lab of its own, and removes both parts of it from memory."""
    from backend.bootstrap import build_lab
    from backend.lab import Lab, Progress
    from backend.settings import Settings

    folder = place / name.replace(" ", "-")
    folder.mkdir()
    file = write_rows(folder / "rows.jsonl", rows, characters)
    size = file.stat().st_size
    stored_from: list[float] = []

    def watch(progress: Progress) -> None:
        if progress.stage == "storing" and not stored_from:
            stored_from.append(time.process_time())

    lab: Lab = build_lab(Settings(home=folder / "home", max_upload_mib=max(1, 2 * size >> 20)))
    idle = peak_mib(reset=True)
    clock, start = time.monotonic(), time.process_time()
    lab.add_task(file, "bench", watch=watch)
    end = time.process_time()
    growth = peak_mib() - idle
    lab.close()
    file.unlink()
    return Measured(
        name=name,
        rows=rows,
        mib=size / (1 << 20),
        reading_s=stored_from[0] - start,
        storing_s=end - stored_from[0],
        clock_s=time.monotonic() - clock,
        growth_mib=growth,
    )


def write_rows(path: Path, rows: int, characters: int) -> Path:
    """Rows that all differ; ``characters`` of filling in each prompt."""
    filling = " ".join(f"word{i}" for i in range(characters // 6))[:characters]
    with path.open("w", encoding="utf-8") as file:
        for i in range(rows):
            prompt = f"Turn on light number {i} in the kitchen. {filling}".strip()
            file.write(json.dumps({"prompt": prompt, "answer": f"light.on({i})"}) + "\n")
    return path


def peak_mib(reset: bool = False) -> float:
    """The most memory that this process has held, from here on where it is reset (Linux)."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    (peak,) = (line for line in lines if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024


if __name__ == "__main__":
    sys.exit(main())

"""Writes the bundled material, or with `--check` says whether the files on disk match it."""

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from backend.bundled import home_commands, house_style, material_path, tickets
from backend.bundled.facts import facts
from backend.bundled.general import GENERAL
from backend.bundled.instructions import EVERYDAY, INSTRUCTIONS


def material() -> dict[str, str]:
    """Returns the text of every bundled file by its name, the same in every call."""
    skills = {"home-commands": home_commands, "tickets": tickets, "house-style": house_style}
    files: dict[str, str] = {}
    for name, skill in skills.items():
        files[f"tasks/{name}.training.jsonl"] = _lines(skill.training_rows())
        files[f"tasks/{name}.held_out.jsonl"] = _lines(skill.held_out_rows())
    files["probes/facts.jsonl"] = _lines(facts())
    files["probes/instructions.jsonl"] = _lines(
        {"id": f"instruction-{number:02d}", "prompt": prompt, "check": check}
        for number, (prompt, check) in enumerate(INSTRUCTIONS, start=1)
    )
    files["probes/everyday.jsonl"] = _lines(
        {"id": f"everyday-{number:02d}", "prompt": prompt}
        for number, prompt in enumerate(EVERYDAY, start=1)
    )
    files["general.jsonl"] = _lines(
        {"id": f"general-{number:02d}", "prompt": prompt}
        for number, prompt in enumerate(GENERAL, start=1)
    )
    return files


def differing_files(folder: Path) -> list[str]:
    """Returns the names of the files in the folder that are missing or differ from the script."""
    return [name for name, text in material().items() if _text_on_disk(folder / name) != text]


def main(arguments: list[str] | None = None, folder: Path | None = None) -> int:
    """Writes the files, or with `--check` returns 1 when one of them differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 on a difference"
    )
    is_check = parser.parse_args(arguments).check
    folder = folder or material_path("")
    if is_check:
        differing = differing_files(folder)
        for name in differing:
            print(f"{name}: missing or different; run python -m backend.bundled.make")
        return 1 if differing else 0
    for name, text in material().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
    return 0


def _lines(rows: Iterable[Mapping[str, object]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _text_on_disk(path: Path) -> str | None:
    return path.read_bytes().decode("utf-8") if path.exists() else None


if __name__ == "__main__":
    raise SystemExit(main())

"""Material that ships with sdlab: three small skills and a probe of prior knowledge."""

from pathlib import Path

TASKS = ("home-commands", "tickets", "house-style")


def material_path(name: str) -> Path:
    """Returns the path of a bundled file, such as `tasks/tickets.training.jsonl`."""
    return Path(__file__).parent / name

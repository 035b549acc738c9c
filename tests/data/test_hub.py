"""Datasets of the hub are fetched from a stand-in; without a network it is said what to do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backend.data.hub import fetched, fetched_before
from backend.errors import DataError
from tests.data.fake_hub import serving
from tests.data.loading import pairs

# huggingface_hub reads its address when it is imported: a process of its own asks the stand-in.
FETCH = """
import json, sys
from pathlib import Path
from backend.data.hub import fetched, fetched_before
from backend.data.load import Loading, load_demonstrations
from backend.errors import DataError
answers = []
for name in sys.argv[1:]:
    try:
        with fetched(Path(name), 1) as folder:
            loaded = load_demonstrations(folder, Loading())
            sides = [[row.prompt for row in side] for side in (loaded.training, loaded.held_out)]
            answers.append([loaded.origin["file"], loaded.split["by"], *sides])
        assert not folder.exists()
    except DataError as error:
        answers.append(str(error))
print(json.dumps(answers))
"""

# What a page does: fetch once, then read as often as columns change.
FETCH_INTO = """
import json, sys
from pathlib import Path
from backend.data.hub import fetch_into, fetched_before
place, name = Path(sys.argv[1]), sys.argv[2]
told = []
def end(done, total):
    told.append([done, total])
    if done == 1:
        raise KeyboardInterrupt
try:
    fetch_into(name, place, 1, end)
except KeyboardInterrupt:
    pass
assert fetched_before(name, place) is None and not list(place.rglob("*.jsonl"))
fetch_into(name, place, 1)
folder = fetched_before(name, place)
names = sorted(path.name for path in folder.rglob("*.jsonl"))
print(json.dumps([told, str(folder.relative_to(place)), names]))
"""


def jsonl(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def ask(address: str, home: Path, *names: str, code: str = FETCH, **variables: str) -> Any:
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "HF_ENDPOINT": address,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "127.0.0.1",
        **variables,
    }
    ended = subprocess.run(
        [sys.executable, "-c", code, *names],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_a_dataset_is_fetched_with_its_splits_or_in_part(tmp_path: Path) -> None:
    files = {
        "README.md": b"# Lights\n\nNothing to learn here, but a card of the dataset.\n",
        ".gitattributes": b"",
        "data/train-00000-of-00001.jsonl": jsonl(pairs(3)),
        "data/test-00000-of-00001.jsonl": jsonl(pairs(1, start=7)),
    }
    large = {"rows.jsonl": b" " * (2 << 20)}
    hub = {"me/lights": files, "me/large": large, "me/none": {"README.md": b"x"}}
    with serving(hub) as address:
        whole, part, missing, too_large, empty, no_name = ask(
            address,
            tmp_path,
            "hub:me/lights",
            "hub:me/lights/data/train-00000-of-00001.jsonl",
            "hub:me/other",
            "hub:me/large",
            "hub:me/none",
            "hub:lights",
        )
    trained = ["say 0", "say 1", "say 2"]
    assert whole == ["me--lights", "column", trained, ["say 7"]]
    assert sorted([*part[2], *part[3]]) == trained
    assert missing.startswith("hub:me/other: there is no such dataset; write it as hub:owner/name")
    assert too_large.startswith("hub:me/large: it has 2.0 MiB, the limit is 1 MiB; name one of its")
    assert empty.startswith("hub:me/none: it has no data files that the lab can read")
    assert no_name.startswith("hub:lights: this is no dataset's name")


def test_without_a_network_the_reason_is_said(tmp_path: Path) -> None:
    (told,) = ask("http://127.0.0.1:9", tmp_path, "hub:me/lights")
    assert told.startswith("hub:me/lights: it cannot be fetched (")
    assert told.endswith("check the network, or give a file or folder on this disk")
    (offline,) = ask("http://127.0.0.1:9", tmp_path, "hub:me/lights", HF_HUB_OFFLINE="1")
    assert offline.startswith("hub:me/lights: it cannot be fetched (")


def test_a_name_like_one_of_the_hub_is_not_asked_for_unasked(tmp_path: Path) -> None:
    with (
        pytest.raises(DataError, match="a dataset of the hub is written as hub:me/lights"),
        fetched(Path("me/lights"), 1),
    ):
        pass
    with fetched(tmp_path, 1) as same:
        assert same == tmp_path


def test_a_dataset_is_kept_whole_or_not_at_all_and_found_again(tmp_path: Path) -> None:
    files = {"a.jsonl": jsonl(pairs(3)), "b.jsonl": jsonl(pairs(2, start=5))}
    place = tmp_path / "kept"
    with serving({"me/lights": files}) as address:
        told, folder, names = ask(address, tmp_path, str(place), "hub:me/lights", code=FETCH_INTO)
    assert told == [[0, 2], [1, 2]]
    assert folder.endswith("/me--lights")
    assert names == ["a.jsonl", "b.jsonl"]
    assert fetched_before("me/lights", place) == place / folder
    assert fetched_before("me/lights/a.jsonl", place) is None
    for forged in ("../../etc", "/etc/passwd", "me"):
        with pytest.raises(DataError, match="this is no dataset's name"):
            fetched_before(forged, place)

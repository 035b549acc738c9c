"""Pages at one address share what they read; who opens or chooses something reads anew."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.components.looks import Looks, Query


class Lab:
    """Counts how often each address was read."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.read: list[str] = []

    def __call__(self, query: Query) -> list[Any]:
        self.read.append(query["id"])
        return [{"number": len(self.read)}, query["id"]]


@pytest.fixture
def lab() -> Lab:
    return Lab()


@pytest.fixture
def looks(lab: Lab) -> Looks:
    return Looks(lab, 1.0, clock=lambda: lab.now_s)


def test_what_was_read_a_moment_ago_is_read_once(lab: Lab, looks: Looks) -> None:
    first = looks.recent({"id": "a"})
    lab.now_s = 0.9
    assert looks.recent({"id": "a"}) == first
    assert looks.recent({"id": "b"}) != first
    lab.now_s = 1.0
    values, digests = looks.recent({"id": "a"})
    assert values == [{"number": 3}, "a"]
    assert [old == new for old, new in zip(first[1], digests, strict=True)] == [False, True]
    assert lab.read == ["a", "b", "a"]


def test_who_opens_a_page_sees_what_is_there_now(lab: Lab, looks: Looks) -> None:
    looks.recent({"id": "a"})
    assert looks.fresh({"id": "a"})[0][0] == {"number": 2}
    assert looks.recent({"id": "a"})[0][0] == {"number": 2}


def test_one_page_cannot_change_what_another_one_gets(looks: Looks) -> None:
    looks.recent({"id": "a"})[0][0].clear()
    assert looks.recent({"id": "a"})[0][0] == {"number": 1}


def test_a_look_that_fails_is_nobody_elses(lab: Lab) -> None:
    def read(query: Query) -> list[Any]:
        if not lab.read:
            lab(query)
            raise ValueError("once")
        return lab(query)

    looks = Looks(read, 1.0, clock=lambda: lab.now_s)
    with pytest.raises(ValueError, match="once"):
        looks.recent({"id": "a"})
    assert looks.recent({"id": "a"})[0][1] == "a"


def test_pages_that_ask_at_once_wait_for_one_look(lab: Lab) -> None:
    go_on = threading.Event()

    def read(query: Query) -> list[Any]:
        assert go_on.wait(10)
        return lab(query)

    looks = Looks(read, 1.0, clock=lambda: lab.now_s)
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(looks.recent, {"id": "a"}) for _ in range(4)]
        go_on.set()
        assert len({str(each.result(10)) for each in asked}) == 1
    assert lab.read == ["a"]

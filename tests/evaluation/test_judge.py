"""The judge over real HTTP: what is asked, what is kept, and what is never a score."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from backend.config import Settings
from backend.errors import ConfigError
from backend.evaluation.scorers import Opened, ScorerFailed, choose
from backend.evaluation.scorers.chat import ChatServer, _is_public
from backend.evaluation.scorers.judge import GIVES_UP_AFTER, judging_by
from tests.contracts.test_scorers import row
from tests.judge_server import KEY, JudgeServer, Reply, judge_server


@pytest.fixture
def judge() -> Iterator[JudgeServer]:
    with judge_server() as server:
        yield server


def opened(
    judge: JudgeServer, waits: list[float] | None = None, timeout_s: float = 5.0, options: str = ""
) -> Opened:
    """The scorer with this server; waits are noted, not waited for."""
    kept = [] if waits is None else waits
    server = ChatServer(judge.url, KEY, True, timeout_s, wait=kept.append)
    return Opened(choose("judge:tiny", options), judging_by(server), "")


def failure(scorer: Opened, answer: str = "answer") -> ScorerFailed:
    with pytest.raises(ScorerFailed) as failed:
        scorer.score(answer, row("reference"))
    assert KEY not in str(failed.value) + json.dumps(failed.value.record)
    return failed.value


def test_a_mark_is_a_share_and_the_reply_is_the_reason(judge: JudgeServer) -> None:
    judge.queued = [Reply("Partly right.\nSCORE: 7")]
    found = opened(judge).score("<think>x</think>an answer", row("reference"))
    assert (found.value, found.reason) == (0.7, "Partly right.\nSCORE: 7")
    asked = judge.asked[0]
    assert (asked["model"], asked["temperature"]) == ("tiny", 0)
    prompt = asked["messages"][0]["content"]
    assert "<answer>\nan answer\n</answer>" in prompt
    assert found.record["prompt"] == prompt
    assert "Partly right" in found.record["replies"][0]
    assert judge.keys == [f"Bearer {KEY}"]


def test_what_stands_in_an_answer_is_not_filled_in_again(judge: JudgeServer) -> None:
    opened(judge).score("{reference} {best}", row("the reference"))
    assert "<answer>\n{reference} {best}\n</answer>" in judge.asked[0]["messages"][0]["content"]


def test_a_prompt_of_ones_own_with_other_marks(judge: JudgeServer) -> None:
    judge.queued = [Reply("SCORE: 2")]
    own = opened(judge, options='{"prompt": "From 0 to {best}: {answer}", "best": 4}')
    assert own.score("x", row("reference")).value == 0.5
    assert judge.asked[0]["messages"][0]["content"] == "From 0 to 4: x"


def test_it_is_asked_again_where_that_may_help(judge: JudgeServer) -> None:
    waits: list[float] = []
    judge.queued = [
        Reply(status=500, body=b"oh"), Reply(status=429, headers={"Retry-After": "9"}),
        Reply("SCORE: 10"),
    ]  # fmt: skip
    found = opened(judge, waits).score("a", row("b"))
    assert (found.value, waits) == (1.0, [1.0, 9.0])
    assert len(found.record["replies"]) == 3


def test_waits_are_bounded_whatever_the_server_asks_for(judge: JudgeServer) -> None:
    waits: list[float] = []
    judge.always = lambda: Reply(status=503, headers={"Retry-After": "99999"})
    assert "status 503" in str(failure(opened(judge, waits)))
    assert waits == [20.0, 20.0]
    assert len(judge.asked) == 3


FAULTS = {
    "refused": (Reply(status=401, body=b"bad key " + KEY.encode()), "status 401", 1),
    "redirect": (
        Reply(status=302, headers={"Location": "http://127.0.0.1:1/"}), "are not followed", 1),
    "not JSON": (Reply(body=b"<html>"), "no chat completion", 3),
    "no choice": (Reply(body=b'{"choices": []}'), "no chat completion", 3),
    "no text": (Reply(body=b'{"choices": [{"message": {"content": null}}]}'), "no text", 3),
    "deep": (Reply(body=b"[" * 100_000), "no chat completion", 3),
    "huge": (Reply(body=b"x" * 2**21), "longer than 1 MiB", 1),
    "no mark": (Reply("fine"), "holds no SCORE: fine", 1),
    "mark too high": (Reply("SCORE: 11"), "the mark 11, not one from 0 to 10", 1),
    "mark below": (Reply("SCORE: -1"), "the mark -1", 1),
    "mark in a thought": (Reply("<think>SCORE: 5"), "holds no SCORE", 1),
}  # fmt: skip


@pytest.mark.parametrize(("reply", "message", "asked"), FAULTS.values(), ids=FAULTS)
def test_a_fault_of_the_judge_is_no_score(
    judge: JudgeServer, reply: Reply, message: str, asked: int
) -> None:
    judge.always = lambda: reply
    failed = failure(opened(judge))
    assert message in str(failed)
    assert failed.record["prompt"]
    assert failed.record["replies"]
    assert len(judge.asked) == asked


def test_a_server_that_drips_is_hung_up_on(judge: JudgeServer) -> None:
    judge.always = lambda: Reply("x" * 200, slow_s=20)
    started = time.monotonic()
    assert "could not be asked" in str(failure(opened(judge, timeout_s=0.3)))
    assert time.monotonic() - started < 5


def test_a_judge_that_is_gone_is_not_asked_for_every_item(judge: JudgeServer) -> None:
    judge.always = lambda: Reply(status=401)
    scorer = opened(judge)
    for _ in range(GIVES_UP_AFTER):
        failure(scorer)
    assert "was not asked" in str(failure(scorer))
    assert len(judge.asked) == GIVES_UP_AFTER


def test_items_are_judged_at_once_and_stay_in_order(judge: JudgeServer) -> None:
    answers = [("same" if i % 2 else "other", row("same")) for i in range(12)]
    found = opened(judge).scores(answers)
    assert [getattr(each, "value", None) for each in found] == [0.0, 1.0] * 6


def test_a_private_address_needs_the_setting(judge: JudgeServer) -> None:
    closed = ChatServer(judge.url, "", False, 5.0)
    failed = failure(Opened(choose("judge:tiny"), judging_by(closed), ""))
    assert "127.0.0.1, an address of a private network; set SDLAB_JUDGE_PRIVATE" in str(failed)
    assert not judge.asked


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("127.0.0.1", False), ("10.1.2.3", False), ("169.254.169.254", False), ("0.0.0.0", False),
        ("100.64.0.1", False), ("::1", False), ("fe80::1%eth0", False), ("fd00::1", False),
        ("::ffff:127.0.0.1", False), ("2002:7f00:1::", False), ("224.0.0.1", False),
        ("8.8.8.8", True), ("2606:4700::1", True),
    ],
)  # fmt: skip
def test_addresses_of_networks_of_ones_own_are_known(address: str, public: bool) -> None:
    assert _is_public(address) is public


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "no judge is set"),
        ("file:///etc/passwd", "no URL of a server"),
        ("https://user:pass@host/v1", "no URL of a server"),
        ("https://host:port/v1", "no URL of a server"),
        ("http://judge.example/v1", "the key would go over the network unencrypted"),
    ],
)
def test_a_url_that_cannot_be_right_is_refused_before_a_run(url: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        choose("judge:tiny").open(Settings(judge_url=url, judge_key=KEY))
    assert message in str(refused.value).replace("judge's ", "")
    assert KEY not in str(refused.value)


def test_the_key_is_in_no_dump_and_no_text() -> None:
    settings = Settings(judge_url="https://host/v1", judge_key=KEY)
    shown = (repr(settings), settings.model_dump_json(), repr(ChatServer("https://h/v1", KEY)))
    assert not any(KEY in text for text in shown)

"""A reader goes through traces with mouse and keyboard; text stays text."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from backend.settings import Settings
from backend.views import Views
from storage.database import Database, open_database
from tests.e2e.conftest import LiveServer
from tests.views.stored_runs import add_run, add_trace

HOSTILE = "<img src=x onerror=alert(1)></pre><script>alert(2)</script>"
LIMIT_MS = 300


@pytest.fixture
def database(server: LiveServer) -> Iterator[Database]:
    database = open_database(f"sqlite:///{server.home / 'lab.sqlite'}")
    yield database
    database.close()


def test_a_prompt_is_followed_over_the_steps(
    server: LiveServer, page: Page, database: Database
) -> None:
    run = add_run(database, "followed")
    for step in (0, 5, 10):
        for place in (0, 1):
            add_trace(database, run, step, place, completion=f"answer {place} at {step}")
        add_trace(database, run, step, 0, kind="sampled", divergences=(9.0, 9.0, 9.0))
    page.goto(f"{server.url}/traces")
    page.locator("#trace-runs a", has_text="followed").click()
    expect(page.locator(".sd-at-step")).to_have_text("step 10 of 10")
    expect(page.locator("[aria-current=true].sd-trace")).to_contain_text("sampled")

    page.locator("#trace-show").select_option("watched")
    expect(page.locator("#trace-list li")).to_have_count(2)
    page.locator("#trace-list button").nth(1).click()
    expect(page.locator("#trace-rollout")).to_have_text("answer 1 at 10")
    page.get_by_role("button", name="Previous traced step").click()
    expect(page.locator("#trace-rollout")).to_have_text("answer 1 at 5")
    page.locator("#trace-step").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#trace-rollout")).to_have_text("answer 1 at 0")
    expect(page.locator("#trace-step")).to_be_focused()

    assert "step=0" in page.url
    page.reload()
    expect(page.locator("#trace-rollout")).to_have_text("answer 1 at 0")
    expect(page.locator("#trace-show")).to_have_value("watched")


def test_rows_are_found_by_their_text_and_runs_by_their_task(
    server: LiveServer, page: Page, database: Database
) -> None:
    run = add_run(database, "on doors", task="doors")
    for place in (0, 1):
        add_trace(database, run, 5, place, completion=f"answer {place}")
    add_trace(database, add_run(database, "on blinds", task="blinds"), 5)
    page.goto(f"{server.url}/traces")
    page.locator("#trace-task").select_option("doors")
    expect(page.locator("#trace-runs a")).to_have_count(1)
    page.locator("#trace-runs a", has_text="on doors").click()
    expect(page.locator("#trace-list li")).to_have_count(2)
    page.locator("#trace-find").fill("ANSWER 1")
    page.keyboard.press("Enter")
    expect(page.locator("#trace-list li")).to_have_count(1)
    expect(page.locator("#trace-rollout")).to_have_text("answer 1")
    page.reload()
    expect(page.locator("#trace-find")).to_have_value("ANSWER 1")
    page.locator("#trace-find").fill("<b>nothing</b>")
    page.keyboard.press("Enter")
    expect(page.locator("#trace-index")).to_contain_text('No traces with "<b>nothing</b>"')


def test_a_token_tells_of_both_roles_by_mouse_and_by_keyboard(
    server: LiveServer, page: Page, database: Database
) -> None:
    run = add_run(database, "told", config={"token_weights": {"skip_first": 1}})
    add_trace(database, run, 0, ids=range(40, 60), divergences=[0.1] * 7 + [3.0] + [0.2] * 12,
              weights=[0.0] + [0.05] * 19)  # fmt: skip
    page.goto(f"{server.url}/traces?run={run.id}")
    panel = page.locator("#trace-panel")
    students, teachers = (
        page.locator(f"#trace-{role}-tokens .sd-tok") for role in ("student", "teacher")
    )
    expect(panel).to_contain_text("Token 8 of 20")
    expect(students).to_have_count(20)

    students.nth(2).hover()
    expect(panel).to_contain_text("Token 3 of 20")
    expect(panel.locator(".sd-top5 tbody tr")).to_have_count(10)
    for row in (students, teachers):
        expect(row.nth(2)).to_have_class(re.compile("sd-at"))
    students.nth(0).hover()
    expect(panel).to_contain_text("Not counted: the first 1 tokens are skipped")
    expect(students.nth(0)).to_have_class(re.compile("sd-uncounted"))

    page.locator("h1").hover()
    expect(panel).to_contain_text("Token 8 of 20")
    students.nth(7).focus()
    page.keyboard.press("ArrowRight")
    expect(panel).to_contain_text("Token 9 of 20")
    expect(students.nth(8)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(teachers.nth(8)).to_be_focused()
    page.keyboard.press("End")
    expect(panel).to_contain_text("Token 20 of 20")

    page.locator("#trace-color").select_option("teacher")
    expect(page.locator("#trace-legend")).to_contain_text("teacher probability")
    assert "color=teacher" in page.url


def test_html_in_prompts_and_rollouts_is_shown_as_text(
    server: LiveServer, page: Page, database: Database
) -> None:
    run = add_run(database, HOSTILE)
    add_trace(
        database, run, 0, demonstration_id=HOSTILE, completion=HOSTILE, demonstration=HOSTILE,
        student_prompt=HOSTILE, teacher_prompt=HOSTILE * 2, teacher_answer=HOSTILE,
        base_answer=HOSTILE, source=HOSTILE,
    )  # fmt: skip
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    page.goto(f"{server.url}/traces?run={run.id}")
    for place in ("trace-rollout", "trace-demonstration", "trace-student-prompt"):
        expect(page.locator(f"#{place}")).to_have_text(HOSTILE)
    expect(page.locator("#trace-teacher-prompt mark")).to_have_text(HOSTILE)
    assert page.locator("img[src=x]").count() == 0
    for query, told in (
        (f"run={HOSTILE}", "there is no run"),
        (f"run=a&step={HOSTILE}", "no step"),
    ):
        page.goto(f"{server.url}/traces?{query}")
        expect(page.locator(".sd-error")).to_contain_text(told)
    assert page.locator("img[src=x]").count() == 0


def test_a_thousand_tokens_are_painted_at_once(
    server: LiveServer, page: Page, database: Database
) -> None:
    run = add_run(database, "long")
    ids = [7 + i % 300 for i in range(1000)]
    add_trace(database, run, 0, ids=ids, divergences=[0.5] * 1000)
    page.goto(f"{server.url}/traces?run={run.id}")
    expect(page.locator("#trace-teacher-tokens .sd-tok")).to_have_count(1000)
    # From the value to the frame that shows it: drawn again, as a change of trace would.
    script = """async (value) => {
        const place = document.querySelector("#trace-tokens .sd-view");
        const start = performance.now();
        sdlab.views.tokens(place, value, () => {});
        await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
        return performance.now() - start;
    }"""
    value = server_document(database, server, f"{run.id}.0.watched.0")
    times = sorted(page.evaluate(script, value) for _ in range(5))
    assert times[2] < LIMIT_MS, times


def server_document(database: Database, server: LiveServer, trace: str) -> object:
    """What the server sends for a trace."""

    return Views(database, Settings(home=server.home)).trace_tokens(trace)

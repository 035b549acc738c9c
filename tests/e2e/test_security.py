"""A live lab under one password, attacked: forged files and events, scripts, planted secrets."""

from __future__ import annotations

import io
import signal
import sqlite3
import time
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from app.uploads import UPLOADS
from tests.cli.command import Command
from tests.e2e.conftest import LiveServer, end_workers
from tests.e2e.events import outcome
from tests.lab.tiny_tasks import rows, write_rows

PASSWORD: Final = "planted-lab-password"
# What a lab's user may have in the environment; none of it may ever be found in what a lab writes.
PLANTED: Final = {
    "SDLAB_PASSWORD": PASSWORD,
    "HF_TOKEN": "hf_plantedTokenOfTheHub",
    "OPENAI_API_KEY": "sk-plantedKeyOfAJudge",
    "ANTHROPIC_API_KEY": "sk-ant-plantedKeyOfAnotherJudge",
    "SDLAB_JUDGE_KEY": "planted-judge-key",
    "WANDB_API_KEY": "planted-key-of-a-mirror",
}
DATABASE: Final = "planted-database-password"
HTML: Final = '<img src=x onerror="window.ran=1"><script>window.ran=1</script>'
DONE_S: Final = 240.0
ATTACKS: Final = """async () => {
  const seen = [];
  document.addEventListener("securitypolicyviolation", (e) => seen.push(e.effectiveDirective));
  const script = document.createElement("script");
  script.textContent = "window.ran = 2";
  const image = document.createElement("div");
  image.innerHTML = '<img src="nowhere" onerror="window.ran = 3">';
  document.body.append(script, image);
  try { await fetch("http://127.0.0.1:9/secret"); } catch (refused) { seen.push("refused"); }
  const frame = document.createElement("iframe");
  frame.src = "http://127.0.0.1:9/";
  document.body.append(frame);
  await new FontFace("font", "url(http://127.0.0.1:9/font.woff2)").load().catch(() => null);
  const form = document.createElement("form");
  form.action = "http://127.0.0.1:9/";
  form.method = "post";
  document.body.append(form);
  form.submit();
  await new Promise((done) => setTimeout(done, 300));
  return { seen: [...new Set(seen)].sort(), ran: window.ran ?? null };
}"""


@pytest.fixture(scope="module", autouse=True)
def planted() -> Iterator[None]:
    """Server, commands and workers inherit the secrets."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in PLANTED.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, planted: None) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("attacked")
    (folder / "home").mkdir()
    server = LiveServer(folder / "home", folder / "server.log")
    server.start()
    yield server
    server.end(signal.SIGTERM)
    end_workers(server.home)


@pytest.fixture
def owner(lab: LiveServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=lab.url, auth=("any", PASSWORD), timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def run(lab: LiveServer, tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run of the tiny model, done, under a name that is HTML and with every kind of trace."""
    file = write_rows(tmp_path_factory.mktemp("rows") / "lights.jsonl", rows(12))
    command = Command(lab.home)
    command("task", "add", file, "--name", "lights").done()
    settings = (
        f"name={HTML}", "batch_size=2", "max_new_tokens=4", "evaluate.limit=2",
        "evaluate.max_new_tokens=4", "evaluate.probes=[task]", "evaluate.premise=false",
        "traces.every=1", "traces.watched=1", "traces.sampled=1",
    )  # fmt: skip
    options = ["--task", "lights", "--method", "sdft", "--model", str(tiny_folder), "--steps", "2"]
    options += [part for setting in settings for part in ("--set", setting)]
    name = str(command("train", *options).done()["id"])
    deadline = time.monotonic() + DONE_S
    while (state := state_of(lab, name)) != "done":
        assert state in ("queued", "starting", "running"), state
        assert time.monotonic() < deadline, state
        time.sleep(0.2)
    return name


def state_of(lab: LiveServer, name: str) -> str:
    with sqlite3.connect(lab.home / "lab.sqlite", timeout=30) as database:
        return str(database.execute("SELECT state FROM runs WHERE id = ?", (name,)).fetchone()[0])


@pytest.fixture
def page(browser: Browser, lab: LiveServer) -> Iterator[Page]:
    context = browser.new_context(http_credentials={"username": "any", "password": PASSWORD})
    context.set_default_timeout(30_000)
    yield context.new_page()
    context.close()


def check_upload(owner: httpx.Client, path: str) -> str:
    """All that the Tasks page answers to a file object that names ``path``: a look, and a check."""
    forged = {"path": path, "meta": {"_type": "gradio.FileData"}, "orig_name": "rows.jsonl"}
    config = owner.get("/config").json()
    look, event = (
        next(each for each in config["dependencies"] if each["api_name"] == name)
        for name in ("on_file", "on_check")
    )
    values = [forged, "", "lights", "exact", "auto", "0.2", [], None, "group", 0, False, None]
    looked = str(outcome(owner, look, values))
    begun = outcome(owner, event, values)
    if "data" not in begun:
        return looked + str(begun)  # Refused before anything was begun.
    key = begun["data"][1]["begun"]
    shown = {
        each["id"]
        for each in config["components"]
        if each["props"].get("elem_id") in ("task-list", "task-report")
    }
    fill = next(each for each in config["dependencies"] if shown <= set(each["outputs"]))
    body = {"data": [None] * len(fill["inputs"]), "fn_index": fill["id"]}
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        url = f"/gradio_api/run/predict?work={key}"
        told = owner.post(url, json={**body, "session_hash": uuid.uuid4().hex})
        assert told.status_code == 200, told.text
        if "'is_open': True" not in str(told.json()):
            return looked + str(told.json())
        time.sleep(0.1)
    raise AssertionError("the check did not end")


def send(owner: httpx.Client, name: str, content: bytes) -> str:
    """Where an uploaded file lies."""
    answer = owner.post("/gradio_api/upload", files={"files": (name, content)})
    assert answer.status_code == 200, answer.text
    return str(answer.json()[0])


def test_the_password_opens_the_lab(lab: LiveServer, owner: httpx.Client) -> None:
    assert httpx.get(lab.url).status_code == 401
    assert owner.get("/").status_code == 200


def test_a_file_object_of_anything_but_an_upload_is_not_read(
    lab: LiveServer, owner: httpx.Client, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.jsonl"
    secret.write_text('{"prompt": "the secret row", "answer": "x"}\n' * 9)
    link = Path(send(owner, "real.jsonl", b"{}")).with_name("link.jsonl")
    link.symlink_to(secret)
    uploads = lab.home / UPLOADS
    for path in (
        "/etc/passwd", str(secret), str(lab.home / "lab.sqlite"), str(link),
        f"{uploads}/../lab.sqlite", "http://127.0.0.1:9/rows.jsonl", "https://example.org/x.jsonl",
        "file:///etc/passwd", "",
    ):  # fmt: skip
        told = check_upload(owner, path)
        assert "the secret row" not in told, path
        assert "root:" not in told
        assert "SQLite format" not in told
        assert "'ok': True" not in told, path
        answer = owner.get(f"/gradio_api/file={path}")
        assert answer.status_code in (403, 404), path


def test_an_upload_has_a_format_that_is_named_and_a_place_in_the_lab(
    lab: LiveServer, owner: httpx.Client
) -> None:
    for name in ("../../../escaped.jsonl", "/etc/escaped.jsonl", "..\\escaped.jsonl"):
        place = Path(send(owner, name, b"{}"))
        assert place.resolve().is_relative_to(lab.home / UPLOADS)
    for name in ("model.pkl", "run.sh", "page.html", "weights.pt"):
        told = check_upload(owner, send(owner, name, b"\x80\x04cposix\nsystem\n."))
        assert "'ok': True" not in told
        assert "jsonl" in told.lower(), told


def test_a_large_body_is_refused(owner: httpx.Client) -> None:
    answer = owner.post("/gradio_api/queue/join", content=b"{" + b" " * (9 << 20))
    assert answer.status_code == 413
    assert owner.get("/").status_code == 200


def test_names_and_rows_never_run_as_scripts(lab: LiveServer, run: str, page: Page) -> None:
    for path in ("", f"run?id={run}", f"traces?run={run}", f"forgetting?runs={run}"):
        page.goto(f"{lab.url}/{path}")
        expect(page.locator("#header nav")).to_be_visible()
        expect(page.get_by_text("<img src=x onerror").first).to_be_visible()
        assert page.evaluate("window.ran ?? null") is None


def test_the_browser_enforces_the_policy(lab: LiveServer, page: Page) -> None:
    page.goto(lab.url)
    expect(page.locator("#header nav")).to_be_visible()
    found: dict[str, Any] = page.evaluate(ATTACKS)
    assert found["ran"] is None
    assert found["seen"] == [
        "connect-src",
        "font-src",
        "form-action",
        "frame-src",
        "refused",
        "script-src-attr",
        "script-src-elem",
    ]


def test_a_page_of_another_site_cannot_frame_the_lab(lab: LiveServer, page: Page) -> None:
    refused: list[str] = []
    page.on("console", lambda said: refused.append(said.text))
    page.set_content(f'<iframe src="{lab.url}"></iframe>')
    page.wait_for_timeout(1_000)
    assert any("frame-ancestors" in text for text in refused), refused
    assert page.frames[1].locator("#header").count() == 0


def test_planted_secrets_are_found_nowhere(
    lab: LiveServer, run: str, owner: httpx.Client, tmp_path: Path
) -> None:
    command = Command(lab.home)
    written = {str(path): path.read_bytes() for path in lab.home.rglob("*") if path.is_file()}
    written["server.log"] = lab.log.read_bytes()
    exported = tmp_path / "adapter.zip"
    told = [
        command("export", run, "--to", exported),
        command("traces", run),
        command("doctor"),
        command("runs", database_url=f"postgresql://lab:{DATABASE}@127.0.0.1:9/x"),
    ]
    assert [each.code for each in told[:2]] == [0, 0]
    written["commands"] = "".join(each.out + each.err for each in told).encode()
    paths = ("/", "/config", f"/run?id={run}", "/nothing", "/lab/download/0")
    answers = [owner.get(path) for path in paths]
    answers.append(owner.post("/gradio_api/queue/join", json={"data": "x"}))
    # The last one: after a fault the server closes the connection.
    answers.append(owner.post("/gradio_api/run/predict", json={"data": [], "fn_index": 10**6}))
    written["answers"] = b"".join(answer.content for answer in answers)
    for name, content in list(written.items()):
        written |= unpacked(name, content)
    written |= unpacked(str(exported), exported.read_bytes())
    assert any("adapter" in name for name in written)
    assert any(name.endswith("worker.log") for name in written)
    values = [value.encode() for value in (*PLANTED.values(), "planted-database-password")]
    leaks = [
        (name, value) for name, content in written.items() for value in values if value in content
    ]
    assert leaks == []


def unpacked(name: str, content: bytes) -> dict[str, bytes]:
    """What a ZIP archive holds; nothing for other files."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {f"{name}!{inner}": archive.read(inner) for inner in archive.namelist()}

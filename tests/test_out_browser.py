"""What leaves the desk, opened where there is no network and no Warmline."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from ollama_stub import Script, running_stub
from served import Server
from snapshots import small_persona
from test_accounts_browser import PASSWORD, PAYLOADS, new_page, sign_in
from test_records import Team
from test_review import STEPS
from test_xapi import problems
from warmline.accounts import Accounts
from warmline.people import People
from warmline.store import Store

pytestmark = pytest.mark.browser

#: Where pictures of the pages are put, for a person to look at; by default nowhere.
PICTURES = os.environ.get("PICTURES")


async def fill(folder: Path) -> None:
    """Mira's and Nils's sessions with what people try, and Joan who has opened some."""
    store = await Store.open(folder / "transcripts" / "warmline.db")
    team = await Team(store).of_mira_and_nils()
    for payload in PAYLOADS:
        await store.add_turn("mira-1", "agent", payload)
        await store.add_turn("mira-1", "customer", f"{payload}\n\nWhat is that?")
        await team.reviews.comment(team.who["joan"], "mira-1", payload, 1)
    await team.reviews.comment(team.who["joan"], "mira-1", PAYLOADS[1], None)
    await store.rename_session("mira-1", PAYLOADS[0])
    await store.share("mira-1", shared=True)
    accounts = Accounts(People(store.database), loopback=True)
    for name in ("mira", "joan"):
        await accounts.reset(name, PASSWORD)
    await store.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("out")
    # In a thread of its own: the browser's runs a loop already.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, fill(folder)).result()
    with running_stub(Script(answers=[["No."]])) as stub:
        running = Server(folder, {"WARMLINE_BACKEND": "ollama", "WARMLINE_OLLAMA_HOST": stub.host})
        running.start()
        try:
            yield running
        finally:
            running.stop()


def downloaded(page: Page, link: str, folder: Path) -> Path:
    """The file that a link of the page gives."""
    with page.expect_download() as caught:
        page.click(f"main >> a:text-is('{link}')")
    file = folder / caught.value.suggested_filename
    caught.value.save_as(file)
    return file


def opened(chrome: Browser, file: Path, name: str, width: int = 900) -> Page:
    """A page from the disk, without a network, on which nothing may ask for anything."""
    context = chrome.new_context(offline=True, viewport={"width": width, "height": 900})
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    assert asked == [file.as_uri()]
    assert page.evaluate("window.hit") is None
    assert page.locator("script, img, svg, link, iframe, a").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    # The style in the file counts, though the page's own policy forbids everything else.
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).fontSize") == "24px"
    paper = page.pdf(format="A4")
    assert paper.startswith(b"%PDF")
    if PICTURES:
        page.screenshot(path=f"{PICTURES}/{name}.png", full_page=True)
        (Path(PICTURES) / f"{name}.pdf").write_bytes(paper)
    return page


def test_lists_and_sessions_leave_the_desk(chrome: Browser, server: Server, tmp_path: Path) -> None:
    coach = new_page(chrome)
    sign_in(coach, server, "joan", "/desk")
    coach.wait_for_selector("tr[data-session]")

    # Before Joan has opened Mira's second session, its result is in none of the lists.
    rows = json.loads(downloaded(coach, "JSON", tmp_path).read_text(encoding="utf-8"))["rows"]
    by_id = {row["id"]: row for row in rows}
    assert by_id["mira-1"]["seen"] is True
    assert {one["step"] for one in by_id["mira-1"]["steps"]} == set(STEPS)
    hidden = by_id["mira-2"]
    assert [hidden[name] for name in ("seen", "total", "passed", "unclear", "steps")] == [
        False, None, None, None, None,
    ]  # fmt: skip
    made = json.loads(
        downloaded(coach, "for a learning-record store (xAPI)", tmp_path).read_text("utf-8")
    )
    assert len(made) == len(rows) == 4
    assert [problems(one) for one in made] == [[]] * 4
    assert sum("score" in one["result"] for one in made) == 2
    csv = downloaded(coach, "for a spreadsheet (CSV)", tmp_path).read_text(encoding="utf-8")
    assert len(csv.splitlines()) == 5
    page = opened(chrome, downloaded(coach, "Print", tmp_path), "sessions")
    assert page.locator("tbody tr").count() == 4
    table = page.inner_text("table")
    assert PAYLOADS[0] in table
    assert table.count("of 100") == 2
    page.context.close()

    # The same filters as the page's: one of the four.
    coach.fill("[name=trainee]", "mira")
    coach.fill("[name=words]", "HYPERLINK")
    coach.click("text=Find")
    found = json.loads(downloaded(coach, "JSON", tmp_path).read_text(encoding="utf-8"))["rows"]
    assert [row["id"] for row in found] == ["mira-1"]

    # One session whole: what people wrote is text, the moods and the coach's words are there.
    coach.goto(f"{server.address}/desk/mira-1")
    assigned = coach.inner_text(".assigned")
    assert "Assigned by joan, due 1 January 2099." in assigned
    assert "in time. The mark for it is 70: not passed" in assigned
    page = opened(chrome, downloaded(coach, "Print", tmp_path), "session", width=700)
    shown = page.inner_text("body")
    for payload in PAYLOADS:
        assert shown.count(payload) >= 4, payload
    for words in (small_persona().item.start, "Changed by joan", "reply 1", "I hear you"):
        assert words in shown
    page.context.close()
    whole = json.loads(downloaded(coach, "JSON", tmp_path).read_text(encoding="utf-8"))
    assert [turn["text"] for turn in whole["turns"]][-2] == PAYLOADS[-1]
    assert whole["turns"][0]["mood"] == small_persona().item.start
    assert whole["trainee"] == "mira"
    assert whole["feedback"]["steps"][0]["changed_by"] == "joan"
    assert {edit["kind"] for edit in whole["edits"]} == {"override", "comment"}

    # To open one whole is to have seen its grade: nothing on the blind page leads there.
    coach.goto(f"{server.address}/desk/mira-2?blind=1")
    assert coach.locator("article.step, .behind, .assigned").count() == 0
    assert coach.locator("main >> a:text-is('Print')").count() == 0
    coach.context.request.get(f"{server.address}/desk/mira-2/session.html")
    coach.goto(f"{server.address}/desk/mira-2?blind=1")
    assert coach.locator("article.step").count() == len(STEPS)
    coach.context.close()


def test_a_trainee_downloads_everything(chrome: Browser, server: Server, tmp_path: Path) -> None:
    page = new_page(chrome, width=390)
    sign_in(page, server, "mira", "/your-data")
    page.wait_for_selector("text=Take it with you")
    file = downloaded(page, "Download everything", tmp_path)
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert file.name == "everything.json"
    assert kept["account"]["name"] == "mira"
    assert {one["id"] for one in kept["conversations"]} == {"mira-1", "mira-2"}
    assert "nils" not in file.read_text(encoding="utf-8")
    assert '"mood"' not in file.read_text(encoding="utf-8")
    page.context.close()

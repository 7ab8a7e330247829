"""A coach's ten minutes, and a trainee who tries a moment again, in a real browser."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from ollama_stub import OllamaStub, Script, running_stub
from served import Server, lines, send, wait_for_answer
from test_accounts_browser import new_page, sign_in, warmline

pytestmark = pytest.mark.browser

REPLIES = [
    "I am so sorry that you are stuck at the airport with your little boy, Dani.",
    "Please be patient.",
    "I will book you a room at the airport hotel now; you have the code in ten minutes.",
]


@pytest.fixture(scope="module")
def stub() -> Iterator[OllamaStub]:
    with running_stub(Script(answers=[["I just want this to be over."]])) as running:
        yield running


@pytest.fixture
def server(stub: OllamaStub, tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path, {"WARMLINE_BACKEND": "ollama", "WARMLINE_OLLAMA_HOST": stub.host})
    running.start()
    warmline(running, "user", "add", "mira", "--team", "support")
    warmline(running, "user", "add", "joan", "--role", "coach", "--team", "support")
    yield running
    running.stop()


def practise(page: Page, server: Server) -> str:
    """A session with Dani to the report card; returns its id."""
    sign_in(page, server, "mira")
    page.click('[data-persona="dani-stranded"] button')
    page.wait_for_selector("#wl-finish")
    for reply in REPLIES:
        before = len(lines(page, "customer"))
        send(page, reply)
        wait_for_answer(page, before)
    page.click("#wl-finish")
    page.wait_for_selector("[data-report]", timeout=120_000)
    return page.url.rsplit("/", 1)[-1]


def totals(coach: Page, server: Server) -> dict[str, str]:
    """The totals in the table that a coach can download, by session."""
    text = coach.request.get(f"{server.address}/desk/sessions.csv").text()
    return {row["id"]: row["total"] for row in csv.DictReader(io.StringIO(text))}


def no_sideways_scrolling(page: Page) -> bool:
    return bool(
        page.evaluate(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        )
    )


def test_a_coach_finds_grades_blind_changes_writes_and_sends_back(
    chrome: Browser, server: Server
) -> None:
    page = new_page(chrome)
    session = practise(page, server)
    page.goto(f"{server.address}/your-data")
    page.click("text=Share with joan")
    page.wait_for_selector("[role=status]")

    # Find it by what was said, and by what was not.
    coach = new_page(chrome)
    sign_in(coach, server, "joan", "/desk")
    coach.wait_for_url(f"{server.address}/desk")
    coach.fill("[name=words]", "patient")
    coach.click("text=Find")
    assert coach.locator("tr[data-session]").count() == 1
    coach.fill("[name=words]", "giraffe")
    coach.click("text=Find")
    assert "Nothing fits that" in coach.inner_text("main")
    coach.click("main >> text=Show all")
    coach.check("[name=not_reviewed]")
    coach.click("text=Find")

    # Grade it blind: nothing of the machine's grade is to be seen before, in list, table or page.
    assert "of 100" not in coach.inner_text("main")
    assert totals(coach, server) == {session: ""}
    for filters in ("passed=yes", "passed=no", "unclear=1"):
        coach.goto(f"{server.address}/desk?{filters}")
        assert "Nothing fits that" in coach.inner_text("main"), filters
    coach.goto(f"{server.address}/desk")
    coach.click("text=Grade it yourself first")
    assert coach.locator("article.step").count() == 0
    assert coach.locator(".behind").count() == 0
    assert "of 100" not in coach.inner_text("main")
    for select in coach.query_selector_all("form.steps select"):
        select.select_option(index=2)
    coach.click("text=Keep my grade and show the machine's")
    coach.wait_for_selector("article.step")
    assert "You had said 2" in coach.inner_text("main")
    before = coach.get_attribute("[data-total]", "data-total")
    assert totals(coach, server)[session].startswith(str(before))

    # Behind each level stands where it came from; the mood runs down the side, from bar to bar.
    assert coach.locator("article.step .behind").count() == coach.locator("article.step").count()
    behind = coach.locator(".behind").first
    behind.locator("summary").press("Enter")
    assert "learned judge" in behind.inner_text()
    assert behind.locator("li").count() >= 3
    said = coach.locator(".turns li.customer")
    assert said.locator(".rung").count() == said.count()
    assert said.locator(".mood").first.inner_text().endswith("of 5")
    widths = coach.locator(".mood-key .rung").evaluate_all(
        "all => all.map(one => getComputedStyle(one, '::before').width)"
    )
    assert len(set(widths)) == 5

    # From a quote to its turn, and back.
    coach.click("article.step blockquote a >> nth=0")
    assert "#turn-" in coach.url
    coach.click(".turns .tag >> nth=0")
    assert "#step-" in coach.url

    # Change a level, without a reason first.
    step = coach.locator("article.step").first
    step.locator("text=Change this level").click()
    current = step.locator("select").input_value()
    options = step.locator("option").evaluate_all("all => all.map(one => one.value)")
    other = next(value for value in reversed(options[:5]) if value != current)
    step.locator("select").select_option(other)
    step.locator("textarea").fill("You saw them both.")
    step.locator("button").click()
    coach.wait_for_selector("text=Changed by joan")
    assert coach.get_attribute("[data-total]", "data-total") != before

    # Write about a reply, and send back to it.
    coach.click("#turn-3 summary")
    coach.fill("#turn-3 textarea", "What does Dani hear in this?")
    coach.click("#turn-3 >> text=Send")
    coach.wait_for_selector("#turn-3 >> text=What does Dani hear in this?")
    coach.click("#turn-3 summary")
    coach.fill("#turn-3 textarea", "Say first what you understood.")
    coach.click("text=Ask to try again from here >> visible=true")
    coach.wait_for_selector("text=asks for another try")
    coach.click("text=What was done, and when")
    history = coach.inner_text(".history")
    assert "joan" in history
    assert "You saw them both." in history

    # How often they agree since a day, and the labels for calibrating.
    coach.goto(f"{server.address}/desk/agreement?since=2999-01-01")
    assert "Choose an earlier day" in coach.inner_text("main")
    answer = coach.request.get(f"{server.address}/desk/labels/core?since=2999-01-01")
    assert answer.status == 404
    coach.fill("[name=since]", "2000-01-01")
    coach.click("text=Count >> visible=true")
    coach.wait_for_url("**/desk/agreement?since=2000-01-01")
    assert "graded blind: 1 conversation" in coach.inner_text("main")
    coach.goto(f"{server.address}/desk/agreement?since=nonsense")
    assert "graded blind: 1 conversation" in coach.inner_text("main")
    assert "too few to say" in coach.inner_text("main")
    with coach.expect_download() as download:
        coach.click("text=labels for")
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert '"labels"' in text
    assert "Please be patient." in text

    # The trainee is told, and reads the coach's words beside the machine's level.
    page.goto(server.address)
    page.wait_for_selector("text=A coach has written to you about")
    page.goto(f"{server.address}/thread/{session}")
    page.wait_for_selector("text=Say first what you understood.")
    assert "joan changed this; the machine had said" in page.inner_text("[data-report]")
    page.goto(server.address)
    page.wait_for_selector("[data-persona]")
    assert "A coach has written" not in page.inner_text("body")
    for one in (page, coach):
        one.context.close()


def test_a_trainee_tries_a_moment_again_and_compares(chrome: Browser, server: Server) -> None:
    page = new_page(chrome)
    first = practise(page, server)
    page.click("text=Try a moment again")
    page.click("[data-again='3']")
    page.wait_for_url(lambda url: first not in url)
    page.wait_for_selector("#wl-finish")
    page.wait_for_function(
        "document.querySelectorAll('[data-step-type=user_message]').length === 1"
    )
    second = page.url.rsplit("/", 1)[-1]
    assert "Please be patient" not in page.inner_text("body")
    for reply in ("That sounds frightening for you both. I am here, Dani.", REPLIES[2]):
        before = len(lines(page, "customer"))
        send(page, reply)
        wait_for_answer(page, before)
    page.click("#wl-finish")
    page.wait_for_selector("[data-report]", timeout=120_000)
    page.click("text=Compare it with your earlier try")
    page.wait_for_url(f"{server.address}/compare/{second}")
    shown = page.inner_text("main")
    for words in (
        "Please be patient.",
        "That sounds frightening",
        "The second time",
        "What changed",
    ):
        assert words in shown
    assert page.locator("tr").count() > 5
    # Both stay.
    page.goto(f"{server.address}/your-data")
    assert page.locator("[data-session]").count() == 2
    assert "again from reply 2" in page.inner_text("main")
    page.context.close()


@pytest.mark.parametrize("width", [320, 640])
def test_the_desk_fits_narrow_pages(chrome: Browser, server: Server, width: int) -> None:
    page = new_page(chrome)
    session = practise(page, server)
    page.goto(f"{server.address}/your-data")
    page.click("text=Share with joan")
    page.wait_for_selector("[role=status]")
    coach = new_page(chrome, dark=True, width=width)
    sign_in(coach, server, "joan", "/desk")
    coach.wait_for_selector("tr[data-session]")
    for path in ("/desk", f"/desk/{session}?blind=1", f"/desk/{session}", "/desk/agreement"):
        coach.goto(f"{server.address}{path}")
        coach.evaluate("document.querySelectorAll('details').forEach(one => (one.open = true))")
        assert no_sideways_scrolling(coach), path
    for one in (page, coach):
        one.context.close()

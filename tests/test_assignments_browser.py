"""An assignment from the coach's form to the try that passes, in a real browser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from ollama_stub import OllamaStub, Script, running_stub
from served import Server, lines, send, wait_for_answer
from test_accounts_browser import PAYLOADS, new_page, sign_in, warmline
from test_desk_browser import REPLIES, no_sideways_scrolling
from warmline.plans import today
from warmline.web.templating import day_words

pytestmark = pytest.mark.browser

#: Where pictures of the pages go, for somebody to look at; none are taken without it.
PICTURES = os.environ.get("WARMLINE_PICTURES")

DUE = today() + timedelta(days=3)


@pytest.fixture(scope="module")
def stub() -> Iterator[OllamaStub]:
    with running_stub(Script(answers=[["I just want this to be over."]])) as running:
        yield running


@pytest.fixture
def server(stub: OllamaStub, tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path, {"WARMLINE_BACKEND": "ollama", "WARMLINE_OLLAMA_HOST": stub.host})
    running.start()
    yield running
    running.stop()


def picture(page: Page, name: str, part: str = "") -> None:
    """Check that a page, or a part of it, fits; take it narrow and wide, light and dark."""
    before = page.viewport_size
    for width in (320, 640, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        fits = fits_in(page, part) if part else no_sideways_scrolling(page)
        assert fits, f"{name} at {width}"
        for colours in ("light", "dark") if PICTURES else ():
            page.emulate_media(color_scheme=colours)  # type: ignore[arg-type]
            path = f"{PICTURES}/assign-{name}-{width}-{colours}.png"
            page.locator(part or "html").screenshot(path=path)
    page.emulate_media(color_scheme=None)
    assert before is not None
    page.set_viewport_size(before)


def fits_in(page: Page, part: str) -> bool:
    """Whether nothing of a part of the page lies beyond its right edge."""
    return bool(
        page.eval_on_selector_all(
            f"{part}, {part} *",
            "all => all.every(one => one.getBoundingClientRect().right <= window.innerWidth)",
        )
    )


def talk(page: Page) -> str:
    """From the customer's first line to the report card; returns the session's id."""
    page.wait_for_selector("#wl-finish")
    for reply in REPLIES[::2]:
        before = len(lines(page, "customer"))
        send(page, reply)
        wait_for_answer(page, before)
    page.click("#wl-finish")
    page.wait_for_selector("[data-report]", timeout=120_000)
    return page.url.rsplit("/", 1)[-1]


def fill(coach: Page, **fields: str) -> None:
    for name, value in fields.items():
        field = coach.locator(f"[name={name}]")
        if name in ("persona", "rubric", "team"):
            field.select_option(value)
        else:
            field.fill(value)


def test_from_the_coachs_form_to_the_try_that_passes(chrome: Browser, server: Server) -> None:
    warmline(server, "user", "add", "mira", "--team", "support")
    warmline(server, "user", "add", "ben", "--team", "support")
    warmline(server, "user", "add", "joan", "--role", "coach", "--team", "support")

    # Assign: what is wrong is said, what was typed stays, and nothing is given.
    coach = new_page(chrome)
    sign_in(coach, server, "joan", "/desk/assignments")
    coach.wait_for_url(f"{server.address}/desk/assignments")
    note = f"Say it back first. {PAYLOADS[0]} {PAYLOADS[1]}\nThen help."
    fill(coach, persona="dani-stranded", rubric="core", due=DUE.isoformat(), note=note)
    fill(coach, mark="1", tries="21")
    coach.click("button:has-text('Assign it')")
    problem = coach.locator("[role=alert]")
    assert "from 1 to 20" in problem.inner_text()
    assert "at least one trainee" in problem.inner_text()
    assert coach.input_value("[name=note]") == note
    assert coach.input_value("[name=persona]") == "dani-stranded"
    assert coach.locator("[data-assignment]").count() == 0
    picture(coach, "form")
    coach.check("text=mira")
    fill(coach, tries="2")
    coach.click("button:has-text('Assign it')")
    coach.wait_for_selector("[role=status]")
    given = coach.locator("[data-assignment]")
    assert f"due {day_words(DUE, today())}" in given.inner_text()
    assert "not started" in given.inner_text()
    assert "ben" not in given.inner_text()

    # The trainee finds it first, with its note as text, and practises.
    page = new_page(chrome)
    sign_in(page, server, "mira")
    card = page.locator("[data-due] [data-assignment]")
    card.wait_for()
    shown = card.inner_text()
    for words in (f"due {day_words(DUE, today())}", "2 tries", "1 of 100", "joan", PAYLOADS[1]):
        assert words.casefold() in shown.casefold()
    assert page.evaluate("window.hit") is None
    picture(page, "picker", "[data-due]")
    card.locator("button").click()
    first = talk(page)
    coach.reload()
    assert "practising" in coach.locator("[data-assignment]").inner_text()

    # Private until it is handed in, once, from the report card.
    assert coach.goto(f"{server.address}/desk/{first}").status == 404  # type: ignore[union-attr]
    own = page.locator("[data-report] [data-assignment]")
    assert "your coaches can read with its feedback" in own.inner_text()
    own.scroll_into_view_if_needed()
    picture(page, "card", "[data-report] [data-assignment]")
    page.click("text=Hand in this try (1 of 2)")
    page.wait_for_selector("text=Handed in on")
    assert page.locator("text=Hand in this try").count() == 0
    page.reload()
    page.wait_for_selector("text=Handed in on")

    # The coach sees that it is there, and no result before they have opened it.
    coach.goto(f"{server.address}/desk/assignments")
    given = coach.locator("[data-assignment]")
    assert "not opened yet" in given.inner_text()
    assert "1 of 2 tries handed in" in given.inner_text()
    assert "pass" not in given.inner_text()
    assert "best" not in given.inner_text()
    picture(coach, "given")
    given.locator("a", has_text="grade it yourself first").click()
    coach.wait_for_url(f"{server.address}/desk/{first}?blind=1")
    assert coach.locator("article.step").count() == 0
    coach.goto(f"{server.address}/desk/{first}")
    total = coach.get_attribute("[data-total]", "data-total")
    coach.goto(f"{server.address}/desk/assignments")
    assert (
        f"1 of 2 tries handed in, passed, best {total}"
        in coach.locator("[data-assignment]").inner_text()
    )

    # It cannot be made private again; the page of one's own data says so.
    page.goto(f"{server.address}/your-data")
    assert "handed in" in page.inner_text("[data-session]")
    assert page.locator("text=Make private").count() == 0
    answer = page.request.post(f"{server.address}/your-data/{first}/keep-private")
    assert answer.status == 409
    assert "stays counted" in answer.text()

    # Practise again keeps the assignment; this one is handed in from the page.
    page.goto(f"{server.address}/thread/{first}")
    page.click("text=Practise again")
    page.wait_for_url(lambda url: first not in url)
    second = talk(page)
    page.goto(f"{server.address}/assignments")
    assert "passed" in page.inner_text("main")
    picture(page, "own")
    page.click(f"[data-session='{second}'] button")
    page.wait_for_selector("[role=status]")
    assert "no tries left" in page.inner_text("main")
    page.goto(server.address)
    page.wait_for_selector("[data-persona]")
    assert page.locator("[data-due]").count() == 0

    # Withdrawn: the trainee no longer sees it, the coach still sees what was handed in.
    coach.reload()
    coach.click("summary:has-text('Withdraw it')")
    coach.click("button:has-text('Withdraw it')")
    coach.wait_for_selector("[role=status]")
    assert "2 of 2 tries handed in" in coach.locator("[data-assignment]").inner_text()
    page.goto(f"{server.address}/assignments")
    assert "Nothing is assigned to you" in page.inner_text("main")
    picture(page, "empty")
    for one in (page, coach):
        one.context.close()


def test_somebody_alone_assigns_to_themselves_and_starts_from_the_page(
    chrome: Browser, server: Server
) -> None:
    page = new_page(chrome)
    page.goto(f"{server.address}/desk/assignments")
    fill(page, persona="dani-stranded", due=today().isoformat(), rubric="nine-steps")
    page.click("button:has-text('Assign it')")
    page.wait_for_selector("[role=status]")
    picture(page, "alone")
    page.goto(f"{server.address}/assignments")
    assert "due today" in page.inner_text("main")
    page.click("main button:has-text('Start')")
    page.wait_for_selector("#wl-finish")
    # A conversation that was left is found again.
    session = page.url.rsplit("/", 1)[-1]
    page.goto(f"{server.address}/assignments")
    picture(page, "begun")
    page.click("text=Go on with it")
    page.wait_for_url(f"{server.address}/thread/{session}")
    page.wait_for_selector("#wl-finish")
    page.context.close()

"""Progress over five sessions with the real model, and a team on the coach's desk, in a browser."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from ollama_stub import Script, running_stub
from seeded import seed
from served import Server, lines, send, wait_for_answer
from test_accounts_browser import PASSWORD, new_page, sign_in, warmline
from warmline.accounts import Accounts
from warmline.people import People
from warmline.store import Store

pytestmark = pytest.mark.browser

#: From cold to kind; the last session is one tried again from the second reply of the first.
COLD = [
    "Please send your account number.",
    "That is our policy. There is nothing I can do for you.",
]
TALKS = [
    ("marjorie-bereavement", [*COLD, "You should have called us earlier."]),
    (
        "dani-stranded",
        [
            "I understand your frustration, and I apologise for any inconvenience.",
            "Your request is very important to us. Thank you for your patience.",
        ],
    ),
    (
        "tom-interview-suit",
        ["I am sorry the suit did not come. When is the interview?", "I will look for it now."],
    ),
    (
        "marjorie-bereavement",
        [
            "Mrs Pell, I am so sorry about your husband, and that we charged you again after you "
            "were told it was done. That must hurt each time.",
            "That was our mistake. I am closing his line myself now, both charges are back with "
            "you within three working days, and I ring you on Friday at ten. Is that a good time?",
        ],
    ),
]
AGAIN = [
    "Mrs Pell, I am sorry. You have told us this once already, in June, and I did not listen.",
    "I am closing your husband's line now, myself, and you get both charges back by Thursday.",
]


@pytest.fixture
def real(builtin_weights: Path, tmp_path: Path) -> Iterator[Server]:
    """A server on the real model, with a trainee and their coach."""
    server = Server(
        tmp_path,
        {"WARMLINE_BACKEND": "embedded", "WARMLINE_EMBEDDED_MODEL": str(builtin_weights)},
    )
    server.start()
    warmline(server, "user", "add", "mira", "--team", "support")
    warmline(server, "user", "add", "joan", "--role", "coach", "--team", "support")
    yield server
    server.stop()


def write(page: Page, replies: list[str]) -> None:
    """Send replies, each after the answer to the one before, and finish."""
    for reply in replies:
        before = len(lines(page, "customer"))
        send(page, reply)
        wait_for_answer(page, before)
    page.click("#wl-finish")
    page.wait_for_selector("[data-report]", timeout=300_000)


def drawn(page: Page) -> int:
    """How many pictures the page has, all of which the browser could draw."""
    page.evaluate("document.querySelectorAll('img').forEach(one => one.loading = 'eager')")
    # Rejected if one of them cannot be drawn.
    page.evaluate("Promise.all([...document.images].map(one => one.decode()))")
    return page.locator("main img").count()


@pytest.mark.model
@pytest.mark.timeout(1500)
def test_five_sessions_with_the_real_model_and_what_became_of_them(
    chrome: Browser, real: Server, tmp_path: Path
) -> None:
    page = new_page(chrome)
    sign_in(page, real, "mira")
    ids = []
    for persona, replies in TALKS:
        page.goto(real.address)
        page.click(f'[data-persona="{persona}"] button')
        page.wait_for_selector("#wl-finish")
        write(page, replies)
        ids.append(page.url.rsplit("/", 1)[-1])

    # Again from turn 3 of the first, and both beside each other.
    page.goto(f"{real.address}/thread/{ids[0]}")
    page.click("text=Try a moment again")
    page.click("[data-again='3']")
    page.wait_for_url(lambda url: ids[0] not in url)
    page.wait_for_selector("#wl-finish")
    write(page, AGAIN)
    page.click("text=Compare it with your earlier try")
    page.wait_for_selector("text=The second time")
    assert "There is nothing I can do for you." in page.inner_text("main")
    assert AGAIN[0] in page.inner_text("main")

    # The coach writes to them, and they read it.
    page.goto(f"{real.address}/your-data")
    page.click(f"[data-session='{ids[3]}'] >> text=Share with joan")
    page.wait_for_selector("[role=status]")
    coach = new_page(chrome)
    sign_in(coach, real, "joan", "/desk")
    coach.goto(f"{real.address}/desk/{ids[3]}")
    coach.fill("section >> h3:has-text('whole conversation') ~ form textarea", "You heard her.")
    coach.click("h3:has-text('whole conversation') ~ form >> text=Send")
    coach.wait_for_selector("text=You heard her.")
    page.goto(f"{real.address}/thread/{ids[3]}")
    page.wait_for_selector("text=You heard her.")

    # Where they stand: five conversations, each step, and what the feedback asked for.
    page.click("text=See what you did better than last time")
    page.wait_for_selector("[data-better]")
    better = page.locator("[data-better]").first
    assert better.locator("blockquote").count()
    page.goto(f"{real.address}/progress")
    assert "5 conversations with 3 customers" in page.inner_text("main")
    assert drawn(page) > 4
    assert page.locator("[data-asked]").count() > 1
    # Kinder words, and Marjorie's second try is better than her first.
    marjorie = page.locator("tr", has_text="Marjorie").first.inner_text()
    best, latest = (int(part.split(" of")[0].split()[-1]) for part in marjorie.split("\t")[2:4])
    assert best >= latest
    assert best > 40
    page.screenshot(path=tmp_path / "progress.png", full_page=True)
    for one in (page, coach):
        one.context.close()


@pytest.fixture(scope="module")
def team(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on a year of five trainees."""
    folder = tmp_path_factory.mktemp("team")
    names = [f"trainee-{number}" for number in range(5)]

    async def fill() -> None:
        store = await Store.open(folder / "transcripts" / "warmline.db")
        accounts = Accounts(People(store.database), loopback=True)
        await accounts.add("joan", ["coach"], ["support"], password=PASSWORD)
        for name in names:
            await accounts.add(name, ["trainee"], ["support"], password=PASSWORD)
        await accounts.add("newcomer", ["trainee"], [], password=PASSWORD)
        await store.close()

    # In a thread of its own: the browser keeps an event loop in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, fill()).result()
    seed(folder / "transcripts" / "warmline.db", names, 300, coach="joan", shared=0.9)
    with running_stub(Script()) as stub:
        server = Server(folder, {"WARMLINE_BACKEND": "ollama", "WARMLINE_OLLAMA_HOST": stub.host})
        server.start()
        yield server
        server.stop()


def test_a_coach_sees_where_a_team_is_weak_and_why(chrome: Browser, team: Server) -> None:
    page = new_page(chrome)
    sign_in(page, team, "joan", "/desk")
    page.goto(f"{team.address}/desk")
    page.click("text=Your team")
    page.wait_for_selector("table.heat")
    assert page.locator("table.heat tbody tr").count() == 5
    assert page.locator("table.heat td[class^=heat]").count() == 50
    assert page.locator("[data-weak]").count() == 3
    assert drawn(page) == 1
    csv_file = page.request.get(f"{team.address}/desk/team.csv").text()
    rows = list(csv.DictReader(io.StringIO(csv_file)))
    cell = page.locator("table.heat tbody tr").first.locator("td").first.inner_text()
    assert f"{float(rows[0]['listen']):.1f}" == cell
    # From a weak step to the words, and to the conversation they stand in.
    page.click("[data-weak] h3 a >> nth=0")
    page.wait_for_selector("text=Where it is low")
    assert drawn(page) == 1
    words = page.locator("blockquote a").first
    shown = words.inner_text().removesuffix(" …")
    words.click()
    page.wait_for_url("**/desk/*#turn-*")
    assert shown in page.inner_text(f"#{page.url.rsplit('#', 1)[-1]}")
    # What was shown there counts as opened.
    assert page.locator("article.step").count() == 10
    page.context.close()


def test_progress_is_ones_own(chrome: Browser, team: Server) -> None:
    page = new_page(chrome)
    sign_in(page, team, "trainee-1", "/progress")
    page.goto(f"{team.address}/progress")
    assert "60 conversations" in page.inner_text("main")
    assert drawn(page) == 10
    own = page.locator(".plain-list a >> nth=1").get_attribute("href")
    assert own
    assert page.goto(f"{team.address}{own}").ok  # type: ignore[union-attr]
    assert page.request.get(f"{team.address}/desk/team").status == 403
    other = new_page(chrome)
    sign_in(other, team, "newcomer", "/progress")
    other.goto(f"{team.address}/progress")
    assert "To begin with" in other.inner_text("main")
    assert other.request.get(f"{team.address}{own}").status == 404
    for one in (page, other):
        one.context.close()


@pytest.mark.parametrize("width", [320, 640])
def test_progress_and_team_fit_narrow_pages(chrome: Browser, team: Server, width: int) -> None:
    for name, paths in (
        ("joan", ["/desk/team", "/desk/team/steps/core/listen"]),
        ("trainee-1", ["/progress"]),
    ):
        page = new_page(chrome, width=width)
        sign_in(page, team, name, paths[0])
        for path in paths:
            page.goto(f"{team.address}{path}")
            assert page.evaluate(
                "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
            ), path
        page.context.close()

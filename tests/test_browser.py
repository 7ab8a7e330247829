"""What people click, in a real browser; with the real model where the model matters."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from ruamel.yaml import YAML

from ollama_stub import OllamaStub, Script, running_stub
from served import Server, Traffic, choose, lines, send, wait_for_answer
from warmline.library import Library
from warmline.persona import Persona, mentions
from warmline.settings import PROJECT

pytestmark = pytest.mark.browser

KIND = [
    "Good afternoon, Mrs Pell. I'm so sorry about your husband. You were told in June that his "
    "line was closed, and then we charged you again. That must be so painful to see.",
    "That was our mistake, and nothing you did wrong. How has this been for you?",
    "It sounds so hard to see his name on each charge. I'm closing Ronald's line today myself.",
    "I will refund both charges, £37.00, and the money is in your bank within 3 working days.",
    "You won't have to explain this to anybody again. I'll ring you on Friday to make sure.",
    "Thank you for telling me about Ronald, Mrs Pell. Please take good care of yourself.",
]


@pytest.fixture(scope="module")
def real(builtin_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on the real model."""
    cache = str(builtin_weights.parent)
    server = Server(
        tmp_path_factory.mktemp("real"),
        {"WARMLINE_BACKEND": "embedded", "WARMLINE_EMBEDDED_MODEL": str(builtin_weights)},
    )
    assert cache
    server.start()
    yield server
    server.stop()


@pytest.fixture
def stub() -> Iterator[OllamaStub]:
    with running_stub(Script(answers=[["I just want this to be over."]])) as running:
        yield running


@pytest.fixture
def quick(stub: OllamaStub, tmp_path: Path) -> Iterator[Server]:
    """A server on a stand-in for Ollama, which does at once what a test asks of it.

    Dani has no facts and no moments here, so that every line comes from the model.
    """
    personas = tmp_path / "personas"
    shutil.copytree(PROJECT / "personas", personas)
    yaml = YAML()
    dani = yaml.load(personas / "dani-stranded.yaml")
    dani["facts"], dani["moments"] = [], []
    yaml.dump(dani, personas / "dani-stranded.yaml")
    server = Server(
        tmp_path,
        {
            "WARMLINE_BACKEND": "ollama",
            "WARMLINE_OLLAMA_HOST": stub.host,
            "WARMLINE_PERSONAS_DIR": str(personas),
            # So that grading takes as long as the stand-in wants it to.
            "WARMLINE_ASK_CHECKS": "always",
        },
    )
    server.start()
    yield server
    server.stop()


@pytest.fixture
def page(chrome: Browser) -> Iterator[Page]:
    context = chrome.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    opened = context.new_page()
    yield opened
    context.close()


def stored_turns(server: Server) -> list[tuple[str, str]]:
    """The turns on the server's disk."""
    db = sqlite3.connect(server.folder / "transcripts" / "warmline.db")
    try:
        return db.execute("SELECT role, text FROM turns ORDER BY session_id, number").fetchall()
    finally:
        db.close()


def hidden_words(persona: Persona, shown: str, library: Library) -> list[str]:
    """Words that would give away what the customer has not told on the page.

    The cards of all customers are on it: what stands in somebody else's case gives nothing away.
    """
    cases = " ".join(entry.item.brief.situation for entry in library.personas.values())
    return [
        word
        for fact in persona.facts
        if fact.reveal != "freely" and fact.says not in shown
        for word in [fact.says, *fact.giveaways]
        if not mentions(cases, word)
    ]


@pytest.mark.model
@pytest.mark.timeout(1500)
def test_practise_end_to_end_on_the_real_model(
    real: Server, page: Page, library: Library, tmp_path: Path
) -> None:
    persona = library.persona("marjorie-bereavement").item
    rubric = library.rubric("core").item
    traffic = Traffic()
    traffic.watch(page)

    choose(page, real.address, persona.id)
    assert lines(page, "customer")[0] == persona.opening
    assert persona.brief.situation in page.inner_text("#wl-brief")
    sent = 0
    for reply in KIND:
        if "has left the chat" in page.inner_text("body"):
            break
        before = len(lines(page, "customer"))
        send(page, reply)
        wait_for_answer(page, before)
        sent += 1
    assert sent >= 4

    page.click("#wl-brief-toggle")
    shown = page.inner_text("body")
    secrets = [
        *hidden_words(persona, shown, library),
        *(check.ask for step in rubric.steps for check in step.checks),
        *(level.means for step in rubric.steps for level in step.levels),
        *(step.why for step in rubric.steps),
        '"probability"',
        '"total"',
    ]
    told = [secret for secret in secrets if mentions(traffic.text, secret)]
    assert told == []

    page.click("#wl-finish")
    page.wait_for_selector("text=Looking at step", timeout=60_000)
    page.wait_for_selector("[data-report]", timeout=600_000)
    assert page.get_attribute("[data-total]", "data-total")
    quotes = page.query_selector_all("[data-report] .wl-quote")
    assert quotes
    for quote in quotes:
        words, turn = quote.get_attribute("data-quote"), quote.get_attribute("data-turn")
        assert words
        assert words in page.inner_text(f"#step-{turn}")
    assert page.query_selector("[data-strengths]")
    page.screenshot(path=tmp_path / "report.png", full_page=True)

    # Nothing was asked of any other machine.
    own = (real.address, f"ws://127.0.0.1:{real.port}", "data:", "blob:")
    assert [url for url in traffic.asked if not url.startswith(own)] == []

    # A past session opens with its report card, and a new try is one click away.
    page.reload()
    page.wait_for_selector("[data-report]", timeout=30_000)
    assert lines(page, "agent") == KIND[:sent]
    page.click("text=Practise again")
    page.wait_for_selector("#wl-finish", timeout=30_000)
    assert lines(page, "customer")[0] == persona.opening


def test_another_customer_shows_the_choice(quick: Server, page: Page) -> None:
    choose(page, quick.address, "dani-stranded")
    for text in ("I hear how frightening tonight is for you and Theo.", "I will find you a room."):
        before = len(lines(page, "customer"))
        send(page, text)
        wait_for_answer(page, before)
    page.click("#wl-finish")
    page.click("text=Another customer", timeout=60_000)
    page.wait_for_selector('[data-persona="kwame-locked-out"]', timeout=30_000)


def test_a_reload_while_grading_finds_the_report_card(
    quick: Server, stub: OllamaStub, page: Page
) -> None:
    choose(page, quick.address, "dani-stranded")
    for text in ("I hear how frightening tonight is for you and Theo.", "I will find you a room."):
        before = len(lines(page, "customer"))
        send(page, text)
        wait_for_answer(page, before)
    stub.script.delay_s = 1.0
    page.click("#wl-finish")
    page.wait_for_selector("text=Looking at step", timeout=60_000)
    page.reload()
    page.wait_for_selector("#wl-finish:disabled", timeout=30_000)
    stub.script.delay_s = 0.0
    page.wait_for_selector("[data-report]", timeout=120_000)


def test_finish_with_too_little_says_so_and_the_talk_goes_on(quick: Server, page: Page) -> None:
    choose(page, quick.address, "dani-stranded")
    page.click("#wl-finish")
    page.wait_for_selector("text=too little here to judge", timeout=30_000)
    before = len(lines(page, "customer"))
    send(page, "I hear how frightening tonight is for you and Theo.")
    wait_for_answer(page, before)


def test_a_model_that_fails_is_said_by_warmline_and_never_by_the_customer(
    quick: Server, stub: OllamaStub, page: Page
) -> None:
    choose(page, quick.address, "dani-stranded")
    stub.script.refuse = (500, "the engine is on fire")
    send(page, "Good evening, what happened?")
    page.wait_for_selector("text=Your message is kept", timeout=60_000)
    kept = stored_turns(quick)
    assert kept[-1][0] == "agent"
    stub.script.refuse = None
    page.click("text=Ask for the answer again")
    deadline = time.monotonic() + 60
    while len(stored_turns(quick)) == len(kept) and time.monotonic() < deadline:
        page.wait_for_timeout(200)
    assert stored_turns(quick)[:-1] == kept
    assert stored_turns(quick)[-1][0] == "customer"
    assert not any("fire" in text for _, text in stored_turns(quick))


def test_markup_in_a_message_is_shown_as_typed(quick: Server, page: Page) -> None:
    choose(page, quick.address, "dani-stranded")
    typed = "<img src=x onerror=\"document.title='gone'\"> **hello** {{1}}"
    before = len(lines(page, "customer"))
    send(page, typed)
    wait_for_answer(page, before)
    assert typed in lines(page, "agent")[0]
    assert page.title() == "Warmline"


@pytest.mark.timeout(600)
def test_kill_minus_nine_at_five_points_loses_no_sent_turn(
    quick: Server, stub: OllamaStub, page: Page
) -> None:
    replies = [
        "I hear how frightening it is to be stranded tonight with Theo.",
        "You were told nothing about the night, and that was our mistake.",
        "I will book a room for you and Theo tonight and send a taxi within 20 minutes.",
    ]

    def power_loss() -> None:
        quick.kill()
        stub.script.delay_s = stub.script.piece_delay_s = 0.0
        quick.start()
        page.reload()
        page.wait_for_selector("#wl-brief-toggle", timeout=60_000)
        page.wait_for_timeout(1500)

    def wait_until(turns: int, timeout_s: float = 60) -> None:
        deadline = time.monotonic() + timeout_s
        while len(stored_turns(quick)) < turns:
            assert time.monotonic() < deadline, f"never {turns} turns: {stored_turns(quick)}"
            page.wait_for_timeout(100)

    choose(page, quick.address, "dani-stranded")

    # 1. After sending, before the first word of the answer.
    stub.script.delay_s = 30.0
    send(page, replies[0])
    wait_until(2)
    power_loss()
    wait_until(3)
    assert replies[0] in lines(page, "agent")[0]

    # 2. While the answer streams.
    stub.script.answers = [["I am so ", "tired of this. ", "He is ", "crying ", "again. ", "Yes."]]
    stub.script.piece_delay_s = 2.0
    send(page, replies[1])
    page.wait_for_selector("text=tired of this", timeout=30_000)
    assert len(stored_turns(quick)) == 4
    power_loss()
    wait_until(5)
    assert replies[1] in lines(page, "agent")[1]

    # 3. Between turns.
    before = stored_turns(quick)
    power_loss()
    assert stored_turns(quick) == before
    send(page, replies[2])
    wait_until(7)

    # 4. While grading.
    stub.script.delay_s = 1.0
    page.click("#wl-finish")
    page.wait_for_selector("text=Looking at step", timeout=60_000)
    power_loss()
    assert page.query_selector("[data-report]") is None
    page.click("#wl-finish")
    page.wait_for_selector("[data-report]", timeout=120_000)
    card = page.inner_text("[data-report]")

    # 5. After the grade.
    power_loss()
    page.wait_for_selector("[data-report]", timeout=60_000)
    assert page.inner_text("[data-report]") == card
    assert [text for role, text in stored_turns(quick) if role == "agent"] == replies


def test_keyboard_alone_is_enough(quick: Server, page: Page) -> None:
    page.goto(quick.address)
    page.wait_for_selector("[data-persona]", timeout=30_000)
    page.focus('[data-persona="dani-stranded"] button')
    page.keyboard.press("Enter")
    page.wait_for_selector("#wl-brief", timeout=30_000)
    page.keyboard.press("Escape")
    assert page.query_selector("#wl-brief") is None
    assert page.evaluate("document.activeElement.id") == "wl-brief-toggle"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "wl-finish"


@pytest.mark.parametrize(("width", "height"), [(390, 844), (640, 450)])
def test_narrow_pages_and_200_percent_zoom_need_no_sideways_scrolling(
    quick: Server, chrome: Browser, width: int, height: int
) -> None:
    # 640 by 450 is what a 1280 by 900 window shows at 200 %.
    context = chrome.new_context(viewport={"width": width, "height": height}, color_scheme="dark")
    page = context.new_page()
    choose(page, quick.address, "dani-stranded")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    finish = page.query_selector("#wl-finish")
    assert finish is not None
    box = finish.bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= width
    page.reload()
    page.wait_for_selector("#wl-finish", timeout=30_000)
    assert lines(page, "customer")
    context.close()


def test_only_the_owner_can_open_a_session(quick: Server, page: Page) -> None:
    choose(page, quick.address, "dani-stranded")
    mine = page.url.rsplit("/", 1)[-1]
    assert page.request.get(f"{quick.address}/project/thread/{mine}").status == 200
    nobody = "00000000-0000-4000-8000-000000000000"
    assert page.request.get(f"{quick.address}/project/thread/{nobody}").status == 404
    db = sqlite3.connect(quick.folder / "transcripts" / "warmline.db")
    with db:
        db.execute(
            "INSERT INTO users (id, identifier, created_at) VALUES ('u2', 'else', '2026-01-01')"
        )
        db.execute("UPDATE sessions SET user_id = 'u2' WHERE id = ?", (mine,))
    db.close()
    answer = page.request.get(f"{quick.address}/project/thread/{mine}")
    assert answer.status in {401, 403}
    assert "sleep" not in answer.text()
    before = stored_turns(quick)
    send(page, "This is no longer mine to write in.")
    page.wait_for_selector("text=Choose a customer first", timeout=30_000)
    assert stored_turns(quick) == before

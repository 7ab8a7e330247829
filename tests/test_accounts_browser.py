"""Signing in, sharing and reading, in a real browser; and what other people's words can do there."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from ruamel.yaml import YAML

from ollama_stub import OllamaStub, Script, running_stub
from served import Server, Traffic, choose, lines, send, wait_for_answer
from warmline.settings import PROJECT

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery"

#: What people try. Each would set ``window.hit`` if it were taken for more than text.
PAYLOADS = [
    "<script>window.hit = 1</script>",
    "<img src=x onerror='window.hit = 2'>",
    '"><svg onload=window.hit=3>',
    "[click](javascript:window.hit=4)",
    "![x](https://elsewhere.example/pixel.png)",
    "{{ 7 * 7 }} {% include 'base.html' %} ${window.hit=5}",
    "'; DROP TABLE turns; --",
    '=HYPERLINK("https://elsewhere.example")',
]


def warmline(server: Server, *words: str, typed: str = f"{PASSWORD}\n") -> str:
    """A command on the server's data, while it runs."""
    environment = {
        **os.environ,
        "WARMLINE_TRANSCRIPTS_DIR": str(server.folder / "transcripts"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "warmline", *words],
        cwd=PROJECT, env=environment, input=typed, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


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


def new_page(chrome: Browser, *, dark: bool = False, width: int = 1280) -> Page:
    context = chrome.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
    )
    return context.new_page()


def sign_in(page: Page, server: Server, name: str, path: str = "/") -> None:
    page.goto(f"{server.address}{path}")
    page.wait_for_selector("#email")
    page.fill("#email", name)
    page.fill("#password", PASSWORD)
    page.click("button[type=submit]")
    # It opens the chat first, and goes on from there to what was asked for.
    page.wait_for_url(lambda url: "/login" not in url)
    if path != "/":
        page.wait_for_url(f"{server.address}{path}")


def test_from_no_accounts_to_a_shared_conversation(chrome: Browser, server: Server) -> None:
    page = new_page(chrome)
    choose(page, server.address, "dani-stranded")
    send(page, "I am so sorry that you are stuck there with your little one.")
    wait_for_answer(page, 1)
    page.goto(f"{server.address}/your-data")
    assert "No accounts: you have every role" in page.inner_text("header")
    assert "whoever can use this machine can read it" in page.inner_text("main")

    # The first accounts, while the server runs: whoever practised before becomes one of them.
    warmline(server, "user", "add", "Mira", "--team", "support", "--take-over")
    warmline(server, "user", "add", "joan", "--role", "coach", "--team", "support")
    warmline(server, "user", "add", "far", "--role", "coach", "--team", "returns")
    page.reload()
    page.wait_for_selector("#email")
    page.fill("#email", "mira")
    page.fill("#password", "not my password")
    page.click("button[type=submit]")
    page.wait_for_selector("text=Check the name and the password")
    page.fill("#password", PASSWORD)
    page.click("button[type=submit]")
    # Back where she wanted to go, with what she practised before.
    page.wait_for_url(f"{server.address}/your-data")
    assert "Only you, until you share" in page.inner_text("main")
    assert page.locator("[data-session]").count() == 1

    coach = new_page(chrome, dark=True, width=390)
    sign_in(coach, server, "joan", "/desk")
    coach.wait_for_url(f"{server.address}/desk")
    assert "Nobody in your teams has shared" in coach.inner_text("main")
    page.click("text=Share with joan")
    page.wait_for_selector("[role=status]")
    assert "Your coaches can read" in page.inner_text("[role=status]")
    coach.reload()
    coach.click("tr[data-session] a")
    assert "stuck there with your little one" in coach.inner_text("main")
    link = coach.url
    far = new_page(chrome)
    sign_in(far, server, "far", "/desk")
    far.wait_for_url(f"{server.address}/desk")
    assert "Nobody in your teams has shared" in far.inner_text("main")
    assert far.goto(link) is not None
    assert "There is no such conversation" in far.inner_text("main")

    page.click("text=Make private")
    page.wait_for_selector("[role=status]")
    coach.goto(link)
    assert "There is no such conversation" in coach.inner_text("main")

    # Going on with the conversation, then deleting it.
    page.click("[data-session] a")
    page.wait_for_selector("#wl-finish")
    page.goto(f"{server.address}/your-data")
    page.click("[data-session] summary")
    page.click("text=Delete it for good")
    page.wait_for_selector("[role=status]")
    assert page.locator("[data-session]").count() == 0
    page.click("text=Sign out")
    page.wait_for_selector("#email")
    assert "/login" in page.url
    for one in (page, coach, far):
        one.context.close()


def test_whoever_is_signed_out_in_mid_chat_is_told_and_nothing_is_stored(
    chrome: Browser, server: Server
) -> None:
    warmline(server, "user", "add", "mira")
    page = new_page(chrome)
    sign_in(page, server, "mira")
    page.click('[data-persona="dani-stranded"] button')
    page.wait_for_selector("#wl-finish")
    page.click("#chat-input")
    page.keyboard.insert_text("Are you still there, Dani?")
    warmline(server, "user", "disable", "mira")
    if page.query_selector("#chat-submit:not([disabled])"):
        page.click("#chat-submit:not([disabled])")
    # Told in the chat, or sent to sign in, whichever request of the page comes first.
    page.wait_for_selector(":text('You are signed out'), #email")
    assert "still there" not in str(all_turns(server))
    page.context.close()


def all_turns(server: Server) -> list[str]:
    db = sqlite3.connect(server.folder / "transcripts" / "warmline.db")
    try:
        return [text for (text,) in db.execute("SELECT text FROM turns")]
    finally:
        db.close()


def test_what_people_write_is_text_everywhere_and_is_not_in_the_log(
    chrome: Browser, server: Server
) -> None:
    evil = "<img src=x onerror='window.hit=9'>"
    warmline(server, "user", "add", evil, "--team", "<b>team</b>")
    warmline(
        server, "user", "add", "joan", "--role", "coach", "--role", "admin", "--team", "<b>team</b>"
    )
    page = new_page(chrome)
    traffic = Traffic()
    traffic.watch(page)
    sign_in(page, server, evil)
    page.click('[data-persona="dani-stranded"] button')
    page.wait_for_selector("#wl-finish")
    for number in range(2):
        before = len(lines(page, "customer"))
        send(page, f"I am sorry, Dani. {' '.join(PAYLOADS[number::2])} zebra{number}")
        wait_for_answer(page, before)
    thread = page.url
    page.reload()
    page.wait_for_selector("text=zebra1")
    page.goto(f"{server.address}/your-data")
    page.click("text=Share with joan")
    page.wait_for_selector("[role=status]")
    coach = new_page(chrome)
    traffic.watch(coach)
    sign_in(coach, server, "joan", "/desk")
    coach.wait_for_url(f"{server.address}/desk")
    assert evil in coach.inner_text("main")
    coach.click("tr[data-session] a")
    shown = coach.inner_text("main")
    for payload in PAYLOADS:
        assert payload in shown
    coach.click("#turn-1 summary")
    coach.fill("#turn-1 textarea", " ".join(PAYLOADS))
    coach.click("#turn-1 >> text=Send")
    coach.wait_for_selector("#turn-1 .coach-said")
    for path in ("/desk", "/accounts", "/your-data"):
        coach.goto(f"{server.address}{path}")
    page.goto(thread)
    page.wait_for_selector("text=zebra1")
    said = page.locator("[data-step-type=assistant_message]", has_text="About your reply 1")
    said.wait_for()
    for payload in PAYLOADS:
        assert payload in said.inner_text()
    assert said.locator("img[src*=elsewhere], img[src=x], svg[onload], script").count() == 0
    # An address that is written out may be a link; it says itself where it goes.
    for link in said.locator("a").all():
        assert str(link.get_attribute("href")).startswith(link.inner_text())
    for one in (page, coach):
        assert one.evaluate("window.hit") is None
        one.context.close()
    outside = [
        url
        for url in traffic.asked
        if not url.startswith((server.address, "ws://127.0.0.1", "data:", "blob:"))
    ]
    assert outside == []
    assert "zebra" not in server.log
    assert [text for text in all_turns(server) if "DROP TABLE" in text]


def test_what_trainers_write_is_text_too(chrome: Browser, stub: OllamaStub, tmp_path: Path) -> None:
    personas, rubrics = tmp_path / "personas", tmp_path / "rubrics"
    shutil.copytree(PROJECT / "personas", personas)
    shutil.copytree(PROJECT / "rubrics", rubrics)
    yaml = YAML()
    dani = yaml.load(personas / "dani-stranded.yaml")
    dani["name"], dani["title"] = f"Dani {PAYLOADS[1]}", PAYLOADS[2]
    dani["opening"] = " ".join(PAYLOADS)
    dani["brief"]["situation"] = PAYLOADS[0]
    dani["brief"]["record"][0] = PAYLOADS[3]
    yaml.dump(dani, personas / "dani-stranded.yaml")
    core = yaml.load(rubrics / "core.yaml")
    for step in core["steps"]:
        step["name"] = f"{step['name']} {PAYLOADS[1]}"
        for level in step["levels"]:
            level["means"] = f"{level['means']} {PAYLOADS[0]}"
    yaml.dump(core, rubrics / "core.yaml")
    server = Server(
        tmp_path,
        {
            "WARMLINE_BACKEND": "ollama",
            "WARMLINE_OLLAMA_HOST": stub.host,
            "WARMLINE_PERSONAS_DIR": str(personas),
            "WARMLINE_RUBRICS_DIR": str(rubrics),
        },
    )
    server.start()
    page = new_page(chrome)
    traffic = Traffic()
    traffic.watch(page)
    try:
        choose(page, server.address, "dani-stranded")
        assert PAYLOADS[0] in page.inner_text("#wl-brief")
        for reply in (
            "I am so sorry that you are stranded there with your little boy, Dani.",
            "I will book you a room at the airport hotel now, you have it in ten minutes.",
        ):
            before = len(lines(page, "customer"))
            send(page, reply)
            wait_for_answer(page, before)
        page.click("#wl-finish")
        page.wait_for_selector("[data-report]", timeout=120_000)
        assert PAYLOADS[1] in page.inner_text("[data-report]")
        page.goto(f"{server.address}/desk")
        page.click("tr[data-session] a")
        assert PAYLOADS[0] in page.inner_text("main")
        assert page.evaluate("window.hit") is None
    finally:
        server.stop()
    outside = [url for url in traffic.asked if "elsewhere" in url and server.address not in url]
    assert outside == []
    page.context.close()


def test_a_line_that_is_stopped_is_marked_as_broken_off(
    chrome: Browser, server: Server, stub: OllamaStub
) -> None:
    page = new_page(chrome)
    stub.script.answers = [
        ["I just want ", "this to be over. ", "I have been here for hours. " * 3]
    ]
    stub.script.piece_delay_s = 2.0
    try:
        choose(page, server.address, "dani-stranded")
        send(page, "Tell me everything, please, as it happened.")
        page.wait_for_function(
            "document.querySelectorAll('[data-step-type=assistant_message]').length > 1"
        )
        page.click("#stop-button")
        page.wait_for_selector("text=broken off here")
    finally:
        stub.script.piece_delay_s = 0.0
    page.reload()
    page.wait_for_selector("text=broken off here")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and "Task manually" in page.inner_text("body"):
        page.wait_for_timeout(100)
    assert "Task manually" not in page.inner_text("body")
    page.context.close()


@pytest.mark.parametrize("width", [320, 640, 1280])
def test_the_pages_need_no_sideways_scrolling(chrome: Browser, server: Server, width: int) -> None:
    page = new_page(chrome, width=width)
    choose(page, server.address, "dani-stranded")
    for path in ("/your-data", "/desk"):
        page.goto(f"{server.address}{path}")
        assert page.evaluate(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        )
    page.context.close()


def test_signing_in_leads_to_a_page_of_ours_and_nowhere_else(
    chrome: Browser, server: Server
) -> None:
    warmline(server, "user", "add", "joan", "--role", "coach")
    for then, ends in (
        ("/desk/agreement", "/desk/agreement"),
        ("//desk.example.org", "/"),
        ("/desk//example.org", "/"),
        ("https://example.org/desk", "/"),
        ("/thread/../logout", "/"),
    ):
        page = new_page(chrome)
        page.goto(f"{server.address}/login?then={then}")
        page.wait_for_selector("#email")
        page.fill("#email", "joan")
        page.fill("#password", PASSWORD)
        page.click("button[type=submit]")
        page.wait_for_url(lambda url: "/login" not in url)
        page.wait_for_timeout(1000)
        assert page.url.removeprefix(server.address) == ends
        page.context.close()

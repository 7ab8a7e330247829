"""From a few questions to a customer that a trainer practises with, in a real browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from ollama_stub import OllamaStub, Script, running_stub
from served import Server, lines, send, wait_for_answer
from test_accounts_browser import PAYLOADS, new_page, sign_in, warmline
from test_desk_browser import REPLIES, no_sideways_scrolling
from test_interview import GOOD, NORA
from warmline.settings import PROJECT

pytestmark = pytest.mark.browser

#: Where pictures of the pages go, for somebody to look at; none are taken without it.
PICTURES = os.environ.get("WARMLINE_PICTURES")

ID = "nora-bell-a-boiler-that-stays-cold"


@pytest.fixture
def stub() -> Iterator[OllamaStub]:
    with running_stub(Script(answers=[["I just want this to be over."]])) as running:
        yield running


@pytest.fixture
def server(stub: OllamaStub, tmp_path: Path) -> Iterator[Server]:
    for name in ("personas", "rubrics"):
        (tmp_path / name).mkdir()
        for file in (PROJECT / name).glob("*.yaml"):
            shutil.copy(file, tmp_path / name)
    running = Server(
        tmp_path,
        {
            "WARMLINE_BACKEND": "ollama",
            "WARMLINE_OLLAMA_HOST": stub.host,
            "WARMLINE_PERSONAS_DIR": str(tmp_path / "personas"),
            "WARMLINE_RUBRICS_DIR": str(tmp_path / "rubrics"),
        },
    )
    running.start()
    yield running
    running.stop()


def picture(page: Page, name: str) -> None:
    """Check that a page fits; take it narrow and wide, light and dark."""
    before = page.viewport_size
    for width in (320, 640, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert no_sideways_scrolling(page), f"{name} at {width}"
        for colours in ("light", "dark") if PICTURES else ():
            page.emulate_media(color_scheme=colours)  # type: ignore[arg-type]
            page.screenshot(path=f"{PICTURES}/{name}-{width}-{colours}.png", full_page=True)
    page.emulate_media(color_scheme=None)
    assert before is not None
    page.set_viewport_size(before)


def fill(page: Page, **changed: str) -> None:
    for name, value in (NORA | changed).items():
        if name == "difficulty":
            page.select_option("#difficulty", value)
        else:
            page.fill(f"[name={name}]", value)


def test_from_a_few_questions_to_a_practised_draft(
    chrome: Browser, server: Server, stub: OllamaStub
) -> None:
    warmline(server, "user", "add", "tom", "--role", "trainer", "--role", "trainee")
    warmline(server, "user", "add", "mira", "--team", "support")
    trainer = new_page(chrome)
    sign_in(trainer, server, "tom", "/studio")
    trainer.click("text=A new customer, from a few questions")
    picture(trainer, "interview")

    # What is missing is said at its field, and what was typed stays, as text.
    fill(trainer, who=PAYLOADS[0], why="")
    trainer.click("text=Make the draft")
    assert "Why do they feel so?" in trainer.inner_text("[role=alert]")
    assert "write a few words" in trainer.inner_text("#wrong-why")
    assert trainer.get_attribute("#why", "aria-invalid") == "true"
    assert trainer.input_value("#who") == PAYLOADS[0]
    assert trainer.input_value("#difficulty") == "3"
    picture(trainer, "interview-problem")
    assert not list((server.folder / "personas").glob("nora*"))

    # The model writes while the page waits; then the draft is there, with nothing to mend.
    stub.script.answers = [[answer] for answer in (*GOOD, "I just want this to be over.")]
    fill(trainer)
    trainer.click("text=Make the draft")
    trainer.wait_for_selector("#to-mend", timeout=60_000)
    assert trainer.url.endswith(f"/studio/persona/{ID}")
    assert trainer.inner_text("#to-mend").startswith("Nothing to mend")
    assert trainer.input_value("[name='opening']") == "I waited in both days with my coat on."
    assert trainer.inner_text("h1") == "Nora Bell: A boiler that stays cold"

    # Practised at once, and nobody's practice: a trainee is offered nothing of it.
    trainer.click("text=Practise with this customer")
    trainer.wait_for_selector("#wl-finish")
    for reply in REPLIES[::2]:
        before = len(lines(trainer, "customer"))
        send(trainer, reply)
        wait_for_answer(trainer, before)
    trainer.click("#wl-finish")
    trainer.wait_for_selector("[data-report]", timeout=120_000)
    trainer.goto(f"{server.address}/your-data")
    assert "Nora Bell: A boiler that stays cold (tried out)" in trainer.inner_text("main")
    assert "tried out in the studio" in trainer.inner_text("main")
    trainer.goto(f"{server.address}/progress")
    assert "Nora" not in trainer.inner_text("main")
    trainee = new_page(chrome)
    sign_in(trainee, server, "mira")
    trainee.wait_for_selector("[data-persona]")
    assert "Nora Bell" not in trainee.inner_text("body")
    for address in ("/studio/interview", f"/studio/interview/{ID}"):
        answer = trainee.goto(f"{server.address}{address}")
        assert answer is not None
        assert answer.status == 403


def test_when_the_model_is_away_the_answers_are_a_draft(
    chrome: Browser, server: Server, stub: OllamaStub
) -> None:
    trainer = new_page(chrome)
    trainer.goto(f"{server.address}/studio/interview")
    fill(trainer)
    stub.script.refuse = (500, "out of memory")
    trainer.click("text=Make the draft")
    trainer.wait_for_selector("[role=alert]")
    assert "Your answers are kept" in trainer.inner_text("main")
    picture(trainer, "interview-failed")
    trainer.click("text=Go on with the draft")
    assert trainer.input_value("[name='brief.situation']") == NORA["happened"]
    assert "to mend" in trainer.inner_text("#to-mend")
    trainer.go_back()
    stub.script.refuse = None
    asked = len(stub.script.bodies("/api/chat"))
    stub.script.answers = [[answer] for answer in GOOD]
    trainer.click("button:has-text('Try once more')")
    trainer.wait_for_selector("#to-mend", timeout=60_000)
    assert trainer.url.endswith(f"/studio/persona/{ID}")
    assert trainer.inner_text("#to-mend").startswith("Nothing to mend")
    assert len(stub.script.bodies("/api/chat")) == asked + len(GOOD)

"""A trainer tries drafts in the studio, in a real browser: charts, checks, versions, wrong pairs."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
import uuid
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest
from playwright.sync_api import Browser, Page

from fakes import NOTHING
from ollama_stub import OllamaStub, Script, running_stub
from served import Server
from test_accounts_browser import PAYLOADS, new_page, sign_in, warmline
from test_desk_browser import no_sideways_scrolling
from warmline.customer.director import first_state
from warmline.database import Database
from warmline.drafts import Drafts
from warmline.edits import Edits
from warmline.formfile import edited
from warmline.grader.grading import Grader, MemoryBook
from warmline.grader.scoring import Grade
from warmline.library import read_library
from warmline.livelibrary import Kind
from warmline.people import People
from warmline.settings import PROJECT
from warmline.store import Store
from warmline.yamlfile import read_values

pytestmark = pytest.mark.browser

T = TypeVar("T")

#: Where pictures of the pages go, for somebody to look at; none are taken without it.
PICTURES = os.environ.get("WARMLINE_PICTURES")

LIBRARY = read_library(PROJECT / "personas", PROJECT / "rubrics")
DANI = "/studio/persona/dani-stranded/try"
CORE = "/studio/rubric/core/try"
SAID = [
    ["Well, that is more than the last one told me."],
    ["How can I help you today?"],
    ["I keep looking at that cold window, you know."],
    ["Nobody has said such a thing to me all week."],
]
WARM = [
    "Your flight to Lyon cancelled, no one at the desk, and a 3 year old with you: that must be "
    "frightening, Dani, and I am so sorry that we left you standing there.",
    "I will book you a room at the airport hotel now; you have the code in ten minutes.",
]
PASTED = (
    "Customer: My bread is mouldy on both sides.\nAgent: Ok, what is your order number?\n"
    "Customer: Is that all?\nAgent: That is our policy, you should have read it."
)


@pytest.fixture
def stub() -> Iterator[OllamaStub]:
    with running_stub(Script(answers=[*SAID] * 200)) as running:
        yield running


@pytest.fixture
def server(stub: OllamaStub, tmp_path: Path) -> Iterator[Server]:
    for name in ("personas", "rubrics"):
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("labelled"))
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
    warmline(running, "user", "add", "mira", "--team", "support")
    for name in ("tess", "tom"):
        warmline(running, "user", "add", name, "--role", "trainer", "--team", "support")
    roles = ("--role", "trainer", "--role", "coach")
    warmline(running, "user", "add", "joan", *roles, "--team", "support")
    yield running
    running.stop()


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run something in a thread of its own: the browser has a loop in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def database(server: Server) -> Path:
    return server.folder / "transcripts" / "warmline.db"


async def talked(server: Server, name: str, *, shared: bool = False, graded: bool = False) -> str:
    """A conversation of somebody's with Dani, straight into the database; returns its id."""
    store = await Store.open(database(server))
    user = await People(store.database).find(name)
    assert user is not None
    session_id = str(uuid.uuid4())
    persona, rubric = LIBRARY.persona("dani-stranded"), LIBRARY.rubric("core")
    state = first_state(persona.item).model_dump_json()
    await store.start_session(session_id, user.id, persona, rubric, state, seed=1)
    for reply in WARM:
        await store.add_turn(session_id, "agent", reply)
        await store.add_turn(session_id, "customer", f"A secret of {name}'s.", state=state)
    await store.share(session_id, shared=shared)
    if graded:
        talk = await store.transcript(session_id, persona.item.name)
        grade = [one async for one in Grader(None, rubric, MemoryBook()).grade(talk)][-1]
        assert isinstance(grade, Grade)
        whole = grade.model_copy(update={"persona_hash": persona.hash}).model_dump(mode="json")
        await store.add_grade(session_id, whole, {}, NOTHING)
    await store.close()
    return session_id


async def opened_by_a_coach(server: Server, session_id: str) -> bool:
    """Whether a coach counts as having seen the machine's grade."""
    store = await Store.open(database(server))
    edits = await Edits(store.database).of(session_id)
    await store.close()
    return any(one.kind == "seen" for one in edits)


async def unshared(server: Server, session_id: str) -> None:
    store = await Store.open(database(server))
    await store.share(session_id, shared=False)
    await store.close()


async def drafted(server: Server, kind: Kind, item_id: str, values: dict[str, Any]) -> None:
    """A draft with other values in some fields of a shipped file."""
    entries = LIBRARY.personas if kind == "persona" else LIBRARY.rubrics
    text = entries[item_id].text
    opened = await Database.open(database(server))
    drafts, user = Drafts(opened), await People(opened).find("tess")
    assert user is not None
    started = await drafts.keep_version(kind, item_id, text)
    current = await drafts.of(kind, item_id)
    new = edited(text, read_values(text, Path("file"))[0] | values)
    await drafts.save(
        kind, item_id, new, read=current.revision, user_id=user.id, started_from=started
    )
    await opened.close()


async def counts(server: Server) -> dict[str, int]:
    """How many rows the tables of what trainees did hold."""
    opened = await Database.open(database(server))
    tables = ("sessions", "turns", "grades", "answers")
    found = {name: await opened.run(lambda db, name=name: db[name].count) for name in tables}  # type: ignore[misc]
    await opened.close()
    return found


def picture(page: Page, name: str) -> None:
    """Check that a page fits; take it narrow and wide, light and dark."""
    before = page.viewport_size
    for width in (320, 640, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert no_sideways_scrolling(page), f"{name} at {width}"
        for colours in ("light", "dark") if PICTURES else ():
            page.emulate_media(color_scheme=colours)  # type: ignore[arg-type]
            page.screenshot(path=f"{PICTURES}/studio-{name}-{width}-{colours}.png", full_page=True)
    page.emulate_media(color_scheme=None)
    assert before is not None
    page.set_viewport_size(before)


def go(page: Page, server: Server, name: str, path: str) -> None:
    """Sign in and open a page."""
    sign_in(page, server, name)
    page.goto(f"{server.address}{path}")


def main(page: Page) -> str:
    return page.inner_text("main")


def done(page: Page, timeout_s: float = 90) -> None:
    """Wait until the page that comes anew by itself shows that the job has ended."""
    page.wait_for_selector("#found", timeout=timeout_s * 1000)
    assert page.locator("[data-running]").count() == 0


def let_play(page: Page, replies: int, *agents: str) -> None:
    page.fill("[name=replies]", str(replies))
    for box in page.query_selector_all("[name=agent]"):
        box.set_checked(not agents or box.get_attribute("value") in agents)
    page.click("main button:has-text('Let them play')")


def test_a_trainer_lets_six_agents_play_and_reads_what_came_of_it(
    chrome: Browser, server: Server
) -> None:
    run(drafted(server, "persona", "dani-stranded", {"name": f"Dani {PAYLOADS[1]}"}))
    before = run(counts(server))
    page = new_page(chrome)
    go(page, server, "tess", DANI)
    assert f"Try Dani {PAYLOADS[1]}" in main(page)
    picture(page, "try-persona-empty")

    # What is wrong is said, and nothing that was chosen is lost.
    page.eval_on_selector("[name=replies]", "one => one.type = 'text'")
    let_play(page, 13, "kind")
    assert "from 1 to 12 replies" in page.inner_text("[role=alert]")
    assert page.input_value("[name=replies]") == "13"
    assert page.locator("[name=agent]:checked").count() == 1
    page.fill("[name=replies]", "3")
    page.uncheck("[value=kind]")
    page.click("main button:has-text('Let them play')")
    assert "at least one agent" in page.inner_text("[role=alert]")

    # By keyboard alone, to the end; the page comes anew by itself and runs no script.
    page.goto(f"{server.address}{DANI}")
    page.focus("[name=replies]")
    page.fill("[name=replies]", "3")
    page.keyboard.press("Enter")
    done(page)
    assert page.locator("script").count() == 0
    agents = page.locator("[data-agent]")
    assert agents.evaluate_all("all => all.map(one => one.dataset.agent)") == [
        "kind",
        "mixed",
        "cold",
        "hostile",
        "silent",
        "breaker",
    ]
    summary = page.inner_text(".remarks")
    for words in ("The kind agent brings the customer", "The cold agent leaves", "held back"):
        assert words in summary
    assert "before its time" in summary
    assert "The draft, as it was" in main(page)
    # Each chart is a picture that was drawn, and says the same in words.
    page.locator("[data-agent] img").last.scroll_into_view_if_needed()
    page.wait_for_load_state("networkidle")
    drawn = page.locator("[data-agent] img").evaluate_all("all => all.map(one => one.naturalWidth)")
    assert len(drawn) == 6
    assert all(width > 100 for width in drawn)
    alt = page.locator("[data-agent=cold] img").get_attribute("alt") or ""
    assert alt.startswith("The mood with the cold agent: panicky, then ")
    chart = page.request.get(f"{server.address}{DANI}/chart/cold")
    assert "frantic" in chart.text()
    # The conversation is folded; in it, where each line came from, and what the guard held back.
    cold = page.locator("[data-agent=cold]")
    assert not cold.locator(".turns").is_visible()
    cold.locator("summary", has_text="The conversation").press("Enter")
    assert cold.locator(".turns > li.agent").count() == 3
    assert "Our flight to Lyon just got cancelled" in cold.inner_text()
    assert "from your lines" in cold.inner_text()
    page.evaluate("document.querySelectorAll('details').forEach(one => (one.open = true))")
    assert "speaks as the agent: How can I help you today?" in main(page)
    assert page.evaluate("window.hit") is None
    picture(page, "try-persona")
    # Nothing of it is in the tables of what trainees did.
    assert run(counts(server)) == before

    # Another trainer sees it; once the draft is another one, the page says that it is older.
    tom = new_page(chrome)
    go(tom, server, "tom", DANI)
    assert "tried by tess" in main(tom)
    assert "It was changed since" not in main(tom)
    run(drafted(server, "persona", "dani-stranded", {"name": "Dani Moreau"}))
    tom.reload()
    assert "It was changed since" in main(tom)

    # A draft with problems is not played, and says what to mend.
    run(drafted(server, "persona", "dani-stranded", {"start": "relieved"}))
    tom.reload()
    assert "starts at the best mood" in tom.inner_text("[aria-labelledby=mend]")
    assert tom.locator("[name=replies]").count() == 0
    answer = tom.request.post(
        f"{server.address}{DANI}",
        form={"replies": "1", "agent": "kind"},
        headers={"Accept": "text/html"},
    )
    assert answer.status == 422
    for one in (page, tom):
        one.context.close()


def test_a_customer_without_kind_lines_makes_do_with_their_sample(
    chrome: Browser, server: Server
) -> None:
    text = LIBRARY.personas["dani-stranded"].text.replace("id: dani-stranded", "id: dani-again", 1)
    (server.folder / "personas" / "dani-again.yaml").write_text(text, encoding="utf-8")
    page = new_page(chrome)
    go(page, server, "tess", "/studio/persona/dani-again/try")
    let_play(page, 2, "kind")
    done(page)
    assert "There are no kind replies written for this customer yet" in main(page)
    assert "The published version" in main(page)
    page.click("summary:has-text('The conversation')")
    assert "Hi Dani, I'm Joss." in main(page)
    page.context.close()


def test_two_trainers_at_once_a_stop_and_an_engine_that_goes_away(
    chrome: Browser, server: Server, stub: OllamaStub
) -> None:
    stub.script.delay_s = 0.3
    tess, tom = new_page(chrome), new_page(chrome)
    go(tess, server, "tess", DANI)
    go(tom, server, "tom", "/studio/persona/sam-damp/try")
    let_play(tess, 12, "cold", "mixed")
    let_play(tom, 12, "mixed")
    for page in (tess, tom):
        page.wait_for_selector("[data-running]")
        assert "Let them play" not in main(page)
        assert page.locator("progress").get_attribute("max")
        picture(page, "try-persona-running")

    # The same customer twice is refused, whoever asks, and told who is at it.
    answer = tom.request.post(
        f"{server.address}{DANI}",
        form={"replies": "1", "agent": "kind"},
        headers={"Accept": "text/html"},
    )
    assert answer.status == 409
    assert "tess is trying this already" in answer.text()

    # Staying on a page while it goes on, and reading what there is so far.
    tess.click("text=Stay, and read what there is so far")
    tess.wait_for_url("**?still=1")
    for _ in range(60):
        if tess.locator("[data-agent] .moods tr").count() > 3:
            break
        tess.wait_for_timeout(250)
        tess.reload()
    assert tess.locator("[data-running]").count() == 1
    assert tess.locator("[data-agent]").count() >= 1

    # Stopped: what was played stays.
    tess.click("button:has-text('Stop')")
    done(tess)
    assert "It was stopped. What was played until then is below." in main(tess)
    assert tess.locator("[data-agent] img").count() >= 1
    picture(tess, "try-persona-stopped")
    # The other goes on, until the engine goes away.
    tom.goto(f"{server.address}/studio/persona/sam-damp/try?still=1")
    for _ in range(120):
        if tom.locator("[data-agent] .moods tr").count() > 2:
            break
        tom.wait_for_timeout(250)
        tom.reload()
    stub.script.refuse = (500, "out of memory")
    tom.goto(f"{server.address}/studio/persona/sam-damp/try")
    done(tom)
    problem = tom.inner_text("section .problem")
    assert "out of memory" in problem or "model" in problem
    assert "What was played until then is below." in problem
    assert tom.locator("[data-agent=mixed] img").count() == 1
    assert tom.input_value("[name=replies]") == "12"
    assert tom.locator("[name=agent]:checked").count() == 1
    picture(tom, "try-persona-gone")
    # Once it is back, it can be tried again.
    stub.script.refuse = None
    stub.script.delay_s = 0
    let_play(tom, 1, "silent")
    done(tom)
    assert "out of memory" not in main(tom)
    for one in (tess, tom):
        one.context.close()


def test_the_server_stops_at_once_while_agents_play(
    chrome: Browser, server: Server, stub: OllamaStub
) -> None:
    stub.script.delay_s = 0.5
    page = new_page(chrome)
    go(page, server, "tess", DANI)
    let_play(page, 12)
    page.wait_for_selector("[data-running]")
    page.goto(f"{server.address}{CORE}")
    page.click("main button:has-text('Try it')")
    page.wait_for_selector("[data-running]")
    page.context.close()
    process = server.process
    assert process is not None
    began, said = time.monotonic(), len(server.log)
    process.terminate()
    process.wait(15)
    assert time.monotonic() - began < 12
    assert server.log[said:] == ""
    stub.script.delay_s = 0
    server.start()
    again = new_page(chrome)
    go(again, server, "tess", DANI)
    assert "What came of it" not in main(again)
    again.context.close()


def three_steps() -> dict[str, Any]:
    """The first steps of the shipped rubric: one heavier, one read for something else, one pair
    the wrong way round."""
    values, _ = read_values(LIBRARY.rubrics["core"].text, Path("file"))
    steps = values["steps"][:3]
    steps[0]["weight"] = 5.0
    steps[1]["borrows"] = ["resolve"]
    pair = steps[0]["examples"][0]
    pair["weak"], pair["strong"] = pair["strong"], pair["weak"]
    return {"steps": steps, "title": f"Three steps {PAYLOADS[0]}"}


def test_a_trainer_tries_a_rubric_and_puts_two_versions_side_by_side(
    chrome: Browser, server: Server, stub: OllamaStub
) -> None:
    own = run(talked(server, "tess"))
    run(drafted(server, "rubric", "core", three_steps()))
    before = run(counts(server))
    page = new_page(chrome)
    go(page, server, "tess", CORE)
    assert f"Try Three steps {PAYLOADS[0]}" in main(page)
    picture(page, "try-rubric-empty")

    # What was pasted and is no conversation is said with its line, and stays.
    page.uncheck("[name=example]")
    page.fill("[name=pasted]", "Good morning.")
    page.click("main button:has-text('Try it')")
    assert "line 1: begin each message with" in page.inner_text("[role=alert]")
    assert page.input_value("[name=pasted]") == "Good morning."
    page.fill("[name=pasted]", "")
    page.uncheck("[name=pairs]")
    page.click("main button:has-text('Try it')")
    assert "Choose at least one conversation" in page.inner_text("[role=alert]")

    # The draft's three steps on two conversations: one that was pasted, and one's own.
    page.fill("[name=pasted]", PASTED)
    page.check(f"[name=session][value='{own}']")
    page.check("[name=pairs]")
    page.click("main button:has-text('Try it')")
    done(page)
    talks = page.locator("[data-talk]")
    assert talks.locator("h2").all_inner_texts() == [
        "Dani Moreau: Stranded overnight with a small child",
        "The pasted conversation",
    ]
    assert talks.locator("article.step").count() == 6
    mine = talks.first
    checks = mine.locator("[data-check]")
    shown = LIBRARY.rubrics["core"].item.steps[:3]
    assert checks.count() == sum(len(step.checks) for step in shown)
    for text in checks.all_inner_texts():
        # The stub says yes with 0.8, also to a reply that says nothing.
        assert "the model said 80 %, and 80 % to a bare “Ok.”" in text.replace("\xa0", " ")
    quotes = mine.locator("[data-check] q").all_inner_texts()
    assert quotes
    for quote in quotes:
        assert any(quote.strip("“”") in reply for reply in WARM)
    assert "The learned judge:" in mine.inner_text()
    assert "of 100; the mark to reach is 70" in mine.locator("[data-total]").inner_text()
    # Really asked: each check about each reply.
    asked = [str(body) for body in stub.script.bodies("/api/chat")]
    for check in shown[0].checks:
        assert sum(check.ask in one for one in asked) >= 4
    assert page.evaluate("window.hit") is None
    picture(page, "try-rubric")

    # The pair that the grader gets wrong, with both values.
    wrong = page.locator("[data-wrong]")
    texts = wrong.all_inner_texts()
    assert any("Weak: " in one and "Strong: " in one and "of 100, level" in one for one in texts)
    assert any(one.startswith("Listen, and show what you heard") for one in texts)
    assert "pairs told apart" in page.inner_text("[data-pairs]")

    # What was asked for stands there still, for the next time.
    assert page.input_value("[name=pasted]") == PASTED
    assert page.is_checked(f"[name=session][value='{own}']")
    page.fill("[name=pasted]", "")
    page.uncheck("[name=session]")

    # The published version and the draft beside each other.
    page.select_option("[name=version]", label="the published version")
    page.select_option("[name=beside]", label="the draft")
    page.uncheck("[name=pairs]")
    page.check("[name=example]")
    page.click("main button:has-text('Try it')")
    done(page)
    assert page.locator("[data-talk] [data-total]").count() == 2
    rows = {
        row.locator("th").inner_text(): row.locator("td").all_inner_texts()
        for row in page.locator("[data-row]").all()
    }
    names = [step.name for step in LIBRARY.rubrics["core"].item.steps]
    assert set(rows) == set(names)
    assert rows[names[0]][2] == "weight 1.25, then 5"
    assert rows[names[1]][2] == "borrows other steps"
    assert rows[names[2]][2] == "nothing"
    assert rows[names[2]][0] == rows[names[2]][1]
    assert rows[names[5]][1:] == ["not in it differs", "only in the first"]
    picture(page, "try-rubric-versions")
    # Nobody is graded by it, and only the one who tried sees it.
    assert run(counts(server)) == before
    tom = new_page(chrome)
    go(tom, server, "tom", CORE)
    assert "What came of it" not in main(tom)
    assert own not in tom.content()
    for one in (page, tom):
        one.context.close()


def test_who_may_try_whose_conversation(chrome: Browser, server: Server) -> None:
    private = run(talked(server, "mira"))
    shared = run(talked(server, "mira", shared=True, graded=True))

    def post(page: Page, session_id: str) -> int:
        return page.request.post(
            f"{server.address}{CORE}",
            form={"version": "file", "session": session_id},
            max_redirects=0,
        ).status

    # A trainee has no studio.
    mira = new_page(chrome)
    sign_in(mira, server, "mira")
    for path in (DANI, CORE):
        answer = mira.goto(f"{server.address}{path}")
        assert answer is not None
        assert answer.status == 403
        assert mira.request.post(f"{server.address}{path}", form={}).status == 403
        assert mira.request.post(f"{server.address}{path}/stop").status == 403
    assert post(mira, private) == 403

    # A trainer may try their own; neither what is private nor what is shared with coaches.
    tess = new_page(chrome)
    go(tess, server, "tess", CORE)
    assert tess.locator("[name=session]").count() == 0
    assert post(tess, private) == 404
    assert post(tess, shared) == 404

    # A trainer who is a coach of the team may try what is shared, until it is not.
    joan = new_page(chrome)
    go(joan, server, "joan", CORE)
    assert joan.locator("[name=session]").count() == 1
    assert "mira" in joan.inner_text("fieldset.people")
    assert post(joan, private) == 404
    joan.check(f"[name=session][value='{shared}']")
    assert "you can no longer grade it blind" in main(joan)
    assert not run(opened_by_a_coach(server, shared))
    joan.uncheck("[name=example]")
    joan.uncheck("[name=pairs]")
    joan.click("main button:has-text('Try it')")
    done(joan)
    assert run(opened_by_a_coach(server, shared))
    joan.click("summary:has-text('The conversation')")
    assert WARM[0] in main(joan)
    run(unshared(server, shared))
    joan.reload()
    assert "not shared with you any more" in main(joan)
    assert WARM[0] not in joan.content()
    assert "A secret of mira's." not in joan.content()
    for one in (mira, tess, joan):
        one.context.close()

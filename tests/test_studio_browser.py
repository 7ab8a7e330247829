"""A trainer's way from nothing to a published customer, and what can go wrong on it, in a browser."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, FilePayload, Locator, Page, expect

from ollama_stub import OllamaStub, Script, running_stub
from served import Server, lines, send, wait_for_answer
from test_accounts_browser import PAYLOADS, new_page, sign_in, warmline
from test_desk_browser import no_sideways_scrolling
from warmline.settings import PROJECT

pytestmark = pytest.mark.browser

#: Where pictures of the pages go, for somebody to look at; none are taken without it.
PICTURES = os.environ.get("WARMLINE_PICTURES")


@pytest.fixture(scope="module")
def stub() -> Iterator[OllamaStub]:
    with running_stub(Script(answers=[["I just want this to be over."]])) as running:
        yield running


@pytest.fixture
def server(stub: OllamaStub, tmp_path: Path) -> Iterator[Server]:
    """A server on copies of the shipped files, so that publishing writes to none of those."""
    environment = {"WARMLINE_BACKEND": "ollama", "WARMLINE_OLLAMA_HOST": stub.host}
    for kind in ("personas", "rubrics"):
        shutil.copytree(
            PROJECT / kind, tmp_path / kind, ignore=shutil.ignore_patterns("labelled", "*.gz")
        )
        environment[f"WARMLINE_{kind.upper()}_DIR"] = str(tmp_path / kind)
    running = Server(tmp_path, environment)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def page(chrome: Browser, server: Server) -> Iterator[Page]:
    """The one person on this machine, who has every role; an error in a script fails the test."""
    opened = new_page(chrome)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on(
        "console",
        lambda said: errors.append(said.text) if "Content Security Policy" in said.text else None,
    )
    yield opened
    opened.context.close()
    assert errors == []


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


def begin(page: Page, server: Server, start: str, name: str) -> None:
    """New from… something."""
    page.goto(f"{server.address}/studio")
    page.click("summary:has-text('New from')")
    page.select_option("[name=start]", start)
    page.fill("form[action='/studio/new'] [name=name]", name)
    page.click("button:text-is('Begin')")
    page.wait_for_url(re.compile(r"/studio/(persona|rubric)/"))


def field(page: Page, name: str) -> Locator:
    return page.locator(f'[id="f-{name}"], [id="t-{name}"]').and_(
        page.locator("input, textarea, select")
    )


def wrong(page: Page, name: str) -> Locator:
    """What is said to be wrong at a field."""
    return page.locator(f'[id="p-{name}"]')


def kept(page: Page) -> None:
    """Wait until what was typed is kept."""
    expect(page.locator("#kept")).to_have_text(re.compile("^Kept .* UTC"), timeout=15_000)


def publish(page: Page) -> None:
    page.click(".bar >> text=Publish…")
    page.wait_for_url(re.compile("/publish$"))
    page.click("main button:text-is('Publish')")
    page.wait_for_url(re.compile("done=published"))


def editor(page: Page) -> Locator:
    return page.locator("#editor .cm-content")


def type_in_file(page: Page, text: str) -> None:
    """Put a text in the file view in place of what is there."""
    editor(page).click()
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.keyboard.insert_text(text)
    page.keyboard.press("Control+Home")


def test_from_the_skeleton_to_what_a_trainee_is_offered(chrome: Browser, server: Server) -> None:
    warmline(server, "user", "add", "joan", "--role", "trainer")
    warmline(server, "user", "add", "mira", "--role", "trainee")
    page = new_page(chrome)
    sign_in(page, server, "joan", "/studio")
    page.wait_for_url(f"{server.address}/studio")
    picture(page, "library")
    begin(page, server, "persona/skeleton", "Nora, cold flat")
    assert page.url.partition("?")[0] == f"{server.address}/studio/persona/nora-cold-flat"
    assert "Nothing to mend" in page.inner_text("main")

    # While typing, before anything is kept: the problem at its field, in the words of the check.
    field(page, "name").fill("")
    expect(wrong(page, "name")).to_have_text("empty; write something here")
    assert field(page, "name").get_attribute("aria-invalid") == "true"
    field(page, "name").fill("Nora Quist")
    expect(wrong(page, "name")).to_be_empty()
    field(page, "title").fill("Ten days without heating")
    field(page, "sector").fill("housing")
    field(page, "opening").fill("It is eleven degrees in here and nobody answers me.")
    page.click("button:has-text('Add a thing they know')")
    known = page.locator("[data-item='facts.n1']")
    expect(known.locator(".wrong >> text=this field is missing")).to_have_count(2)
    known.locator("[name='facts.n1.says']").fill("The baby has had a cough since Sunday.")
    known.locator("[name='facts.n1.reveal']").select_option("when_asked")
    expect(wrong(page, "facts.n1.asked_about")).to_contain_text("no question can release this fact")
    expect(wrong(page, "facts.n1.giveaways")).to_contain_text("a hidden fact needs the words")
    picture(page, "problems")
    known.locator("[name='facts.n1.asked_about']").fill("baby\nchildren\nhow are you")
    known.locator("[name='facts.n1.giveaways']").fill("cough")
    expect(page.locator("#to-mend")).to_have_text("Nothing to mend")
    kept(page)
    assert not (server.folder / "personas" / "nora-cold-flat.yaml").exists()

    # A trainee who is looking at the choice sees it from then on, without a restart.
    trainee = new_page(chrome)
    sign_in(trainee, server, "mira")
    trainee.wait_for_selector('[data-persona="dani-stranded"]')
    assert trainee.locator('[data-persona="nora-cold-flat"]').count() == 0
    assert trainee.goto(f"{server.address}/studio").status == 403  # type: ignore[union-attr]
    assert "Studio" not in trainee.inner_text("body")
    page.click(".bar >> text=Publish…")
    page.wait_for_url(re.compile("/publish$"))
    picture(page, "publish")
    page.click("main button:text-is('Publish')")
    page.wait_for_url(re.compile("done=published"))
    trainee.goto(server.address)
    card = trainee.locator('[data-persona="nora-cold-flat"]')
    card.wait_for()
    assert "Ten days without heating" in card.inner_text()
    text = (server.folder / "personas" / "nora-cold-flat.yaml").read_text(encoding="utf-8")
    assert "cough" in text
    card.locator("button").click()
    trainee.wait_for_selector("#wl-finish")
    assert lines(trainee, "customer") == ["It is eleven degrees in here and nobody answers me."]
    send(trainee, "I'm sorry, Nora. How is the baby with it so cold?")
    wait_for_answer(trainee, 1)
    assert "The baby has had a cough since Sunday." in lines(trainee, "customer")[1]

    # Changed, published, and brought back; who and when is kept.
    field(page, "title").fill("Eleven degrees")
    publish(page)
    page.click("text=History")
    page.wait_for_url(re.compile("/history$"))
    assert page.locator("tbody tr").count() == 2
    assert "joan, in the studio" in page.inner_text("tbody")
    picture(page, "history")
    page.locator("tbody a").last.click()
    page.wait_for_url(re.compile("/history/"))
    came, went = page.locator("tr.came").inner_text(), page.locator("tr.went").inner_text()
    assert "Eleven degrees" in came
    assert "Ten days without heating" in went
    picture(page, "version")
    page.click("text=Bring it back as a draft")
    page.wait_for_url(re.compile("done=restored"))
    assert field(page, "title").input_value() == "Ten days without heating"
    page.click("summary:has-text('Discard the draft')")
    page.click("button:has-text('Discard the draft')")
    page.wait_for_url(re.compile("done=discarded"))
    assert field(page, "title").input_value() == "Eleven degrees"
    for one in (page, trainee):
        one.context.close()


#: Ways to break a customer in the form: the field, what is put there, where it is said, the words.
BREAKS = [
    ("name", "", "name", "empty; write something here"),
    ("difficulty", "seven", "difficulty", "expected a whole number, found 'seven'"),
    ("difficulty", "9", "difficulty", "5 at most"),
    ("language", "English", "language", "two small letters"),
    ("ladder.0.mood", "very upset!", "ladder.0.mood", "small letters and numbers"),
    ("ladder.1.lines.2", "", "ladder.1.lines.2", "write something here"),
    ("opening", "My mother moves in on Saturday.", "opening", "gives away the hidden fact"),
    ("facts.1.giveaways", "", "facts.1.giveaways", "a hidden fact needs the words"),
    ("moments.0.when.turn", "", "moments.0.when", "exactly one of turn, mood or cue"),
    ("facts.0.id", "who-it-is-for", "facts.1", "stands twice; rename one"),
    ("ending.longest.turns", "99", "ending.longest.turns", "60 at most"),
    ("samples.0.agent", "kind", "samples", "one sample with a cold agent, one kind"),
]


def test_broken_in_a_dozen_ways_it_says_each_at_its_field(page: Page, server: Server) -> None:
    begin(page, server, "persona/skeleton", "broken")
    for name, value, at, words in BREAKS:
        control = field(page, name)
        choice = control.evaluate("one => one.tagName") == "SELECT"
        before = control.input_value()
        if choice:
            control.select_option(value)
        else:
            control.fill(value)
        expect(wrong(page, at)).to_contain_text(words)
        expect(page.locator("#problems")).to_contain_text(words)
        expect(page.locator("#to-mend")).not_to_have_text("Nothing to mend")
        if choice:
            control.select_option(before)
        else:
            control.fill(before)
        expect(page.locator("#to-mend")).to_have_text("Nothing to mend")
    # A mood that is taken away is missed wherever it is named.
    page.click("[data-item='ladder.2'] > fieldset > .moves >> text=Remove")
    expect(wrong(page, "ladder")).to_contain_text("give at least 3")
    page.click("text=Put it back")
    expect(page.locator("#to-mend")).to_have_text("Nothing to mend")
    # One that is renamed is renamed there too.
    for name in ("", "ea", "eased"):
        field(page, "ladder.2.mood").fill(name)
    assert field(page, "ending.resolved.mood").input_value() == "eased"
    expect(page.locator("#to-mend")).to_have_text("Nothing to mend")
    # The way from the list of what to mend leads to the field.
    field(page, "sector").fill("")
    page.click("#problems a")
    assert page.evaluate("document.activeElement.name") == "sector"
    page.keyboard.type("retail")
    expect(page.locator("#to-mend")).to_have_text("Nothing to mend")
    # Broken drafts are kept all the same, and are not published.
    field(page, "name").fill("")
    kept(page)
    page.click(".bar >> text=Publish…")
    page.wait_for_url(re.compile("/publish$"))
    assert "broken.yaml, line 2: name: empty; write something here" in page.inner_text("main")
    picture(page, "publish-problems")
    assert page.locator("button:text-is('Publish')").count() == 0
    answer = page.request.post(page.url, form={"read": "99"}, headers={"Accept": "text/html"})
    assert answer.status == 409
    page.goto(f"{server.address}/studio?problem=1")
    assert page.locator("[data-one]").count() == 1
    assert "1 to mend" in page.inner_text("[data-one]")


def test_a_rubric_of_three_steps(page: Page, server: Server) -> None:
    begin(page, server, "rubric/skeleton", "Our three steps")
    field(page, "title").fill("Our three steps")
    field(page, "definition").fill("To see the day of the one who writes, and to help with it.")
    field(page, "pass_mark").fill("60")
    for number, name in enumerate(("Ask", "Act"), start=1):
        page.click("button:text-is('Add a step')")
        step = f"steps.n{number}" if number == 1 else None
        item = page.locator("[data-list=steps] > li").last
        step = item.get_attribute("data-item")
        field(page, f"{step}.name").fill(name)
        field(page, f"{step}.why").fill("It helps.")
        for _ in range(3):
            item.locator("button:text-is('Add a check')").click()
        for check in item.locator("[name$='.ask']").all():
            check.fill("Does the agent do it?")
        for _ in range(2):
            item.locator("button:text-is('Add a level')").click()
        for score, level in enumerate(item.locator("[name$='.score']").all(), start=1):
            level.fill(str(score))
        for level in item.locator("[name$='.means']").all():
            level.fill("So much of it.")
    expect(page.locator("#to-mend")).to_have_text("Nothing to mend")
    # In another order, with a weight and a level below which all fails.
    last = page.locator("[data-list=steps] > li").last
    name = last.get_attribute("data-item")
    last.locator("> fieldset > .moves >> text=Move up").click()
    field(page, f"{name}.weight").fill("2")
    field(page, f"{name}.auto_fail_below").fill("9")
    expect(wrong(page, f"{name}.auto_fail_below")).to_contain_text("must lie above 1")
    field(page, f"{name}.auto_fail_below").fill("2")
    expect(page.locator("#to-mend")).to_have_text("Nothing to mend")
    picture(page, "rubric")
    kept(page)

    # Tried on two conversations before anybody is graded by it.
    page.click("text=Try it on a transcript")
    page.wait_for_url(re.compile("/try$"))
    page.check("[name=example]")
    page.fill(
        "[name=pasted]",
        "Customer: I stayed in all day and nobody came.\n"
        "Agent: I'm sorry that you stayed in all day for us and that nobody came.\n"
        "Customer: So what happens now?\n"
        "Agent: I'll book the first visit tomorrow and write to you tonight with the name.",
    )
    page.click("main button:has-text('Try it')")
    page.wait_for_selector("#found", timeout=90_000)
    talks = page.locator("[data-talk]")
    assert talks.count() == 2
    assert talks.locator("article.step").count() == 6
    page.goto(f"{server.address}/studio/rubric/our-three-steps")
    publish(page)
    text = (server.folder / "rubrics" / "our-three-steps.yaml").read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("    name: ")] == [
        "    name: Acknowledge the feeling",
        "    name: Act",
        "    name: Ask",
    ]
    assert "auto_fail_below: 2" in text
    assert "weight: 2.0" in text
    # A customer can be graded by it at once.
    page.goto(f"{server.address}/studio/persona/dani-stranded")
    field(page, "rubric").select_option("our-three-steps")
    expect(page.locator("#to-mend")).to_have_text("Nothing to mend")


def test_two_trainers_at_once(chrome: Browser, server: Server) -> None:
    warmline(server, "user", "add", "joan", "--role", "trainer")
    warmline(server, "user", "add", "pavel", "--role", "trainer")
    address = f"{server.address}/studio/persona/dani-stranded"
    joan, pavel = new_page(chrome), new_page(chrome)
    for page, name in ((joan, "joan"), (pavel, "pavel")):
        sign_in(page, server, name, "/studio")
        page.wait_for_url(f"{server.address}/studio")
        page.goto(address)
    field(joan, "title").fill("Stranded, by Joan")
    kept(joan)
    field(pavel, "sector").fill("railways, by Pavel")
    trouble = pavel.locator("#trouble")
    expect(trouble).to_contain_text("joan saved this while you were writing", timeout=15_000)
    expect(trouble).to_contain_text("Nothing of yours is lost")
    # What is typed after that is not lost either.
    field(pavel, "name").fill("Dani, by Pavel")
    trouble.locator("button").click()
    pavel.wait_for_selector("text=Somebody else was quicker")
    assert "Stranded, by Joan" in pavel.locator("tr.went").all_inner_texts().__str__()
    came = " ".join(pavel.locator("tr.came").all_inner_texts())
    assert "railways, by Pavel" in came
    assert "Dani, by Pavel" in came
    picture(pavel, "overtaken")

    # A copy under another name.
    pavel.fill("form[action='/studio/import'] [name=name]", "dani-of-pavel")
    pavel.click("button:text-is('Keep a copy')")
    pavel.wait_for_url(re.compile("/studio/persona/dani-of-pavel"))
    assert field(pavel, "name").input_value() == "Dani, by Pavel"

    # Theirs.
    pavel.goto(address)
    assert field(pavel, "title").input_value() == "Stranded, by Joan"

    # Mine over theirs: Joan, who goes on, is told in her turn, and hers is in the history.
    field(joan, "title").fill("Stranded again, by Joan")
    kept(joan)
    field(pavel, "title").fill("Stranded, by Pavel")
    expect(trouble).to_contain_text("joan saved this", timeout=15_000)
    trouble.locator("button").click()
    pavel.click("button:text-is('Keep mine')")
    pavel.wait_for_url(re.compile("/studio/persona/dani-stranded$"))
    assert field(pavel, "title").input_value() == "Stranded, by Pavel"
    field(joan, "title").fill("A third time, by Joan")
    expect(joan.locator("#trouble")).to_contain_text("pavel saved this", timeout=15_000)
    pavel.click("text=History")
    pavel.wait_for_url(re.compile("/history$"))
    pavel.locator("h2:has-text('Kept besides') ~ ul a").first.click()
    pavel.wait_for_url(re.compile("/history/"))
    assert "Stranded again, by Joan" in pavel.inner_text("tr.went")

    # Published by one while the other writes: told as well.
    pavel.goto(address)
    publish(pavel)
    joan.goto(address)
    field(joan, "title").fill("After the train")
    kept(joan)
    # And changed in a text editor meanwhile: nothing is written over unseen.
    file = server.folder / "personas" / "dani-stranded.yaml"
    file.write_text("# Mine.\n" + file.read_text(encoding="utf-8"), encoding="utf-8")
    joan.click(".bar >> text=Publish…")
    joan.wait_for_url(re.compile("/publish$"))
    assert "The file was changed meanwhile" in joan.inner_text("main")
    assert "# Mine." in joan.inner_text("tr.went >> nth=0")
    picture(joan, "changed-on-disk")
    joan.click("text=Publish mine over it")
    joan.wait_for_url(re.compile("done=published"))
    assert "After the train" in file.read_text(encoding="utf-8")
    joan.click("text=History")
    assert "found in the file" in joan.inner_text("tbody")
    for page in (joan, pavel):
        page.context.close()


def test_the_form_and_the_file_are_in_step_and_comments_stay(page: Page, server: Server) -> None:
    personas = server.folder / "personas"
    file = personas / "marjorie-bereavement.yaml"
    text = file.read_text(encoding="utf-8")
    marked = text.replace("softens:", "# What Joan says helps.\nsoftens:", 1)
    file.write_text(marked, encoding="utf-8")
    git = ["git", "-C", str(personas), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "x"], check=True)

    # One word in the form is one line in the file.
    address = f"{server.address}/studio/persona/marjorie-bereavement"
    page.goto(address)
    said = field(page, "facts.1.says")
    said.fill(said.input_value().replace("twice", "three times"))
    publish(page)
    numstat = subprocess.run(
        [*git, "diff", "--numstat"], check=True, capture_output=True, text=True
    )
    assert numstat.stdout.split() == ["1", "1", "marjorie-bereavement.yaml"]

    # Form to file.
    field(page, "wants").fill("To be spoken to as a person.")
    page.click(".bar >> text=File")
    page.wait_for_url(re.compile("/file$"))
    expect(editor(page)).to_contain_text("marjorie-bereavement")
    written = page.input_value("[name=_text]")
    assert "To be spoken to as a person." in written
    assert "# What Joan says helps.\nsoftens:" in written
    picture(page, "file")

    # File to form; a problem stands at its line while typing.
    type_in_file(page, written.replace("difficulty: 3", "difficulty: 33  # too hard?"))
    expect(page.locator("#problems")).to_contain_text("difficulty: too large")
    line = 1 + written[: written.index("difficulty: 3")].count("\n")
    expect(page.locator("#problems a")).to_have_text(f"Line {line}")
    expect(page.locator("#editor .cm-lint-marker-error")).to_have_count(1)
    page.click("#problems a")
    expect(page.locator("#editor .cm-activeLine")).to_contain_text("difficulty: 33")
    picture(page, "file-problem")
    page.click(".bar >> text=Form")
    page.wait_for_url(re.compile("marjorie-bereavement$"))
    assert field(page, "difficulty").input_value() == "33"
    expect(wrong(page, "difficulty")).to_contain_text("5 at most")
    field(page, "difficulty").fill("4")
    kept(page)

    # What is no YAML is kept, has its line, and says what becomes of the form.
    page.click(".bar >> text=File")
    page.wait_for_url(re.compile("/file$"))
    written = page.input_value("[name=_text]")
    assert "difficulty: 4  # too hard?" in written
    type_in_file(page, written.replace("title: ", "title: [", 1))
    expect(page.locator("#problems")).to_contain_text("not valid YAML")
    kept(page)
    page.click(".bar >> text=Form")
    page.wait_for_url(re.compile("marjorie-bereavement$"))
    assert "there is no form for it now" in page.inner_text("#edit")
    picture(page, "no-form")
    page.click("text=Mend it as a file")
    type_in_file(page, written)
    expect(page.locator("#to-mend")).to_have_text("Nothing to mend")
    publish(page)
    assert file.read_text(encoding="utf-8") == written


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def test_a_hostile_file_does_no_harm(page: Page, server: Server) -> None:
    folders = [server.folder / kind for kind in ("personas", "rubrics")]
    before = {file: file.read_bytes() for folder in folders for file in folder.rglob("*.yaml")}
    skeleton = (PROJECT / "src/warmline/skeletons/persona.yaml").read_text(encoding="utf-8")

    def bring_in(text: str, name: str = "", file: FilePayload | None = None) -> None:
        page.goto(f"{server.address}/studio")
        page.click("summary:has-text('Bring in a file')")
        page.fill("form[action='/studio/import'] [name=text]", text)
        page.fill("form[action='/studio/import'] [name=name]", name)
        if file:
            page.set_input_files("[name=file]", file)
        page.click("button:text-is('Bring it in')")

    # An id that is a path is no id; what was pasted stays.
    hostile = skeleton.replace("id: new-customer", "id: ../../outside")
    bring_in(hostile)
    expect(page.locator("[role=alert]")).to_contain_text("No usable id stands in it")
    assert page.input_value("form[action='/studio/import'] [name=text]") == hostile
    bring_in(hostile, "../../etc/Passwd")
    page.wait_for_url(re.compile("/studio/persona/etc-passwd"))
    assert (
        "id: etc-passwd"
        in page.request.get(f"{server.address}/studio/persona/etc-passwd/draft.yaml").text()
    )

    # The name of the file says nothing; tags make nothing of Python; templates and tags are text.
    texts = "\n".join(f"    - {yaml_text(payload)}" for payload in PAYLOADS)
    tagged = (
        skeleton.replace("  record:\n", f"  record:\n{texts}\n")
        .replace("id: new-customer", "id: hostile")
        .replace(
            "wants: >-", 'sneaky: !!python/object/apply:os.system ["touch /tmp/hit"]\nwants: >-'
        )
    )
    bring_in("", file=FilePayload(name="../app.py", mimeType="text/yaml", buffer=tagged.encode()))
    page.wait_for_url(re.compile("/studio/persona/hostile"))
    assert field(page, "brief.record.0").input_value() == PAYLOADS[0]
    assert "sneaky: no such field" in page.inner_text("#problems")
    assert page.evaluate("window.hit") is None
    assert not Path("/tmp/hit").exists()
    field(page, "name").fill(PAYLOADS[1])
    page.locator("[name='title']").fill(PAYLOADS[5])
    kept(page)
    page.reload()
    assert PAYLOADS[1] in page.inner_text("h1")
    assert PAYLOADS[5] in page.inner_text("h1")
    page.goto(f"{server.address}/studio/persona/hostile/file")
    expect(editor(page)).to_contain_text(PAYLOADS[0])
    for path in ("/publish", "/history"):
        page.goto(f"{server.address}/studio/persona/hostile{path}")
    page.goto(f"{server.address}/studio")
    assert PAYLOADS[1] in page.inner_text("main")
    assert page.evaluate("window.hit") is None

    # A text that stands for millions of values is said to be one.
    bring_in(BOMB, "bomb")
    page.wait_for_url(re.compile("/studio/persona/bomb"))
    assert "more than 50000 values" in page.inner_text("#problems")
    # No text at all.
    bring_in("", file=FilePayload(name="x.yaml", mimeType="text/yaml", buffer=b"\x00\xff"))
    expect(page.locator("[role=alert]")).to_contain_text("That file is no text")
    bring_in("[" * 20_000, "deep")
    page.wait_for_url(re.compile("/studio/persona/deep"))
    assert "more than 20 brackets are open here" in page.inner_text("#problems")
    # Nothing was written, and the practice goes on.
    assert before == {
        file: file.read_bytes() for folder in folders for file in folder.rglob("*.yaml")
    }
    page.goto(server.address)
    page.wait_for_selector('[data-persona="dani-stranded"]')


def yaml_text(words: str) -> str:
    return "'" + words.replace("'", "''") + "'"


def test_by_the_keyboard_alone(page: Page, server: Server) -> None:
    page.goto(f"{server.address}/studio")

    def tab_to(words: str, most: int = 80) -> None:
        for _ in range(most):
            page.keyboard.press("Tab")
            there = page.evaluate(
                "(() => { const e = document.activeElement; return (e.getAttribute('aria-label') || "
                "(e.labels && e.labels[0] || e).textContent || '').trim() })()"
            )
            if words in there:
                return
        raise AssertionError(f"no way to {words!r} by Tab")

    tab_to("New from")
    page.keyboard.press("Enter")
    tab_to("Begin with")
    tab_to("Short name")
    page.keyboard.type("By keys")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/studio/persona/by-keys"))
    tab_to("What it is about")
    page.keyboard.press("Control+a")
    page.keyboard.type("Typed only")
    tab_to("Add an entry")
    page.keyboard.press("Enter")
    # What was added is where one writes next.
    page.keyboard.type("3 May: rang us.")
    tab_to("Move up")
    page.keyboard.press("Enter")
    tab_to("Remove")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.textContent") == "Put it back"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.value") == "3 May: rang us."
    kept(page)
    draft = page.request.get(f"{server.address}/studio/persona/by-keys/draft.yaml").text()
    assert (
        'record:\n    - "20 April: one lamp ordered, £40.00 paid."\n    - "3 May: rang us."'
        in draft
    )

    # In and out of the editor: Tab is not caught.
    page.goto(f"{server.address}/studio/persona/by-keys/file")
    editor(page).wait_for()
    editor(page).focus()
    page.keyboard.press("Control+Home")
    page.keyboard.type("# By keys.")
    page.keyboard.press("Enter")
    kept(page)
    tab_to("Discard the draft", most=3)
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.goto(f"{server.address}/studio/persona/by-keys")
    tab_to("Publish…")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/publish$"))
    tab_to("Publish", most=30)
    while page.evaluate("document.activeElement.tagName") != "BUTTON":
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("done=published"))
    text = (server.folder / "personas" / "by-keys.yaml").read_text(encoding="utf-8")
    assert text.startswith("# By keys.\n")


def test_what_was_discarded_comes_back(page: Page, server: Server) -> None:
    begin(page, server, "persona/skeleton", "short-lived")
    field(page, "title").fill("Here for a moment")
    kept(page)
    page.click("summary:has-text('Discard the draft')")
    page.click("button:has-text('Discard the draft')")
    page.wait_for_url(re.compile("/history"))
    assert "in no list" in page.inner_text("[role=status]")
    page.goto(f"{server.address}/studio")
    assert page.locator("[data-one='persona/short-lived']").count() == 0
    page.goto(f"{server.address}/studio/persona/short-lived/history")
    page.click("main ul a")
    page.click("text=Bring it back as a draft")
    page.wait_for_url(re.compile("done=restored"))
    assert field(page, "title").input_value() == "Here for a moment"


def test_without_script_everything_works_by_buttons(chrome: Browser, server: Server) -> None:
    context = chrome.new_context(java_script_enabled=False, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    address = f"{server.address}/studio/persona/dani-stranded"
    page.goto(address)
    page.fill("[name=title]", "No script here")
    page.locator("[data-list='brief.may'] > li >> nth=0").locator("text=Move down").click()
    first = page.locator("[data-list='brief.may'] textarea >> nth=1").input_value()
    page.click("[id='f-brief.may'] button:text-is('Add a line')")
    new = page.locator("[data-list='brief.may'] > li").last
    assert "empty; write something here" in new.inner_text()
    new.locator("text=Remove").click()
    page.click("text=Save draft")
    assert "Nothing was changed" in page.inner_text("[role=status].done")
    page.click(".bar >> text=File")
    text = page.input_value("[name=_text]")
    assert "title: No script here" in text
    assert first in text
    page.fill("[name=_text]", text.replace("No script here", "Only a textarea"))
    page.click("text=Save draft")
    assert "Kept as a draft" in page.inner_text("[role=status].done")
    page.click(".bar >> text=Publish…")
    page.click("main button:text-is('Publish')")
    file = server.folder / "personas" / "dani-stranded.yaml"
    assert "title: Only a textarea" in file.read_text(encoding="utf-8")
    context.close()


def test_what_is_typed_outlasts_a_server_that_is_away(page: Page, server: Server) -> None:
    page.goto(f"{server.address}/studio/persona/dani-stranded")
    server.kill()
    field(page, "title").fill("Typed in the dark")
    expect(page.locator("#trouble")).to_contain_text("What you typed is still here", timeout=15_000)
    server.start()
    kept(page)
    page.reload()
    assert field(page, "title").input_value() == "Typed in the dark"


def test_a_broken_file_is_listed_with_its_problem_and_hides_nothing(
    page: Page, server: Server
) -> None:
    personas = server.folder / "personas"
    (personas / "dani-stranded.yaml").write_text("id: dani-stranded\nname: [", encoding="utf-8")
    (personas / "Not An Id.yaml").write_bytes(b"\xff\xfe")
    page.goto(f"{server.address}/studio?kind=persona")
    broken = page.locator("[data-one='persona/dani-stranded']")
    assert "dani-stranded.yaml:2: not valid YAML" in broken.inner_text()
    assert "cannot be used" in broken.inner_text()
    assert "not UTF-8 text" in page.locator("[data-one='persona/Not An Id.yaml']").inner_text()
    assert page.locator("[data-one]").count() == 17
    picture(page, "broken")
    for query, count in (
        ("words=Larkspur", 1),
        ("sector=retail&kind=persona", 3),
        ("difficulty=1", 1),
        ("draft=1", 0),
        ("problem=1", 2),
        ("kind=rubric", 6),
    ):
        page.goto(f"{server.address}/studio?{query}")
        assert page.locator("[data-one]").count() == count, query
    # It can be mended here.
    page.goto(f"{server.address}/studio/persona/dani-stranded/file")
    type_in_file(page, (PROJECT / "personas/dani-stranded.yaml").read_text(encoding="utf-8"))
    expect(page.locator("#to-mend")).to_have_text("Nothing to mend")
    publish(page)
    page.goto(server.address)
    page.wait_for_selector('[data-persona="dani-stranded"]')

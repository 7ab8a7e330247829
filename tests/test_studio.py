"""Drafts of personas and rubrics: kept, published, overtaken, brought back; and the form for them."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from warmline import studio as studio_module
from warmline.accounts import Accounts
from warmline.drafts import Drafts, Overtaken
from warmline.errors import NotFound, WarmlineError
from warmline.formfile import NotForForms, edited
from warmline.formfile.pairing import same
from warmline.library import text_hash
from warmline.livelibrary import MODELS, Kind, LiveLibrary
from warmline.people import People
from warmline.settings import PROJECT
from warmline.store import Store
from warmline.studio import ChangedOnDisk, Invalid, Studio, difference, id_of, skeleton
from warmline.web.studio_form import Around, Node, form_of, moods_of, templates_of
from warmline.web.studio_reading import done, read_form
from warmline.web.studio_shape import shapes
from warmline.web.studio_words import (
    BORROW_WORDS,
    CHOICES,
    FIELDS,
    SECTIONS,
    SIGNAL_WORDS,
)
from warmline.yamlfile import StrictModel, read_values

SHIPPED: list[tuple[Kind, Path]] = [
    (kind, file)
    for kind, folder in (("persona", "personas"), ("rubric", "rubrics"))
    for file in sorted((PROJECT / folder).glob("*.yaml"))  # type: ignore[misc]
]
TEXTS = {file.name: file.read_text(encoding="utf-8") for _, file in SHIPPED}
DANI = "dani-stranded"


@dataclass
class Desk:
    """A studio on copies of the shipped files, and two trainers."""

    studio: Studio
    joan: str
    pavel: str
    personas: Path

    def file(self, item_id: str = DANI) -> Path:
        return self.personas / f"{item_id}.yaml"

    async def save(self, text: str, *, by: str = "", item_id: str = DANI) -> int:
        opened = await self.studio.open("persona", item_id)
        draft = await self.studio.save(
            "persona", item_id, text,
            read=opened.revision, started_from=opened.started_from, user_id=by or self.joan,
        )  # fmt: skip
        return draft.revision


@pytest.fixture
async def desk(store: Store, tmp_path: Path) -> Desk:
    for kind in ("personas", "rubrics"):
        shutil.copytree(PROJECT / kind, tmp_path / kind, ignore=shutil.ignore_patterns("labelled"))
    accounts = Accounts(People(store.database), loopback=True)
    for name in ("joan", "pavel"):
        await accounts.add(name, ["trainer"], [], password="correct horse battery")
    ids = [user.id for name in ("joan", "pavel") if (user := await accounts.people.find(name))]
    library = LiveLibrary(tmp_path / "personas", tmp_path / "rubrics")
    return Desk(Studio(library, Drafts(store.database)), *ids, tmp_path / "personas")


def retitled(text: str, title: str) -> str:
    return edited(text, {**read_values(text, Path("x"))[0], "title": title})


# Drafts


async def test_a_draft_is_kept_and_trainees_see_what_was_published(desk: Desk) -> None:
    before = desk.file().read_text(encoding="utf-8")
    await desk.save("not even: [YAML")
    opened = await desk.studio.open("persona", DANI)
    assert (opened.text, opened.disk, opened.is_draft) == ("not even: [YAML", before, True)
    assert (opened.draft.by, opened.changed_on_disk) == ("joan", False)
    assert desk.studio.library.persona(DANI).text == before
    with pytest.raises(Invalid) as refused:
        await desk.studio.publish("persona", DANI, read=1, user_id=desk.joan)
    assert "not valid YAML" in refused.value.problems[0].message
    assert desk.file().read_text(encoding="utf-8") == before


async def test_the_second_is_told_and_nothing_of_theirs_or_mine_is_lost(desk: Desk) -> None:
    opened = await desk.studio.open("persona", DANI)
    mine, theirs = retitled(opened.text, "Mine"), retitled(opened.text, "Theirs")
    await desk.save(theirs)

    async def save(**more: Any) -> Any:
        return await desk.studio.save(
            "persona", DANI, mine,
            started_from=opened.started_from, user_id=desk.pavel, **more,
        )  # fmt: skip

    with pytest.raises(Overtaken, match="joan saved this while you were writing") as overtaken:
        await save(read=opened.revision)
    assert overtaken.value.theirs.text == theirs
    assert (await desk.studio.open("persona", DANI)).text == theirs
    # Mine as the new revision; theirs gives way, and stays to be had.
    await save(read=overtaken.value.theirs.revision, over=True)
    assert (await desk.studio.open("persona", DANI)).text == mine
    kept = [await desk.studio.version("persona", DANI, one.hash) for one in await desk.studio.kept("persona", DANI)]  # fmt: skip
    assert theirs in kept


async def test_who_goes_on_with_a_draft_that_was_thrown_away_is_told(desk: Desk) -> None:
    await desk.studio.begin("persona", "Nora", skeleton("persona"), user_id=desk.joan)
    opened = await desk.studio.open("persona", "nora")
    await desk.studio.discard("persona", "nora", read=opened.revision, user_id=desk.pavel)
    with pytest.raises(NotFound):
        await desk.studio.open("persona", "nora")
    with pytest.raises(Overtaken, match="pavel published or discarded this") as overtaken:
        await desk.studio.save(
            "persona", "nora", "name: Mine\n",
            read=opened.revision, started_from=None, user_id=desk.joan,
        )  # fmt: skip
    # They may go on all the same.
    await desk.studio.save(
        "persona", "nora", "name: Mine\n",
        read=overtaken.value.theirs.revision, started_from=None, user_id=desk.joan,
    )  # fmt: skip
    assert (await desk.studio.open("persona", "nora")).text == "name: Mine\n"


async def test_a_draft_that_was_thrown_away_can_be_brought_back(desk: Desk) -> None:
    text = retitled(desk.file().read_text(encoding="utf-8"), "Thrown away")
    revision = await desk.save(text)
    await desk.studio.discard("persona", DANI, read=revision, user_id=desk.joan)
    assert not (await desk.studio.open("persona", DANI)).is_draft
    kept = {
        await desk.studio.version("persona", DANI, one.hash): one.hash
        for one in await desk.studio.kept("persona", DANI)
    }
    version = kept[text]
    await desk.studio.restore("persona", DANI, version, user_id=desk.joan)
    assert (await desk.studio.open("persona", DANI)).text == text
    with pytest.raises(WarmlineError, match="There is a draft already"):
        await desk.studio.restore("persona", DANI, version, user_id=desk.joan)
    with pytest.raises(NotFound):
        await desk.studio.version("persona", "sam-damp", version)


@pytest.mark.parametrize("name", ["", "...", "é", "../..", "Dani, stranded", DANI])
async def test_a_new_one_needs_a_free_name_that_can_be_one(desk: Desk, name: str) -> None:
    before = sorted(desk.personas.iterdir())
    if name == "é":
        draft = await desk.studio.begin("persona", name, skeleton("persona"), user_id=desk.joan)
        assert draft.item_id == "e"
    else:
        with pytest.raises(WarmlineError):
            await desk.studio.begin("persona", name, skeleton("persona"), user_id=desk.joan)
    assert sorted(desk.personas.iterdir()) == before


@given(st.text(max_size=200))
def test_an_id_is_never_a_path(name: str) -> None:
    found = id_of(name)
    assert not set(found) - set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert len(found) <= 64


# Publishing


async def test_publishing_writes_the_file_in_one_step_and_keeps_who_and_when(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = desk.file().read_text(encoding="utf-8")
    text = retitled(before, "Published")
    revision = await desk.save(text)
    desk.file().chmod(0o640)

    # The power goes before the new file is in its place: the old one is whole, the draft is kept.
    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fails)
        with pytest.raises(WarmlineError, match="cannot be written: No space left"):
            await desk.studio.publish("persona", DANI, read=revision, user_id=desk.joan)
    assert desk.file().read_text(encoding="utf-8") == before
    assert (await desk.studio.open("persona", DANI)).text == text
    assert [one.name for one in desk.personas.iterdir() if one.suffix != ".yaml"] == []

    seen: list[str] = []
    replace = Path.replace

    def watched(self: Path, target: Path) -> Path:
        seen.append(Path(target).read_text(encoding="utf-8"))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    await desk.studio.publish("persona", DANI, read=revision, user_id=desk.joan)
    # Until the very step the old text stood there, whole.
    assert seen == [before]
    assert desk.file().read_text(encoding="utf-8") == text
    assert desk.file().stat().st_mode & 0o777 == 0o640
    assert desk.studio.library.persona(DANI).item.title == "Published"
    newest, oldest = await desk.studio.history("persona", DANI)
    assert (newest.by, newest.how, oldest.by, oldest.how) == ("joan", "studio", "", "file")
    assert await desk.studio.version("persona", DANI, oldest.hash) == before
    assert not (await desk.studio.open("persona", DANI)).is_draft
    with pytest.raises(NotFound, match="no draft"):
        await desk.studio.publish("persona", DANI, read=revision + 1, user_id=desk.joan)


async def test_a_file_changed_meanwhile_is_not_written_over_unseen(desk: Desk) -> None:
    before = desk.file().read_text(encoding="utf-8")
    revision = await desk.save(retitled(before, "Mine"))
    theirs = "# Theirs.\n" + before
    desk.file().write_text(theirs, encoding="utf-8")
    with pytest.raises(ChangedOnDisk) as changed:
        await desk.studio.publish("persona", DANI, read=revision, user_id=desk.joan)
    assert changed.value.text == theirs
    opened = await desk.studio.open("persona", DANI)
    assert opened.changed_on_disk
    # What is agreed to is what was seen, and not what came after it.
    desk.file().write_text("# Later.\n" + before, encoding="utf-8")
    with pytest.raises(ChangedOnDisk):
        await desk.studio.publish(
            "persona", DANI, read=revision, user_id=desk.joan, seen=opened.on_disk
        )
    later = (await desk.studio.open("persona", DANI)).on_disk
    await desk.studio.publish("persona", DANI, read=revision, user_id=desk.joan, seen=later)
    assert "title: Mine" in desk.file().read_text(encoding="utf-8")
    texts = [
        await desk.studio.version("persona", DANI, one.hash)
        for one in await desk.studio.history("persona", DANI)
    ]
    assert "# Later.\n" + before in texts


async def test_an_old_version_is_restored_as_a_draft(desk: Desk) -> None:
    before = desk.file().read_text(encoding="utf-8")
    revision = await desk.save(retitled(before, "New"))
    await desk.studio.publish("persona", DANI, read=revision, user_id=desk.joan)
    oldest = (await desk.studio.history("persona", DANI))[-1]
    await desk.studio.restore("persona", DANI, oldest.hash, user_id=desk.pavel)
    opened = await desk.studio.open("persona", DANI)
    assert (opened.text, opened.is_draft, opened.changed_on_disk) == (before, True, False)
    assert "title: New" in desk.file().read_text(encoding="utf-8")
    signs = [sign for sign, _ in difference(opened.text, opened.disk or "")]
    assert (signs.count("+"), signs.count("-")) == (1, 1)


async def test_a_link_stays_a_link(desk: Desk, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.yaml"
    desk.file().rename(elsewhere)
    desk.file().symlink_to(elsewhere)
    text = retitled(elsewhere.read_text(encoding="utf-8"), "Linked")
    revision = await desk.save(text)
    await desk.studio.publish("persona", DANI, read=revision, user_id=desk.joan)
    assert desk.file().is_symlink()
    assert elsewhere.read_text(encoding="utf-8") == text


async def test_what_happens_on_the_disk_is_picked_up_and_a_broken_file_hides_nothing(
    desk: Desk,
) -> None:
    library = desk.studio.library
    others = set(library.personas) - {DANI}
    text = desk.file().read_text(encoding="utf-8")
    desk.file().write_text(retitled(text, "By hand"), encoding="utf-8")
    assert library.persona(DANI).item.title == "By hand"
    desk.file().write_text("id: [", encoding="utf-8")
    assert set(library.personas) == others
    shelved = next(one for one in library.shelf("persona") if one.item_id == DANI)
    assert (shelved.entry, shelved.problems[0].line) == (None, 1)
    # It is opened and mended as it stands.
    assert (await desk.studio.open("persona", DANI)).text == "id: ["
    revision = await desk.save(text)
    await desk.studio.publish("persona", DANI, read=revision, user_id=desk.joan)
    assert library.persona(DANI).text == text


async def test_another_id_is_a_problem_and_not_another_file(desk: Desk) -> None:
    text = desk.file().read_text(encoding="utf-8").replace(f"id: {DANI}", "id: sam-damp", 1)
    found = desk.studio.problems("persona", DANI, text)
    assert any("keep that id" in one.message for one in found)
    revision = await desk.save(text)
    with pytest.raises(Invalid):
        await desk.studio.publish("persona", DANI, read=revision, user_id=desk.joan)


@pytest.mark.parametrize("kind", list(MODELS))
def test_a_skeleton_is_valid(kind: Kind, tmp_path: Path) -> None:
    library = LiveLibrary(PROJECT / "personas", PROJECT / "rubrics")
    assert library.check(kind, tmp_path / "new.yaml", skeleton(kind)) == []
    assert studio_module.SKELETONS.is_dir()


# The form


def pairs_of(nodes: list[Node]) -> Iterator[tuple[str, str]]:
    """What a browser sends of a form."""
    for node in nodes:
        if node.kind in ("texts", "list"):
            yield f"{node.name}.#", ""
            yield from pairs_of(list(node.children))
        elif node.kind == "item":
            parent, _, key = node.name.rpartition(".")
            yield f"{parent}.#", key
            if node.of == "text":
                yield node.name, node.value
            yield from pairs_of(list(node.children))
        elif node.kind == "group":
            yield from pairs_of(list(node.children))
        elif node.kind == "ticks":
            yield node.name, ""
            yield from ((node.name, one.value) for one in node.options if one.chosen)
        elif node.kind == "tick":
            yield node.name, ""
            if node.value == "true":
                yield node.name, "yes"
        elif node.kind == "choice":
            (chosen,) = (one.value for one in node.options if one.chosen)
            yield node.name, chosen
        elif node.kind not in ("kept", "fixed"):
            # As a browser has it: each end of a line is two characters.
            yield node.name, node.value.replace("\n", "\r\n")


def sent(kind: Kind, values: dict[Any, Any]) -> list[tuple[str, str]]:
    form = form_of(kind, values, Around(moods_of(values), {"core": "Warmline core"}))
    return [pair for _, nodes in form for pair in pairs_of(nodes)]


@pytest.mark.parametrize(("kind", "file"), SHIPPED, ids=lambda one: getattr(one, "name", one))
def test_file_to_form_to_file_changes_nothing(kind: Kind, file: Path) -> None:
    text = TEXTS[file.name]
    values = read_values(text, file)[0]
    typed = read_form(kind, sent(kind, values), values)
    assert same(typed.values, values)
    assert edited(text, typed.values) == text


#: What may stand anywhere in a draft: the form has to bear it, and give it back as it was.
ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**6), 10**6)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("abc \n\t\"'#:-é{}", max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "says", "mood", "zzz"]), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_form_gives_back_what_it_was_made_from_whatever_that_is(data: st.DataObject) -> None:
    kind, file = data.draw(st.sampled_from(SHIPPED))
    values = read_values(TEXTS[file.name], file)[0]
    place: Any = values
    while True:
        key = data.draw(
            st.sampled_from(list(place) if isinstance(place, dict) else range(len(place)))
        )
        inner = place[key]
        if not isinstance(inner, (dict, list)) or not inner or data.draw(st.booleans()):
            break
        place = inner
    if isinstance(place, dict) and data.draw(st.booleans()):
        del place[key]
    else:
        place[key] = data.draw(ODD)
    assert read_form(kind, sent(kind, values), values).values == values


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_what_is_typed_stands_in_the_file_and_nothing_else_changes(data: st.DataObject) -> None:
    kind, file = data.draw(st.sampled_from(SHIPPED))
    text = TEXTS[file.name]
    values = read_values(text, file)[0]
    pairs = sent(kind, values)
    free = [
        at
        for at, (name, value) in enumerate(pairs)
        if value and " " in value and "\n" not in value and not name.endswith((".#", "asked_about"))
    ]
    at = data.draw(st.sampled_from(free))
    name, before = pairs[at]
    word = data.draw(st.sampled_from(before.split(" ")))
    after = before.replace(word, data.draw(st.sampled_from(["lamp", "Ünder", "a: b", "#1"])), 1)
    pairs[at] = (name, after)
    typed = read_form(kind, pairs, values).values
    try:
        written = edited(text, typed)
    except NotForForms:
        return
    assert same(read_values(written, file)[0], typed)
    gone = [words for sign, words in difference(text, written) if sign == "-"]
    assert len(gone) <= 1


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        ("marjorie-bereavement.yaml", "eighteen pounds fifty in June", "twenty pounds in June"),
        ("marjorie-bereavement.yaml", "a retired school secretary", "a retired head secretary"),
        ("sam-damp.yaml", None, None),
        ("core.yaml", "A key word was caught", "One word was caught"),
    ],
)
def test_one_word_in_the_form_is_one_line_for_git(
    tmp_path: Path, file: str, before: str | None, after: str | None
) -> None:
    kind = next(kind for kind, one in SHIPPED if one.name == file)
    text = TEXTS[file]
    values = read_values(text, Path(file))[0]
    if before is None:
        before = values["wants"].split(" ")[2]
        after = "other"
    pairs = [(name, value.replace(before, after or "")) for name, value in sent(kind, values)]
    (tmp_path / file).write_text(text, encoding="utf-8")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *command], check=True)
    if file == "sam-damp.yaml":
        only = "wants"
        pairs = [
            (name, value.replace(before, after or "", 1) if name == only else value)
            for name, value in sent(kind, values)
        ]
    written = edited(text, read_form(kind, pairs, values).values)
    (tmp_path / file).write_text(written, encoding="utf-8")
    counted = subprocess.run(
        [*git, "diff", "--numstat"], check=True, capture_output=True, text=True
    )
    assert counted.stdout.split() == ["1", "1", file]


def test_items_are_added_moved_and_taken_out() -> None:
    values = read_values(TEXTS["core.yaml"], Path("core.yaml"))[0]
    pairs = sent("rubric", values)
    names = [step["name"] for step in values["steps"]]

    def after(what: str) -> tuple[list[Any], str]:
        changed, focus = done(pairs, what)
        return read_form("rubric", changed, values).values["steps"], focus

    steps, focus = after("down:steps.0")
    assert [one["name"] for one in steps[:2]] == [names[1], names[0]]
    assert focus == "steps.1"
    assert after("up:steps.0")[0] == values["steps"]
    steps, _ = after("remove:steps.3")
    assert [one["name"] for one in steps] == names[:3] + names[4:]
    steps, focus = after("add:steps")
    assert steps[:-1] == values["steps"]
    assert focus == f"steps.{len(names)}"
    steps, _ = after("add:steps.2.levels")
    assert len(steps[2]["levels"]) == len(values["steps"][2]["levels"]) + 1
    for nonsense in ("", "add", "up:nothing.0", "remove:steps.x", "add:../../etc", "up:steps.99"):
        assert read_form("rubric", done(pairs, nonsense)[0], values).values == values


def test_what_a_browser_makes_up_does_no_harm() -> None:
    values = read_values(TEXTS["dani-stranded.yaml"], Path("x"))[0]
    pairs = [
        *sent("persona", values),
        ("id", "another"), ("facts.#", "../1"), ("facts.#", "9999"), ("__class__", "x"),
        ("facts.9999.__init__", "x"), ("brief", "x"), ("facts", "x"), ("zzz.#", "1"),
    ]  # fmt: skip
    typed = read_form("persona", pairs, values).values
    # An item that was never there is a new and empty one; all else is as it was.
    assert typed["facts"] == [*values["facts"], {}]
    assert {**typed, "facts": values["facts"]} == values


# The words


def test_every_field_has_a_name_and_a_line_of_help() -> None:
    def models(model: type[StrictModel]) -> Iterator[type[StrictModel]]:
        yield model
        for one in shapes(model):
            if one.model is not None:
                yield from models(one.model)

    for root in MODELS.values():
        for model in models(root):
            assert set(FIELDS[model]) == set(model.model_fields), model
            for name, words in FIELDS[model].items():
                assert words.label, name
                assert 8 <= len(words.help) <= 90, name
    for kind, root in MODELS.items():
        fields = [one for section in SECTIONS[kind] for one in section.fields]
        assert sorted(fields) == sorted(root.model_fields)


def test_every_answer_has_plain_words() -> None:
    from warmline.detectors import SIGNALS

    assert set(SIGNAL_WORDS) >= SIGNALS
    assert all("_" not in words for words in [*SIGNAL_WORDS.values(), *BORROW_WORDS.values()])
    for kind in MODELS:
        for name, node in templates_of(kind, Around()):
            assert name
            for child in node.children:
                assert all(one.label for one in child.options)
    for model in FIELDS:
        for one in shapes(model):
            assert all(option in CHOICES for option in one.options)
    assert get_args(Kind) == tuple(MODELS)


# What happens at the same moment


async def test_a_draft_saved_while_another_is_published_waits(desk: Desk) -> None:
    text = desk.file().read_text(encoding="utf-8")
    revision = await desk.save(retitled(text, "Published"))
    publishing = asyncio.create_task(
        desk.studio.publish("persona", DANI, read=revision, user_id=desk.joan)
    )
    await asyncio.sleep(0)
    with pytest.raises(Overtaken):
        await desk.studio.save(
            "persona", DANI, retitled(text, "Typed on"),
            read=revision, started_from=None, user_id=desk.pavel,
        )  # fmt: skip
    await publishing
    assert "Published" in desk.file().read_text(encoding="utf-8")
    assert [one.how for one in await desk.studio.history("persona", DANI)] == ["studio", "file"]


async def test_a_file_changed_in_the_moment_of_publishing_is_not_written_over(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = desk.file().read_text(encoding="utf-8")
    revision = await desk.save(retitled(text, "Mine"))
    theirs = retitled(text, "From the editor")
    keep = desk.studio.drafts.keep_version

    async def meanwhile(*args: Any) -> str:
        desk.file().write_text(theirs, encoding="utf-8")
        return await keep(*args)

    monkeypatch.setattr(desk.studio.drafts, "keep_version", meanwhile)
    with pytest.raises(ChangedOnDisk):
        await desk.studio.publish("persona", DANI, read=revision, user_id=desk.joan)
    assert desk.file().read_text(encoding="utf-8") == theirs
    assert (await desk.studio.open("persona", DANI)).is_draft
    assert await desk.studio.history("persona", DANI) == []


@pytest.mark.parametrize("removed", [False, True])
@pytest.mark.parametrize("with_base", [False, True])
async def test_what_is_typed_is_kept_though_the_file_changed_under_the_form(
    desk: Desk, removed: bool, with_base: bool
) -> None:
    opened = await desk.studio.open("persona", DANI)
    theirs = retitled(opened.text, "Pulled")
    if removed:
        desk.file().unlink()
    else:
        desk.file().write_text(theirs, encoding="utf-8")
    draft = await desk.studio.save(
        "persona", DANI, retitled(opened.text, "Mine"),
        read=opened.revision, started_from=opened.started_from, user_id=desk.joan,
        base=opened.text if with_base else None,
    )  # fmt: skip
    assert draft.started_from == (opened.started_from if with_base else None)
    now = await desk.studio.open("persona", DANI)
    assert now.is_draft
    if not removed:
        assert now.changed_on_disk
        with pytest.raises(ChangedOnDisk):
            await desk.studio.publish("persona", DANI, read=draft.revision, user_id=desk.joan)


async def test_a_stop_between_the_file_and_its_note_leaves_one_version(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = desk.file().read_text(encoding="utf-8")
    mine = retitled(text, "Mine")
    revision = await desk.save(mine)
    desk.file().write_text(mine, encoding="utf-8")
    await desk.studio.publish("persona", DANI, read=revision, user_id=desk.joan)
    assert [one.how for one in await desk.studio.history("persona", DANI)] == ["studio"]


async def test_every_discarded_draft_can_be_brought_back(desk: Desk) -> None:
    text = desk.file().read_text(encoding="utf-8")
    for number in range(210):
        revision = await desk.save(f"{text}# {number}\n")
        await desk.studio.discard("persona", DANI, read=revision, user_id=desk.joan)
    first = await desk.studio.version("persona", DANI, text_hash(f"{text}# 0\n"))
    assert first.endswith("# 0\n")
    with pytest.raises(NotFound):
        await desk.studio.version("persona", "leila-letter", text_hash(f"{text}# 0\n"))

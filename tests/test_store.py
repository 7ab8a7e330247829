"""The store: what was written is on the disk, numbered, findable, and gone when it is deleted."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes import NOTHING
from snapshots import small_persona, small_rubric
from warmline.errors import NotFound, WarmlineError
from warmline.library import text_hash
from warmline.people import People
from warmline.store import Store
from warmline.transcript import Role


@pytest.fixture
async def talk(store: Store) -> Store:
    """A store with one session, ``s``."""
    await start(store, "s")
    return store


async def start(store: Store, session: str) -> None:
    user = await People(store.database).local_user("you")
    await store.start_session(session, user.id, small_persona(), small_rubric(), "{}", seed=7)


async def pragma(store: Store, name: str) -> Any:
    return await store.database.run(lambda db: db.execute(f"PRAGMA {name}").fetchone()[0])


@pytest.mark.parametrize(
    ("name", "value"),
    [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)],
    ids=["write-ahead log", "synchronous is FULL", "foreign keys are kept"],
)
async def test_what_is_kept_survives_a_power_cut(store: Store, name: str, value: Any) -> None:
    assert await pragma(store, name) == value


async def test_a_turn_of_no_session_is_refused(store: Store) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        await store.add_turn("nobody's", "agent", "Hello there.")


async def test_a_session_begins_with_the_opening_and_its_versions(talk: Store) -> None:
    session = await talk.session("s")
    persona, rubric = small_persona(), small_rubric()
    assert (session.persona_hash, session.rubric_hash) == (persona.hash, rubric.hash)
    assert (session.status, session.seed, session.finished_at) == ("talking", 7, None)
    assert await talk.version_text(persona.hash) == persona.text
    assert await talk.version_text(rubric.hash) == rubric.text
    (turn,) = await talk.turns("s")
    assert (turn.number, turn.role, turn.text) == (0, "customer", persona.item.opening)


async def test_an_edited_persona_is_another_version_and_the_old_one_stays(talk: Store) -> None:
    old = small_persona()
    new = replace(old, text=old.text.replace("No heating", "Still no heating"))
    user = await People(talk.database).local_user("you")
    await talk.start_session("later", user.id, new, small_rubric(), "{}", seed=1)
    assert new.hash != old.hash
    assert await talk.version_text(old.hash) == old.text
    assert await talk.version_text(new.hash) == new.text
    assert (await talk.session("s")).persona_hash == old.hash == text_hash(old.text)


async def test_the_same_turn_id_is_kept_once(talk: Store) -> None:
    assert await talk.add_turn("s", "agent", "Hello there.", turn_id="t") == 1
    assert await talk.add_turn("s", "agent", "Something else.", turn_id="t") == 1
    assert [turn.text for turn in await talk.turns("s")][1:] == ["Hello there."]


async def test_turns_added_at_once_get_numbers_of_their_own(talk: Store) -> None:
    numbers = await asyncio.gather(*(talk.add_turn("s", "agent", f"No. {n}") for n in range(20)))
    assert sorted(numbers) == list(range(1, 21))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    actions=st.lists(
        st.tuples(
            st.sampled_from(["a", "b"]),
            st.sampled_from(["agent", "customer"]),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
            st.none() | st.sampled_from(["x", "y"]),
        ),
        max_size=12,
    )
)
def test_turns_are_numbered_without_gaps_and_kept_letter_for_letter(
    actions: list[tuple[str, Role, str, str | None]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    async def play() -> None:
        store = await Store.open(tmp_path_factory.mktemp("store") / "w.db")
        expected: dict[str, list[tuple[Role, str]]] = {}
        for session in ("a", "b"):
            await start(store, session)
            expected[session] = [("customer", small_persona().item.opening)]
        seen: dict[tuple[str, str], int] = {}
        for session, role, text, turn_id in actions:
            own_id = f"{session}-{turn_id}" if turn_id else None
            number = await store.add_turn(session, role, text, turn_id=own_id)
            if own_id and (session, own_id) in seen:
                assert number == seen[session, own_id]
                continue
            assert number == len(expected[session])
            if own_id:
                seen[session, own_id] = number
            expected[session].append((role, text))
        for session, turns in expected.items():
            kept = await store.turns(session)
            assert [turn.number for turn in kept] == list(range(len(turns)))
            assert [(turn.role, turn.text) for turn in kept] == turns
        await store.close()

    asyncio.run(play())


async def test_words_are_found_in_the_turn_they_stand_in_and_forgotten_with_it(
    talk: Store,
) -> None:
    await start(talk, "other")
    await talk.add_turn("s", "agent", "The giraffe engineer comes tomorrow.")
    await talk.add_turn("other", "agent", "No animals here.")
    text = "The giraffe engineer comes tomorrow."
    assert await talk.search("giraffe") == [("s", 1, text)]
    assert await talk.search("engineer tomorrow") == [("s", 1, text)]
    assert await talk.search("elephant") == []
    await talk.delete_sessions(["s"])
    assert await talk.search("giraffe") == []
    assert [hit[0] for hit in await talk.search("animals")] == ["other"]


@pytest.mark.parametrize("words", ['"', "a AND", "text:x", "NEAR(", "*", "it's", "💬", "-"])
async def test_any_words_can_be_searched_for(talk: Store, words: str) -> None:
    assert isinstance(await talk.search(words), list)


async def test_deleting_a_session_leaves_the_others_whole(talk: Store) -> None:
    await start(talk, "other")
    for session in ("s", "other"):
        await talk.keep_answer(session, "r", "d", "v", ("step", "check", 1), 0.25)
    await talk.delete_sessions(["s"])
    with pytest.raises(NotFound):
        await talk.session("s")
    assert await talk.turns("s") == []
    assert await talk.answers("s", "r", "d", "v") == {}
    assert await talk.answers("other", "r", "d", "v") == {("step", "check", 1): 0.25}
    assert len(await talk.turns("other")) == 1


async def test_answers_belong_to_one_rubric_model_and_prompt(talk: Store) -> None:
    key = ("step", "check", 1)
    await talk.keep_answer("s", "r", "d", "v", key, None)
    assert await talk.answers("s", "r", "d", "v") == {key: None}
    for asked in (("s", "R", "d", "v"), ("s", "r", "D", "v"), ("s", "r", "d", "V")):
        assert await talk.answers(*asked) == {}
    await talk.keep_answer("s", "r", "d", "v", key, 0.75)
    assert await talk.answers("s", "r", "d", "v") == {key: 0.75}


async def test_sessions_come_newest_first_a_page_at_a_time(store: Store) -> None:
    for number in range(5):
        await start(store, f"s{number}")
    everything = [session.id for session in await store.sessions()]
    assert sorted(everything) == ["s0", "s1", "s2", "s3", "s4"]
    pages: list[str] = []
    while page := await store.sessions(before=pages[-1] if pages else None, limit=2):
        pages += [session.id for session in page]
    assert pages == everything
    assert await store.sessions("nobody") == []


async def test_a_name_is_one_user_however_often_they_come(store: Store) -> None:
    people = People(store.database)
    assert await people.local_user("you") == await people.local_user("you")
    assert await people.find("somebody else") is None


async def test_a_file_that_is_no_database_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "notes.db"
    file.write_text("Dear diary, this is not a database. " * 100)
    before = file.read_bytes()
    with pytest.raises(WarmlineError, match=r"notes\.db"):
        await Store.open(file)
    assert file.read_bytes() == before


async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    with pytest.raises(WarmlineError, match="taken"):
        await Store.open(tmp_path / "taken" / "warmline.db")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    with pytest.raises(WarmlineError, match="locked"):
        await Store.open(locked / "warmline.db")


async def test_a_database_that_another_program_has_locked_is_named(
    talk: Store,
) -> None:
    await pragma(talk, "busy_timeout = 10")
    with sqlite3.connect(talk.database.file, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(WarmlineError, match=r"locked.*Another program"):
            await talk.add_turn("s", "agent", "Hello there.")
        other.execute("ROLLBACK")
    await talk.add_turn("s", "agent", "Hello there.")
    assert len(await talk.turns("s")) == 2


async def test_a_message_that_two_processes_answer_has_one_answer(talk: Store) -> None:
    heard = await talk.add_turn("s", "agent", "Hello there.")
    first = await talk.add_turn("s", "customer", "At last.", heard=heard)
    assert await talk.add_turn("s", "customer", "Finally.", heard=heard) == first
    assert [turn.text for turn in await talk.turns("s")][2:] == ["At last."]


async def test_a_session_that_two_processes_grade_has_one_grade(talk: Store) -> None:
    parts = dict.fromkeys(
        ["persona_hash", "rubric_hash", "prompt_version", "backend", "model", "digest"], "x"
    )
    for total in (10, 20):
        await talk.add_grade("s", {**parts, "total": total, "passed": 0}, {}, NOTHING)
    stored = await talk.grade("s")
    assert stored is not None
    assert stored.grade["total"] == 10

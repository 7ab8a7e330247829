"""The one file: what is wrong with it is said, what was saved stays, what was deleted is gone."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import sqlite3
import stat
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes import NOTHING
from snapshots import small_persona, small_rubric
from warmline import database as database_module
from warmline import store as store_module
from warmline.customer.director import first_state
from warmline.database import Database, now
from warmline.errors import NotFound, WarmlineError
from warmline.export import export_session, file_stem
from warmline.people import People
from warmline.retention import forget, forget_copies, forget_old
from warmline.sessions import SessionReader
from warmline.store import Store, StoredTurn

#: Somebody who owns nothing.
NOBODY = 65534


async def start(store: Store, session: str) -> None:
    user = await People(store.database).local_user("you")
    state = first_state(small_persona().item).model_dump_json()
    await store.start_session(session, user.id, small_persona(), small_rubric(), state, seed=7)


async def opened(file: Path, *, busy_timeout_s: float = 10.0) -> Store:
    return Store(await Database.open(file, busy_timeout_s=busy_timeout_s))


async def texts(store: Store, session: str = "s") -> list[str]:
    """What was said after the opening line."""
    return [turn.text for turn in (await store.turns(session))[1:]]


async def filled(file: Path, turns: int = 60, session: str = "s") -> list[str]:
    """Make a database with one session of so many turns, and close it; the texts."""
    store = await opened(file)
    await start(store, session)
    for number in range(turns):
        await store.add_turn(session, "agent", said(number))
    kept = await texts(store, session)
    await store.close()
    return kept


def said(number: int) -> str:
    return f"Reply {number}: I hear how cold your flat is. " + "The evenings are long. " * 8


def folder_of(file: Path) -> dict[str, bytes]:
    """Every file beside the database, with what is in it."""
    return {one.name: one.read_bytes() for one in sorted(file.parent.iterdir()) if one.is_file()}


async def told(file: Path) -> str:
    """What is said to somebody who opens the file and has it checked; empty if all is well."""
    try:
        database = await Database.open(file)
    except WarmlineError as error:
        return str(error)
    try:
        await database.check()
    except WarmlineError as error:
        return str(error)
    finally:
        await database.close()
    return ""


# Damaged


@pytest.mark.parametrize("seed", range(8))
async def test_bytes_that_changed_inside_a_page_of_turns_are_noticed_and_left_as_they_are(
    tmp_path: Path, seed: int
) -> None:
    file = tmp_path / "warmline.db"
    await filled(file)
    whole = file.read_bytes()
    # Somewhere inside a text: no rule of the file's own structure is broken by this.
    at = whole.index(f"Reply {7 * seed}: I hear".encode()) + 12
    damaged = whole[:at] + bytes(byte ^ 0x2A for byte in whole[at : at + 20]) + whole[at + 20 :]
    file.write_bytes(damaged)
    problem = await told(file)
    assert str(file) in problem
    assert "is damaged" in problem
    assert "warmline restore" in problem
    assert file.read_bytes() == damaged


async def test_a_page_of_rubbish_is_noticed_wherever_it_lies(tmp_path: Path) -> None:
    file = tmp_path / "warmline.db"
    await filled(file, 30)
    with closing(sqlite3.connect(file)) as db:
        # No page is left over then: each holds something.
        db.execute("VACUUM")
    whole = file.read_bytes()
    pages = len(whole) // 4096
    assert pages > 40
    for page in range(pages):
        damaged = whole[: page * 4096] + b"\xa5" * 4096 + whole[(page + 1) * 4096 :]
        file.write_bytes(damaged)
        assert "is damaged" in await told(file), f"page {page + 1}"
        assert file.read_bytes() == damaged


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
async def test_a_file_that_was_cut_short_is_noticed_and_left_as_it_is(
    tmp_path: Path, share: float
) -> None:
    file = tmp_path / "warmline.db"
    await filled(file)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    problem = await told(file)
    assert "is damaged" in problem
    assert "Nothing was changed" in problem
    assert file.read_bytes() == whole[: int(share * len(whole))]


async def test_a_sound_file_is_found_sound_and_checking_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "warmline.db"
    await filled(file)
    before = folder_of(file)
    assert await told(file) == ""
    assert folder_of(file) == before


async def test_damage_found_in_mid_session_says_nothing_of_where_the_file_lies(
    tmp_path: Path,
) -> None:
    file = tmp_path / "warmline.db"
    store = await opened(file)
    await start(store, "s")
    await store.database.scrub()
    file.write_bytes(file.read_bytes()[:8192] + b"\xa5" * 40960)
    await pragma(store, "cache_size = 0")
    with pytest.raises(WarmlineError) as caught:
        await store.sessions()
    assert "damaged" in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    store.database._thread.shutdown()


# Newer, read-only, locked, full


async def test_a_database_of_a_newer_version_is_refused_and_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "warmline.db"
    await filled(file, 3)
    from_the_future(file)
    before = folder_of(file)
    with pytest.raises(WarmlineError, match=r"newer version.*m999_tomorrow.*Nothing was changed"):
        await Database.open(file)
    assert folder_of(file) == before


def from_the_future(file: Path) -> None:
    with closing(sqlite3.connect(file)) as db, db:
        db.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) "
            "VALUES ('warmline', 'm999_tomorrow', '2099-01-01')"
        )


@contextmanager
def as_somebody_else() -> Iterator[None]:
    """Be somebody who may not do everything, as root may."""
    if os.geteuid() != 0:
        yield
        return
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def allow(file: Path, mode: int) -> None:
    file.chmod(mode)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that anybody can reach."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder
        folder.chmod(0o777)


@pytest.mark.skipif(sys.platform == "win32", reason="other permissions")
@pytest.mark.parametrize("what", ["file", "folder", "both"])
async def test_a_database_that_may_only_be_read_is_named_and_loses_nothing(
    open_folder: Path, what: str
) -> None:
    file = open_folder / "warmline.db"
    kept = await filled(file, 5)
    allow(file, 0o666 if what == "folder" else 0o444)
    allow(open_folder, 0o777 if what == "file" else 0o555)
    before = folder_of(file)
    with as_somebody_else(), pytest.raises(WarmlineError, match=r"warmline\.db.*can be written"):
        await Database.open(file)
    allow(open_folder, 0o777)
    assert folder_of(file) == before
    allow(file, 0o666)
    store = await opened(file)
    assert await texts(store) == kept
    await store.close()


async def test_a_database_that_may_only_be_read_from_now_on_says_so(store: Store) -> None:
    await start(store, "s")
    await store.add_turn("s", "agent", "Hello there.", turn_id="one")
    await pragma(store, "query_only = ON")
    with pytest.raises(WarmlineError, match=r"readonly.*What was saved before is safe.*writable"):
        await store.add_turn("s", "agent", "Are you there?", turn_id="two")
    assert await texts(store) == ["Hello there."]
    await pragma(store, "query_only = OFF")
    await store.add_turn("s", "agent", "Are you there?", turn_id="two")
    assert await texts(store) == ["Hello there.", "Are you there?"]


async def pragma(store: Store, text: str) -> Any:
    return await store.database.run(lambda db: db.execute(f"PRAGMA {text}").fetchone())


@contextmanager
def writing(file: Path) -> Iterator[sqlite3.Connection]:
    """Another program that is in the middle of writing."""
    other = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield other
    finally:
        if other.in_transaction:
            other.execute("ROLLBACK")
        other.close()


async def test_a_turn_waits_for_another_program_that_writes(tmp_path: Path) -> None:
    store = await opened(tmp_path / "warmline.db")
    await start(store, "s")
    with writing(store.database.file) as other:
        threading.Timer(0.3, lambda: other.execute("COMMIT")).start()
        begun = time.monotonic()
        assert await store.add_turn("s", "agent", "Hello there.") == 1
        assert time.monotonic() - begun > 0.2
    await store.close()


async def test_a_turn_that_waited_too_long_is_refused_and_can_be_added_once_afterwards(
    tmp_path: Path,
) -> None:
    store = await opened(tmp_path / "warmline.db", busy_timeout_s=0.2)
    await start(store, "s")
    with writing(store.database.file):
        begun = time.monotonic()
        with pytest.raises(WarmlineError, match=r"locked.*Another program.*try again"):
            await store.add_turn("s", "agent", "Hello there.", turn_id="one")
        assert time.monotonic() - begun > 0.15
    for _ in range(2):
        await store.add_turn("s", "agent", "Hello there.", turn_id="one")
    assert await texts(store) == ["Hello there."]
    await store.close()


async def test_a_new_database_that_another_program_is_making_is_named(tmp_path: Path) -> None:
    file = tmp_path / "warmline.db"
    with writing(file), pytest.raises(WarmlineError, match=r"warmline\.db.*Another program"):
        await Database.open(file, busy_timeout_s=0.1)
    await (await Database.open(file)).close()


async def test_several_that_make_the_database_at_once_find_it_made_once(tmp_path: Path) -> None:
    for attempt in range(3):
        file = tmp_path / f"{attempt}.db"
        made = await asyncio.gather(*(Database.open(file) for _ in range(4)))
        applied = await made[0].run(
            lambda db: db.execute("SELECT count(DISTINCT name), count(*) FROM _sqlite_migrations")
            .fetchone()
        )  # fmt: skip
        assert applied[0] == applied[1] > 0
        for one in made:
            await one.check()
            await one.close()


async def test_a_full_disk_is_said_and_the_turn_can_be_added_once_there_is_room(
    store: Store,
) -> None:
    await start(store, "s")
    pages = (await pragma(store, "page_count"))[0]
    await pragma(store, f"max_page_count = {pages + 3}")
    added: list[str] = []
    problem = ""
    while not problem and len(added) < 100:
        text = said(len(added)) * 5
        try:
            await store.add_turn("s", "agent", text, turn_id=f"{len(added)}")
            added.append(text)
        except WarmlineError as error:
            problem = str(error)
    assert "disk is full. Make room and try again." in problem
    assert added
    assert await texts(store) == added
    await store.database.check()

    await pragma(store, "max_page_count = 1000000")
    refused = len(added)
    for _ in range(2):
        number = await store.add_turn("s", "agent", said(refused) * 5, turn_id=f"{refused}")
        assert number == refused + 1
    assert await texts(store) == [*added, said(refused) * 5]
    assert len(await store.search(f"Reply {refused}")) == 1


# Copies


def write_on_and_on(file: Path, begun: Any, enough: Any) -> None:
    """Add numbered turns until it is enough; what another process does."""

    async def work() -> None:
        store = await opened(file)
        number = 0
        while not enough.is_set():
            number += 1
            await store.add_turn("s", "agent", said(number))
            if number == 20:
                begun.set()
        await store.close()

    asyncio.run(work())


async def test_a_backup_while_another_process_writes_is_sound_and_holds_a_beginning(
    tmp_path: Path,
) -> None:
    file = tmp_path / "warmline.db"
    await filled(file, 0)
    processes = multiprocessing.get_context("spawn")
    begun, enough = processes.Event(), processes.Event()
    other = processes.Process(target=write_on_and_on, args=(file, begun, enough))
    other.start()
    database = await Database.open(file)
    try:
        assert await asyncio.to_thread(begun.wait, 60)
        for number in range(3):
            await database.back_up(tmp_path / "backups" / f"{number}.db")
            await asyncio.sleep(0.1)
    finally:
        enough.set()
        other.join(60)
        await database.close()
    assert other.exitcode == 0

    store = await opened(file)
    everything = await texts(store)
    await store.close()
    lengths = []
    for number in range(3):
        copy = tmp_path / "backups" / f"{number}.db"
        assert await told(copy) == ""
        store = await opened(copy)
        held = await texts(store)
        assert held == everything[: len(held)]
        assert [turn.number for turn in await store.turns("s")] == list(range(len(held) + 1))
        assert len(await store.search("evenings", limit=1_000_000)) == len(held)
        lengths.append(len(held))
        await store.close()
    # The other process was indeed writing all the while.
    assert lengths == sorted(lengths)
    assert 20 <= lengths[0] < len(everything)


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Store]:
    """A store with one session, ``s``, of a few turns."""
    file = tmp_path / "live" / "warmline.db"
    await filled(file, 4)
    store = await opened(file)
    yield store
    await store.close()


@pytest.mark.skipif(sys.platform == "win32", reason="other permissions")
async def test_a_backup_is_for_its_owner_only_and_leaves_nothing_beside_it(
    kept: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not even for a moment can others read it: it is never made with more and then given less.
    monkeypatch.setattr(Path, "chmod", None)
    before = os.umask(0)
    try:
        await kept.database.back_up(tmp_path / "backups" / "june.db")
    finally:
        os.umask(before)
    (made,) = (tmp_path / "backups").iterdir()
    assert made.name == "june.db"
    assert stat.S_IMODE(made.stat().st_mode) == 0o600


async def test_a_backup_never_replaces_a_file(kept: Store, tmp_path: Path) -> None:
    target = tmp_path / "june.db"
    target.write_text("something dear")
    with pytest.raises(WarmlineError, match=r"june\.db is there already"):
        await kept.database.back_up(target)
    assert target.read_text() == "something dear"


async def test_a_backup_into_a_place_that_cannot_be_is_named(kept: Store, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, not a folder")
    with pytest.raises(WarmlineError, match=r"taken.*june\.db cannot be written"):
        await kept.database.back_up(tmp_path / "taken" / "june.db")


@pytest.mark.skipif(sys.platform == "win32", reason="other permissions")
async def test_a_backup_into_a_folder_that_may_not_be_written_is_named(open_folder: Path) -> None:
    (open_folder / "live").mkdir()
    (open_folder / "live").chmod(0o777)
    locked = open_folder / "locked"
    locked.mkdir(mode=0o555)
    with as_somebody_else():
        store = await opened(open_folder / "live" / "warmline.db")
        with pytest.raises(WarmlineError, match=r"locked/june\.db cannot be written"):
            await store.database.back_up(locked / "june.db")
        await store.close()
    assert list(locked.iterdir()) == []


async def test_a_damaged_database_gives_no_backup(tmp_path: Path) -> None:
    file = tmp_path / "warmline.db"
    await filled(file)
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b"Reply 7: I hear", b"Reply 7: I near"))
    database = await Database.open(file)
    with pytest.raises(WarmlineError, match="not sound"):
        await database.back_up(tmp_path / "copy.db")
    await database.close()
    assert [one for one in folder_of(file) if one.startswith("copy")] == []


async def test_what_is_restored_is_seen_by_a_server_that_has_the_file_open(
    kept: Store, tmp_path: Path
) -> None:
    at_backup = await texts(kept)
    await kept.database.back_up(tmp_path / "backup.db")
    await kept.add_turn("s", "agent", "This came after the backup.")
    await start(kept, "later")

    other = await Database.open(kept.database.file)
    aside = await other.restore(tmp_path / "backup.db")
    await other.close()

    assert await texts(kept) == at_backup
    assert [session.id for session in await kept.sessions()] == ["s"]
    assert await kept.search("came after") == []
    # It goes on from there.
    await kept.add_turn("s", "agent", "And on we go.")
    assert await texts(kept) == [*at_backup, "And on we go."]
    await kept.database.check()

    assert sorted(one.name for one in aside.parent.glob("*.db")) == [aside.name, "warmline.db"]
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600
    store = await opened(aside)
    assert await texts(store) == [*at_backup, "This came after the backup."]
    assert {session.id for session in await store.sessions()} == {"s", "later"}
    await store.close()


async def test_a_backup_of_the_first_version_is_brought_up_to_date(
    kept: Store, tmp_path: Path
) -> None:
    backup = tmp_path / "backup.db"
    await kept.database.back_up(backup)
    with closing(sqlite3.connect(backup)) as db, db:
        db.execute("DELETE FROM _sqlite_migrations WHERE name = 'm002_heads'")
        db.execute("DROP TABLE heads")
    await kept.database.restore(backup)
    await kept.add_head("small", "r", "judge", "{}")
    assert await kept.head("r", "judge") == "{}"


def no_such_file(file: Path) -> None:
    file.unlink()


def not_a_database(file: Path) -> None:
    file.write_text("Dear diary, this is not a database. " * 100)


def of_another_program(file: Path) -> None:
    file.unlink()
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("CREATE TABLE turns (id TEXT)")


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20000])


def changed_inside(file: Path) -> None:
    whole = file.read_bytes()
    assert whole.count(b"Reply 2: I hear") == 1
    file.write_bytes(whole.replace(b"Reply 2: I hear", b"Reply 2: I near"))


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (no_such_file, "there is no such file"),
        (not_a_database, "not a database"),
        (of_another_program, "not a database of Warmline's"),
        (from_the_future, "newer version of Warmline"),
        (cut_short, "malformed"),
        (changed_inside, "index of their words differ"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
async def test_a_backup_that_cannot_be_used_is_refused_and_nothing_is_changed(
    kept: Store, tmp_path: Path, spoil: Any, why: str
) -> None:
    backup = tmp_path / "backup.db"
    await kept.database.back_up(backup)
    await kept.add_turn("s", "agent", "This came after the backup.")
    spoil(backup)
    before = await texts(kept)
    files = sorted(one.name for one in kept.database.file.parent.iterdir())
    with pytest.raises(WarmlineError, match=r"backup\.db cannot be restored") as caught:
        await kept.database.restore(backup)
    assert why in str(caught.value)
    assert "Nothing was changed." in str(caught.value)
    assert await texts(kept) == before
    assert sorted(one.name for one in kept.database.file.parent.iterdir()) == files


# Deleted


SECRETS = ["quokkaberry", "zephyrlantern", "marzipanturtle"]


def places_of(words: list[str], folder: Path) -> list[str]:
    """Where any of the words stands in the bytes of any file; SQLite keeps text as it is."""
    return [
        f"{word} in {file.relative_to(folder)}"
        for file in sorted(folder.rglob("*"))
        if file.is_file()
        for word in words
        if word.encode() in file.read_bytes().lower()
    ]


async def secret_session(store: Store, session: str, words: list[str]) -> None:
    """A session in which every place that holds words holds one of these."""
    await start(store, session)
    one, two, three = words
    await store.add_turn(session, "agent", f"I heard about {one}. " + said(1))
    await store.add_turn(
        session, "customer", f"{two} is what I said.", rejected=[f"too long: {two}"], source="model"
    )
    await store.rename_session(session, f"About {three}")
    await store.keep_answer(session, "r", "d", three, ("step", "check", 1), 0.5)
    parts = dict.fromkeys(
        ["persona_hash", "rubric_hash", "prompt_version", "backend", "model", "digest"], "x"
    )
    await store.add_grade(
        session, {**parts, "total": 1, "passed": 0, "quote": one}, {"why": two}, NOTHING
    )


async def test_what_is_deleted_is_in_no_byte_of_the_files(store: Store, tmp_path: Path) -> None:
    others = ["heliotropegoat", "umberpelican", "saffronbadger"]
    for number in range(30):
        await start(store, f"filling-{number}")
        await store.add_turn(f"filling-{number}", "agent", said(number))
    await secret_session(store, "s", SECRETS)
    await secret_session(store, "other", others)
    gone = await store.session("s")
    reader = SessionReader(store)
    for session in ("s", "other"):
        view = await reader.view(session)
        stem = tmp_path / "export" / "june" / file_stem(view.session)
        stem.parent.mkdir(parents=True, exist_ok=True)
        for suffix in (".md", ".json"):
            stem.with_suffix(suffix).write_text("\n".join(turn.text for turn in view.turns))
    found = places_of(SECRETS, tmp_path)
    assert {where.rsplit(" ", 1)[1] for where in found} >= {"warmline.db-wal"}
    assert any("export" in where for where in found)

    await forget(store, [gone], tmp_path)
    assert places_of(SECRETS, tmp_path) == []
    assert len({where.split()[0] for where in places_of(others, tmp_path)}) == 3
    assert len([one for one in (tmp_path / "export").rglob("*") if one.is_file()]) == 2
    await store.database.check()
    await store.close()
    assert places_of(SECRETS, tmp_path) == []
    store.database = await Database.open(tmp_path / "warmline.db")


async def test_a_real_export_is_deleted_with_its_session(store: Store, tmp_path: Path) -> None:
    await start(store, "s")
    await store.add_turn("s", "agent", f"About the {SECRETS[0]}.")
    await export_session(SessionReader(store), "s", tmp_path / "export")
    assert len(list((tmp_path / "export").iterdir())) == 2
    await forget(store, [await store.session("s")], tmp_path)
    assert places_of(SECRETS, tmp_path) == []
    assert list((tmp_path / "export").iterdir()) == []


async def test_traces_that_cannot_be_wiped_now_are_said_and_go_with_the_next_deletion(
    store: Store, tmp_path: Path
) -> None:
    await pragma(store, "busy_timeout = 100")
    for session in ("s", "next"):
        await start(store, session)
    await store.add_turn("s", "agent", f"About the {SECRETS[0]}.")
    await export_session(SessionReader(store), "s", tmp_path / "export")
    with closing(sqlite3.connect(store.database.file, isolation_level=None)) as other:
        # A long look at everything, such as a backup takes.
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM turns").fetchone()
        with pytest.raises(WarmlineError, match=r"It is deleted, but another program.*traces"):
            await forget(store, [await store.session("s")], tmp_path)
        other.execute("COMMIT")
    with pytest.raises(NotFound):
        await store.session("s")
    assert list((tmp_path / "export").iterdir()) == []
    assert places_of(SECRETS, tmp_path) != []
    await forget(store, [await store.session("next")], tmp_path)
    assert places_of(SECRETS, tmp_path) == []


def days_ago(days: float) -> str:
    moment = datetime.now(UTC) - timedelta(days=days)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def aged(
    store: Store, session: str, begun: float, last_turn: float, finished: float | None = None
) -> None:
    """A session that began, was last spoken in, and was graded so many days ago."""
    await start(store, session)
    await store.add_turn(session, "agent", f"About the {session}.")
    dates = (days_ago(begun), None if finished is None else days_ago(finished), session)

    def work(db: Any) -> None:
        with db.atomic():
            db.execute("UPDATE sessions SET created_at = ?, finished_at = ? WHERE id = ?", dates)
            db.execute(
                "UPDATE turns SET created_at = ? WHERE session_id = ? AND number = 0",
                (days_ago(begun), session),
            )
            db.execute(
                "UPDATE turns SET created_at = ? WHERE session_id = ? AND number > 0",
                (days_ago(last_turn), session),
            )

    await store.database.run(work)


async def test_after_so_many_days_without_anything_a_session_is_gone_without_a_trace(
    store: Store, tmp_path: Path
) -> None:
    minute = 1 / 24 / 60
    await aged(store, "quokkaberry", 400, 30 + minute)
    await aged(store, "zephyrlantern", 30 + minute, 30 + minute, finished=30 + minute)
    await aged(store, "spoken-in", 400, 30 - minute)
    await aged(store, "graded-lately", 400, 400, finished=30 - minute)
    await aged(store, "begun-lately", 30 - minute, 30 - minute)
    for session in await store.sessions():
        await export_session(SessionReader(store), session.id, tmp_path / "export")
    assert await forget_old(store, None, tmp_path) == 0
    assert len(await store.sessions()) == 5

    assert await forget_old(store, 30, tmp_path) == 2
    stay = {"spoken-in", "graded-lately", "begun-lately"}
    assert {session.id for session in await store.sessions()} == stay
    assert places_of(SECRETS, tmp_path) == []
    assert len(list((tmp_path / "export").iterdir())) == 6
    assert await forget_old(store, 30, tmp_path) == 0


WORDS = ["giraffe", "lantern", "Elefant", "čaj", "naïve", "42"]
NAMES = ["a", "b", "c"]
steps = st.one_of(
    st.tuples(st.just("say"), st.sampled_from(NAMES), st.lists(st.sampled_from(WORDS), max_size=4)),
    st.tuples(st.sampled_from(["share", "unshare", "delete"]), st.sampled_from(NAMES), st.just([])),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(order=st.lists(steps, max_size=14))
def test_what_is_there_is_found_and_what_was_deleted_is_not_in_whatever_order(
    order: list[tuple[str, str, list[str]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    async def run() -> None:
        store = await opened(tmp_path_factory.mktemp("any") / "w.db")
        expected: dict[str, list[str]] = {}
        shared: set[str] = set()
        for what, session, words in order:
            if what == "delete":
                await store.delete_sessions([session])
                expected.pop(session, None)
                shared.discard(session)
                continue
            if session not in expected:
                await start(store, session)
                expected[session] = []
            if what == "say":
                await store.add_turn(session, "agent", " ".join(words))
                await store.keep_answer(session, "r", "d", "v", ("s", "c", 1), 0.5)
                expected[session].append(" ".join(words))
            else:
                await store.share(session, shared=what == "share")
                shared = (shared | {session}) if what == "share" else (shared - {session})
        sessions = await store.sessions()
        assert {one.id for one in sessions} == set(expected)
        assert {one.id for one in sessions if one.shared_at} == shared
        for session in NAMES:
            if session in expected:
                assert await texts(store, session) == expected[session]
            else:
                assert await store.turns(session) == []
                assert await store.answers(session, "r", "d", "v") == {}
        for word in WORDS:
            hits = {(where, number) for where, number, _ in await store.search(word)}
            assert hits == {
                (session, number)
                for session, turns in expected.items()
                for number, text in enumerate(turns, 1)
                if word in text.split()
            }
        await store.database.check()
        await store.close()

    asyncio.run(run())


# The clock


async def test_a_clock_that_goes_back_changes_no_order_within_a_session(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = (f"{2030 - number}-01-01T00:00:00.000Z" for number in range(100))
    for module in (store_module, database_module):
        monkeypatch.setattr(module, "now", lambda: next(times))
    await start(store, "s")
    for number in range(5):
        await store.add_turn("s", "agent", f"No. {number}")
    turns: list[StoredTurn] = await store.turns("s")
    assert [turn.text for turn in turns[1:]] == [f"No. {number}" for number in range(5)]
    at = [turn.created_at for turn in turns]
    assert at == sorted(at, reverse=True)

    parts = dict.fromkeys(
        ["persona_hash", "rubric_hash", "prompt_version", "backend", "model", "digest"], "x"
    )
    await store.add_grade("s", {**parts, "total": 10, "passed": 0}, {}, NOTHING)
    stored = await store.grade("s")
    assert stored is not None
    assert stored.grade["total"] == 10


async def test_after_the_clock_went_back_the_list_still_shows_every_session_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list goes by the clock: what was begun after it went back stands further down."""
    times = iter(["2030-01-03", "2030-01-02", "2030-01-02", "2030-01-04"])
    for name in ("first", "second", "third", "fourth"):
        at = f"{next(times)}T00:00:00.000Z"
        monkeypatch.setattr(store_module, "now", lambda at=at: at)
        await start(store, name)
    listed = [session.id for session in await store.sessions()]
    assert listed == ["fourth", "first", "third", "second"]
    pages: list[str] = []
    while page := await store.sessions(before=pages[-1] if pages else None, limit=1):
        pages += [session.id for session in page]
    assert pages == listed


def test_the_time_is_written_so_that_its_order_as_text_is_its_order() -> None:
    moment = now()
    assert moment == datetime.fromisoformat(moment).astimezone(UTC).strftime(
        f"%Y-%m-%dT%H:%M:%S.{moment[20:23]}Z"
    )


async def test_nothing_of_what_was_said_is_logged_when_the_file_fails(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await start(store, "s")
    await pragma(store, "query_only = ON")
    with pytest.raises(WarmlineError) as caught:
        await store.add_turn("s", "agent", f"About the {SECRETS[0]}.")
    assert SECRETS[0] not in caplog.text + str(caught.value)


def test_what_a_restore_kept_aside_goes_after_a_week(tmp_path: Path) -> None:
    old, new, other = (
        tmp_path / name for name in ("w-before-2026.db", "w-before-2027.db", "backup-of-mine.db")
    )
    killed = tmp_path / "w-coming-2026.db"
    for file in (old, new, other, killed):
        file.touch()
    for file in (old, other, killed):
        os.utime(file, (0, 0))
    forget_copies(tmp_path / "w.db")
    assert sorted(file.name for file in tmp_path.iterdir()) == [other.name, new.name]

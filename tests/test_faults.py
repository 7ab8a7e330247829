"""What breaks, what the person sees then, and what is kept: the table in docs/faults.md.

Each test here brings one fault about, through the layers that a session really goes through, and
hands in its row. The last one holds the table against the rows; ``UPDATE_SNAPSHOTS=1 pytest
tests/test_faults.py`` writes it anew.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import re
import signal
import socket
import sqlite3
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from fakes import ScriptedBackend
from ollama_stub import Script, _Handler
from snapshots import small_library
from stub_server import _Server
from test_database import (
    allow,
    as_somebody_else,
    filled,
    folder_of,
    from_the_future,
    opened,
    pragma,
    writing,
)
from test_practice import (
    ANSWERS,
    FLAT,
    KIND,
    NORA,
    TWO_SENTENCES,
    answer,
    backend,
    begin,
    exchange,
    finish,
    graded_session,
    likely,
    settled,
    texts,
)
from warmline import store as store_module
from warmline.backends.ollama import OllamaBackend
from warmline.database import BUSY_TIMEOUT_S, Database
from warmline.errors import (
    BackendTimeout,
    BackendUnavailable,
    NotGraded,
    WarmlineError,
)
from warmline.practice import Practice
from warmline.retention import forget
from warmline.settings import PROJECT, Settings
from warmline.store import Store

TABLE = PROJECT / "docs" / "faults.md"
HEAD = """\
# What happens when something breaks

Every row was made by bringing the fault about in a test (`tests/test_faults.py`) and noting what \
came of it; the tests hold this page to it. What stands in quotes is shown word for \
word to whoever runs Warmline; a trainee reads of a model that failed only that it did not answer. Nobody has to do anything for what is kept: a turn is on the disk before it is answered.
"""
IN_A_SESSION, AT_THE_START = "In a session", "When Warmline is started, or somebody looks after it"
NOTHING = "nothing of it"
SCRIPTED = "a line of the customer's, as always"

#: The rows in their order; a test hands in each.
FAULTS = {
    IN_A_SESSION: [
        "The engine is gone before the answer",
        "The engine breaks off in mid-answer and is started again",
        "The engine is silent",
        "The model never stops",
        "The model says nothing",
        "The model writes rubbish",
        "The page is closed in mid-answer",
        "The same message is sent twice",
        "Two pages write in one session at once",
        "The engine fails while the grade is made",
        "The disk is full when a message is sent",
        "The disk is full when the answer is to be kept",
        "Another program holds the database",
        "The database may suddenly only be read",
        "The database is damaged while it is in use",
        "The clock goes back",
        "The process is killed (kill -9)",
        "A session is deleted while another program reads the database",
    ],
    AT_THE_START: [
        "The database may only be read",
        "The database was made by a newer version",
        "The database is damaged",
        "The file is no database",
        "Another program is making or changing the database",
        "The backup to be restored is damaged",
    ],
}


@dataclass(frozen=True)
class Row:
    """One fault: what was seen of it, and what was kept."""

    seen: str
    kept: str


ROWS: dict[str, Row] = {}


class Fault(Protocol):
    """Hands in a row."""

    def __call__(self, name: str, *, seen: str | BaseException, kept: str) -> None: ...


@pytest.fixture
def fault(tmp_path: Path) -> Fault:
    """Hands in a row, after a look at whether what was seen may be shown to whom it is shown."""

    def hand_in(name: str, *, seen: str | BaseException, kept: str) -> None:
        (where,) = [where for where, names in FAULTS.items() if name in names]
        if isinstance(seen, str):
            text = seen
        else:
            text = str(seen)
            # It says what to do.
            assert re.search(
                r"\b([Tt]ry|Start|Press|Tell|Move|Make|Close|close|Name|Check|go with)\b", text
            )
            if where == IN_A_SESSION:
                # A trainee has no business with where the server keeps its file.
                assert str(tmp_path) not in text
                assert ".db" not in text
                assert not re.search(r"(^|\s)/\w", text)
            text = f"“{text}”"
        ROWS[name] = Row(plain(text, tmp_path), kept)

    return hand_in


def plain(text: str, folder: Path) -> str:
    """A text without what is another one each time."""
    text = re.sub(r"(/[\w.-]+)+/(?=(warmline|backup)\.db)", "…/", text)
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:11434", text)
    return " ".join(text.split())


@pytest.fixture
async def practice(store: Store) -> AsyncIterator[Practice]:
    made = Practice(store, small_library(), backend())
    yield made
    await made.close()


class _Stoppable(_Server):
    """A server that knows its connections."""

    def __init__(self, *args: Any) -> None:
        self.connections: list[socket.socket] = []
        super().__init__(*args)

    def get_request(self) -> Any:
        connection, address = super().get_request()
        self.connections.append(connection)
        return connection, address


class Engine:
    """An Ollama on a port of its own, that can be stopped and started again there."""

    def __init__(self) -> None:
        self.script = Script(answers=[["I have been sitting here in my coat since Monday. "]])
        self.port = 0
        self._server: _Stoppable | None = None

    def start(self) -> None:
        handler = type("Handler", (_Handler,), {"script": self.script})
        self._server = _Stoppable(("127.0.0.1", self.port), handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            # As the kernel does for a process that ended.
            for connection in self._server.connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._server = None


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()
    made.start()
    yield made
    made.stop()


@pytest.fixture
async def on_ollama(store: Store, engine: Engine) -> AsyncIterator[Practice]:
    """A session, ``s``, on the real client, with a message that waits for its answer."""
    client = OllamaBackend(
        Settings(ollama_host=f"http://127.0.0.1:{engine.port}", request_timeout_s=0.5)
    )
    made = Practice(store, small_library(), client)
    await begin(made)
    await made.say("s", FLAT)
    yield made
    await made.close()
    await client.aclose()


async def refused(work: Any, kind: type[WarmlineError] = WarmlineError) -> WarmlineError:
    """What is raised instead."""
    with pytest.raises(kind) as caught:
        await work
    return caught.value


# The engine


async def test_an_engine_that_is_gone_is_said_and_the_message_waits_for_its_answer(
    on_ollama: Practice, engine: Engine, fault: Fault
) -> None:
    engine.stop()
    seen = await refused(answer(on_ollama), BackendUnavailable)
    assert await texts(on_ollama) == [NORA.opening, FLAT]
    assert (await on_ollama.view("s")).waits_for_customer
    engine.start()
    line = await answer(on_ollama)
    assert await texts(on_ollama) == [NORA.opening, FLAT, line]
    fault(
        "The engine is gone before the answer",
        seen=seen,
        kept="everything, the message too; it is answered once the engine runs again",
    )


async def test_an_engine_that_breaks_off_leaves_what_was_shown_and_the_next_answer_works(
    on_ollama: Practice, engine: Engine, fault: Fault
) -> None:
    engine.script.answers = [[*TWO_SENTENCES, "Nobody ", "has ", "come."]]
    engine.script.cut_after, engine.script.cut_how = 3, "breaking"
    shown = await answer(on_ollama)
    engine.stop()
    assert shown == "".join(TWO_SENTENCES).strip()
    last = (await on_ollama.view("s")).turns[-1]
    assert (last.role, last.text) == ("customer", shown)

    engine.script.cut_after = None
    engine.script.answers = [["I have been sitting here in my coat since Monday. "]]
    engine.start()
    assert (await on_ollama.view("s")).turns[-1].partial
    line = await exchange(on_ollama, "Is anybody with you?")
    assert (await texts(on_ollama))[1:] == [FLAT, shown, "Is anybody with you?", line]
    fault(
        "The engine breaks off in mid-answer and is started again",
        seen="the sentences that had come, and that the line was broken off there",
        kept="what was shown, marked as broken off; the next message is answered as always",
    )


async def test_a_silent_engine_is_given_up_after_the_time_limit(
    on_ollama: Practice, engine: Engine, fault: Fault
) -> None:
    engine.script.delay_s = 1.5
    seen = await refused(answer(on_ollama), BackendTimeout)
    assert await texts(on_ollama) == [NORA.opening, FLAT]
    engine.script.delay_s = 0.0
    line = await answer(on_ollama)
    assert await texts(on_ollama) == [NORA.opening, FLAT, line]
    fault(
        "The engine is silent",
        seen=seen,
        kept="everything, the message too; it is answered when it is asked for again",
    )


async def test_a_model_that_never_stops_is_cut_and_only_whole_sentences_are_kept(
    on_ollama: Practice, engine: Engine, fault: Fault
) -> None:
    engine.script.answers = [["I sit here in my coat and it is freezing. ", "and then "]]
    engine.script.never_stops = True
    async with asyncio.timeout(30):
        line = await answer(on_ollama)
    assert line == "I sit here in my coat and it is freezing."
    last = (await on_ollama.view("s")).turns[-1]
    assert (last.text, last.source, last.partial) == (line, "model", False)
    assert await asyncio.to_thread(engine.script.hung_up.wait, 10)
    fault(
        "The model never stops",
        seen=SCRIPTED,
        kept="the whole sentences of its answer; the engine is told to stop",
    )


@pytest.mark.parametrize(
    ("name", "said", "objections"),
    [
        ("The model says nothing", [""], []),
        (
            "The model writes rubbish",
            ["As an AI language model I cannot feel cold. Please provide your reference."],
            ["speaks as a machine"],
        ),
    ],
)
async def test_a_model_of_no_use_is_replaced_by_a_line_of_the_script(
    on_ollama: Practice,
    engine: Engine,
    fault: Fault,
    name: str,
    said: list[str],
    objections: list[str],
) -> None:
    engine.script.answers = [said]
    line = await answer(on_ollama)
    view = await on_ollama.view("s")
    assert line in NORA.ladder[NORA.rank(view.state.mood)].lines
    last = view.turns[-1]
    assert (last.text, last.source, last.partial) == (line, "fallback", False)
    assert len(engine.script.bodies("/api/generate")) == 3
    reasons = {one.split(":")[0] for one in last.rejected}
    assert bool(reasons) == bool(objections)
    assert not any(text in line for text in said if text)
    fault(
        name,
        seen="a line of the customer's that was written for this mood",
        kept="that line; what the model wrote is noted, and never shown"
        if reasons
        else "that line",
    )


async def test_a_page_that_is_closed_in_mid_answer_leaves_what_it_had_shown(
    practice: Practice, fault: Fault
) -> None:
    stopped: list[str] = []

    class Slow(ScriptedBackend):
        async def continue_text(self, prompt: str, **more: Any) -> AsyncIterator[str]:
            try:
                for piece in [*TWO_SENTENCES, "And more. "]:
                    yield piece
                    await asyncio.sleep(0)
            finally:
                stopped.append("stopped")

    practice.backend = Slow(yes=likely)
    await begin(practice)
    await practice.say("s", FLAT)
    closed = practice.answer("s")
    shown = await anext(closed)
    await closed.aclose()
    last = (await practice.view("s")).turns[-1]
    assert (last.role, last.text, last.partial) == ("customer", shown, True)
    assert stopped == ["stopped"]

    seen: list[str] = []

    async def listen() -> None:
        async for sentence in practice.answer("s"):
            seen.append(sentence)
            reached.set()
            await asyncio.Event().wait()

    await practice.say("s", "Is anybody with you?")
    reached = asyncio.Event()
    task = asyncio.create_task(listen())
    await reached.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    last = (await practice.view("s")).turns[-1]
    assert (last.role, last.text, last.partial) == ("customer", seen[0], True)

    practice.backend = backend()
    assert await exchange(practice, KIND[0])
    assert [turn.number for turn in (await practice.view("s")).turns] == list(range(7))
    fault(
        "The page is closed in mid-answer",
        seen="the sentences that had come, when the session is opened again",
        kept="what was shown, marked as broken off; the engine is told to stop",
    )


async def test_a_message_that_comes_twice_is_kept_and_answered_once(
    practice: Practice, fault: Fault
) -> None:
    await begin(practice)
    for _ in range(2):
        await practice.say("s", FLAT, turn_id="one")
    line = await answer(practice)
    await practice.say("s", FLAT, turn_id="one")
    again = await answer(practice)
    assert await texts(practice) == [NORA.opening, FLAT, line]
    assert again == ""
    fault("The same message is sent twice", seen=NOTHING, kept="the message once, and one answer")


async def test_two_pages_that_write_at_once_lose_and_double_nothing(
    practice: Practice, fault: Fault
) -> None:
    class Slow(ScriptedBackend):
        async def continue_text(self, prompt: str, **more: Any) -> AsyncIterator[str]:
            async for piece in super().continue_text(prompt, **more):
                await asyncio.sleep(0.05)
                yield piece

    practice.backend = Slow(continuations=ANSWERS, yes=likely)
    await begin(practice)

    async def page(name: str) -> None:
        for number in range(2):
            await practice.say("s", f"{FLAT} {name}{number}", turn_id=f"{name}{number}")
            await answer(practice)

    await asyncio.gather(page("left"), page("right"))
    turns = (await practice.view("s")).turns
    said = [turn.text for turn in turns if turn.role == "agent"]
    assert sorted(said) == sorted(f"{FLAT} {one}{n}" for one in ("left", "right") for n in (0, 1))
    for name in ("left", "right"):
        own = [text for text in said if name in text]
        assert own == sorted(own)
    assert [turn.number for turn in turns] == list(range(len(turns)))
    lines = [turn.text for turn in turns if turn.role == "customer"]
    assert len(lines) == len(set(lines))
    roles = " ".join(turn.role for turn in turns)
    assert "customer customer" not in roles
    assert roles.endswith("customer")
    assert not any(turn.partial for turn in turns)
    fault(
        "Two pages write in one session at once",
        seen=NOTHING,
        kept="every message once, in the order in which they came; each is answered, "
        "or two together",
    )


async def test_a_grade_that_fails_is_no_number_and_can_be_tried_again(
    on_ollama: Practice, engine: Engine, fault: Fault
) -> None:
    await answer(on_ollama)
    await exchange(on_ollama, KIND[0])
    await settled(on_ollama)
    await exchange(on_ollama, KIND[1])
    await on_ollama._stop_background("s")
    before = await texts(on_ollama)
    await on_ollama.store.database.run(lambda db: db.execute("DELETE FROM answers"))
    engine.stop()
    seen = await refused(finish(on_ollama), NotGraded)
    assert (await on_ollama.view("s")).session.status == "not_graded"
    assert await on_ollama.store.grade("s") is None
    assert not re.search(r"\d+ of \d+|\d+ points", str(seen))
    engine.start()
    assert (await finish(on_ollama)).grade["total"] is not None
    assert await texts(on_ollama) == before
    fault(
        "The engine fails while the grade is made",
        seen=seen,
        kept="the conversation; no grade and no number until it is tried again and works",
    )


# The disk


async def pages(practice: Practice, more: int) -> None:
    """Let the database grow by so many pages and no more, as on a disk that is nearly full."""
    count = (await pragma(practice.store, "page_count"))[0]
    await pragma(practice.store, f"max_page_count = {count + more}")


async def kept_before_and_after(practice: Practice, before: Sequence[str], text: str) -> None:
    """Nothing is lost, and what was refused can be sent again and is there once."""
    assert await texts(practice) == list(before)
    for _ in range(2):
        await practice.say("s", text, turn_id="refused")
    line = await answer(practice)
    assert await texts(practice) == [*before, text, line]
    await practice.store.database.check()


async def test_a_full_disk_refuses_a_message_and_takes_it_once_there_is_room(
    practice: Practice, fault: Fault
) -> None:
    await begin(practice)
    await exchange(practice, FLAT)
    await settled(practice)
    before = await texts(practice)
    await pages(practice, 0)
    text = "I hear you. " * 330
    seen = await refused(practice.say("s", text, turn_id="refused"))
    assert not (await practice.view("s")).waits_for_customer
    await pragma(practice.store, "max_page_count = 1000000")
    await kept_before_and_after(practice, before, text)
    fault(
        "The disk is full when a message is sent",
        seen=seen,
        kept="everything before it; sent again once there is room, the message is kept once",
    )


async def test_a_full_disk_in_mid_answer_leaves_the_message_and_it_is_answered_later(
    practice: Practice, fault: Fault
) -> None:
    await begin(practice)
    await practice.say("s", FLAT)
    await pages(practice, 0)
    await fill_up(practice)
    seen = await refused(answer(practice))
    assert await texts(practice) == [NORA.opening, FLAT]
    assert (await practice.view("s")).waits_for_customer
    await pragma(practice.store, "max_page_count = 1000000")
    practice.backend = backend()
    line = await answer(practice)
    assert await texts(practice) == [NORA.opening, FLAT, line]
    fault(
        "The disk is full when the answer is to be kept",
        seen=seen,
        kept="the message; it is answered anew once there is room",
    )


async def fill_up(practice: Practice) -> None:
    """Use up what is free in the pages of the turns, so that not one more fits in."""

    def work(db: Any) -> None:
        number = 1000
        try:
            while True:
                number += 1
                with db.atomic():
                    db.execute(
                        "INSERT INTO turns (id, session_id, number, role, text, created_at) "
                        "VALUES (?, 'filling', ?, 'agent', 'x', '')",
                        (f"filling-{number}", number),
                    )
        except sqlite3.OperationalError:
            pass

    await practice.store.database.run(lambda db: db.execute("PRAGMA foreign_keys = OFF"))
    await practice.store.database.run(work)
    await practice.store.database.run(lambda db: db.execute("PRAGMA foreign_keys = ON"))


async def test_a_database_that_another_program_holds_refuses_and_takes_it_afterwards(
    practice: Practice, fault: Fault
) -> None:
    await begin(practice)
    await exchange(practice, FLAT)
    await settled(practice)
    before = await texts(practice)
    await pragma(practice.store, "busy_timeout = 50")
    with writing(practice.store.database.file):
        seen = await refused(practice.say("s", "Hello?", turn_id="refused"))
    await kept_before_and_after(practice, before, "Hello?")
    fault(
        "Another program holds the database",
        seen=seen,
        kept="everything before it; sent again, the message is kept once. A program that writes "
        "for less than ten seconds is waited for",
    )


async def test_a_database_that_may_only_be_read_refuses_and_takes_it_afterwards(
    practice: Practice, fault: Fault
) -> None:
    await begin(practice)
    await exchange(practice, FLAT)
    await settled(practice)
    before = await texts(practice)
    await pragma(practice.store, "query_only = ON")
    seen = await refused(practice.say("s", "Hello?", turn_id="refused"))
    await pragma(practice.store, "query_only = OFF")
    await kept_before_and_after(practice, before, "Hello?")
    fault(
        "The database may suddenly only be read",
        seen=seen,
        kept="everything before it; sent again once it can be written, the message is kept once",
    )


async def test_damage_in_mid_session_is_said_without_a_word_of_where_the_file_lies(
    tmp_path: Path, fault: Fault
) -> None:
    file = tmp_path / "other.db"
    store = await opened(file)
    practice = Practice(store, small_library(), backend())
    await begin(practice)
    await exchange(practice, FLAT)
    await settled(practice)
    await store.database.scrub()
    before = await texts(practice)
    whole = file.read_bytes()
    await pragma(store, "cache_size = 0")
    file.write_bytes(whole[:4096] + b"\xa5" * (len(whole) - 4096))
    seen = await refused(practice.say("s", "Hello?"))
    file.write_bytes(whole)
    assert await texts(practice) == before
    await practice.close()
    await store.close()
    fault(
        "The database is damaged while it is in use",
        seen=seen,
        kept="what is readable; nothing is added to it",
    )


async def test_a_clock_that_goes_back_changes_no_order_and_no_grade(
    practice: Practice, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    times = (f"{2030 - number}-01-01T00:00:00.000Z" for number in range(100))
    monkeypatch.setattr(store_module, "now", lambda: next(times))
    await graded_session(practice)
    grade = await finish(practice)
    turns = (await practice.view("s")).turns
    at = [turn.created_at for turn in turns]
    assert at == sorted(at, reverse=True)
    assert [turn.role for turn in turns] == ["customer", *["agent", "customer"] * 2]
    assert [turn.text for turn in turns if turn.role == "agent"] == KIND[:2]
    assert await practice.store.grade("s") == grade
    fault(
        "The clock goes back",
        seen="sessions begun after it went back stand further down in the list",
        kept="everything, in its order; turns and grades go by their numbers, not by the clock",
    )


def say_and_be_killed(file: Path) -> None:
    """Keep a message and die before it is answered; what another process does."""

    async def work() -> None:
        store = await opened(file)
        practice = Practice(store, small_library(), backend())
        await begin(practice)
        await practice.say("s", FLAT, turn_id="one")
        async for _ in practice.answer("s"):
            os.kill(os.getpid(), signal.SIGKILL)

    asyncio.run(work())


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
async def test_a_process_that_is_killed_has_kept_what_was_sent(
    tmp_path: Path, fault: Fault
) -> None:
    """One kill; test_power_loss.py has one at each write."""
    file = tmp_path / "other.db"
    process = multiprocessing.get_context("spawn").Process(target=say_and_be_killed, args=(file,))
    process.start()
    await asyncio.to_thread(process.join, 60)
    assert process.exitcode == -signal.SIGKILL
    store = await opened(file)
    await store.database.check()
    practice = Practice(store, small_library(), backend())
    await practice.say("s", FLAT, turn_id="one")
    assert await texts(practice) == [NORA.opening, FLAT]
    line = await answer(practice)
    assert await texts(practice) == [NORA.opening, FLAT, line]
    await practice.close()
    await store.close()
    fault(
        "The process is killed (kill -9)",
        seen="the session as it was, once Warmline runs again; what was unanswered is answered",
        kept="every message that was taken, once; a grade whole or not at all. Tried before and "
        "after every statement that writes, and in the middle of writing, some five hundred "
        "times: `tests/test_power_loss.py`",
    )


async def test_a_deletion_that_leaves_traces_for_now_says_so(
    practice: Practice, tmp_path: Path, fault: Fault
) -> None:
    await begin(practice)
    await begin(practice, "other")
    await pragma(practice.store, "busy_timeout = 50")
    with closing(sqlite3.connect(practice.store.database.file, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM turns").fetchone()
        seen = await refused(practice.forget("s"))
    assert [session.id for session in await practice.store.sessions()] == ["other"]
    await forget(practice.store, [await practice.store.session("other")], tmp_path)
    assert practice.store.database.file.with_name("warmline.db-wal").stat().st_size == 0
    fault(
        "A session is deleted while another program reads the database",
        seen=seen,
        kept="all other sessions; nothing of the deleted one can be opened or found",
    )


# Starting


async def at_the_start(file: Path) -> WarmlineError:
    """What is said to somebody who starts Warmline on that file, which is left as it is."""
    before = folder_of(file)
    try:
        database = await Database.open(file, busy_timeout_s=0.05)
    except WarmlineError as error:
        seen = error
    else:
        seen = await refused(database.check())
        await database.close()
    assert folder_of(file) == before
    assert str(file) in str(seen)
    return seen


@pytest.mark.skipif(sys.platform == "win32", reason="other permissions")
async def test_a_database_that_may_only_be_read_is_named_at_the_start(fault: Fault) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kept = await filled(folder / "warmline.db", 3)
        allow(folder / "warmline.db", 0o444)
        allow(folder, 0o555)
        with as_somebody_else():
            seen = await at_the_start(folder / "warmline.db")
        allow(folder, 0o700)
        store = await opened(folder / "warmline.db")
        assert (await texts_of(store)) == kept
        await store.close()
    fault("The database may only be read", seen=seen, kept="everything; the file is not touched")


async def texts_of(store: Store) -> list[str]:
    return [turn.text for turn in (await store.turns("s"))[1:]]


async def test_a_database_of_a_newer_version_is_left_alone_at_the_start(
    tmp_path: Path, fault: Fault
) -> None:
    file = tmp_path / "warmline.db"
    await filled(file, 3)
    from_the_future(file)
    fault(
        "The database was made by a newer version",
        seen=await at_the_start(file),
        kept="everything; the file is not touched",
    )


async def test_a_damaged_database_is_found_at_the_start(tmp_path: Path, fault: Fault) -> None:
    file = tmp_path / "warmline.db"
    await filled(file)
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b"Reply 7: I hear", b"Reply 7: I near"))
    fault(
        "The database is damaged",
        seen=await at_the_start(file),
        kept="everything that is readable, and the backups; the file is not touched",
    )


async def test_a_file_that_is_no_database_is_left_alone_at_the_start(
    tmp_path: Path, fault: Fault
) -> None:
    file = tmp_path / "warmline.db"
    file.write_text("Dear diary, this is not a database. " * 100)
    fault(
        "The file is no database",
        seen=await at_the_start(file),
        kept="the file as it is",
    )


async def test_a_database_in_the_making_is_named_at_the_start(tmp_path: Path, fault: Fault) -> None:
    file = tmp_path / "warmline.db"
    with writing(file) as other:
        seen = await refused(Database.open(file, busy_timeout_s=0.05))
        threading.Timer(0.3, lambda: other.execute("COMMIT")).start()
        await (await Database.open(file)).close()
    assert BUSY_TIMEOUT_S == 10
    fault(
        "Another program is making or changing the database",
        seen=seen,
        kept="everything; a program that does so for less than ten seconds is waited for",
    )


async def test_a_damaged_backup_is_refused_and_the_database_stays(
    store: Store, tmp_path: Path, fault: Fault
) -> None:
    await begin(Practice(store, small_library(), backend()))
    backup = tmp_path / "backup.db"
    await store.database.back_up(backup)
    backup.write_bytes(backup.read_bytes()[:-20000])
    before = await store.turns("s")
    seen = await refused(store.database.restore(backup))
    assert await store.turns("s") == before
    fault("The backup to be restored is damaged", seen=seen, kept="what was there")


# The table


def test_the_table_in_the_manual_is_what_came_of_the_faults() -> None:
    names = [name for group in FAULTS.values() for name in group]
    assert len(names) == len(set(names))
    if missing := [name for name in names if name not in ROWS]:
        pytest.skip(f"not every fault was brought about: {', '.join(missing)}")
    parts = [HEAD]
    for where, group in FAULTS.items():
        lines = ["| Fault | What the person sees | What is kept |", "| --- | --- | --- |"]
        for name in group:
            cells = [name, ROWS[name].seen, ROWS[name].kept]
            lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
        parts.append(f"## {where}\n\n" + "\n".join(lines) + "\n")
    page = "\n".join(parts)
    if os.environ.get("UPDATE_SNAPSHOTS"):
        TABLE.write_text(page, encoding="utf-8")
    assert TABLE.read_text(encoding="utf-8") == page

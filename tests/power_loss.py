"""Plays a short session again and again, each time killed at another write, and says what is left.

A process of its own, run by ``test_power_loss.py``: it forks, and only a process without threads
of its own may do that. Prints one JSON object: how many kills of each kind, and every problem.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import shutil
import signal
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from fakes import ScriptedBackend
from snapshots import small_library
from test_practice import ANSWERS, KIND, NORA, RUDE, likely, settled
from warmline import sessions
from warmline.errors import NotFound, SessionOver
from warmline.grader.coaching import Coaching
from warmline.grader.scoring import Grade
from warmline.people import People
from warmline.practice import Practice
from warmline.store import Store, StoredGrade

SESSION = "s"
LIBRARY = small_library()
#: So many processes at once, and so many kills before what they left is looked at.
AT_ONCE, BATCH = 2, 60
#: What starts a statement that writes. The statements of a trigger come as comments.
WRITES = (
    "INSERT", "UPDATE", "DELETE", "REPLACE", "COMMIT", "CREATE", "ALTER", "DROP",
    "PRAGMA JOURNAL_MODE",
)  # fmt: skip


@dataclass(frozen=True)
class Play:
    """What is said in a session, and what is killed."""

    name: str
    replies: tuple[str, ...]
    #: On a database that is there already, and not on one that has to be made.
    prepared: bool
    #: Up to its grade, and not only up to its last line.
    graded: bool


PLAYS = [
    Play("graded", tuple(KIND[:2]), prepared=False, graded=True),
    Play("walks out", tuple(f"{RUDE} {'.' * n}" for n in range(3)), prepared=True, graded=False),
]


@dataclass(frozen=True)
class Kill:
    """Where a process dies.

    ``before`` or ``after`` the statement of that number, or ``inside`` the write to the disk that
    makes a file longer than that many bytes, of which only the beginning is written.
    """

    play: Play
    how: str
    at: int


class Watch:
    """Counts the writes of every connection from outside, and dies at one of them."""

    def __init__(self, how: str = "", at: int = 0) -> None:
        self.counts = {"before": 0, "after": 0}
        self._how, self._at = how, at
        self._connect = sqlite3.connect

    def start(self) -> None:
        """Watch the connections that are opened from now on."""
        sqlite3.connect = self._connected  # type: ignore[assignment]
        if self._how == "inside":
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (self._at, self._at))

    def stop(self) -> None:
        """Watch no more."""
        sqlite3.connect = self._connect

    def seen(self, when: str, sql: str) -> None:
        """Count a statement, and die if it is the one."""
        if sql.lstrip("- \n").upper().startswith(WRITES):
            self.counts[when] += 1
            if (when, self.counts[when]) == (self._how, self._at):
                os.kill(os.getpid(), signal.SIGKILL)

    def _connected(self, *args: Any, **more: Any) -> sqlite3.Connection:
        watch = self

        class Cursor(sqlite3.Cursor):
            def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
                done = super().execute(sql, *values)
                watch.seen("after", sql)
                return done

        class Connection(sqlite3.Connection):
            def cursor(self, factory: Any = Cursor) -> Any:
                return super().cursor(factory)

            def __exit__(self, *error: Any) -> Any:
                done = super().__exit__(*error)
                watch.seen("after", "COMMIT")
                return done

        connection = self._connect(*args, **more, factory=Connection)
        connection.set_trace_callback(lambda sql: watch.seen("before", sql))
        return connection


def practice_on(store: Store) -> Practice:
    return Practice(store, LIBRARY, ScriptedBackend(continuations=ANSWERS, yes=likely))


async def prepare(file: Path) -> None:
    """Make a database with a user in it."""
    store = await Store.open(file)
    await People(store.database).local_user("you")
    await store.close()


async def play(file: Path, one: Play, tell: Callable[[str, str], None]) -> None:
    """One session from its beginning; tells what has been acknowledged."""
    store = await Store.open(file)
    practice = practice_on(store)
    user = await People(store.database).local_user("you")
    await practice.begin(SESSION, user.id, NORA.id)
    tell("begun", NORA.opening)
    for number, reply in enumerate(one.replies):
        await practice.say(SESSION, reply, turn_id=f"message-{number}")
        tell(f"message-{number}", reply)
        line = [piece async for piece in practice.answer(SESSION, line_id=f"line-{number}")]
        tell(f"line-{number}", "".join(line))
        # So that the writes come in the same order every time.
        await settled(practice)
    if one.graded:
        async for _ in practice.finish(SESSION):
            pass
        tell("graded", "")
    await practice.close()
    await store.close()


async def what_is_wrong(file: Path, replies: tuple[str, ...], told: dict[str, str]) -> list[str]:
    """Look at what a kill has left, take the session up, and end it; every problem on the way."""
    wrong: list[str] = []

    def must(true: bool, what: str) -> None:
        if not true:
            wrong.append(what)

    store = await Store.open(file)
    await store.database.check()
    practice = practice_on(store)
    user = await People(store.database).local_user("you")
    try:
        await practice.view(SESSION)
    except NotFound:
        must(not told, f"the session is gone, though these were acknowledged: {list(told)}")
    await practice.begin(SESSION, user.id, NORA.id)

    turns = (await practice.view(SESSION)).turns
    must([turn.number for turn in turns] == list(range(len(turns))), "numbers with holes")
    said = [turn.text for turn in turns if turn.role == "agent"]
    must(said == list(replies[: len(said)]), f"other messages than those sent: {said}")
    kept = {turn.id: turn.text for turn in turns}
    for turn_id, text in told.items():
        if turn_id.startswith(("message", "line")):
            must(kept.get(turn_id) == text, f"{turn_id} was acknowledged and is not kept")
    must(not any(turn.partial for turn in turns), "a whole line is marked as broken off")
    await grade_is_whole_or_not_there(store, told, must)

    # The page sends again what it is not sure of, and asks for what is unanswered.
    for number, reply in enumerate(replies):
        for _ in range(2):
            try:
                await practice.say(SESSION, reply, turn_id=f"message-{number}")
            except SessionOver:
                must(False, f"message-{number} is refused, and the talk was not at its end")
        if (await practice.view(SESSION)).waits_for_customer:
            async for _ in practice.answer(SESSION):
                pass
    view = await practice.view(SESSION)
    said = [turn.text for turn in view.turns if turn.role == "agent"]
    must(said == list(replies), f"after it was taken up: {said}")
    roles = [turn.role for turn in view.turns]
    must(roles == ["customer", *["agent", "customer"] * len(replies)], f"roles: {roles}")
    must(
        [turn.number for turn in view.turns] == list(range(len(view.turns))),
        "numbers with holes after it was taken up",
    )
    if ended := view.state.ended:
        try:
            await practice.say(SESSION, "One more thing.")
            wrong.append(f"a message was taken after the customer left ({ended})")
        except SessionOver:
            pass
        status = (await practice.view(SESSION)).session.status
        must(status in {"over", "graded"}, f"the customer has left, and the status is {status}")
    *_, last = [step async for step in practice.finish(SESSION)]
    must(isinstance(last, StoredGrade), "no grade in the end")
    await grade_is_whole_or_not_there(store, {"graded": ""}, must)
    await practice.close()
    await store.close()
    return wrong


async def grade_is_whole_or_not_there(
    store: Store, told: dict[str, str], must: Callable[[bool, str], None]
) -> None:
    count, whole = await store.database.run(
        lambda db: db.execute("SELECT count(*), count(grade) FROM grades").fetchone()
    )
    graded = (await store.session(SESSION)).status == "graded"
    must(count == whole == int(graded), f"{count} grades, and graded is {graded}")
    must(graded or "graded" not in told, "the grade was shown and is gone")
    if stored := await store.grade(SESSION):
        Grade.model_validate(stored.grade)
        Coaching.model_validate(stored.coaching)


def in_a_fork(work: Callable[[], None]) -> int:
    """Run it in a process of its own; its id. The process never comes back from here."""
    child = os.fork()
    if child:
        return child
    try:
        work()
    except BaseException as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        os._exit(1)
    os._exit(0)


def all_of(works: Sequence[Callable[[], None]]) -> list[int]:
    """Run each in a process of its own, some at once; how each ended, as `os.wait` says it."""
    ended: dict[int, int] = {}
    children: list[int] = []
    for work in works:
        if len(children) - len(ended) == AT_ONCE:
            child, status = os.wait()
            ended[child] = status
        children.append(in_a_fork(work))
    while len(ended) < len(children):
        child, status = os.wait()
        ended[child] = status
    return [ended[child] for child in children]


def play_and_die(kill: Kill, folder: Path, prepared: Path) -> None:
    """Play until the kill. What was acknowledged stands in a file, a line for each."""
    folder.mkdir()
    if kill.play.prepared:
        shutil.copy(prepared, folder / "warmline.db")
    told = os.open(folder / "told", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def tell(turn_id: str, text: str) -> None:
        os.write(told, (json.dumps([turn_id, text]) + "\n").encode())

    watch = Watch(kill.how, kill.at)
    watch.start()
    asyncio.run(play(folder / "warmline.db", kill.play, tell))


def look_at(kills: Sequence[tuple[Kill, Path, int]], report: Path) -> None:
    """Write down what is wrong with what some kills have left."""
    problems: list[str] = []
    for kill, folder, status in kills:
        signal_ = signal.SIGXFSZ if kill.how == "inside" else signal.SIGKILL
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal_:
            found = [f"was not killed (status {status})"]
        else:
            told = dict(json.loads(line) for line in (folder / "told").read_text().splitlines())
            file = folder / "warmline.db"
            try:
                found = asyncio.run(what_is_wrong(file, kill.play.replies, told))
            except Exception as error:
                found = [f"{type(error).__name__}: {error}"]
        problems += [f"{kill.play.name}, {kill.how} {kill.at}: {one}" for one in found]
        shutil.rmtree(folder, ignore_errors=True)
    report.write_text(json.dumps(problems))


def rehearse(one: Play, folder: Path, prepared: Path) -> Iterator[Kill]:
    """Play without a kill; every kill there can be.

    What has to be read from the disk or worked out once is at hand afterwards, and is there in
    every fork.
    """
    file = folder / "rehearsed.db"
    if one.prepared:
        shutil.copy(prepared, file)
    watch = Watch()
    watch.start()
    longest = 0

    def tell(turn_id: str, text: str) -> None:
        nonlocal longest
        longest = max(longest, file.with_name(file.name + "-wal").stat().st_size)

    asyncio.run(play(file, one, tell))
    watch.stop()
    file.unlink()
    for how, count in watch.counts.items():
        yield from (Kill(one, how, at) for at in range(1, count + 1))
    # In the write-ahead log, every few pages; a page has a heading. In a shorter one no kill can
    # be: the file that processes share, which comes first, is as long as that.
    shared, page = 32768, 4096 + 24
    yield from (Kill(one, "inside", at) for at in range(shared + 1000, longest - page, 3 * page))


def main() -> None:
    # The same two texts, some fifteen hundred times.
    sessions.parse_yaml = cache(sessions.parse_yaml)
    problems: list[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        prepared = folder / "prepared.db"
        asyncio.run(prepare(prepared))
        kills = [kill for one in PLAYS for kill in rehearse(one, folder, prepared)]
        # What is there by now is shared with every fork, and looking for garbage would copy it.
        gc.freeze()
        gc.disable()
        for start in range(0, len(kills), BATCH):
            batch = [
                (kill, folder / f"{start + n}") for n, kill in enumerate(kills[start:][:BATCH])
            ]
            ended = all_of([partial(play_and_die, *one, prepared) for one in batch])
            left = [(*one, status) for one, status in zip(batch, ended, strict=True)]
            reports = [folder / f"report-{n}" for n in range(AT_ONCE)]
            looks = [partial(look_at, left[n::AT_ONCE], at) for n, at in enumerate(reports)]
            problems += [f"looking failed: {status}" for status in all_of(looks) if status]
            problems += [one for at in reports for one in json.loads(at.read_text())]
    totals = dict(Counter(kill.how for kill in kills))
    sys.stdout.write(json.dumps({"kills": totals, "problems": problems}))


if __name__ == "__main__":
    main()

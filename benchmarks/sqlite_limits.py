"""What the store can take on this machine: turns kept in a second, waits, sizes, copies.

Every turn is a commit that is on the disk before the next one begins (``synchronous = FULL``),
through the store as the app uses it. First one process writes, then several at once, each in a
session of its own; then the database is filled, and copied, opened, checked, and one session is
deleted from it. What matters is how the numbers stand to each other; the disk gives the rest.

    .venv/bin/python benchmarks/sqlite_limits.py [--seconds 5] [--turns 100000] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warmline.customer.director import first_state
from warmline.database import now
from warmline.library import read_library
from warmline.people import People
from warmline.settings import PROJECT
from warmline.store import Store

PROCESSES = (1, 2, 4)
PERSONA = "marjorie-bereavement"
AGENT = (
    "I am so sorry about your husband, Mrs Pell, and that you were charged again after you were "
    "told it was closed. I will see to both charges today and ring you on Friday at ten."
)
CUSTOMER = (
    "I rang on the third of June, you see, and a young man told me it was all closed and I needn't "
    "do anything more. Nobody has said such a thing to me all week."
)
#: Turns of a session with twelve replies, the opening included.
SESSION_TURNS = 25


@dataclass
class Written:
    """What one process wrote: the seconds that each turn took to be on the disk."""

    took_s: list[float]


async def begin(store: Store, session: str, user_id: str) -> str:
    """A session with its opening; returns the state that customers' turns carry."""
    library = read_library(PROJECT / "personas", PROJECT / "rubrics")
    persona = library.persona(PERSONA)
    state = first_state(persona.item).model_dump_json()
    rubric = library.rubric(persona.item.rubric)
    await store.start_session(session, user_id, persona, rubric, state, seed=1)
    return state


async def write(file: Path, user_id: str, at: float, until: float) -> Written:
    """Add turns to a session of one's own, from one moment to another."""
    store = await Store.open(file)
    session = str(uuid.uuid4())
    state = await begin(store, session, user_id)
    await asyncio.sleep(max(0.0, at - time.time()))
    took: list[float] = []
    while time.time() < until:
        began = time.perf_counter()
        if len(took) % 2:
            await store.add_turn(session, "customer", CUSTOMER, state=state, source="model")
        else:
            await store.add_turn(session, "agent", AGENT, turn_id=str(uuid.uuid4()))
        took.append(time.perf_counter() - began)
    await store.close()
    return Written(took)


def writer(file: Path, user_id: str, at: float, until: float, results: Any) -> None:
    """A process that writes."""
    results.put(asyncio.run(write(file, user_id, at, until)))


def together(file: Path, user_id: str, count: int, seconds: float) -> dict[str, float]:
    """Let so many processes write at once."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    at = time.time() + 3.0 + count
    processes = [
        context.Process(target=writer, args=(file, user_id, at, at + seconds, results))
        for _ in range(count)
    ]
    for process in processes:
        process.start()
    written: list[Written] = [results.get(timeout=60 + seconds) for _ in processes]
    for process in processes:
        process.join()
    took = [one for each in written for one in each.took_s]
    return {
        "processes": count,
        "turns a second": round(len(took) / seconds),
        "slowest process, turns a second": round(min(len(o.took_s) for o in written) / seconds),
        "median ms": round(1000 * statistics.median(took), 2),
        "99 % ms": round(1000 * sorted(took)[int(0.99 * len(took))], 1),
        "longest ms": round(1000 * max(took), 1),
    }


async def make(file: Path) -> str:
    """An empty database with one user in it; returns their id."""
    store = await Store.open(file)
    user = await People(store.database).local_user("you")
    await store.close()
    return user.id


async def fill(store: Store, user_id: str, turns: int) -> None:
    """Sessions with so many turns in all, in one large transaction."""
    first = "filled-0"
    state = await begin(store, first, user_id)
    opening = (await store.turns(first))[0]
    rows = []
    for number in range(1, turns):
        session, place = divmod(number, SESSION_TURNS)
        by_agent = place % 2 == 1
        rows.append(
            (
                str(uuid.uuid4()),
                f"filled-{session}",
                place,
                "agent" if by_agent else "customer",
                AGENT if by_agent else CUSTOMER if place else opening.text,
                now(),
                None if by_agent else opening.bracket,
                None if by_agent else state,
                None if by_agent else "script and model",
            )
        )

    def work(db: Any) -> None:
        with db.atomic():
            db.conn.executemany(
                "INSERT INTO sessions SELECT ?, user_id, persona_id, persona_hash, rubric_id, "
                "rubric_hash, title, status, seed, created_at, finished_at, shared_at "
                f"FROM sessions WHERE id = '{first}'",
                [(f"filled-{n}",) for n in range(1, -(-turns // SESSION_TURNS))],
            )
            db.conn.executemany(
                "INSERT INTO turns (id, session_id, number, role, text, created_at, bracket, "
                "state, source) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )

    await store.database.run(work)
    # The write-ahead log goes into the file, whose size is to be measured.
    await store.database.run(lambda db: db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())


async def at_size(folder: Path, turns: int) -> dict[str, float]:
    """Sizes and times of a database with so many turns."""
    file = folder / "large.db"
    user_id = await make(file)
    store = await Store.open(file)
    empty = file.stat().st_size
    await fill(store, user_id, turns)
    size = file.stat().st_size
    figures = {
        "turns": turns,
        "MiB": round(size / 2**20, 1),
        "KiB for 1,000 turns": round((size - empty) / turns * 1000 / 1024),
    }

    async def timed(name: str, work: Awaitable[object]) -> None:
        began = time.perf_counter()
        await work
        figures[name] = round(time.perf_counter() - began, 3)

    await timed("backup, s", store.database.back_up(folder / "backup.db"))
    await timed("search for a word, s", store.search("Friday", user_id=user_id))
    await timed("list of 20 sessions, s", store.sessions(user_id, limit=20))
    await timed("one more turn, s", store.add_turn("filled-1", "agent", AGENT))
    await timed("delete one session, s", store.delete_sessions(["filled-2"]))
    await store.close()
    began = time.perf_counter()
    store = await Store.open(file)
    figures["open, s"] = round(time.perf_counter() - began, 3)
    await timed("check at the start, s", store.database.check())
    await store.close()
    return figures


def show(title: str, figures: dict[str, float]) -> None:
    """Print one block of figures."""
    print(title)
    for name, value in figures.items():
        print(f"  {name:36} {value}")


def main() -> None:
    """Read the options, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--turns", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        file = folder / "warmline.db"
        user_id = asyncio.run(make(file))
        writing = [together(file, user_id, count, options.seconds) for count in PROCESSES]
        large = asyncio.run(at_size(folder, options.turns))
    if options.json:
        print(json.dumps({"writing": writing, "large": large}, indent=2))
        return
    print(f"{os.cpu_count()} cores; each turn is on the disk before the next one begins")
    for row in writing:
        show(f"{row.pop('processes')} at once", row)
    show("a large database", large)


if __name__ == "__main__":
    main()

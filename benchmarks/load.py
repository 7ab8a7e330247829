"""How many trainees at once: the app under load, with a model that answers at once.

A real server runs in a process of its own, and a scripted Ollama in another, so that the app is
measured and not an engine. Each trainee signs in, opens the chat's socket, chooses a customer,
sends replies that hold a word of their own, and presses Finish: one alone, then all of them, each
message sent by all at the same instant, then all of them with pauses of 2 to 6 seconds. Afterwards
the database and all that came over the sockets are searched for what was lost, doubled or mixed.
Times are given over those of one alone; nothing is asserted by time.

    .venv/bin/python benchmarks/load.py [--trainees 32] [--json]

With ``--costs`` it says instead where the time of a reply goes: one trainee, without a browser,
in this process under the profiler.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import multiprocessing
import os
import pstats
import random
import re
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "tests"))

from fakes import ScriptedBackend  # noqa: E402
from ollama_stub import Script, running_stub  # noqa: E402
from served import Server  # noqa: E402
from stub_server import StubHandler  # noqa: E402
from test_processes import Trainee, make_accounts  # noqa: E402
from warmline.database import Database  # noqa: E402
from warmline.library import read_library  # noqa: E402
from warmline.people import People  # noqa: E402
from warmline.practice import Practice  # noqa: E402
from warmline.store import Store  # noqa: E402

#: How often one trainee plays alone, so that there is something to compare with.
ALONE = 4
#: Seconds between the messages where nobody is measured for their pauses.
PAUSE_S = 1.0
PAUSES_S = (2.0, 6.0)
SEED = 7

#: Customers who neither leave content nor walk out within six replies like these.
PERSONAS = ["marjorie-bereavement", "helen-refund", "leila-letter", "kwame-locked-out"]
REPLIES = [
    "I am so sorry, that sounds very hard. I keep {word} beside me while I read what you wrote.",
    "Thank you for telling me. Under {word} I can see what happened before you came to us.",
    "You should not have had to ask twice. What would help you most now, with {word} as it is?",
    "I hear how tired you are of this. I have written {word} on my pad and I am still here.",
    "That is a lot for one person. Let us take {word} slowly, one thing after the other.",
    "I will write down what we agreed about {word}, and who does what until tomorrow evening.",
]
#: What the model says, none of it like another line, so that the guard has nothing against it.
LINES = [
    "I have waited such a long time and {word} is all I ever hear about.",
    "It is the third letter this month, and {word} was not in any of them.",
    "My neighbour drove all the way there for {word} and came home with nothing.",
    "I hardly slept, I lay there and thought of {word} until it was light.",
    "They put me through to a machine that had never met with {word}.",
    "Nobody wrote {word} down the last time, and I stood there like a fool.",
    "My tea went cold twice while I was reading about {word} again.",
    "What does {word} matter when the house is this quiet in the evening?",
    "I told the young man about {word} and he just went on to the next question.",
    "Perhaps {word} looks small to you, it does not from where I sit.",
    "I wish somebody had rung me about {word} before it came to this.",
    "The post office shut before I could ask anyone about {word}.",
]
_FIRST = ["amber", "birch", "cedar", "damson", "elder", "fern", "gorse", "hazel", "iris", "larch"]
_LAST = ["brook", "field", "gate", "hill", "lane", "marsh", "moor", "ridge", "vale", "wood"]
#: Words that stand in no persona and in no reply of anybody else's.
WORDS = [first + last for last in _LAST for first in _FIRST]
ANY_WORD = re.compile("|".join(WORDS))


class Echoing(Script):
    """Answers with a new line, and in it the word of the trainee whose prompt it was."""

    def __init__(self) -> None:
        super().__init__()
        self._here = threading.local()
        self._drawn: Counter[str] = Counter()
        self.requests = _Noting(self._here)

    def next_answer(self) -> Iterator[str]:
        """The pieces of the next answer."""
        prompt = str(self._here.body.get("prompt", ""))
        found = ANY_WORD.findall(prompt) or ["it"]
        word = found[-1]
        self._drawn[word] += 1
        line = LINES[self._drawn[word] % len(LINES)].format(word=word)
        return iter(re.findall(r"\S+\s*", line))


class _Noting(list[tuple[str, dict[str, Any]]]):
    """Requests by their number only, and the last one of each thread."""

    def __init__(self, here: threading.local) -> None:
        super().__init__()
        self._here = here
        self.written = 0

    def append(self, request: tuple[str, dict[str, Any]]) -> None:
        path, self._here.body = request
        self.written += path == "/api/generate"


def serve_model(pipe: Connection) -> None:
    """Run the model until the pipe is told to stop; says how much was asked when told so."""
    # Its answers are many small writes, each of which would wait for the other side to confirm.
    StubHandler.disable_nagle_algorithm = True
    script = Echoing()
    with running_stub(script) as stub:
        pipe.send(stub.host)
        while pipe.recv() == "asked":
            pipe.send(script.requests.written)


@dataclass
class Model:
    """The scripted model in its own process."""

    host: str
    pipe: Connection

    def asked(self) -> int:
        """How many lines it was asked for so far."""
        self.pipe.send("asked")
        return int(self.pipe.recv())


@contextmanager
def model_process() -> Iterator[Model]:
    """Run the model for the length of the block."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve_model, args=(theirs,))
    process.start()
    try:
        yield Model(ours.recv(), ours)
    finally:
        ours.send("stop")
        process.join()


def memory_mib(pid: int) -> float:
    """What a process has in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def cpu_s(pid: int) -> float:
    """Seconds of processor time that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Play:
    """What came of a number of trainees who practised in one way."""

    first_s: list[float] = field(default_factory=list)
    whole_s: list[float] = field(default_factory=list)
    finish_s: list[float] = field(default_factory=list)
    #: What each session's trainee sent: by session, the words.
    sent: dict[str, list[str]] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    strange_words_heard: int = 0
    reply_cpu_s: float = 0.0
    finish_cpu_s: float = 0.0
    asked: int = 0
    open_mib: float = 0.0


async def timed_reply(trainee: Trainee, text: str, play: Play) -> None:
    """Send a message, and note when the first words come and when the line is whole."""
    began = time.perf_counter()
    since = await trainee.send(text)
    assert trainee.thread is not None
    play.sent.setdefault(trainee.thread, []).append(text)
    first = await trainee.hear(lambda event, _: event == "stream_start", since)
    line = trainee.heard[first][2]["id"]
    whole = await trainee.hear(
        lambda event, data: event == "new_message" and data["id"] == line, first
    )
    play.first_s.append(trainee.heard[first][0] - began)
    play.whole_s.append(trainee.heard[whole][0] - began)
    await trainee.hear(lambda event, _: event == "task_end", whole)


async def timed_finish(trainee: Trainee, play: Play) -> None:
    """Press Finish, and note when the report card comes."""
    began = time.perf_counter()
    await trainee.finish()
    play.finish_s.append(time.perf_counter() - began)


async def practise(
    server: Server, model: Model, trainees: list[Trainee], how: str, *, clear: bool = False
) -> Play:
    """Let trainees practise from the choice to the report card."""
    assert server.process is not None
    pid = server.process.pid
    play = Play()
    pauses = random.Random(SEED)
    for trainee in trainees:
        trainee.thread = None
        trainee.heard.clear()
    await asyncio.gather(*(trainee.open() for trainee in trainees))
    await asyncio.gather(
        *(
            trainee.choose(PERSONAS[number % len(PERSONAS)])
            for number, trainee in enumerate(trainees)
        )
    )
    for trainee in trainees:
        assert trainee.thread is not None
        play.owners[trainee.thread] = trainee.name
    # What is read ahead for each customer is no part of a reply.
    await asyncio.sleep(PAUSE_S)
    asked, cpu = model.asked(), cpu_s(pid)

    async def paced(trainee: Trainee) -> None:
        for reply in REPLIES:
            await asyncio.sleep(pauses.uniform(*PAUSES_S))
            await timed_reply(trainee, reply.format(word=trainee.name), play)

    if how == "paced":
        await asyncio.gather(*map(paced, trainees))
    else:
        for reply in REPLIES:
            await asyncio.gather(
                *(timed_reply(one, reply.format(word=one.name), play) for one in trainees)
            )
            await asyncio.sleep(PAUSE_S)
    await asyncio.sleep(PAUSE_S)
    play.asked = model.asked() - asked
    play.reply_cpu_s = cpu_s(pid) - cpu
    play.open_mib = memory_mib(pid)
    cpu = cpu_s(pid)

    async def finished(trainee: Trainee) -> None:
        if how == "paced":
            await asyncio.sleep(pauses.uniform(*PAUSES_S))
        await timed_finish(trainee, play)

    await asyncio.gather(*map(finished, trainees))
    play.finish_cpu_s = cpu_s(pid) - cpu
    for trainee in trainees:
        heard = ANY_WORD.findall(str([data for _, _, data in trainee.heard]))
        play.strange_words_heard += sum(word != trainee.name for word in heard)
    await asyncio.gather(*(trainee.close(clear=clear) for trainee in trainees))
    return play


def look(file: Path, plays: list[Play]) -> dict[str, int]:
    """Count in the database what went wrong."""
    sent = {session: texts for play in plays for session, texts in play.sent.items()}
    owners = {session: name for play in plays for session, name in play.owners.items()}
    wrong = {
        "replies sent": sum(map(len, sent.values())),
        "lost turns": 0,
        "doubled turns": 0,
        "mixed turns": sum(play.strange_words_heard for play in plays),
        "sessions": len(owners),
        "sessions without a grade": 0,
    }
    with closing(sqlite3.connect(file)) as db:
        for session, name in owners.items():
            turns = db.execute(
                "SELECT role, text FROM turns WHERE session_id = ? ORDER BY number", (session,)
            ).fetchall()
            said = Counter(text for role, text in turns if role == "agent")
            wrong["lost turns"] += sum(text not in said for text in sent.get(session, []))
            wrong["doubled turns"] += sum(count - 1 for count in said.values())
            roles = [role for role, _ in turns[1:]]
            pairs = list(zip(roles[::2], roles[1::2], strict=False))
            # An answer that is missing, and one that was given twice.
            wrong["lost turns"] += max(0, roles.count("agent") - roles.count("customer"))
            wrong["doubled turns"] += sum(pair != ("agent", "customer") for pair in pairs)
            words = ANY_WORD.findall(" ".join(text for _, text in turns))
            wrong["mixed turns"] += sum(word != name for word in words)
            owner = db.execute(
                "SELECT identifier FROM sessions JOIN users ON users.id = user_id "
                "WHERE sessions.id = ?",
                (session,),
            ).fetchone()
            wrong["mixed turns"] += owner != (name,)
            grades = db.execute(
                "SELECT COUNT(*) FROM grades WHERE session_id = ?", (session,)
            ).fetchone()[0]
            wrong["sessions without a grade"] += grades != 1
    return wrong


def sources(file: Path, plays: list[Play]) -> dict[str, int]:
    """Who wrote the customers' lines."""
    sessions = {session for play in plays for session in play.sent}
    with closing(sqlite3.connect(file)) as db:
        rows = db.execute(
            "SELECT session_id, source FROM turns WHERE role = 'customer' AND number > 0"
        )
        return dict(Counter(source for session, source in rows if session in sessions))


def over(times: list[float], base: list[float]) -> dict[str, float]:
    """The median and the 95th percentile, in seconds and over the median of the base."""
    middle, high = statistics.median(times), percentile(times, 0.95)
    return {
        "median_s": round(middle, 4),
        "p95_s": round(high, 4),
        "median over one alone": round(middle / statistics.median(base), 2),
        "p95 over one alone": round(high / percentile(base, 0.95), 2),
    }


def percentile(times: list[float], share: float) -> float:
    """The time that this share of the times does not exceed."""
    return sorted(times)[min(len(times) - 1, int(share * len(times)))]


@dataclass
class Figures:
    """What is reported."""

    trainees: int
    counts: dict[str, int]
    lines_by: dict[str, int]
    lines_asked_per_reply: float
    first_words: dict[str, dict[str, float]]
    whole_answer: dict[str, dict[str, float]]
    report_card: dict[str, dict[str, float]]
    memory_mib: dict[str, float]
    cpu_s_per_reply: dict[str, float]
    cpu_s_per_report_card: float
    replies_a_second_by_one_core: float
    commits_per_reply: float
    database_calls_per_reply: float


async def load(count: int) -> Figures:
    """Let ``count`` trainees practise at once."""
    with tempfile.TemporaryDirectory() as temporary, model_process() as model:
        folder = Path(temporary)
        names = WORDS[:count]
        await make_accounts(folder, {name: ["trainee"] for name in names})
        environment = {"WARMLINE_BACKEND": "ollama", "WARMLINE_OLLAMA_HOST": model.host}
        server = Server(folder, environment)
        await asyncio.to_thread(server.start)
        try:
            assert server.process is not None
            pid = server.process.pid
            trainees = [Trainee(server.address, name) for name in names]
            await asyncio.gather(*(trainee.sign_in() for trainee in trainees))
            started = memory_mib(pid)
            # What is loaded once is not counted.
            for _ in PERSONAS:
                await practise(server, model, trainees[:1], "alone", clear=True)
                trainees.append(trainees.pop(0))
            alone = Play()
            for _ in range(ALONE):
                one = await practise(server, model, trainees[:1], "alone", clear=True)
                alone.first_s += one.first_s
                alone.whole_s += one.whole_s
                alone.finish_s += one.finish_s
                alone.reply_cpu_s += one.reply_cpu_s
                alone.finish_cpu_s += one.finish_cpu_s
                alone.asked += one.asked
                alone.sent |= one.sent
                alone.owners |= one.owners
                alone.strange_words_heard += one.strange_words_heard
            before = memory_mib(pid)
            # Their pages are closed as a tab is; the others' as by New practice.
            burst = await practise(server, model, trainees, "burst")
            closed = memory_mib(pid)
            paced = await practise(server, model, trainees, "paced", clear=True)
            closed_again = memory_mib(pid)
        finally:
            await asyncio.to_thread(server.stop)
        database = folder / "transcripts" / "warmline.db"
        plays = {"alone": alone, "burst": burst, "paced": paced}
        replies = {name: len(play.first_s) for name, play in plays.items()}
        per_reply = {
            name: round(play.reply_cpu_s / replies[name], 4) for name, play in plays.items()
        }
        commits, calls = await database_use()
        return Figures(
            trainees=count,
            counts=look(database, list(plays.values())),
            lines_by=sources(database, list(plays.values())),
            lines_asked_per_reply=round(
                sum(play.asked for play in plays.values()) / sum(replies.values()), 2
            ),
            first_words={n: over(play.first_s, alone.first_s) for n, play in plays.items()},
            whole_answer={n: over(play.whole_s, alone.whole_s) for n, play in plays.items()},
            report_card={n: over(play.finish_s, alone.finish_s) for n, play in plays.items()},
            memory_mib={
                "after the start": round(started, 1),
                "after eight sessions by one at a time": round(before, 1),
                "with all sessions open, burst": round(burst.open_mib, 1),
                "more for each open session": round((burst.open_mib - before) / count, 2),
                "after their tabs were closed": round(closed, 1),
                "with all sessions open, paced": round(paced.open_mib, 1),
                "after all began a new practice": round(closed_again, 1),
            },
            cpu_s_per_reply=per_reply,
            cpu_s_per_report_card=round(burst.finish_cpu_s / count, 4),
            replies_a_second_by_one_core=round(1 / per_reply["paced"], 1),
            commits_per_reply=commits,
            database_calls_per_reply=calls,
        )


# In this process, without a browser


async def one_session(watch: Callable[[Practice], Awaitable[None]]) -> None:
    """Play two sessions with a scripted backend; ``watch`` is called around the replies of one."""
    library = read_library(PROJECT / "personas", PROJECT / "rubrics")
    lines = [line.format(word=WORDS[0]) for line in LINES] * 8
    with tempfile.TemporaryDirectory() as folder:
        store = await Store.open(Path(folder) / "warmline.db")
        backend = ScriptedBackend(continuations=lines, yes=lambda _: 0.5)
        practice = Practice(store, library, backend)
        user = await People(store.database).local_user("you")
        for session in ("warm", "measured"):
            await practice.begin(session, user.id, PERSONAS[0])
            if session == "measured":
                await watch(practice)
            for number, reply in enumerate(REPLIES):
                text = reply.format(word=WORDS[0])
                await practice.say(session, text, turn_id=f"{session}-{number}")
                async for _ in practice.answer(session):
                    pass
                while running := asyncio.all_tasks() - {asyncio.current_task()}:
                    await asyncio.gather(*running)
        await watch(practice)
        await practice.close()
        await store.close()


async def database_use() -> tuple[float, float]:
    """Commits, and calls of the database's thread, for each reply below the web layer."""
    counted: Counter[str] = Counter()
    watching = False
    run = Database.run

    def seen(sql: str) -> None:
        counted["commits"] += watching and sql.lstrip().upper().startswith("COMMIT")

    async def watch(practice: Practice) -> None:
        nonlocal watching
        await run(practice.store.database, lambda db: db.conn.set_trace_callback(seen))
        watching = not watching

    async def counting(self: Database, work: Callable[[Any], Any]) -> Any:
        counted["calls"] += watching
        return await run(self, work)

    Database.run = counting  # type: ignore[method-assign]
    try:
        await one_session(watch)
    finally:
        Database.run = run  # type: ignore[method-assign]
    return round(counted["commits"] / len(REPLIES), 1), round(counted["calls"] / len(REPLIES), 1)


async def costs() -> None:
    """Print where the time of a reply goes, below the web layer."""
    profile = cProfile.Profile()
    running = False

    async def watch(_: Practice) -> None:
        nonlocal running
        running = not running
        (profile.enable if running else profile.disable)()

    await one_session(watch)
    print(f"{len(REPLIES)} replies; seconds in all")
    stats = pstats.Stats(profile)
    stats.sort_stats("cumulative").print_stats(r"warmline|sklearn|onnx|numpy|scipy", 40)
    stats.sort_stats("tottime").print_stats(20)


def show(figures: Figures) -> None:
    """Print the figures as a small table."""
    print(f"{figures.trainees} trainees at once")
    for name, count in figures.counts.items():
        print(f"  {name:40} {count}")
    for title, table in (
        ("to the customer's first words", figures.first_words),
        ("to the end of the answer", figures.whole_answer),
        ("from Finish to the report card", figures.report_card),
    ):
        print(f"\n{title:32} median     95 %   over one alone: median   95 %")
        for name, row in table.items():
            print(
                f"  {name:30} {row['median_s'] * 1000:5.0f} ms {row['p95_s'] * 1000:5.0f} ms"
                f" {row['median over one alone']:22.2f} {row['p95 over one alone']:6.2f}"
            )
    print("\nmemory of the server, MiB")
    for name, mib in figures.memory_mib.items():
        print(f"  {name:40} {mib}")
    print("\nprocessor seconds of the server for a reply, the reading for the grade included")
    for name, seconds in figures.cpu_s_per_reply.items():
        print(f"  {name:40} {seconds}")
    print(f"  {'for a report card':40} {figures.cpu_s_per_report_card}")
    print(f"  {'replies a second that one core can serve':40} ", end="")
    print(figures.replies_a_second_by_one_core)
    print(f"\ndatabase commits for a reply                {figures.commits_per_reply}")
    print(f"calls of the database for a reply           {figures.database_calls_per_reply}")
    print(f"lines asked of the model for a reply        {figures.lines_asked_per_reply}")
    print(f"lines by                                    {figures.lines_by}")


def main() -> None:
    """Read the options, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trainees", type=int, default=32)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--costs", action="store_true")
    options = parser.parse_args()
    if options.costs:
        asyncio.run(costs())
        return
    if not len(PERSONAS) < options.trainees <= len(WORDS):
        parser.error(f"{len(PERSONAS) + 1} to {len(WORDS)} trainees")
    figures = asyncio.run(load(options.trainees))
    if options.json:
        print(json.dumps(asdict(figures), indent=2))
    else:
        show(figures)


if __name__ == "__main__":
    main()

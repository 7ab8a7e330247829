"""Several server processes on one store, behind a proxy that keeps each chat where it began.

The proxy is the test's own: what has the same cookie goes to the same process, the cookie of the
chat's page or that of the login; anything else goes to each process in turn, and what a process
that is gone would have got goes to another.
"""

from __future__ import annotations

import asyncio
import itertools
import multiprocessing
import re
import sqlite3
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import socketio
from aiohttp import ClientError, ClientSession, ClientWebSocketResponse, WSMsgType, web

from ollama_stub import Script, running_stub
from served import Server, free_port
from snapshots import small_persona, small_rubric
from warmline.accounts import Accounts
from warmline.people import People
from warmline.store import Store
from warmline.web.runtime import auth_secret

PASSWORD = "correct horse battery"
STICKY = "X-Chainlit-Session-id"
PERSONAS = ["marjorie-bereavement", "helen-refund", "leila-letter"]
#: What each trainee writes; ``{word}`` is a word of their own.
REPLIES = [
    "I am so sorry, that sounds very hard. I keep {word} beside me while I read what you wrote.",
    "Thank you for telling me. Under {word} I can see what happened before you came to us.",
    "You should not have had to ask twice. What would help you most now, with {word} as it is?",
]
LINES = [
    "I have waited such a long time and nobody would talk to me.",
    "It is the third letter this month and each says another thing.",
    "My neighbour drove all the way and came home with nothing.",
    "I hardly slept, the house is so quiet in the evening.",
    "They put me through to a machine that did not know my name.",
]


@dataclass
class Trainee:
    """Somebody with a chat page: signs in, opens the chat's socket, and writes."""

    address: str
    name: str
    cookie: str = ""
    #: Their chat's id in the store, once it has begun.
    thread: str | None = None
    #: What came over the socket, and when.
    heard: list[tuple[float, str, Any]] = field(default_factory=list)
    client: socketio.AsyncClient | None = None
    session_id: str = ""
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def cookies(self) -> dict[str, str]:
        cookie = f"access_token={self.cookie}"
        if self.session_id:
            cookie += f"; {STICKY}={self.session_id}"
        return {"Cookie": cookie}

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """A request of the page's."""
        async with httpx.AsyncClient(base_url=self.address, timeout=60) as http:
            return await http.request(method, path, headers=self.cookies, **more)

    async def sign_in(self) -> None:
        answer = await self.ask(
            "POST", "/login", data={"username": self.name, "password": PASSWORD}
        )
        assert answer.status_code == 200, answer.text
        self.cookie = answer.cookies["access_token"]

    async def open(self) -> None:
        """Open the page: a new chat, or the one of ``thread``."""
        self.session_id = str(uuid.uuid4())
        answer = await self.ask("POST", "/set-session-cookie", json={"session_id": self.session_id})
        assert answer.status_code == 200, answer.text
        self.client = socketio.AsyncClient(reconnection=False)
        self.client.on("*", self._keep)
        await self.client.connect(
            self.address,
            headers=self.cookies,
            auth={
                "sessionId": self.session_id,
                "clientType": "webapp",
                "threadId": self.thread,
                "userEnv": "{}",
            },
            socketio_path="/ws/socket.io",
            transports=["websocket"],
            wait_timeout=60,
        )
        await self.client.emit("connection_successful")

    async def _keep(self, event: str, *data: Any) -> None:
        self.heard.append((time.perf_counter(), event, data[0] if data else None))
        if event == "first_interaction":
            self.thread = data[0]["thread_id"]
        self._came.set()

    async def hear(
        self, wanted: Callable[[str, Any], bool], since: int = 0, timeout_s: float = 60
    ) -> int:
        """Wait until something comes; its place among what was heard."""
        place = since
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    while place < len(self.heard):
                        if wanted(*self.heard[place][1:]):
                            return place
                        place += 1
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            heard = [(event, str(data)[:300]) for _, event, data in self.heard[since:]]
            raise AssertionError(f"{self.name} waited in vain; what came: {heard}") from None

    async def choose(self, persona_id: str) -> None:
        """Start with a customer, and wait for their first line."""
        await self.hear(lambda event, data: "PersonaPicker" in str(data))
        since = len(self.heard)
        action = {"name": "choose_persona", "payload": {"persona_id": persona_id}, "id": "a"}
        answer = await self.ask(
            "POST", "/project/action", json={"sessionId": self.session_id, "action": action}
        )
        assert answer.status_code == 200, answer.text
        await self.hear(lambda event, data: is_bar(event, data, "talking"), since)

    async def send(self, text: str) -> int:
        """Send a message; returns the place from which on the answer will be heard."""
        assert self.client is not None
        since = len(self.heard)
        step = {
            "id": str(uuid.uuid4()),
            "name": "User",
            "type": "user_message",
            "output": text,
            "createdAt": "2026-01-01T00:00:00Z",
            "threadId": "",
        }
        await self.client.emit("client_message", {"message": step, "fileReferences": []})
        return since

    async def say(self, text: str) -> None:
        """Send a message, and wait for the end of the answer."""
        await self.hear(lambda event, _: event == "task_end", await self.send(text))

    async def finish(self) -> None:
        """Press Finish, and wait for the report card."""
        assert self.client is not None
        since = len(self.heard)
        await self.client.emit("window_message", {"warmline": "to-server", "what": "finish"})
        await self.hear(lambda event, data: event == "element" and "ReportCard" in str(data), since)

    async def close(self, *, clear: bool = False) -> None:
        """Close the page; with ``clear``, as for a new conversation."""
        if self.client is not None:
            if clear and self.client.connected:
                await self.client.emit("clear_session")
            await self.client.disconnect()
            self.client = None


def is_bar(event: str, data: Any, status: str) -> bool:
    """Whether it is what the practice bar shows of a session in this state."""
    session = data.get("session") if event == "window_message" else None
    return bool(session) and session["status"] == status


async def make_accounts(folder: Path, people: dict[str, list[str]]) -> None:
    """Accounts with their roles, straight into the database; their hashes are made at once."""
    store = await Store.open(folder / "transcripts" / "warmline.db")
    accounts = Accounts(People(store.database), loopback=True)
    await asyncio.gather(
        *(accounts.add(name, roles, ["team"], password=PASSWORD) for name, roles in people.items())
    )
    await store.close()


@dataclass
class Proxy:
    """Keeps what has the same cookie with one process, and gives the rest to each in turn."""

    servers: list[Server]
    port: int = field(default_factory=free_port)
    sticks_to: str = STICKY
    #: Which process each cookie went to, and how many requests each process had.
    homes: dict[str, int] = field(default_factory=dict)
    taken: Counter[int] = field(default_factory=Counter)
    _turn: int = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Proxy]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._pass)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        async with ClientSession(auto_decompress=False) as self._client:
            try:
                yield self
            finally:
                await runner.cleanup()

    def _choose(self, cookie: str | None) -> int:
        alive = [number for number, one in enumerate(self.servers) if is_alive(one)]
        chosen = self.homes.get(cookie or "")
        if chosen not in alive:
            self._turn += 1
            chosen = alive[self._turn % len(alive)]
        if cookie:
            self.homes[cookie] = chosen
        self.taken[chosen] += 1
        return chosen

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        server = self.servers[self._choose(request.cookies.get(self.sticks_to))]
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() not in HOP_BY_HOP and not name.lower().startswith("sec-websocket")
        }
        headers |= {"X-Forwarded-For": str(request.remote), "X-Forwarded-Proto": "http"}
        url = f"{server.address}{request.raw_path}"
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._pass_socket(request, url, headers)
        async with self._client.request(
            request.method,
            url,
            headers=headers,
            data=await request.read(),
            allow_redirects=False,
        ) as answer:
            passed = web.StreamResponse(status=answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in HOP_BY_HOP:
                    passed.headers.add(name, value)
            await passed.prepare(request)
            async for piece in answer.content.iter_any():
                await passed.write(piece)
            return passed

    async def _pass_socket(
        self, request: web.Request, url: str, headers: dict[str, str]
    ) -> web.StreamResponse:
        try:
            server = await self._client.ws_connect(url, headers=headers)
        except ClientError:
            return web.Response(status=502)
        page = web.WebSocketResponse()
        await page.prepare(request)
        ways = [asyncio.create_task(pump(*way)) for way in ((server, page), (page, server))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        await asyncio.gather(server.close(), page.close(), return_exceptions=True)
        return page


#: Headers of one connection, which a proxy does not pass on. The name under which browsers know
#: the server goes on as it is.
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "content-length"}

Socket = web.WebSocketResponse | ClientWebSocketResponse


async def pump(source: Socket, to: Socket) -> None:
    """Pass on messages one way, until that side closes."""
    async for message in source:
        if message.type == WSMsgType.TEXT:
            await to.send_str(message.data)
        elif message.type == WSMsgType.BINARY:
            await to.send_bytes(message.data)


def is_alive(server: Server) -> bool:
    return server.process is not None and server.process.poll() is None


@dataclass
class Room:
    """Two processes on one store, and the proxy before them."""

    proxy: Proxy
    servers: list[Server]
    folder: Path
    model: Script

    def rows(self, sql: str, *args: object) -> list[Any]:
        with closing(sqlite3.connect(self.folder / "transcripts" / "warmline.db")) as db:
            return db.execute(sql, args).fetchall()

    def turns(self, session: str | None) -> list[tuple[str, str]]:
        return self.rows(
            "SELECT role, text FROM turns WHERE session_id = ? ORDER BY number", session
        )

    async def kept(self, trainee: Trainee, count: int) -> None:
        """Wait until so many turns are on the disk."""
        for _ in range(1200):
            if len(self.turns(trainee.thread)) >= count:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"there are only {self.turns(trainee.thread)}")

    async def answered(self, trainee: Trainee, replies: int) -> None:
        """Wait until so many replies have their answers, and see that each has one."""
        expected = ["customer", *["agent", "customer"] * replies]
        await self.kept(trainee, len(expected))
        # Time for a second answer, if somebody else were at one.
        await asyncio.sleep(1.5)
        assert [role for role, _ in self.turns(trainee.thread)] == expected

    async def trainee(self, name: str, address: str = "") -> Trainee:
        """Somebody who has signed in."""
        trainee = Trainee(address or self.proxy.address, name)
        await trainee.sign_in()
        return trainee

    def home(self, trainee: Trainee) -> int:
        """Which process a trainee's chat is in."""
        return self.proxy.homes[trainee.session_id]


@asynccontextmanager
async def two_processes(folder: Path) -> AsyncIterator[Room]:
    """Two servers, started at the same moment on one folder."""
    people = {name: ["trainee"] for name in WORDS} | {"carol": ["coach"], "alice": ["admin"]}
    await make_accounts(folder, people)
    auth_secret(folder / "transcripts")
    with running_stub(Script(answers=[[f"{line} "] for line in LINES] * 20)) as stub:
        port = free_port()
        environment = {
            "WARMLINE_BACKEND": "ollama",
            "WARMLINE_OLLAMA_HOST": stub.host,
            "WARMLINE_PUBLIC_URL": f"http://127.0.0.1:{port}",
            "WARMLINE_TRUSTED_PROXIES": "127.0.0.1",
            "WARMLINE_TRANSCRIPTS_DIR": str(folder / "transcripts"),
        }
        servers = []
        for number in range(2):
            (folder / str(number)).mkdir()
            servers.append(Server(folder / str(number), environment))
        proxy = Proxy(servers, port)
        try:
            await asyncio.gather(*(asyncio.to_thread(one.start) for one in servers))
            async with proxy.running():
                yield Room(proxy, servers, folder, stub.script)
        finally:
            await asyncio.gather(*(asyncio.to_thread(one.stop) for one in servers))


WORDS = ["amberfield", "birchbrook", "cedarvale", "elderstone"]
ANY_WORD = re.compile("|".join(WORDS))


async def session_of(room: Room, name: str, number: int) -> Trainee:
    """One trainee from signing in to the report card."""
    trainee = await room.trainee(name)
    await trainee.open()
    await trainee.choose(PERSONAS[number % len(PERSONAS)])
    for reply in REPLIES:
        await trainee.say(reply.format(word=name))
    await trainee.finish()
    await trainee.close()
    return trainee


async def test_trainees_practise_on_two_processes_as_on_one(tmp_path: Path) -> None:
    """One room for all of it: to start two processes takes longer than what they are asked."""
    async with two_processes(tmp_path) as room:
        await every_reply_is_kept_once_and_graded(room)
        await signing_in_and_out_counts_everywhere(room)
        await a_role_counts_everywhere_at_once(room)
        await what_two_pages_write_on_two_processes_is_kept(room)
        await a_person_stays_with_one_process_by_their_login(room)
        await a_chat_goes_on_where_a_process_was_killed(room)


async def every_reply_is_kept_once_and_graded(room: Room) -> None:
    trainees = await asyncio.gather(
        *(session_of(room, name, number) for number, name in enumerate(WORDS))
    )
    homes = Counter(room.home(trainee) for trainee in trainees)
    assert set(homes) == {0, 1}, "sessions were begun on both processes"
    assert min(room.proxy.taken.values()) > 0
    for trainee in trainees:
        turns = room.turns(trainee.thread)
        own = [reply.format(word=trainee.name) for reply in REPLIES]
        assert [text for role, text in turns if role == "agent"] == own
        assert [role for role, _ in turns[1:]] == ["agent", "customer"] * len(REPLIES)
        assert room.rows(
            "SELECT identifier, status FROM sessions JOIN users ON users.id = user_id "
            "WHERE sessions.id = ?",
            trainee.thread,
        ) == [(trainee.name, "graded")]
        count = room.rows("SELECT COUNT(*) FROM grades WHERE session_id = ?", trainee.thread)
        assert count == [(1,)]
        heard = ANY_WORD.findall(str([data for _, _, data in trainee.heard]))
        assert set(heard) == {trainee.name}


async def signing_in_and_out_counts_everywhere(room: Room) -> None:
    known = await room.trainee(WORDS[0], room.servers[0].address)
    there = Trainee(room.servers[1].address, known.name, known.cookie)
    assert (await known.ask("GET", "/user")).status_code == 200
    assert (await there.ask("GET", "/user")).status_code == 200
    assert (await there.ask("POST", "/logout")).status_code == 200
    assert (await known.ask("GET", "/user")).status_code == 401
    assert (await there.ask("GET", "/user")).status_code == 401
    # Guesses count together, whichever process they are made at.
    for number in range(5):
        guess = {"username": "alice", "password": f"guess number {number}"}
        at = Trainee(room.servers[number % 2].address, "alice")
        assert (await at.ask("POST", "/login", data=guess)).status_code == 401
    for server in room.servers:
        right = {"username": "alice", "password": PASSWORD}
        answer = await Trainee(server.address, "alice").ask("POST", "/login", data=right)
        assert answer.status_code == 429


async def a_role_counts_everywhere_at_once(room: Room) -> None:
    coach = await room.trainee("carol", room.servers[0].address)
    there = Trainee(room.servers[1].address, "carol", coach.cookie)
    assert [(await one.ask("GET", "/desk")).status_code for one in (coach, there)] == [200, 200]
    store = await Store.open(room.folder / "transcripts" / "warmline.db")
    accounts = Accounts(People(store.database), loopback=True)
    await accounts.set_roles("carol", ["trainee"])
    assert [(await one.ask("GET", "/desk")).status_code for one in (coach, there)] == [403, 403]
    await accounts.set_roles("carol", ["coach"])
    assert [(await one.ask("GET", "/desk")).status_code for one in (coach, there)] == [200, 200]
    await store.close()


async def what_two_pages_write_on_two_processes_is_kept(room: Room) -> None:
    """One person opens a chat twice, each page in another process, and writes in both at once.

    The customer may answer in both; who keeps a person's pages together (below) has one answer.
    """
    first = await room.trainee(WORDS[1], room.servers[0].address)
    await first.open()
    await first.choose(PERSONAS[0])
    second = Trainee(room.servers[1].address, first.name, first.cookie, first.thread)
    await second.open()
    await second.hear(lambda event, _: event == "resume_thread")
    texts = [reply.format(word=WORDS[1]) for reply in REPLIES[:2]]
    await asyncio.gather(first.say(texts[0]), second.say(texts[1]))
    turns = room.rows("SELECT number, role, text FROM turns WHERE session_id = ?", first.thread)
    assert sorted(text for _, role, text in turns if role == "agent") == sorted(texts)
    assert sorted(number for number, _, _ in turns) == list(range(len(turns)))
    await asyncio.gather(first.close(), second.close())


async def a_person_stays_with_one_process_by_their_login(room: Room) -> None:
    """A page that is opened anew in mid-answer finds the process that is answering."""
    room.proxy.sticks_to = "access_token"
    for name in WORDS[:2]:
        trainee = await room.trainee(name)
        await trainee.open()
        await trainee.choose(PERSONAS[0])
        room.model.delay_s = 1.0
        await trainee.send(REPLIES[0].format(word=name))
        await room.kept(trainee, 2)
        await trainee.close()
        since = len(trainee.heard)
        await trainee.open()
        await trainee.hear(lambda event, _: event == "resume_thread", since)
        await room.answered(trainee, 1)
        room.model.delay_s = 0.0
        await trainee.send(REPLIES[1].format(word=name))
        await room.answered(trainee, 2)
        await trainee.finish()
        action = {
            "name": "practise_again",
            "payload": {"session_id": trainee.thread},
            "id": "a",
        }
        asked = {"sessionId": trainee.session_id, "action": action}
        assert (await trainee.ask("POST", "/project/action", json=asked)).status_code == 200
        await trainee.close()
        trainee.thread = None
        since = len(trainee.heard)
        await trainee.open()
        # The customer who was asked for, and not the choice of all.
        await trainee.hear(lambda event, data: is_bar(event, data, "talking"), since)
        assert trainee.thread is not None
        await trainee.close()
    room.proxy.sticks_to = STICKY


async def a_chat_goes_on_where_a_process_was_killed(room: Room) -> None:
    trainee = await room.trainee(WORDS[2])
    await trainee.open()
    await trainee.choose(PERSONAS[0])
    await trainee.say(REPLIES[0].format(word=trainee.name))
    home = room.home(trainee)
    room.model.delay_s = 1.0
    await trainee.send(REPLIES[1].format(word=trainee.name))
    await room.kept(trainee, 4)
    room.servers[home].kill()
    room.model.delay_s = 0.0
    await trainee.close()

    since = len(trainee.heard)
    await trainee.open()
    assert room.home(trainee) == 1 - home
    await trainee.hear(lambda event, _: event == "resume_thread", since)
    # What the killed process had not answered is answered by the other.
    await room.answered(trainee, 2)
    await trainee.send(REPLIES[2].format(word=trainee.name))
    await room.answered(trainee, 3)
    await trainee.finish()
    turns = room.turns(trainee.thread)
    assert [text for role, text in turns if role == "agent"] == [
        reply.format(word=trainee.name) for reply in REPLIES
    ]
    assert [role for role, _ in turns[1:]] == ["agent", "customer"] * len(REPLIES)
    await trainee.close()


def add_turns(file: Path, count: int, name: str, together: Any, problems: Any) -> None:
    """A process that adds turns to a session that others write in as well."""

    async def work() -> None:
        store = await Store.open(file)
        await asyncio.to_thread(together.wait, 60)
        for number in range(count):
            # Each message comes twice, as from a page that is not sure of it.
            for _ in range(2):
                await store.add_turn("s", "agent", f"{name} {number}", turn_id=f"{name}-{number}")
            # Who writes without a pause may keep the other waiting to the end.
            await asyncio.sleep(0.002)
        await store.close()

    try:
        asyncio.run(work())
    except Exception as error:
        problems.put(f"{type(error).__name__}: {error}")
    else:
        problems.put(None)


async def test_turns_of_two_processes_in_one_session_are_all_kept_once(tmp_path: Path) -> None:
    file = tmp_path / "warmline.db"
    store = await Store.open(file)
    user = await People(store.database).local_user("you")
    await store.start_session("s", user.id, small_persona(), small_rubric(), "{}", seed=7)
    context = multiprocessing.get_context("spawn")
    problems = context.Queue()
    names, count = ["a", "b"], 200
    together = context.Barrier(len(names))
    processes = [
        context.Process(target=add_turns, args=(file, count, name, together, problems))
        for name in names
    ]
    for process in processes:
        process.start()
    found = [await asyncio.to_thread(problems.get, timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert found == [None, None]
    turns = (await store.turns("s"))[1:]
    assert [turn.number for turn in turns] == list(range(1, len(names) * count + 1))
    for name in names:
        own = [turn.text for turn in turns if turn.text.startswith(name)]
        assert own == [f"{name} {number}" for number in range(count)]
    changes = sum(a.text[0] != b.text[0] for a, b in itertools.pairwise(turns))
    assert changes > 1, "the processes wrote one after the other, which shows nothing"
    await store.close()


def open_at(file: Path, at: float, problems: Any) -> None:
    """A process that opens a store at a moment."""

    async def work() -> None:
        await asyncio.sleep(max(0.0, at - time.time()))
        store = await Store.open(file)
        await store.database.check()
        await store.close()

    try:
        asyncio.run(work())
    except Exception as error:
        problems.put(f"{type(error).__name__}: {error}")
    else:
        problems.put(None)


def test_processes_that_start_at_once_make_one_store(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    problems = context.Queue()
    at = time.time() + 4
    processes = [
        context.Process(target=open_at, args=(tmp_path / "warmline.db", at, problems))
        for _ in range(4)
    ]
    for process in processes:
        process.start()
    assert [problems.get(timeout=60) for _ in processes] == [None] * 4
    for process in processes:
        process.join()

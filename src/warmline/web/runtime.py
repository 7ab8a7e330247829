"""What the running server has: made once at its start, let go at its end.

Chainlit calls handlers by itself and hands them nothing of ours, so this is the one place where
they find the practice; everything below the web layer takes what it needs as an argument.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from warmline.accounts import Accounts
from warmline.address import is_loopback, with_scheme
from warmline.assignments import Assignments
from warmline.backends import Backend, Speed, make_backend
from warmline.desk import Desk
from warmline.drafts import Drafts
from warmline.errors import BackendError, WarmlineError
from warmline.livelibrary import LiveLibrary
from warmline.people import People
from warmline.practice import Practice, make_practice
from warmline.results import Results
from warmline.retention import forget_copies, forget_old
from warmline.review import Reviews
from warmline.settings import Settings
from warmline.store import Store
from warmline.studio import Studio
from warmline.trying.jobs import Jobs

#: A day, in seconds.
_DAY_S = 24 * 60 * 60

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wish:
    """A customer somebody asked for, and the assignment they are practised for if there is one.

    ``draft``: a trainer wants what is in the studio, published or not.
    """

    persona_id: str
    assignment_id: str | None = None
    draft: bool = False


@dataclass
class Runtime:
    """The parts of a running server."""

    settings: Settings
    store: Store
    library: LiveLibrary
    backend: Backend
    practice: Practice
    accounts: Accounts
    reviews: Reviews
    desk: Desk
    results: Results
    assignments: Assignments
    studio: Studio
    #: What a person asked for before their page went to a new conversation.
    wanted: dict[str, Wish] = field(default_factory=dict)
    #: Sessions that are being graded, and the event of their end: a second press of Finish starts
    #: nothing, and a page that was reloaded in the meantime can wait.
    finishing: dict[str, asyncio.Event] = field(default_factory=dict)

    #: What trainers try in the studio, running or ended.
    tries: Jobs = field(default_factory=Jobs)

    #: How fast the model is here; known a little after the start.
    speed: Speed | None = None
    measuring: asyncio.Task[None] | None = None

    #: Deletes what is older than the settings allow, once a day.
    forgetting: asyncio.Task[None] | None = None

    @property
    def remote(self) -> str:
        """Where the model is, if that is another machine; empty if nothing leaves this one."""
        address = {"ollama": self.settings.ollama_host, "openai": self.settings.openai_url}.get(
            self.backend.name, ""
        )
        if not address or is_loopback(address):
            return ""
        return urlsplit(with_scheme(address)).hostname or ""

    @property
    def engine(self) -> str:
        """Which backend and model are in use, and how fast, in one line."""
        where = {
            "embedded": "inside Warmline",
            "ollama": "in Ollama",
            "openai": "on a model server",
        }[self.backend.name]
        machine = f" on {self.remote}, where what you write is sent" if self.remote else ""
        line = f"The customer is played by {self.backend.model}, running {where}{machine}."
        if self.speed is None:
            return line
        reads, writes = self.speed.reads, self.speed.writes
        return f"{line} It reads about {reads:.0f} and writes about {writes:.0f} tokens a second."

    async def forget_old(self) -> None:
        """Once a day, delete the sessions that are older than the settings allow."""
        while True:
            try:
                gone = await forget_old(
                    self.store, self.settings.retention_days, self.store.database.file.parent
                )
                if gone:
                    log.info("%d old sessions were deleted", gone)
                forget_copies(self.store.database.file)
            except (WarmlineError, OSError) as error:
                log.warning("old sessions could not be deleted: %s", error)
            await asyncio.sleep(_DAY_S)

    async def measure(self) -> None:
        """Find out how fast the model is here."""
        try:
            self.speed = await self.backend.measure_speed()
        except BackendError as error:
            log.warning("the speed could not be measured: %s", error)


_current: Runtime | None = None


def current() -> Runtime:
    """The running server's parts.

    Raises:
        WarmlineError: if the server has not started yet.
    """
    if _current is None:
        raise WarmlineError("Warmline is still starting. Wait a moment and reload the page.")
    return _current


async def start(
    settings: Settings, open_backend: Callable[[Settings], Awaitable[Backend]] = make_backend
) -> Runtime:
    """Open the store, read the library, load the model.

    Raises:
        WarmlineError: when one of them cannot be had, with what to do.
    """
    global _current
    store = await Store.open(settings.database)
    try:
        await store.database.check()
        library = LiveLibrary(settings.personas_dir, settings.rubrics_dir)
        if not library.personas:
            problems = "\n".join(map(str, library.problems)) or f"{settings.personas_dir} is empty"
            raise WarmlineError(f"There is no persona to practise with.\n{problems}")
        backend = await open_backend(settings)
        try:
            practice = await make_practice(settings, store, library, backend)
        except BaseException:
            await backend.aclose()
            raise
    except BaseException:
        await store.close()
        raise
    accounts = Accounts(
        People(store.database),
        loopback=is_loopback(settings.host) and settings.public_url is None,
        login_hours=settings.login_hours,
    )
    reviews = Reviews(practice)
    await reviews.count_up()
    _current = Runtime(
        settings,
        store,
        library,
        backend,
        practice,
        accounts,
        reviews,
        Desk(store.database),
        Results(store.database),
        Assignments(store.database),
        Studio(library, Drafts(store.database)),
    )
    _current.measuring = asyncio.create_task(_current.measure())
    _current.forgetting = asyncio.create_task(_current.forget_old())
    return _current


async def stop() -> None:
    """Let everything go, in the order in which it depends on each other."""
    global _current
    if _current is not None:
        tasks = [task for task in (_current.measuring, _current.forgetting) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await _current.tries.close()
        await _current.practice.close()
        await _current.backend.aclose()
        await _current.store.close()
        _current = None


def auth_secret(folder: Path) -> str:
    """The secret that signs login cookies: made once, readable by its owner only."""
    file = folder / ".auth-secret"
    folder.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        made = folder / f".auth-secret-{os.getpid()}"
        made.touch(mode=0o600)
        made.write_text(secrets.token_hex(32), encoding="ascii")
        # Put in place in one step: of two processes that start at once, one is first.
        with contextlib.suppress(FileExistsError):
            os.link(made, file)
        made.unlink()
    return file.read_text(encoding="ascii").strip()

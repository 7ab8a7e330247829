"""What the running server has: made once at its start, let go at its end.

Chainlit calls handlers by itself and hands them nothing of ours, so this is the one place where
they find the practice; everything below the web layer takes what it needs as an argument.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from warmline.backends import Backend, Speed, make_backend
from warmline.errors import BackendError, WarmlineError
from warmline.library import Library, read_library
from warmline.practice import Practice, make_practice
from warmline.settings import Settings
from warmline.store import Store

log = logging.getLogger(__name__)

#: Who uses the product while no accounts are made: one person on this machine, with every role.
LOCAL_USER = "you"


@dataclass
class Runtime:
    """The parts of a running server."""

    settings: Settings
    store: Store
    library: Library
    backend: Backend
    practice: Practice
    #: The customer a person asked for before their page went to a new conversation.
    wanted: dict[str, str] = field(default_factory=dict)
    #: Sessions that are being graded, and the event of their end: a second press of Finish starts
    #: nothing, and a page that was reloaded in the meantime can wait.
    finishing: dict[str, asyncio.Event] = field(default_factory=dict)

    #: How fast the model is here; known a little after the start.
    speed: Speed | None = None
    measuring: asyncio.Task[None] | None = None

    @property
    def engine(self) -> str:
        """Which backend and model are in use, and how fast, in one line."""
        where = {"embedded": "inside Warmline", "ollama": "in Ollama"}[self.backend.name]
        line = f"The customer is played by {self.backend.model}, running {where}."
        if self.speed is None:
            return line
        reads, writes = self.speed.reads, self.speed.writes
        return f"{line} It reads about {reads:.0f} and writes about {writes:.0f} tokens a second."

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
        library = read_library(settings.personas_dir, settings.rubrics_dir)
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
    _current = Runtime(settings, store, library, backend, practice)
    _current.measuring = asyncio.create_task(_current.measure())
    return _current


async def stop() -> None:
    """Let everything go, in the order in which it depends on each other."""
    global _current
    if _current is not None:
        if _current.measuring is not None:
            _current.measuring.cancel()
            await asyncio.gather(_current.measuring, return_exceptions=True)
        await _current.practice.close()
        await _current.backend.aclose()
        await _current.store.close()
        _current = None


def auth_secret(folder: Path) -> str:
    """The secret that signs login cookies: made once, readable by its owner only."""
    file = folder / ".auth-secret"
    folder.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_hex(32), encoding="ascii")
    return file.read_text(encoding="ascii").strip()

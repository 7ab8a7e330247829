"""What the app adds to the embedded model: four trainees at once, and the same prompts straight.

In a first pass four trainees practise at once, in one process and without a browser, and every
request to the engine is written down. In a second pass, on an engine that is loaded anew, the same
requests are sent straight to it, four at once, each trainee's in their order. The app's overhead is
the one pass's time over the other's. It takes a minute or two, and needs the built-in model.

    .venv/bin/python benchmarks/load_embedded.py [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

from warmline.backends import EmbeddedBackend
from warmline.library import read_library
from warmline.people import People
from warmline.practice import Practice
from warmline.settings import Settings
from warmline.store import Store

TRAINEES = 4
PERSONAS = ["marjorie-bereavement", "helen-refund"]
REPLIES = [
    "Good afternoon. I am so sorry this has gone on for so long, that must be exhausting.",
    "Thank you for telling me. What would help you most today?",
]

#: Whose request it is that is being made.
_trainee: ContextVar[int] = ContextVar("trainee", default=-1)


@dataclass
class Request:
    """A request to the engine, and how many pieces of its answer were taken."""

    trainee: int
    prompt: str
    options: dict[str, Any]
    taken: int = 0


@dataclass
class Pass:
    """What the engine did in one pass, and how long it took from outside."""

    wall_s: float
    engine_s: float
    calls: int
    tokens_read: int
    tokens_cached: int
    tokens_written: int
    first_words_s: list[float] = field(default_factory=list)

    @property
    def tokens_a_second(self) -> float:
        """Tokens read and written in a second, by the clock outside."""
        return (self.tokens_read + self.tokens_written) / self.wall_s


def write_down(backend: EmbeddedBackend) -> list[Request]:
    """Have a backend note every request; the list grows as they come."""
    requests: list[Request] = []
    original = backend.continue_text

    async def noted(prompt: str, **options: Any) -> AsyncIterator[str]:
        request = Request(_trainee.get(), prompt, options)
        requests.append(request)
        stream = original(prompt, **options)
        async with aclosing(cast(Any, stream)) as pieces:
            async for piece in pieces:
                request.taken += 1
                yield piece

    backend.continue_text = noted  # type: ignore[method-assign]
    return requests


async def measured(backend: EmbeddedBackend, work: Callable[[], Awaitable[object]]) -> Pass:
    """Do some work, and say what the engine did meanwhile."""
    used = backend.usage
    before = (
        used.engine_s,
        used.calls,
        used.evaluated_tokens,
        used.cached_tokens,
        used.written_tokens,
    )
    began = time.perf_counter()
    await work()
    return Pass(
        wall_s=time.perf_counter() - began,
        engine_s=used.engine_s - before[0],
        calls=used.calls - before[1],
        tokens_read=used.evaluated_tokens - before[2],
        tokens_cached=used.cached_tokens - before[3],
        tokens_written=used.written_tokens - before[4],
    )


async def practised() -> tuple[Pass, list[Request]]:
    """Four trainees through the app; the figures, and what the engine was asked."""
    settings = Settings()
    backend = await EmbeddedBackend.open(settings)
    requests = write_down(backend)
    with tempfile.TemporaryDirectory() as folder:
        store = await Store.open(Path(folder) / "warmline.db")
        practice = Practice(
            store, read_library(settings.personas_dir, settings.rubrics_dir), backend
        )
        user = await People(store.database).local_user("you")
        sessions = [f"trainee-{number}" for number in range(TRAINEES)]
        for number, session in enumerate(sessions):
            await practice.begin(session, user.id, PERSONAS[number % len(PERSONAS)])
        first_words: list[float] = []

        async def one(number: int) -> None:
            _trainee.set(number)
            for reply in REPLIES:
                await practice.say(sessions[number], reply)
                began, heard = time.perf_counter(), False
                async for _ in practice.answer(sessions[number]):
                    if not heard:
                        first_words.append(time.perf_counter() - began)
                        heard = True

        figures = await measured(
            backend, lambda: asyncio.gather(*(one(number) for number in range(TRAINEES)))
        )
        figures.first_words_s = sorted(first_words)
        await practice.close()
        await store.close()
    await backend.aclose()
    return figures, requests


async def straight(requests: list[Request]) -> Pass:
    """The same requests, sent to the engine itself."""
    backend = await EmbeddedBackend.open(Settings())

    async def one(number: int) -> None:
        for request in requests:
            if request.trainee != number:
                continue
            taken = 0
            stream = backend.continue_text(request.prompt, **request.options)
            async with aclosing(cast(Any, stream)) as pieces:
                # As many pieces as the app took, before it had heard enough.
                while taken < request.taken and await anext(pieces, None) is not None:
                    taken += 1

    figures = await measured(
        backend, lambda: asyncio.gather(*(one(number) for number in range(TRAINEES)))
    )
    await backend.aclose()
    return figures


async def main(as_json: bool) -> None:
    """Measure both passes, and print them side by side."""
    app, requests = await practised()
    engine = await straight(requests)
    overhead = {
        "wall time, app over engine": round(app.wall_s / engine.wall_s, 3),
        "tokens a second, app over engine": round(app.tokens_a_second / engine.tokens_a_second, 3),
        "wall time over the engine's own clock, app": round(app.wall_s / app.engine_s, 3),
        "wall time over the engine's own clock, straight": round(
            engine.wall_s / engine.engine_s, 3
        ),
    }
    if as_json:
        print(json.dumps({"app": asdict(app), "straight": asdict(engine), **overhead}, indent=2))
        return
    print(f"{TRAINEES} trainees at once, {len(REPLIES)} replies each, {len(requests)} requests")
    print(f"{'':36}{'app':>10}{'straight':>10}")
    for name in ("wall_s", "engine_s", "calls", "tokens_read", "tokens_cached", "tokens_written"):
        print(f"  {name:34}{getattr(app, name):10.1f}{getattr(engine, name):10.1f}")
    print(f"  {'tokens_a_second':34}{app.tokens_a_second:10.1f}{engine.tokens_a_second:10.1f}")
    print("  seconds to the first words, sorted:", *(f"{one:.1f}" for one in app.first_words_s))
    for name, value in overhead.items():
        print(f"  {name:48} {value}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    asyncio.run(main(parser.parse_args().json))

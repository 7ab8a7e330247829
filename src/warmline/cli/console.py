"""What the commands share: the screen, the settings, how a problem is said, the room."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from tomllib import TOMLDecodeError
from typing import Any, ParamSpec, TypeVar

import click
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from warmline.backends import Backend, OllamaBackend, make_backend, show_progress
from warmline.errors import ModelMissing, WarmlineError
from warmline.library import Library, read_library
from warmline.practice import Practice, make_practice
from warmline.settings import Settings
from warmline.store import Store

P = ParamSpec("P")
T = TypeVar("T")

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def settings() -> Settings:
    """The settings.

    Raises:
        WarmlineError: if one is wrong, with its name.
    """
    try:
        return Settings()
    except (ValidationError, TOMLDecodeError, UnicodeDecodeError) as error:
        lines = [f"warmline.toml: {error}"]
        if isinstance(error, ValidationError):
            lines = [
                f"{'.'.join(map(str, item['loc']))}: {item['msg'].lower()}"
                for item in error.errors(include_url=False)
            ]
        raise WarmlineError(
            "A setting is wrong; look at warmline.toml and the WARMLINE_ variables.\n"
            + "\n".join(lines)
        ) from error


def command(work: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an asynchronous command; a problem becomes its plain message and exit status 1."""

    @wraps(work)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            asyncio.run(work(*args, **kwargs))
        except WarmlineError as error:
            err.print(escape(str(error)))
            sys.exit(1)
        except KeyboardInterrupt:
            err.print("Stopped. What was said is kept.")
            sys.exit(130)

    return run


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="warmline")
def main() -> None:
    """Practise empathy with a simulated customer, on this machine, offline."""


@dataclass
class Room:
    """What the terminal commands need, opened and closed together."""

    settings: Settings
    library: Library
    store: Store
    backend: Backend
    practice: Practice


@asynccontextmanager
async def room(chosen: Settings | None = None) -> AsyncIterator[Room]:
    """A practice room with the model loaded; by default as the settings say."""
    opened = chosen or settings()
    store = await Store.open(opened.database)
    try:
        library = read_library(opened.personas_dir, opened.rubrics_dir)
        backend = await open_backend(opened)
        try:
            practice = await make_practice(opened, store, library, backend)
            try:
                yield Room(opened, library, store, backend, practice)
            finally:
                await practice.close()
        finally:
            await backend.aclose()
    finally:
        await store.close()


@asynccontextmanager
async def scratch_room() -> AsyncIterator[Room]:
    """A room whose store is thrown away afterwards."""
    with TemporaryDirectory(prefix="warmline-") as folder:
        elsewhere = settings().model_copy(update={"transcripts_dir": Path(folder)})
        async with room(elsewhere) as opened:
            yield opened


async def open_backend(settings: Settings) -> Backend:
    """The backend; a model that Ollama lacks is offered to be pulled."""
    try:
        with show_progress("The language model") as progress:
            return await make_backend(settings, progress)
    except ModelMissing as missing:
        if not sys.stdin.isatty() or not click.confirm(f"{missing}\nPull it now?"):
            raise
        ollama = OllamaBackend(settings)
        try:
            with show_progress(f"Pulling {missing.model}") as progress:
                async for step in ollama.pull():
                    progress(step.completed, step.total)
        finally:
            await ollama.aclose()
        return await make_backend(settings)

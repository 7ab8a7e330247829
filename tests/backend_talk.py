"""What every backend over a server is asked, and what every one of them has to stand."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from stub_server import StubScript
from warmline.backends.base import Backend, Priority, YesNoQuestion
from warmline.errors import CutReply

QUESTION = YesNoQuestion("Judge the message.", "AGENT: I am sorry.", "Does it apologise?")


async def say(backend: Backend, prompt: str = "ANNA: My parcel", **more: Any) -> list[str]:
    asked: dict[str, Any] = {"stop": ["\n"], "max_tokens": 60, "temperature": 0.8, "seed": 7}
    return [piece async for piece in backend.continue_text(prompt, **{**asked, **more})]


async def chat(backend: Backend, text: str = "Hello", **more: Any) -> str:
    asked: dict[str, Any] = {"max_tokens": 60, "temperature": 0.2, "seed": 7}
    return await backend.chat([HumanMessage(text)], **{**asked, **more})


def free_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def chats_run_by_priority(script: StubScript, backend: Backend, path: str) -> None:
    """One that runs is not interrupted; the customer goes before what waits."""
    script.delay_s = 0.05
    tasks = []
    for text, priority in [
        ("first", Priority.BACKGROUND),
        ("check", Priority.BACKGROUND),
        ("reply", Priority.CUSTOMER),
    ]:
        tasks.append(asyncio.create_task(chat(backend, text, priority=priority)))
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    sent = [body["messages"][0]["content"] for body in script.bodies(path)]
    assert sent == ["first", "reply", "check"]


async def closing_hangs_up(script: StubScript, backend: Backend) -> None:
    """The server hears that nobody listens any more, and the next request is answered."""
    script.answers = [["word "] * 200]
    script.piece_delay_s = 0.02
    stream = backend.continue_text("A", stop=[], max_tokens=200, temperature=0, seed=1)
    assert await anext(stream) == "word "
    await stream.aclose()  # type: ignore[attr-defined]
    assert await asyncio.to_thread(script.hung_up.wait, 3)
    script.answers = [["next"]]
    assert await say(backend) == ["next"]


async def cancelling_hangs_up(script: StubScript, backend: Backend) -> None:
    """As when a stream is closed."""
    script.answers = [["word "] * 200]
    script.piece_delay_s = 0.02
    task = asyncio.create_task(chat(backend))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(script.hung_up.wait, 3)
    script.answers = [["next"]]
    assert await chat(backend) == "next"


async def what_never_stops_is_cut_off(script: StubScript, backend: Backend) -> None:
    """A continuation then ends as at its length, and a chat is a cut one."""
    script.never_stops = True
    script.answers = [["and on "]]
    assert len("".join(await say(backend, max_tokens=10))) < 200
    assert await asyncio.to_thread(script.hung_up.wait, 3)
    script.hung_up.clear()
    with pytest.raises(CutReply, match="10 tokens") as caught:
        await chat(backend, max_tokens=10)
    assert 10 < len(caught.value.partial) < 200
    assert await asyncio.to_thread(script.hung_up.wait, 3)

"""The embedded engine: against a stand-in for llama.cpp, and, marked, with the real model."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from langchain_core.messages import HumanMessage, SystemMessage

from warmline.backends import embedded
from warmline.backends.base import Priority, Usage, YesNoQuestion
from warmline.backends.embedded import FRESH_WORDS, EmbeddedBackend, Engine
from warmline.errors import BackendError, BackendTimeout, ContextOverflow, CutReply

Chunk = dict[str, Any]
QUESTION = YesNoQuestion("Judge the message.", "AGENT: I am sorry.", "Does it apologise?")


class FakeServer:
    """Answers with scripted chunks from a worker thread, as llama.cpp does."""

    listening_address = "http://127.0.0.1:9"

    def __init__(self) -> None:
        self.requests: list[tuple[str, Mapping[str, Any]]] = []
        self.chunks: list[Chunk] = []
        self.pause_s = 0.0
        self.given = 0
        self.begun = threading.Event()
        self.stopped = threading.Event()
        self.breaks: Exception | None = None

    def handle_completions(
        self, request: Mapping[str, Any], callback: Callable[[Chunk], bool]
    ) -> None:
        self._answer("text", request, callback)

    def handle_chat_completions(
        self, request: Mapping[str, Any], callback: Callable[[Chunk], bool]
    ) -> None:
        self._answer("chat", request, callback)

    def _answer(
        self, kind: str, request: Mapping[str, Any], callback: Callable[[Chunk], bool]
    ) -> None:
        self.requests.append((kind, request))
        if self.breaks:
            raise self.breaks
        for chunk in self.chunks:
            time.sleep(self.pause_s)
            self.given += 1
            self.begun.set()
            if callback(chunk):
                self.stopped.set()
                return


def reading(processed: int, cache: int = 0) -> Chunk:
    return {"choices": [{"text": ""}], "prompt_progress": {"processed": processed, "cache": cache}}


def text_chunks(*pieces: str, end: str = "stop") -> list[Chunk]:
    return [
        reading(30, 20),
        *({"choices": [{"text": piece, "finish_reason": None}]} for piece in pieces),
        {"choices": [{"text": "", "finish_reason": end}], "usage": used(len(pieces))},
    ]


def chat_chunks(*pieces: str, end: str = "stop", logprobs: Any = None) -> list[Chunk]:
    said: list[Chunk] = [{"choices": [{"delta": {"content": piece}}]} for piece in pieces]
    if logprobs:
        said[0]["choices"][0]["logprobs"] = {"content": [{"top_logprobs": logprobs}]}
    return [
        {"choices": [{"delta": {"role": "assistant", "content": None}}]},
        *said,
        {"choices": [{"delta": {}, "finish_reason": end}]},
        {"choices": [], "usage": used(len(pieces))},
    ]


def used(written: int) -> Chunk:
    return {
        "prompt_tokens": 30,
        "completion_tokens": written,
        "total_tokens": 30 + written,
        "prompt_tokens_details": {"cached_tokens": 20},
    }


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    fake = FakeServer()
    monkeypatch.setattr(embedded, "_load", lambda *args: fake)
    return fake


@pytest.fixture
async def backend(server: FakeServer) -> AsyncIterator[EmbeddedBackend]:
    engine = Engine(Path("m.gguf"), context_length=4096, timeout_s=0.5, usage=Usage())
    made = EmbeddedBackend(engine, model="m", digest="d")
    yield made
    await made.aclose()


async def say(backend: EmbeddedBackend, prompt: str = "ANNA:", **more: Any) -> list[str]:
    asked: dict[str, Any] = {"stop": ["\n"], "max_tokens": 60, "temperature": 0.8, "seed": 7}
    return [piece async for piece in backend.continue_text(prompt, **{**asked, **more})]


async def chat(backend: EmbeddedBackend, text: str = "Hello", **more: Any) -> str:
    asked: dict[str, Any] = {"max_tokens": 60, "temperature": 0.2, "seed": 7}
    return await backend.chat([SystemMessage("S"), HumanMessage(text)], **{**asked, **more})


async def test_a_continuation(server: FakeServer, backend: EmbeddedBackend) -> None:
    server.chunks = text_chunks("My", " parcel")
    assert await say(backend) == ["My", " parcel"]
    ((kind, request),) = server.requests
    assert kind == "text"
    assert request["prompt"] == "ANNA:"
    assert (request["stop"], request["max_tokens"]) == (["\n"], 60)
    assert (request["temperature"], request["seed"]) == (0.8, 7)
    assert request["cache_prompt"] is True
    usage = backend.usage
    assert (usage.calls, usage.prompt_tokens, usage.cached_tokens) == (1, 30, 20)
    assert (usage.written_tokens, usage.evaluated_tokens) == (2, 10)


async def test_fresh_words_are_drawn_with_what_llama_cpp_has_for_it(
    server: FakeServer, backend: EmbeddedBackend
) -> None:
    server.chunks = text_chunks("My")
    await say(backend, fresh_words=True)
    await say(backend)
    (_, asked), (_, plain) = server.requests
    assert {name: asked[name] for name in FRESH_WORDS} == FRESH_WORDS
    assert not set(FRESH_WORDS) & set(plain)


async def test_the_engines_own_time_is_known_while_it_writes(
    server: FakeServer, backend: EmbeddedBackend
) -> None:
    first, second, end = text_chunks("My", " parcel")[1:]
    server.chunks = [
        {**first, "timings": {"prompt_ms": 500.0, "predicted_ms": 0.0}},
        {**second, "timings": {"prompt_ms": 500.0, "predicted_ms": 250.0}},
        {**end, "timings": {"prompt_ms": 500.0, "predicted_ms": 250.0}},
    ]
    stream = backend.continue_text("A", stop=[], max_tokens=9, temperature=0, seed=1)
    await anext(stream)
    assert backend.usage.engine_s == 0.5
    assert [piece async for piece in stream] == [" parcel"]
    assert backend.usage.engine_s == 0.75


async def test_a_chat(server: FakeServer, backend: EmbeddedBackend) -> None:
    server.chunks = chat_chunks("<th", "ink>hm</think>", " I see. ")
    assert await chat(backend) == "I see."
    ((kind, request),) = server.requests
    assert kind == "chat"
    assert request["messages"] == [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "Hello"},
    ]
    assert request["chat_template_kwargs"] == {"enable_thinking": False}
    assert "stop" not in request
    assert (backend.usage.calls, backend.usage.written_tokens) == (1, 3)


async def test_reasoning_is_taken_out_of_a_continuation(
    server: FakeServer, backend: EmbeddedBackend
) -> None:
    server.chunks = text_chunks("<thi", "nk>x</think>", " I", " see")
    assert "".join(await say(backend)) == "I see"


async def test_control_marks_are_broken(server: FakeServer, backend: EmbeddedBackend) -> None:
    server.chunks = text_chunks("a")
    await say(backend, "AGENT: <|im_end|>")
    server.chunks = chat_chunks("a")
    await chat(backend, "<|im_start|>system")
    assert "<|im_end|>" not in server.requests[0][1]["prompt"]
    assert "<|im_start|>" not in server.requests[1][1]["messages"][1]["content"]


async def test_a_chat_cut_at_its_length(server: FakeServer, backend: EmbeddedBackend) -> None:
    server.chunks = chat_chunks("I", " am", end="length")
    with pytest.raises(CutReply, match="60 tokens") as caught:
        await chat(backend)
    assert caught.value.partial == "I am"


async def test_probability_of_yes(server: FakeServer, backend: EmbeddedBackend) -> None:
    likely = [("Yes", 0.6), (" yes", 0.1), ("No", 0.2), ("It", 0.1)]
    logprobs = [{"token": token, "logprob": math.log(p)} for token, p in likely]
    server.chunks = chat_chunks("Yes", end="length", logprobs=logprobs)
    assert await backend.probability_of_yes(QUESTION) == pytest.approx(7 / 9)
    request = server.requests[0][1]
    assert (request["max_tokens"], request["temperature"]) == (1, 0.0)
    assert (request["logprobs"], request["top_logprobs"]) == (True, 20)
    assert request["messages"][1]["content"] == QUESTION.user_text()


async def test_too_long_a_prompt(server: FakeServer, backend: EmbeddedBackend) -> None:
    server.chunks = [
        {
            "error": {
                "code": 400,
                "message": "request (5000 tokens) exceeds the available context size",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 5000,
                "n_ctx": 4096,
            }
        }
    ]
    for attempt in (say(backend), chat(backend), backend.probability_of_yes(QUESTION)):
        with pytest.raises(ContextOverflow, match=r"5000 tokens.*4096"):
            await attempt


async def test_another_error(server: FakeServer, backend: EmbeddedBackend) -> None:
    server.chunks = [{"error": {"code": 500, "message": "decode failed", "type": "server_error"}}]
    for attempt in (say(backend), chat(backend)):
        with pytest.raises(BackendError, match="decode failed"):
            await attempt
    server.breaks = RuntimeError("gone")
    with pytest.raises(BackendError, match="gone"):
        await say(backend)


async def test_silence_is_a_timeout(server: FakeServer, backend: EmbeddedBackend) -> None:
    server.chunks = text_chunks("a")
    server.pause_s = 0.8
    with pytest.raises(BackendTimeout, match=r"0\.5 seconds"):
        await say(backend)


async def test_closing_early_stops_the_engine(server: FakeServer, backend: EmbeddedBackend) -> None:
    server.chunks = text_chunks(*["word "] * 200)
    server.pause_s = 0.01
    stream = backend.continue_text("A", stop=[], max_tokens=200, temperature=0, seed=1)
    assert await anext(stream) == "word "
    await stream.aclose()  # type: ignore[attr-defined]
    assert await asyncio.to_thread(server.stopped.wait, 3)
    assert server.given < 200
    assert (backend.usage.calls, backend.usage.prompt_tokens) == (1, 30)
    server.chunks = text_chunks("next")
    assert await say(backend) == ["next"]


async def test_cancelling_while_the_prompt_is_read_stops_the_engine(
    server: FakeServer, backend: EmbeddedBackend
) -> None:
    server.chunks = [reading(done) for done in range(200)]
    server.pause_s = 0.01
    task = asyncio.create_task(chat(backend))
    assert await asyncio.to_thread(server.begun.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(server.stopped.wait, 3)
    assert server.given < 200


async def test_a_customer_waits_for_one_check_at_most(
    server: FakeServer, backend: EmbeddedBackend
) -> None:
    server.chunks = chat_chunks("Yes", logprobs=[{"token": "Yes", "logprob": -0.1}])
    server.pause_s = 0.01
    checks = [asyncio.create_task(backend.probability_of_yes(QUESTION)) for _ in range(3)]
    await asyncio.sleep(0)
    await say(backend, priority=Priority.CUSTOMER)
    await asyncio.gather(*checks)
    assert [kind for kind, _ in server.requests] == ["chat", "text", "chat", "chat"]


async def test_langchain_without_a_loop(server: FakeServer, backend: EmbeddedBackend) -> None:
    server.chunks = text_chunks("My", " parcel")
    assert await asyncio.to_thread(backend.writer.invoke, "ANNA:") == "My parcel"
    assert await backend.writer.ainvoke("ANNA:") == "My parcel"
    pieces = await asyncio.to_thread(lambda: list(backend.writer.stream("ANNA:")))
    assert [piece for piece in pieces if piece] == ["My", " parcel"]
    server.chunks = chat_chunks("Hel", "lo")
    answer = await asyncio.to_thread(backend.chat_model.invoke, "Hi")
    assert answer.text == "Hello"
    assert answer.usage_metadata == {"input_tokens": 30, "output_tokens": 2, "total_tokens": 32}
    streamed = [chunk.text async for chunk in backend.chat_model.astream("Hi")]
    assert "".join(streamed) == "Hello"


async def test_nothing_is_answered_after_closing(
    server: FakeServer, backend: EmbeddedBackend
) -> None:
    await backend.aclose()
    await backend.aclose()
    with pytest.raises(BackendError, match="closed"):
        await say(backend)
    with pytest.raises(BackendError, match="closed"):
        await backend.count_tokens("a")


# With the real model


@pytest.fixture(scope="module")
def engine(builtin_weights: Path) -> Iterator[Engine]:
    made = Engine(builtin_weights, context_length=4096, timeout_s=180, usage=Usage())
    yield made
    made.close()


@pytest.fixture
def real(engine: Engine) -> EmbeddedBackend:
    return EmbeddedBackend(engine, model="builtin", digest="d")


def words(seed: int, count: int) -> str:
    """Text that no other test has sent."""
    choice = random.Random(seed)
    some = ["the", "parcel", "came", "late", "and", "nobody", "called", "me", "so", "I", "wait"]
    return " ".join(choice.choice(some) for _ in range(count))


class Counted:
    """The tokens used inside the block."""

    def __init__(self, usage: Usage) -> None:
        self._usage = usage
        self._before = (usage.prompt_tokens, usage.cached_tokens)

    @property
    def prompt(self) -> int:
        return self._usage.prompt_tokens - self._before[0]

    @property
    def evaluated(self) -> int:
        return self.prompt - (self._usage.cached_tokens - self._before[1])


@pytest.mark.model
async def test_alternating_prompts_find_their_beginnings_again(real: EmbeddedBackend) -> None:
    async def customer(prompt: str) -> Counted:
        counted = Counted(real.usage)
        await say(real, prompt, max_tokens=4, stop=[])
        return counted

    chat_one, chat_two = words(1, 200), words(1, 100) + " " + words(2, 100)
    material = words(3, 120)
    assert (await customer(chat_one)).evaluated >= 200
    # Another conversation with the same persona: the common half is not read again.
    assert 95 <= (await customer(chat_two)).evaluated <= 110
    first = Counted(real.usage)
    await real.probability_of_yes(YesNoQuestion("Judge.", material, "Is it kind?"))
    assert first.evaluated > 120
    for question in ("Does it name a feeling?", "Does it ask anything?"):
        counted = Counted(real.usage)
        await real.probability_of_yes(YesNoQuestion("Judge.", material, question))
        assert counted.evaluated < 40
    for before in (chat_one, chat_two):
        counted = await customer(f"{before} {words(4, 30)}")
        assert counted.prompt >= 230
        assert counted.evaluated <= 34


@pytest.mark.model
async def test_the_model_tells_yes_from_no(real: EmbeddedBackend) -> None:
    said = "AGENT: I am sorry that your parcel was lost."
    sorry = await real.probability_of_yes(
        YesNoQuestion("Read the message.", said, "Does the agent say sorry?")
    )
    price = await real.probability_of_yes(
        YesNoQuestion("Read the message.", said, "Does the agent name a price in dollars?")
    )
    assert sorry is not None
    assert price is not None
    assert sorry > price


@pytest.mark.model
async def test_the_same_seed_gives_the_same_text(real: EmbeddedBackend) -> None:
    prompt = "ANNA (angry): My parcel"
    # A prompt read anew and one found in the cache differ by rounding, so it is read first.
    await say(real, prompt, max_tokens=1)
    first = await say(real, prompt, max_tokens=12)
    assert first
    assert await say(real, prompt, max_tokens=12) == first


@pytest.mark.model
async def test_the_real_engine_can_be_stopped(real: EmbeddedBackend) -> None:
    stream = real.continue_text("Once", stop=[], max_tokens=500, temperature=0.8, seed=1)
    async with contextlib.aclosing(stream) as pieces:  # type: ignore[type-var]
        async for _ in pieces:
            break
    counted = Counted(real.usage)
    async with asyncio.timeout(30):
        await say(real, "Hi", max_tokens=1)
    assert counted.prompt == 1


@pytest.mark.model
async def test_the_real_engine_refuses_too_long_a_prompt(real: EmbeddedBackend) -> None:
    with pytest.raises(ContextOverflow, match="holds 4096"):
        await say(real, "parcel " * 5000)


@pytest.mark.model
async def test_the_real_engine_counts_tokens(real: EmbeddedBackend) -> None:
    assert await real.count_tokens("hello world") == 2
    assert await real.count_tokens("<|im_end|>") > 1


@pytest.mark.model
async def test_the_real_engine_is_measured(real: EmbeddedBackend) -> None:
    speed = await real.measure_speed()
    assert speed.reads > 0
    assert speed.writes > 0


@pytest.mark.model
def test_the_engine_needs_its_key(engine: Engine) -> None:
    with httpx.Client(base_url=engine._address, trust_env=False) as anyone:
        for path in ("/v1/completions", "/tokenize", "/completion"):
            assert anyone.post(path, json={"prompt": "a", "content": "a"}).status_code == 401


@pytest.mark.model
async def test_the_terminal_stays_quiet(
    real: EmbeddedBackend, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    await say(real, "Hi", max_tokens=2)
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(BackendError, match="could not be loaded"):
        Engine(broken, context_length=2048, timeout_s=1, usage=Usage())
    assert capfd.readouterr() == ("", "")

"""The embedded engine: llama.cpp in this process, over one GGUF file."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import queue
import random
import secrets
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import httpx
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.language_models.llms import LLM
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, GenerationChunk
from pydantic import ConfigDict, Field

from warmline.backends.base import (
    SMALL_MODEL_BYTES,
    Backend,
    Priority,
    Speed,
    Usage,
    YesNoQuestion,
)
from warmline.backends.gate import PriorityGate
from warmline.backends.marks import ThinkFilter, defused, without_thinking
from warmline.backends.native import start
from warmline.backends.weights import Progress, digest_of, resolve_weights
from warmline.backends.yesno import ALTERNATIVES, messages_of, probability_from_tokens
from warmline.errors import BackendError, BackendTimeout, ContextOverflow, CutReply
from warmline.settings import Settings

#: Tokens read in one step. A request can be stopped only between steps; larger steps were
#: measured to read no faster on a CPU.
_BATCH = 128

#: How words are drawn that should not stand in the prompt already: runs of more than four are made
#: unlikely (llama.cpp's "don't repeat yourself"), and so are tokens that hardly fit. In 32 lines of
#: the builtin model this brought those that the guard rejects from nine to four.
FRESH_WORDS = {
    "min_p": 0.1,
    "dry_multiplier": 0.8,
    "dry_allowed_length": 4,
    "dry_penalty_last_n": 8192,
}

#: Memory for prompts that were read before, in MiB. The builtin model keeps about 36 tokens in
#: one MiB, so this holds some 18,000 tokens besides the prompt in use.
_PROMPT_CACHE_MIB = 512

#: How much of a new prompt must already stand in the engine's slot for the slot to be continued
#: as it is. Below that, the slot is first saved to the prompt cache and the best saved prompt is
#: loaded. With the library's 0.1, two conversations with the same persona cut each other down to
#: their common beginning on every turn.
_SAME_PROMPT = 0.9

Kind = Literal["text", "chat"]


class _Server(Protocol):
    """The part of ``xllamacpp.Server`` that is used here; the library has no types."""

    listening_address: str

    def handle_completions(
        self, request: Mapping[str, Any], callback: Callable[[dict[str, Any]], bool]
    ) -> None: ...

    def handle_chat_completions(
        self, request: Mapping[str, Any], callback: Callable[[dict[str, Any]], bool]
    ) -> None: ...


class Engine:
    """One loaded model. Requests are streamed from worker threads and can be stopped.

    The server has one slot, since one request runs at a time, and a cache in memory of the
    prompts it read before: each new prompt finds the saved one with the longest common beginning.
    """

    def __init__(
        self, weights: Path, *, context_length: int, timeout_s: float, usage: Usage
    ) -> None:
        """Load the model; this takes some seconds.

        Raises:
            BackendError: when llama.cpp cannot use the file.
        """
        self.usage = usage
        self.timeout_s = timeout_s
        self.context_length = context_length
        self._key = secrets.token_hex(16)
        self._server: _Server | None = _load(weights, context_length, self._key)
        self._address = self._server.listening_address
        self._halts: set[threading.Event] = set()
        # Not a daemon thread's work: the interpreter then waits for a running step at exit instead
        # of tearing the engine down under it.
        self._workers = concurrent.futures.ThreadPoolExecutor(
            max_workers=4, thread_name_prefix="warmline-engine"
        )

    async def astream(self, kind: Kind, body: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """The chunks of one answer, as llama.cpp sends them.

        Closing the iterator stops the engine.

        Raises:
            ContextOverflow: when the prompt does not fit.
            BackendTimeout: when nothing came for ``timeout_s`` seconds.
            BackendError: whatever else the engine reports.
        """
        loop = asyncio.get_running_loop()
        chunks: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

        def put(chunk: dict[str, Any] | None) -> None:
            # The loop may be gone when the process is ending.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(chunks.put_nowait, chunk)

        halt = self._start(kind, body, put)
        tally = _Tally(self.usage)
        try:
            while True:
                try:
                    # Not wait_for: before Python 3.12 it loses a cancellation that comes together
                    # with a chunk.
                    async with asyncio.timeout(self.timeout_s):
                        chunk = await chunks.get()
                except TimeoutError:
                    raise _timeout(self.timeout_s) from None
                if chunk is None:
                    break
                _check(chunk)
                tally.add(chunk)
                yield chunk
        finally:
            # Nothing is waited for here: a loop that shuts down closes all iterators at once, and
            # one that is still closing would be closed twice. The engine ends within one step, and
            # a request that comes sooner waits inside it.
            halt.set()
            tally.close()

    def stream(self, kind: Kind, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """`astream` for callers without an event loop."""
        chunks: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        halt = self._start(kind, body, chunks.put)
        tally = _Tally(self.usage)
        try:
            while True:
                try:
                    chunk = chunks.get(timeout=self.timeout_s)
                except queue.Empty:
                    raise _timeout(self.timeout_s) from None
                if chunk is None:
                    break
                _check(chunk)
                tally.add(chunk)
                yield chunk
        finally:
            halt.set()
            tally.close()

    def count_tokens(self, text: str) -> int:
        """The exact number of tokens of a text, without any marks around it. Blocks shortly."""
        if self._server is None:
            raise _closed()
        try:
            reply = httpx.post(
                f"{self._address}/tokenize",
                json={"content": text, "parse_special": False},
                headers={"Authorization": f"Bearer {self._key}"},
                timeout=self.timeout_s,
                # No proxy: the address is inside this process.
                trust_env=False,
            )
            return len(reply.raise_for_status().json()["tokens"])
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise BackendError(f"The embedded model could not count tokens: {error}") from error

    def close(self) -> None:
        """Stop what runs and free the memory. Can be called twice."""
        for halt in list(self._halts):
            halt.set()
        self._workers.shutdown(wait=True, cancel_futures=True)
        self._server = None

    def _start(
        self,
        kind: Kind,
        body: Mapping[str, Any],
        put: Callable[[dict[str, Any] | None], None],
    ) -> threading.Event:
        """Begin a request in a worker thread; ``put`` gets each chunk, then None.

        Setting the event that is returned stops the request.
        """
        server = self._server
        if server is None:
            raise _closed()
        halt = threading.Event()
        self._halts.add(halt)
        handle = server.handle_completions if kind == "text" else server.handle_chat_completions
        request = {
            **body,
            "stream": True,
            "stream_options": {"include_usage": True},
            # Chunks also come while the prompt is read, so that this too can be stopped.
            "return_progress": True,
            "cache_prompt": True,
            "timings_per_token": True,
        }

        def take(chunk: dict[str, Any]) -> bool:
            # The library swallows exceptions raised here, so nothing may be raised.
            if not halt.is_set():
                put(chunk)
            return halt.is_set()

        def work() -> None:
            try:
                if not halt.is_set():
                    handle(request, take)
            except Exception as error:
                # Passed on as the engine passes on its own errors.
                put({"error": {"message": str(error)}})
            finally:
                self._halts.discard(halt)
                put(None)

        self._workers.submit(work)
        return halt


class _Tally:
    """Adds one request to the usage, also when it is stopped before its end."""

    def __init__(self, usage: Usage) -> None:
        self._usage = usage
        self._prompt = 0
        self._cached = 0
        self._written = 0
        self._engine_s = 0.0

    def add(self, chunk: Mapping[str, Any]) -> None:
        """Take in what a chunk says about tokens and time."""
        if timings := chunk.get("timings"):
            taken = (timings["prompt_ms"] + timings["predicted_ms"]) / 1000
            # At once, so that whoever waits for the first words can compare.
            self._usage.engine_s += taken - self._engine_s
            self._engine_s = taken
        if progress := chunk.get("prompt_progress"):
            # ``processed`` counts the cached tokens too; a request stopped here read no more.
            self._prompt = int(progress["processed"])
            self._cached = min(int(progress["cache"]), self._prompt)
        elif used := chunk.get("usage"):
            self._prompt = int(used["prompt_tokens"])
            self._cached = int(used["prompt_tokens_details"]["cached_tokens"])
            self._written = int(used["completion_tokens"])
        elif _text_of(chunk):
            self._written += 1

    def close(self) -> None:
        """Write it down."""
        self._usage.calls += 1
        self._usage.prompt_tokens += self._prompt
        self._usage.cached_tokens += self._cached
        self._usage.written_tokens += self._written


class EmbeddedWriter(LLM):
    """LangChain's interface to plain continuation.

    Each call takes ``max_tokens``, ``temperature`` and ``seed``.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    engine: Engine = Field(exclude=True, repr=False)
    model: str

    @property
    def _llm_type(self) -> str:
        return "warmline-embedded"

    def _call(
        self,
        prompt: str,
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> str:
        return "".join(c.text for c in self._stream(prompt, stop, run_manager, **kwargs))

    async def _acall(
        self,
        prompt: str,
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> str:
        pieces = self._astream(prompt, stop, run_manager, **kwargs)
        return "".join([chunk.text async for chunk in pieces])

    def _stream(
        self,
        prompt: str,
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[GenerationChunk]:
        for chunk in self.engine.stream("text", _text_body(prompt, stop, kwargs)):
            piece = _writer_chunk(chunk)
            if run_manager and piece.text:
                run_manager.on_llm_new_token(piece.text, chunk=piece)
            yield piece

    async def _astream(
        self,
        prompt: str,
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[GenerationChunk]:
        stream = self.engine.astream("text", _text_body(prompt, stop, kwargs))
        async with contextlib.aclosing(cast(Any, stream)) as chunks:
            async for chunk in chunks:
                piece = _writer_chunk(chunk)
                if run_manager and piece.text:
                    await run_manager.on_llm_new_token(piece.text, chunk=piece)
                yield piece


class EmbeddedChat(BaseChatModel):
    """LangChain's interface to chats, with the model's own chat template.

    Each call takes ``max_tokens``, ``temperature``, ``seed``, and ``logprobs`` with
    ``top_logprobs``, which come back in ``response_metadata["logprobs"]`` as OpenAI's API has
    them.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    engine: Engine = Field(exclude=True, repr=False)
    model: str

    @property
    def _llm_type(self) -> str:
        return "warmline-embedded-chat"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return _joined(list(self._stream(messages, stop, run_manager, **kwargs)))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        pieces = self._astream(messages, stop, run_manager, **kwargs)
        return _joined([piece async for piece in pieces])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for chunk in self.engine.stream("chat", _chat_body(messages, stop, kwargs)):
            piece = _chat_chunk(chunk)
            if run_manager and piece.text:
                run_manager.on_llm_new_token(piece.text, chunk=piece)
            yield piece

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        stream = self.engine.astream("chat", _chat_body(messages, stop, kwargs))
        async with contextlib.aclosing(cast(Any, stream)) as chunks:
            async for chunk in chunks:
                piece = _chat_chunk(chunk)
                if run_manager and piece.text:
                    await run_manager.on_llm_new_token(piece.text, chunk=piece)
                yield piece


class EmbeddedBackend(Backend):
    """The backend over one embedded engine. Make it with `open`."""

    chat_model: EmbeddedChat
    writer: EmbeddedWriter

    def __init__(self, engine: Engine, *, model: str, digest: str) -> None:
        super().__init__(
            name="embedded",
            model=model,
            digest=digest,
            context_length=engine.context_length,
            chat_model=EmbeddedChat(engine=engine, model=model),
            writer=EmbeddedWriter(engine=engine, model=model),
            usage=engine.usage,
        )
        self._engine = engine
        self._gate = PriorityGate()

    @classmethod
    async def open(cls, settings: Settings, progress: Progress | None = None) -> EmbeddedBackend:
        """Prepare the weights the settings name, and load them.

        Raises:
            BackendUnavailable: when the weights cannot be had.
            BackendError: when they cannot be loaded.
        """
        weights, label = await asyncio.to_thread(resolve_weights, settings, progress)
        digest = await asyncio.to_thread(digest_of, weights, settings.cache_dir)
        engine = await asyncio.to_thread(
            Engine,
            weights,
            context_length=settings.context_length,
            timeout_s=settings.request_timeout_s,
            usage=Usage(),
        )
        backend = cls(engine, model=label, digest=digest)
        backend.brief = weights.stat().st_size < SMALL_MODEL_BYTES
        return backend

    async def continue_text(
        self,
        prompt: str,
        *,
        stop: Sequence[str],
        max_tokens: int,
        temperature: float,
        seed: int,
        fresh_words: bool = False,
        priority: Priority = Priority.CUSTOMER,
    ) -> AsyncIterator[str]:
        """See `Backend.continue_text`."""
        marks = ThinkFilter()
        async with self._gate.hold(priority):
            stream = self.writer.astream(
                prompt,
                stop=list(stop),
                max_tokens=max_tokens,
                temperature=temperature,
                seed=seed,
                **cast(Any, FRESH_WORDS if fresh_words else {}),
            )
            async with contextlib.aclosing(cast(Any, stream)) as pieces:
                async for piece in pieces:
                    if text := marks.feed(piece):
                        yield text
            if text := marks.flush():
                yield text

    async def chat(
        self,
        messages: Sequence[BaseMessage],
        *,
        max_tokens: int,
        temperature: float,
        seed: int,
        priority: Priority = Priority.FINISH,
    ) -> str:
        """See `Backend.chat`."""
        async with self._gate.hold(priority):
            answer = await self.chat_model.ainvoke(
                list(messages), max_tokens=max_tokens, temperature=temperature, seed=seed
            )
        text = without_thinking(answer.text)
        if answer.response_metadata.get("finish_reason") != "stop":
            raise CutReply(text, f"The model's answer was cut off after {max_tokens} tokens.")
        return text

    async def probability_of_yes(
        self, question: YesNoQuestion, *, priority: Priority = Priority.BACKGROUND
    ) -> float | None:
        """See `Backend.probability_of_yes`."""
        async with self._gate.hold(priority):
            answer = await self.chat_model.ainvoke(
                messages_of(question),
                max_tokens=1,
                temperature=0.0,
                seed=0,
                logprobs=True,
                top_logprobs=ALTERNATIVES,
            )
        first = answer.response_metadata["logprobs"]["content"][0]["top_logprobs"]
        return probability_from_tokens((token["token"], token["logprob"]) for token in first)

    async def count_tokens(self, text: str) -> int:
        """See `Backend.count_tokens`; the number is exact."""
        return await asyncio.to_thread(self._engine.count_tokens, text)

    async def measure_speed(self) -> Speed:
        """See `Backend.measure_speed`; takes a few seconds on a slow machine."""
        # A number nobody used before comes first, so that no cache helps with the reading.
        prompt = f"{random.getrandbits(48)} " + "The parcel came late, and it was wet. " * 12
        body = {"prompt": prompt, "max_tokens": 16, "temperature": 0.0, "ignore_eos": True}
        timings: dict[str, float] = {}
        async with self._gate.hold(Priority.FINISH):
            async for chunk in self._engine.astream("text", body):
                timings = chunk.get("timings", timings)
        if not timings:
            raise BackendError("The embedded model did not say how fast it is.")
        return Speed(reads=timings["prompt_per_second"], writes=timings["predicted_per_second"])

    async def aclose(self) -> None:
        """See `Backend.aclose`."""
        await asyncio.to_thread(self._engine.close)


def _load(weights: Path, context_length: int, key: str) -> _Server:
    try:
        server = start(
            weights,
            api_keys=[key],
            n_ctx=context_length,
            n_parallel=1,
            n_batch=_BATCH,
            n_ubatch=_BATCH,
            cache_ram_mib=_PROMPT_CACHE_MIB,
            slot_prompt_similarity=_SAME_PROMPT,
            endpoint_slots=False,
        )
        return cast(_Server, server)
    except RuntimeError as error:
        raise BackendError(
            f"{weights} could not be loaded as a language model. It may be damaged, of a kind "
            "that llama.cpp does not know, or too large for the memory. Choose another file with "
            "WARMLINE_EMBEDDED_MODEL."
        ) from error


def _text_body(prompt: str, stop: list[str] | None, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {"prompt": defused(prompt), **_drawing(stop, kwargs)}


def _chat_body(
    messages: Sequence[BaseMessage], stop: list[str] | None, kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    roles = {"human": "user", "ai": "assistant", "system": "system"}
    return {
        "messages": [
            {"role": roles[message.type], "content": defused(message.text)} for message in messages
        ],
        "chat_template_kwargs": {"enable_thinking": False},
        **_drawing(stop, kwargs),
    }


def _drawing(stop: list[str] | None, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """How the answer is drawn, with only what llama.cpp knows of LangChain's arguments."""
    known = ("max_tokens", "temperature", "seed", "logprobs", "top_logprobs", *FRESH_WORDS)
    drawing = {name: kwargs[name] for name in known if kwargs.get(name) is not None}
    return {**drawing, "stop": stop} if stop else drawing


def _choice(chunk: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = chunk.get("choices")
    return choices[0] if choices else {}


def _text_of(chunk: Mapping[str, Any]) -> str:
    choice = _choice(chunk)
    return choice.get("text") or choice.get("delta", {}).get("content") or ""


def _metadata(chunk: Mapping[str, Any]) -> dict[str, Any]:
    choice = _choice(chunk)
    names = ("finish_reason", "logprobs")
    return {name: choice[name] for name in names if choice.get(name) is not None}


def _writer_chunk(chunk: Mapping[str, Any]) -> GenerationChunk:
    return GenerationChunk(text=_text_of(chunk), generation_info=_metadata(chunk) or None)


def _chat_chunk(chunk: Mapping[str, Any]) -> ChatGenerationChunk:
    metadata = _metadata(chunk)
    message = AIMessageChunk(content=_text_of(chunk), response_metadata=metadata)
    if used := chunk.get("usage"):
        message.usage_metadata = UsageMetadata(
            input_tokens=used["prompt_tokens"],
            output_tokens=used["completion_tokens"],
            total_tokens=used["total_tokens"],
        )
    return ChatGenerationChunk(message=message)


def _joined(pieces: Sequence[ChatGenerationChunk]) -> ChatResult:
    whole = pieces[0]
    for piece in pieces[1:]:
        whole = whole + piece
    message = AIMessage(
        content=whole.text,
        response_metadata=whole.message.response_metadata,
        usage_metadata=cast(AIMessageChunk, whole.message).usage_metadata,
    )
    return ChatResult(generations=[ChatGeneration(message=message)])


def _check(chunk: Mapping[str, Any]) -> None:
    """Raise the error that a chunk carries, if it does."""
    error = chunk.get("error")
    if not error:
        return
    if error.get("type") == "exceed_context_size_error":
        raise ContextOverflow(
            f"The prompt has {error.get('n_prompt_tokens')} tokens, and the model holds "
            f"{error.get('n_ctx')}. Raise WARMLINE_CONTEXT_LENGTH, or start a new conversation."
        )
    raise BackendError(f"The embedded model could not answer: {error.get('message')}")


def _timeout(seconds: float) -> BackendTimeout:
    return BackendTimeout(
        f"The embedded model did not answer within {seconds:g} seconds. Try again; if it happens "
        "often, choose a smaller model or raise WARMLINE_REQUEST_TIMEOUT_S."
    )


def _closed() -> BackendError:
    return BackendError("The embedded model has been closed. Start Warmline again.")

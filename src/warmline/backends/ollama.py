"""The backend over an Ollama server."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import httpx
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.messages import BaseMessage
from langchain_core.outputs import LLMResult
from langchain_ollama import ChatOllama, OllamaLLM
from ollama import AsyncClient, ResponseError

from warmline.backends.address import http_options
from warmline.backends.base import SMALL_MODEL_BYTES, Priority, Speed
from warmline.backends.reply import Drawing, Reply
from warmline.backends.server import ServerBackend, speed_prompt
from warmline.errors import BackendError, ContextOverflow, ModelMissing
from warmline.settings import Settings

#: How long the model stays in memory after a request, so that a pause in a chat costs nothing.
_KEEP_ALIVE = "30m"

#: Seconds to wait for a connection: a server on this machine answers at once or not at all.
_CONNECT_S = 3.0

#: How words are drawn that should not stand in the prompt already. Not measured on any model.
FRESH_WORDS = {"top_p": 0.9, "repeat_penalty": 1.1, "repeat_last_n": 256}


@dataclass(frozen=True)
class PullProgress:
    """How far a pull has come: what the server does now, and bytes of the file it fetches."""

    status: str
    completed: int
    total: int


class _AtEnd(AsyncCallbackHandler):
    """Notes how a continuation ended; LangChain streams nothing of it but the text."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    async def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        """Take in what came with the last chunk."""
        _note(self._reply, response.generations[0][0].generation_info or {})


class OllamaBackend(ServerBackend):
    """The backend over one model of an Ollama server.

    Making it asks the server nothing; `check` does. One request runs at a time: two at once are
    slower on a small machine, and push each other's prompt out of the server's cache.
    """

    called = "Ollama"
    kind = "Ollama"
    start = (
        "Start it with `ollama serve`, set WARMLINE_OLLAMA_HOST to where it runs, or set "
        "WARMLINE_BACKEND=embedded."
    )
    point = "Set WARMLINE_OLLAMA_HOST to where Ollama runs, or WARMLINE_BACKEND=embedded."

    chat_model: ChatOllama
    writer: OllamaLLM

    def __init__(self, settings: Settings) -> None:
        host = settings.ollama_host
        self._http = http_options(host, settings.request_timeout_s, _CONNECT_S)
        super().__init__(
            settings,
            name="ollama",
            model=settings.ollama_model,
            host=host,
            chat_model=ChatOllama(
                model=settings.ollama_model,
                base_url=host,
                num_ctx=settings.context_length,
                reasoning=False,
                keep_alive=_KEEP_ALIVE,
                client_kwargs=dict(self._http),
            ),
            writer=OllamaLLM(
                model=settings.ollama_model,
                base_url=host,
                num_ctx=settings.context_length,
                reasoning=False,
                keep_alive=_KEEP_ALIVE,
                client_kwargs=dict(self._http),
            ),
        )

    async def check(self, timeout_s: float | None = None) -> None:
        """See `ServerBackend.check`.

        Raises:
            ModelMissing: when the server does not have the model; it can be pulled.
        """
        timeout_s = timeout_s or _CONNECT_S
        async with self._client(httpx.Timeout(timeout_s)) as client:
            with self._plain_errors(timeout_s=timeout_s):
                models = (await client.list()).models
        wanted = _full_name(self.model)
        for found in models:
            if found.model and _full_name(found.model) == wanted:
                self.digest = found.digest or ""
                self.brief = 0 < (found.size or 0) < SMALL_MODEL_BYTES
                return
        raise self._missing()

    async def pull(self) -> AsyncIterator[PullProgress]:
        """Have the server fetch the model, and then check it.

        Raises:
            BackendError: one of its kinds, with a plain message.
        """
        # The server is silent for long while it verifies a large file.
        async with self._client(httpx.Timeout(None, connect=_CONNECT_S)) as client:
            with self._plain_errors():
                async for step in await client.pull(self.model, stream=True):
                    yield PullProgress(step.status or "", step.completed or 0, step.total or 0)
        await self.check()

    async def measure_speed(self) -> Speed:
        """See `Backend.measure_speed`; the model is loaded if it is not."""
        async with (
            self._gate.hold(Priority.FINISH),
            self._client(self._http["timeout"]) as client,
        ):
            with self._plain_errors():
                reply = await client.generate(
                    self.model,
                    speed_prompt(),
                    raw=True,
                    think=False,
                    options=self._options(Drawing(16, 0.0, 0)),
                    keep_alive=_KEEP_ALIVE,
                )
        self.usage.calls += 1
        self.usage.prompt_tokens += reply.prompt_eval_count or 0
        self.usage.written_tokens += reply.eval_count or 0
        return Speed(
            reads=_rate(reply.prompt_eval_count, reply.prompt_eval_duration),
            writes=_rate(reply.eval_count, reply.eval_duration),
        )

    async def aclose(self) -> None:
        """See `Backend.aclose`. The server keeps the model in memory for a while."""
        for model in (self.chat_model, self.writer):
            # LangChain has no way to close the connections it keeps open.
            await _close(model._async_client)
            if model._client is not None:
                model._client.close()  # type: ignore[no-untyped-call]

    def _write(self, prompt: str, drawing: Drawing, reply: Reply) -> AsyncIterator[str]:
        """See `ServerBackend._write`."""
        return self.writer.astream(
            prompt, {"callbacks": [_AtEnd(reply)]}, raw=True, options=self._options(drawing)
        )

    async def _answer(
        self, messages: Sequence[BaseMessage], drawing: Drawing, reply: Reply
    ) -> AsyncIterator[str]:
        """See `ServerBackend._answer`."""
        stream = self.chat_model.astream(
            list(messages), options=self._options(drawing), **drawing.logprobs()
        )
        async with contextlib.aclosing(cast(Any, stream)) as pieces:
            async for piece in pieces:
                _note(reply, piece.response_metadata)
                yield piece.text

    def _options(self, drawing: Drawing) -> dict[str, Any]:
        """The options of a request; always all of them, and always the same context length.

        LangChain drops its own options when it is given some, and another context length would
        make the server load the model anew.
        """
        options: dict[str, Any] = {
            "num_ctx": self.context_length,
            "num_predict": drawing.max_tokens,
            "temperature": drawing.temperature,
            "seed": drawing.seed,
        }
        if drawing.fresh_words:
            # What the client's own options have for it; others it would drop without a word.
            options.update(FRESH_WORDS)
        if drawing.stop:
            options["stop"] = list(drawing.stop)
        return options

    def _refusal(self, error: Exception) -> BackendError | None:
        """See `ServerBackend._refusal`."""
        if not isinstance(error, ResponseError):
            return None
        if error.status_code == 404:
            return self._missing()
        if "context length" in error.error or "context size" in error.error:
            return ContextOverflow(
                f"The prompt is longer than the model's context: {error.error}. {self._make_room()}"
            )
        return BackendError(f"Ollama at {self.host} could not answer: {error.error}")

    def _missing(self) -> ModelMissing:
        return ModelMissing(
            self.model,
            f"Ollama at {self.host} does not have the model {self.model}. Run "
            f"`ollama pull {self.model}`, or let Warmline pull it.",
        )

    def _client(self, limits: httpx.Timeout) -> AsyncClient:
        """A client of its own for what LangChain has no words for; closed by ``async with``."""
        return AsyncClient(self.host, **{**self._http, "timeout": limits})


def _note(reply: Reply, info: dict[str, Any]) -> None:
    """Take in what the server says besides the text."""
    reply.logprobs.extend(info.get("logprobs") or [])
    if info.get("done"):
        reply.done = True
        reply.reason = info.get("done_reason") or "stop"
        reply.prompt_tokens = info.get("prompt_eval_count") or 0
        reply.written_tokens = info.get("eval_count") or 0


async def _close(client: AsyncClient | None) -> None:
    if client is not None:
        await client.close()  # type: ignore[no-untyped-call]


def _full_name(model: str) -> str:
    """The name with its tag; without one, Ollama means ``latest``."""
    name = model.rpartition("/")[2]
    return model if ":" in name else f"{model}:latest"


def _rate(count: int | None, nanoseconds: int | None) -> float:
    """Tokens a second."""
    return (count or 0) / ((nanoseconds or 0) / 1e9) if nanoseconds else 0.0

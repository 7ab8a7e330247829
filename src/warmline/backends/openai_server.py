"""The backend over any server that speaks OpenAI's API: vLLM, llama-server, LM Studio …"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import openai
from langchain_core.callbacks import AsyncCallbackHandler, AsyncCallbackManagerForLLMRun
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, GenerationChunk
from langchain_openai import ChatOpenAI, OpenAI
from pydantic import SecretStr

from warmline.address import with_scheme
from warmline.backends import embedded
from warmline.backends.address import http_options
from warmline.backends.base import SMALL_MODEL_BYTES, Priority, Speed
from warmline.backends.model_card import ModelCard, cards_of
from warmline.backends.reply import Drawing, Reply
from warmline.backends.server import NotTaken, ServerBackend, speed_prompt
from warmline.errors import BackendError, BackendUnavailable, ContextOverflow
from warmline.settings import Settings

#: Seconds to wait for a connection, and for the list of models: such a server may be far away.
_CONNECT_S = 10.0

#: What is sent for a key where none is set. The client insists on one, and without it would take
#: OPENAI_API_KEY, which is meant for somebody else.
_NO_KEY = "none"

#: How words are drawn that should not stand in the prompt already, by what the server calls itself
#: in its list of models. vLLM counts the whole prompt, so the penalty is small; not measured.
FRESH_WORDS: Mapping[str, Mapping[str, Any]] = {
    "llamacpp": embedded.FRESH_WORDS,
    "vllm": {"min_p": 0.1, "repetition_penalty": 1.05},
}
#: The same for any other server: all that the API itself has. It looks only at what was written
#: since the prompt, and keeps the model from going in circles there.
FRESH_WORDS_ELSEWHERE: Mapping[str, Any] = {"frequency_penalty": 0.3, "presence_penalty": 0.3}

#: Reasons to end that are no end of a reply: the server gave it up.
_GIVEN_UP = {"abort", "error", "content_filter"}

#: How servers say that a prompt is too long, each in words of its own.
_TOO_LONG = re.compile(
    r"context (?:length|size|window)|maximum model length|context_length_exceeded|exceed_context",
    re.IGNORECASE,
)

#: What a request is refused with when something in it is not known or not supported.
_NOT_TAKEN = {400, 422, 501}

#: What a request is refused with while the server loads its model, or has too much to do.
_NOT_NOW = {429, 502, 503, 504}

#: Tokens to measure the speed of writing with.
_SPEED_TOKENS = 32


class Writer(OpenAI):
    """LangChain's client for plain continuation, with what the server says besides the text.

    LangChain's own drops the numbers of tokens, and sends a value for everything that it knows, so
    that what the server has set for its model would not be used.
    """

    async def _astream(
        self,
        prompt: str,
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[GenerationChunk]:
        """The chunks of a continuation; ``kwargs`` are the other parts of the request."""
        request = {
            "model": self.model_name,
            "prompt": prompt,
            "stream": True,
            "stream_options": {"include_usage": True},
            **({"stop": stop} if stop else {}),
            **kwargs,
        }
        async with await self.async_client.create(**request) as stream:
            async for sent in stream:
                chunk = _generation_chunk(sent.model_dump())
                if run_manager:
                    await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk


class _Besides(AsyncCallbackHandler):
    """Notes what comes with a continuation; LangChain streams nothing of it but the text."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    async def on_llm_new_token(
        self,
        token: object,
        *,
        chunk: GenerationChunk | ChatGenerationChunk | None = None,
        **kwargs: Any,
    ) -> None:
        """Take in what came with a chunk."""
        info = (chunk.generation_info if chunk else None) or {}
        _note_end(self._reply, info.get("finish_reason"))
        if used := info.get("usage"):
            details = used.get("prompt_tokens_details") or {}
            self._reply.prompt_tokens = used.get("prompt_tokens") or 0
            self._reply.cached_tokens = details.get("cached_tokens") or 0
            self._reply.written_tokens = used.get("completion_tokens") or 0


class OpenAIBackend(ServerBackend):
    """The backend over one model of a server that speaks OpenAI's API.

    Making it asks the server nothing; `check` does, or else the first request.

    ``digest`` stands for what the server lists about its model: the name, what the server calls
    itself, and sizes where it gives them. Such a server does not tell its weights, so another
    model under the same name and of the same size cannot be told apart.
    """

    called = "The model server"
    kind = "an OpenAI-compatible server"
    start = (
        "Start it, or set WARMLINE_OPENAI_URL to where it runs (with its /v1), or "
        "WARMLINE_BACKEND=embedded."
    )
    point = (
        "Set WARMLINE_OPENAI_URL to the server's address, with its /v1, or "
        "WARMLINE_BACKEND=embedded."
    )

    chat_model: ChatOpenAI
    writer: Writer

    def __init__(self, settings: Settings) -> None:
        """Make it.

        Raises:
            BackendUnavailable: when the settings do not say where the server is, or the key is
                none.
        """
        host = _base_url(settings.openai_url)
        http = http_options(host, settings.request_timeout_s, _CONNECT_S)
        key = _key(settings.openai_key)
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        # No connection waits for the next request: llama.cpp was seen to close one just then, now
        # and again, and the request was lost.
        http["limits"] = httpx.Limits(max_keepalive_connections=0)
        self._async_client = httpx.AsyncClient(**http)
        self._client = httpx.Client(**http)
        common: dict[str, Any] = {
            "model": settings.openai_model,
            "base_url": host,
            "api_key": SecretStr(key or _NO_KEY),
            "timeout": http["timeout"],
            # A second try would double every wait, and is the person's to decide.
            "max_retries": 0,
            "http_client": self._client,
            "http_async_client": self._async_client,
            # Set in the environment for somebody else, it would clash with the clients above.
            "openai_proxy": None,
        }
        super().__init__(
            settings,
            name="openai",
            model=settings.openai_model,
            host=host,
            chat_model=ChatOpenAI(
                **common,
                stream_usage=True,
                # Chosen by the model's name otherwise; only OpenAI itself has it.
                use_responses_api=False,
                # Watched over here, with an error of ours.
                stream_chunk_timeout=None,
                # It would warn about proxies otherwise, though the clients above do without it.
                http_socket_options=(),
            ),
            writer=Writer(**common),
            places=settings.openai_parallel,
        )
        self._most_context = settings.context_length
        self._owner = ""

    async def check(self, timeout_s: float | None = None) -> None:
        """See `ServerBackend.check`; also notes how much the model holds, and the digest.

        Raises:
            BackendUnavailable: also when the server wants another key.
        """
        timeout_s = timeout_s or _CONNECT_S
        with self._plain_errors(timeout_s=timeout_s):
            answer = await self._async_client.get(
                f"{self.host}/models", headers=self._headers, timeout=timeout_s
            )
            if answer.status_code == 404:
                raise self._stranger("it has no list of models")
            if answer.is_error:
                raise self._refused(answer.status_code, _body(answer))
            cards = cards_of(answer.json())
        self._use(self._chosen(cards))

    async def measure_speed(self) -> Speed:
        """See `Backend.measure_speed`.

        By the clock here, since few such servers say: what the network takes counts as reading.
        """
        await self._prepare()
        prompt = speed_prompt()
        reply = Reply(prompt, _SPEED_TOKENS)
        drawing = Drawing(_SPEED_TOKENS, 0.0, 0)
        came: list[float] = []
        async with self._gate.hold(Priority.FINISH):
            begun = time.perf_counter()
            async for piece in self._read(self._write(prompt, drawing, reply), reply):
                if piece:
                    came.append(time.perf_counter())
            ended = time.perf_counter()
        read = reply.prompt_tokens or self._estimate.of(prompt)
        written = reply.written_tokens or len(came)
        if len(came) < 2:
            # All came at once, so that reading and writing cannot be told apart.
            return Speed(reads=read / (ended - begun), writes=written / (ended - begun))
        return Speed(reads=read / (came[0] - begun), writes=(written - 1) / (ended - came[0]))

    async def aclose(self) -> None:
        """See `Backend.aclose`. The server is left as it is."""
        await self._async_client.aclose()
        self._client.close()

    async def _prepare(self) -> None:
        """See `ServerBackend._prepare`."""
        if not self.digest:
            await self.check()

    async def _write(self, prompt: str, drawing: Drawing, reply: Reply) -> AsyncIterator[str]:
        """See `ServerBackend._write`."""
        fresh = FRESH_WORDS.get(self._owner, FRESH_WORDS_ELSEWHERE)
        stream = self.writer.astream(
            prompt,
            {"callbacks": [_Besides(reply)]},
            stop=list(drawing.stop),
            max_tokens=drawing.max_tokens,
            temperature=drawing.temperature,
            seed=drawing.seed,
            extra_body=dict(fresh) if drawing.fresh_words else None,
        )
        async with contextlib.aclosing(cast(Any, stream)) as pieces:
            async for piece in pieces:
                yield piece

    async def _answer(
        self, messages: Sequence[BaseMessage], drawing: Drawing, reply: Reply
    ) -> AsyncIterator[str]:
        """See `ServerBackend._answer`."""
        stream = self.chat_model.astream(
            list(messages),
            temperature=drawing.temperature,
            seed=drawing.seed,
            extra_body={
                # LangChain would rename it to what only OpenAI is sure to know.
                "max_tokens": drawing.max_tokens,
                # Known to vLLM and llama.cpp; others take no notice.
                "chat_template_kwargs": {"enable_thinking": False},
            },
            **drawing.logprobs(),
        )
        async with contextlib.aclosing(cast(Any, stream)) as pieces:
            async for piece in pieces:
                _note_chunk(reply, piece)
                yield piece.text

    def _chosen(self, cards: Sequence[ModelCard]) -> ModelCard:
        """The card of the model that was asked for by name, else the first."""
        wanted = self.chat_model.model_name
        for card in cards:
            if not wanted or wanted in card.names:
                return card
        if not cards:
            raise BackendUnavailable(
                f"The model server at {self.host} has no model. Load one there, or set "
                "WARMLINE_BACKEND=embedded."
            )
        there = ", ".join(card.id for card in cards)
        raise BackendUnavailable(
            f"The model server at {self.host} does not have the model {wanted}. It has: {there}. "
            "Set WARMLINE_OPENAI_MODEL to one of them, or leave it out to use the first."
        )

    def _use(self, card: ModelCard) -> None:
        self.model = self.chat_model.model_name = self.writer.model_name = card.id
        self.digest = card.digest
        self.brief = 0 < card.size < SMALL_MODEL_BYTES
        self.context_length = min(self._most_context, card.context_length or self._most_context)
        self._owner = card.owner

    def _make_room(self) -> str:
        """See `ServerBackend._make_room`."""
        if self.context_length < self._most_context:
            return "Start the server with a longer context, or start a new conversation."
        return super()._make_room()

    def _refusal(self, error: Exception) -> BackendError | None:
        """See `ServerBackend._refusal`."""
        if isinstance(error, openai.APIStatusError):
            return self._refused(error.status_code, error.body)
        if isinstance(error, openai.APIError) and not isinstance(error, openai.APIConnectionError):
            # It came in the middle of a stream.
            return self._refused(200, error.body)
        return None

    def _refused(self, status: int, body: object) -> BackendError:
        """What an error's status and body mean."""
        said = _said(body)
        if status in {401, 403}:
            return BackendUnavailable(
                f"The model server at {self.host} does not let Warmline in ({said}). Set "
                "WARMLINE_OPENAI_KEY to a key that it takes."
            )
        if _TOO_LONG.search(f"{said} {_part(body, 'type')} {_part(body, 'code')}"):
            holds = _part(body, "n_ctx")
            if isinstance(holds, int) and 0 < holds < self.context_length:
                # More than its list of models told; whoever makes the prompts should know.
                self.context_length = holds
            return ContextOverflow(
                f"The prompt is longer than the model's context: {said}. {self._make_room()}"
            )
        if status == 404:
            return BackendUnavailable(
                f"The model server at {self.host} has no such model, or no such part of the API: "
                f"{said}. Check WARMLINE_OPENAI_MODEL, and that WARMLINE_OPENAI_URL ends where the "
                "API begins, mostly with /v1."
            )
        if status in _NOT_NOW:
            return BackendUnavailable(
                f"The model server at {self.host} is not ready: {said}. Try again in a while."
            )
        kind = NotTaken if status in _NOT_TAKEN else BackendError
        return kind(f"The model server at {self.host} could not answer: {said}")


def _base_url(address: str) -> str:
    """The address as the API's base: with a scheme, with ``/v1`` if it names no path at all."""
    base = with_scheme(address.strip()).rstrip("/")
    try:
        parts = urlsplit(base)
        is_one = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        is_one = False
    if not is_one:
        raise BackendUnavailable(
            f"WARMLINE_OPENAI_URL is {address!r}, and no address of a server. Set it to one like "
            "http://192.168.1.20:8000/v1, or set WARMLINE_BACKEND to another backend."
        )
    return base if parts.path else f"{base}/v1"


def _key(setting: SecretStr) -> str:
    """The API key; empty for none."""
    key = setting.get_secret_value().strip()
    # A client would put it into the words of its error.
    if not all("!" <= letter <= "~" for letter in key):
        raise BackendUnavailable(
            "WARMLINE_OPENAI_KEY has spaces or letters that no API key has. Copy it anew."
        )
    return key


def _body(answer: httpx.Response) -> object:
    """The JSON of an answer, else its text."""
    try:
        return answer.json()
    except ValueError:
        return answer.text


def _part(body: object, name: str) -> object:
    """A part of an error's body, whether or not the body wraps it in ``error``; else None."""
    inner = body.get("error", body) if isinstance(body, dict) else None
    return inner.get(name) if isinstance(inner, dict) else None


def _said(body: object) -> str:
    """The words of an error's body, on one line and of a length that can be shown."""
    bare = body.get("error", body) if isinstance(body, dict) else body
    words = " ".join(str(_part(body, "message") or bare or "no reason given").split()).rstrip(".")
    return words if len(words) <= 300 else f"{words[:300]}…"


def _generation_chunk(sent: Mapping[str, Any]) -> GenerationChunk:
    """LangChain's chunk for one that the server sent."""
    choice = (sent.get("choices") or [{}])[0]
    info = {"finish_reason": choice.get("finish_reason"), "usage": sent.get("usage")}
    return GenerationChunk(
        text=choice.get("text") or "",
        generation_info={name: value for name, value in info.items() if value},
    )


def _note_chunk(reply: Reply, piece: AIMessageChunk) -> None:
    """Take in what came with a chunk of an answer."""
    info = piece.response_metadata
    reply.logprobs.extend((info.get("logprobs") or {}).get("content") or [])
    _note_end(reply, info.get("finish_reason"))
    if used := piece.usage_metadata:
        reply.prompt_tokens = used["input_tokens"]
        reply.cached_tokens = used.get("input_token_details", {}).get("cache_read", 0)
        reply.written_tokens = used["output_tokens"]


def _note_end(reply: Reply, reason: str | None) -> None:
    """Take in the reason to end, where a chunk has one."""
    if reason:
        reply.reason = reason
        reply.done = reason not in _GIVEN_UP

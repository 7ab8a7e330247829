"""The backend over an Ollama server."""

from __future__ import annotations

import contextlib
import ipaddress
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.outputs import LLMResult
from langchain_ollama import ChatOllama, OllamaLLM
from ollama import AsyncClient, ResponseError

from warmline.backends.base import SMALL_MODEL_BYTES, Backend, Priority, Speed, YesNoQuestion
from warmline.backends.gate import PriorityGate
from warmline.backends.marks import ThinkFilter, defused, without_thinking
from warmline.backends.yesno import (
    ALTERNATIVES,
    messages_of,
    probability_from_answers,
    probability_from_tokens,
)
from warmline.errors import (
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    ContextOverflow,
    CutReply,
    ModelMissing,
    WarmlineError,
)
from warmline.settings import Settings

#: How long the model stays in memory after a request, so that a pause in a chat costs nothing.
_KEEP_ALIVE = "30m"

#: Seconds to wait for a connection: a server on this machine answers at once or not at all.
_CONNECT_S = 3.0

#: Draws of an answer where a server gives no log-probabilities, and tokens for each.
_DRAWS = 5
_DRAW_TOKENS = 4

#: Tokens that a chat template may add for each message.
_TEMPLATE_TOKENS = 12


@dataclass(frozen=True)
class PullProgress:
    """How far a pull has come: what the server does now, and bytes of the file it fetches."""

    status: str
    completed: int
    total: int


class TokenEstimate:
    """An upper estimate of the tokens in a text, learned from what the server counts.

    Ollama cuts too long a prompt without a word, so the estimate must rather be too high. It
    starts at three bytes a token, which holds for the scripts and tokenizers in use, goes down
    at once when a prompt had more tokens than estimated, and up only a little.
    """

    _FIRST = 3.0
    _LOWEST = 1.0
    _HIGHEST = 3.6
    _MARGIN = 0.95
    _LEAST_BYTES = 300

    def __init__(self) -> None:
        self._bytes_per_token = self._FIRST
        self._lowest_seen = float("inf")

    def of(self, text: str) -> int:
        """About how many tokens the text has, rather too many than too few."""
        return round(len(text.encode()) / self._bytes_per_token) + 1

    def learn(self, text: str, tokens: int) -> None:
        """Take in how many tokens the server counted in a text that it read.

        Some versions do not count the tokens they had cached, so a low count proves nothing; that
        is why the estimate has an upper limit. Short texts are mostly template.
        """
        size = len(text.encode())
        if size < self._LEAST_BYTES or tokens < 1:
            return
        self._lowest_seen = min(self._lowest_seen, size / tokens)
        careful = self._lowest_seen * self._MARGIN
        self._bytes_per_token = min(max(careful, self._LOWEST), self._HIGHEST)


@dataclass
class _Reply:
    """What has come of one reply so far."""

    text: str = ""
    done: bool = False
    reason: str = ""
    prompt_tokens: int = 0
    written_tokens: int = 0
    logprobs: list[Any] = field(default_factory=list)

    def note(self, info: dict[str, Any]) -> None:
        """Take in what the server says besides the text."""
        self.logprobs.extend(info.get("logprobs") or [])
        if info.get("done"):
            self.done = True
            self.reason = info.get("done_reason") or "stop"
            self.prompt_tokens = info.get("prompt_eval_count") or 0
            self.written_tokens = info.get("eval_count") or 0


class _AtEnd(AsyncCallbackHandler):
    """Notes how a continuation ended; LangChain streams nothing of it but the text."""

    def __init__(self, reply: _Reply) -> None:
        self._reply = reply

    async def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        """Take in what came with the last chunk."""
        self._reply.note(response.generations[0][0].generation_info or {})


#: How words are drawn that should not stand in the prompt already. Not measured on any model.
FRESH_WORDS = {"top_p": 0.9, "repeat_penalty": 1.1, "repeat_last_n": 256}


class OllamaBackend(Backend):
    """The backend over one model of an Ollama server.

    Making it asks the server nothing; `check` does. One request runs at a time: two at once are
    slower on a small machine, and push each other's prompt out of the server's cache.
    """

    chat_model: ChatOllama
    writer: OllamaLLM

    def __init__(self, settings: Settings) -> None:
        self.host = settings.ollama_host
        self._timeout_s = settings.request_timeout_s
        http: dict[str, Any] = {"timeout": httpx.Timeout(self._timeout_s, connect=_CONNECT_S)}
        if _is_loopback(self.host):
            # A proxy set for the web must not get what is meant for this machine.
            http["trust_env"] = False
        self._http = http
        super().__init__(
            name="ollama",
            model=settings.ollama_model,
            digest="",
            context_length=settings.context_length,
            chat_model=ChatOllama(
                model=settings.ollama_model,
                base_url=self.host,
                num_ctx=settings.context_length,
                reasoning=False,
                keep_alive=_KEEP_ALIVE,
                client_kwargs=dict(http),
            ),
            writer=OllamaLLM(
                model=settings.ollama_model,
                base_url=self.host,
                num_ctx=settings.context_length,
                reasoning=False,
                keep_alive=_KEEP_ALIVE,
                client_kwargs=dict(http),
            ),
        )
        self._gate = PriorityGate()
        self._estimate = TokenEstimate()
        self._gives_logprobs: bool | None = None

    async def check(self, timeout_s: float = _CONNECT_S) -> None:
        """Make sure that the server answers and has the model, and note the model's digest.

        Raises:
            BackendUnavailable: when the server does not answer.
            ModelMissing: when it does not have the model.
        """
        async with self._client(httpx.Timeout(timeout_s)) as client:
            with self._plain_errors():
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
        prompt = defused(prompt)
        self._must_fit(self._estimate.of(prompt), max_tokens)
        options = self._options(max_tokens, temperature, seed)
        if fresh_words:
            # What the client's own options have for it; others it would drop without a word.
            options.update(FRESH_WORDS)
        if stop:
            options["stop"] = list(stop)
        marks = ThinkFilter()
        reply = _Reply()
        async with self._gate.hold(priority):
            self.usage.calls += 1
            with self._plain_errors(reply):
                stream = self.writer.astream(
                    prompt, {"callbacks": [_AtEnd(reply)]}, raw=True, options=options
                )
                async with contextlib.aclosing(cast(Any, stream)) as pieces:
                    async for piece in pieces:
                        reply.text += piece
                        if text := marks.feed(piece):
                            yield text
            self._finish(reply, prompt)
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
            reply = await self._chat(messages, self._options(max_tokens, temperature, seed))
        text = without_thinking(reply.text)
        if reply.reason == "length":
            raise CutReply(text, f"The model's answer was cut off after {max_tokens} tokens.")
        return text

    async def probability_of_yes(
        self, question: YesNoQuestion, *, priority: Priority = Priority.BACKGROUND
    ) -> float | None:
        """See `Backend.probability_of_yes`."""
        messages = messages_of(question)
        if self._gives_logprobs is not False:
            options = self._options(1, 0.0, 0)
            async with self._gate.hold(priority):
                reply = await self._chat(
                    messages, options, logprobs=True, top_logprobs=ALTERNATIVES
                )
            first = reply.logprobs[0] if reply.logprobs else None
            alternatives = (first.get("top_logprobs") if first else None) or []
            # The chosen token alone says nothing about how likely the other word was.
            self._gives_logprobs = len(alternatives) > 1
            if self._gives_logprobs:
                return probability_from_tokens(
                    (token["token"], token["logprob"]) for token in alternatives
                )
        answers: list[str] = []
        for seed in range(1, _DRAWS + 1):
            # The gate opens between the draws, so that a customer waits for one of them only.
            async with self._gate.hold(priority):
                reply = await self._chat(messages, self._options(_DRAW_TOKENS, 1.0, seed))
            answers.append(without_thinking(reply.text))
        return probability_from_answers(answers)

    async def count_tokens(self, text: str) -> int:
        """See `Backend.count_tokens`; an estimate that is rather too high."""
        return self._estimate.of(text)

    async def measure_speed(self) -> Speed:
        """See `Backend.measure_speed`; the model is loaded if it is not."""
        # A number nobody used before comes first, so that no cache helps with the reading.
        prompt = f"{random.getrandbits(48)} " + "The parcel came late, and it was wet. " * 12
        async with (
            self._gate.hold(Priority.FINISH),
            self._client(self._http["timeout"]) as client,
        ):
            with self._plain_errors():
                reply = await client.generate(
                    self.model,
                    prompt,
                    raw=True,
                    think=False,
                    options=self._options(16, 0.0, 0),
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

    async def _chat(
        self, messages: Sequence[BaseMessage], options: dict[str, Any], **more: Any
    ) -> _Reply:
        """Send a chat, and give the whole reply. The caller holds the gate."""
        plain = [_plain(message) for message in messages]
        sent = "\n".join(message.text for message in plain)
        tokens = self._estimate.of(sent) + _TEMPLATE_TOKENS * len(plain)
        self._must_fit(tokens, options["num_predict"])
        reply = _Reply()
        self.usage.calls += 1
        with self._plain_errors(reply):
            async for piece in self.chat_model.astream(plain, options=options, **more):
                reply.text += piece.text
                reply.note(piece.response_metadata)
        self._finish(reply, sent)
        return reply

    def _options(self, max_tokens: int, temperature: float, seed: int) -> dict[str, Any]:
        """The options of a request; always all of them, and always the same context length.

        LangChain drops its own options when it is given some, and another context length would
        make the server load the model anew.
        """
        return {
            "num_ctx": self.context_length,
            "num_predict": max_tokens,
            "temperature": temperature,
            "seed": seed,
        }

    def _must_fit(self, prompt_tokens: int, max_tokens: int) -> None:
        if prompt_tokens + max_tokens > self.context_length:
            raise ContextOverflow(
                f"The prompt has about {prompt_tokens} tokens and {max_tokens} more are wanted, "
                f"but the model holds {self.context_length}. Raise WARMLINE_CONTEXT_LENGTH, or "
                "start a new conversation."
            )

    def _finish(self, reply: _Reply, sent: str) -> None:
        """Count a reply that has come to its end, and make sure that it did."""
        if not reply.done:
            raise self._cut(reply)
        self.usage.prompt_tokens += reply.prompt_tokens
        self.usage.written_tokens += reply.written_tokens
        self._estimate.learn(sent, reply.prompt_tokens)

    @contextlib.contextmanager
    def _plain_errors(self, reply: _Reply | None = None) -> Iterator[None]:
        """Turn what the client libraries raise into errors of ours."""
        try:
            yield
        except WarmlineError:
            raise
        except (httpx.ConnectError, httpx.ConnectTimeout, ConnectionError) as error:
            raise self._down() from error
        except httpx.TimeoutException as error:
            raise BackendTimeout(
                f"Ollama at {self.host} did not answer within {self._timeout_s:g} seconds. Try "
                "again; if it happens often, choose a smaller model or raise "
                "WARMLINE_REQUEST_TIMEOUT_S."
            ) from error
        except ResponseError as error:
            raise self._refusal(error) from error
        except (httpx.HTTPError, ValueError) as error:
            # The connection broke off, or a line of the stream is no JSON, or there was none.
            if reply is not None:
                raise self._cut(reply) from error
            raise BackendUnavailable(
                f"What answers at {self.host} does not speak like Ollama: {error}. Set "
                "WARMLINE_OLLAMA_HOST to where Ollama runs, or WARMLINE_BACKEND=embedded."
            ) from error

    def _refusal(self, error: ResponseError) -> BackendError:
        if error.status_code == 404:
            return self._missing()
        if "context length" in error.error or "context size" in error.error:
            return ContextOverflow(
                f"The prompt is longer than the model's context: {error.error}. Raise "
                "WARMLINE_CONTEXT_LENGTH, or start a new conversation."
            )
        return BackendError(f"Ollama at {self.host} could not answer: {error.error}")

    def _missing(self) -> ModelMissing:
        return ModelMissing(
            self.model,
            f"Ollama at {self.host} does not have the model {self.model}. Run "
            f"`ollama pull {self.model}`, or let Warmline pull it.",
        )

    def _down(self) -> BackendUnavailable:
        return BackendUnavailable(
            f"Ollama is not answering at {self.host}. Start it with `ollama serve`, set "
            "WARMLINE_OLLAMA_HOST to where it runs, or set WARMLINE_BACKEND=embedded."
        )

    def _cut(self, reply: _Reply) -> CutReply:
        return CutReply(
            without_thinking(reply.text),
            f"Ollama at {self.host} broke off in the middle of its answer. Try again.",
        )

    def _client(self, limits: httpx.Timeout) -> AsyncClient:
        """A client of its own for what LangChain has no words for; closed by ``async with``."""
        return AsyncClient(self.host, **{**self._http, "timeout": limits})


async def _close(client: AsyncClient | None) -> None:
    if client is not None:
        await client.close()  # type: ignore[no-untyped-call]


def _plain(message: BaseMessage) -> BaseMessage:
    """The message with control marks broken."""
    kinds: dict[str, type[BaseMessage]] = {
        "human": HumanMessage,
        "ai": AIMessage,
        "system": SystemMessage,
    }
    return kinds[message.type](content=defused(message.text))


def _full_name(model: str) -> str:
    """The name with its tag; without one, Ollama means ``latest``."""
    name = model.rpartition("/")[2]
    return model if ":" in name else f"{model}:latest"


def _is_loopback(host: str) -> bool:
    name = urlsplit(host if "://" in host else f"http://{host}").hostname or ""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _rate(count: int | None, nanoseconds: int | None) -> float:
    """Tokens a second."""
    return (count or 0) / ((nanoseconds or 0) / 1e9) if nanoseconds else 0.0

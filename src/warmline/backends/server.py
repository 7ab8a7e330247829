"""What the backends over a server share: order, limits, and plain words for what goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import random
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, ClassVar, cast

import httpx
from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.language_models.llms import BaseLLM
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from warmline.backends.base import Backend, Priority, YesNoQuestion
from warmline.backends.estimate import TokenEstimate
from warmline.backends.gate import PriorityGate
from warmline.backends.marks import ThinkFilter, defused, without_thinking
from warmline.backends.reply import Drawing, Reply
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
    WarmlineError,
)
from warmline.settings import Settings

#: Draws of an answer where a server gives no log-probabilities, and tokens for each.
_DRAWS = 5
_DRAW_TOKENS = 4

#: Tokens that a chat template may add for each message.
_TEMPLATE_TOKENS = 12


class NotTaken(BackendError):
    """The server does not take a request as it is, though it is there and has the model."""


class ServerBackend(Backend):
    """A backend over a server that is asked one thing at a time.

    What a kind of server has of its own is how it is asked (`_write`, `_answer`), what its
    refusals mean (`_refusal`), and the words about it: ``called`` is its name in a sentence,
    ``kind`` what it should be, ``start`` what to do when nothing answers, ``point`` what to do
    when something else answers.
    """

    called: ClassVar[str]
    kind: ClassVar[str]
    start: ClassVar[str]
    point: ClassVar[str]

    def __init__(
        self,
        settings: Settings,
        *,
        name: str,
        model: str,
        host: str,
        chat_model: BaseChatModel,
        writer: BaseLLM,
        places: int = 1,
    ) -> None:
        """Ask the server nothing yet; ``host`` is its address.

        ``places`` is how many requests it is sent at once.
        """
        super().__init__(
            name=name,
            model=model,
            digest="",
            context_length=settings.context_length,
            chat_model=chat_model,
            writer=writer,
        )
        self.host = host
        self._timeout_s = settings.request_timeout_s
        self._gate = PriorityGate(places)
        self._estimate = TokenEstimate()
        self._gives_logprobs: bool | None = None

    @abstractmethod
    async def check(self, timeout_s: float | None = None) -> None:
        """Make sure that the server answers and has the model, and note what it says of it.

        Args:
            timeout_s: longest wait for the answer, in seconds; by default, long enough for a
                server that is there.

        Raises:
            BackendUnavailable: when the server does not answer, or not as such a server does, or
                does not have the model.
            BackendTimeout: when it takes longer than that.
        """

    @abstractmethod
    def _write(self, prompt: str, drawing: Drawing, reply: Reply) -> AsyncIterator[str]:
        """The pieces of a continuation; what the server says besides goes into the reply."""

    @abstractmethod
    def _answer(
        self, messages: Sequence[BaseMessage], drawing: Drawing, reply: Reply
    ) -> AsyncIterator[str]:
        """The pieces of an answer; what the server says besides goes into the reply."""

    @abstractmethod
    def _refusal(self, error: Exception) -> BackendError | None:
        """What the server said no with, in our words; None for any other error."""

    async def _prepare(self) -> None:
        """Find out what has to be known before a request."""

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
        await self._prepare()
        prompt = defused(prompt)
        self._must_fit(self._estimate.of(prompt), max_tokens)
        drawing = Drawing(max_tokens, temperature, seed, tuple(stop), fresh_words)
        reply = Reply(prompt, max_tokens)
        marks = ThinkFilter()
        async with self._gate.hold(priority):
            stream = self._read(self._write(prompt, drawing, reply), reply)
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
            reply = await self._chat(messages, Drawing(max_tokens, temperature, seed))
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
            drawing = Drawing(1, 0.0, 0, alternatives=ALTERNATIVES)
            # Perhaps it is only the log-probabilities that a server does not take; if it is
            # something else, it does not take the draws either.
            with contextlib.suppress(NotTaken):
                async with self._gate.hold(priority):
                    reply = await self._chat(messages, drawing)
                if alternatives := reply.alternatives():
                    self._gives_logprobs = True
                    return probability_from_tokens(alternatives)
        answers: list[str] = []
        for seed in range(1, _DRAWS + 1):
            # The gate opens between the draws, so that a customer waits for one of them only.
            async with self._gate.hold(priority):
                reply = await self._chat(messages, Drawing(_DRAW_TOKENS, 1.0, seed))
            answers.append(without_thinking(reply.text))
        self._gives_logprobs = False
        return probability_from_answers(answers)

    async def count_tokens(self, text: str) -> int:
        """See `Backend.count_tokens`; an estimate that is rather too high."""
        return self._estimate.of(text)

    async def _chat(self, messages: Sequence[BaseMessage], drawing: Drawing) -> Reply:
        """Send a chat, and give the whole reply. The caller holds the gate."""
        await self._prepare()
        plain = [_plain(message) for message in messages]
        sent = "\n".join(message.text for message in plain)
        tokens = self._estimate.of(sent) + _TEMPLATE_TOKENS * len(plain)
        self._must_fit(tokens, drawing.max_tokens)
        reply = Reply(sent, drawing.max_tokens)
        async for _ in self._read(self._answer(plain, drawing, reply), reply):
            pass
        return reply

    async def _read(self, pieces: AsyncIterator[str], reply: Reply) -> AsyncIterator[str]:
        """Pass on the pieces as they come, up to the end of the reply.

        Raises:
            BackendTimeout: when none came for as long as a person is to wait.
            CutReply: when they end before the reply does.
            BackendError: one of its other kinds, with a plain message.
        """
        self.usage.calls += 1
        with self._plain_errors(reply):
            async with contextlib.aclosing(cast(Any, pieces)) as stream:
                while not reply.overfull:
                    # The client's own limit is one for bytes, and some servers send signs of life
                    # while no word comes.
                    async with asyncio.timeout(self._timeout_s):
                        piece = await anext(stream, None)
                    if piece is None:
                        break
                    reply.take(piece)
                    yield piece
                else:
                    reply.break_off()
        if not reply.done:
            raise self._cut(reply)
        self.usage.prompt_tokens += reply.prompt_tokens
        self.usage.cached_tokens += reply.cached_tokens
        self.usage.written_tokens += reply.written_tokens
        self._estimate.learn(reply.sent, reply.prompt_tokens)

    def _must_fit(self, prompt_tokens: int, max_tokens: int) -> None:
        if prompt_tokens + max_tokens > self.context_length:
            raise ContextOverflow(
                f"The prompt has about {prompt_tokens} tokens and {max_tokens} more are wanted, "
                f"but the model holds {self.context_length}. {self._make_room()}"
            )

    def _make_room(self) -> str:
        """What to do when a prompt is too long."""
        return "Raise WARMLINE_CONTEXT_LENGTH, or start a new conversation."

    @contextlib.contextmanager
    def _plain_errors(
        self, reply: Reply | None = None, timeout_s: float | None = None
    ) -> Iterator[None]:
        """Turn what the client libraries raise into errors of ours.

        Args:
            reply: the reply that is being read, if one is.
            timeout_s: how long was waited, in seconds, if it is not the time for a request.
        """
        try:
            yield
        except WarmlineError:
            raise
        except Exception as error:
            ours = self._in_our_words(error, reply, timeout_s or self._timeout_s)
            if ours is None:
                raise
            raise ours from error

    def _in_our_words(
        self, error: Exception, reply: Reply | None, timeout_s: float
    ) -> BackendError | None:
        if refusal := self._refusal(error):
            return refusal
        match _below(error):
            case httpx.ConnectError() | httpx.ConnectTimeout() | ConnectionError():
                return BackendUnavailable(
                    f"{self.called} is not answering at {self.host}. {self.start}"
                )
            case httpx.TimeoutException() | TimeoutError():
                return BackendTimeout(
                    f"{self.called} at {self.host} did not answer within {timeout_s:g} seconds. "
                    "Try again; if it happens often, choose a smaller model or raise "
                    "WARMLINE_REQUEST_TIMEOUT_S."
                )
            case httpx.HTTPError() | ValueError():
                # The connection broke off, or a line of the stream is no JSON, or there was none.
                return self._cut(reply) if reply else self._stranger(error)
        return None

    def _cut(self, reply: Reply) -> CutReply:
        return CutReply(
            without_thinking(reply.text),
            f"{self.called} at {self.host} broke off in the middle of its answer. Try again.",
        )

    def _stranger(self, why: object) -> BackendUnavailable:
        return BackendUnavailable(
            f"What answers at {self.host} does not speak like {self.kind}: {why}. {self.point}"
        )


def speed_prompt() -> str:
    """Some 130 tokens to measure the speed of reading with."""
    # A number nobody used before comes first, so that no cache helps with the reading.
    return f"{random.getrandbits(48)} " + "The parcel came late, and it was wet. " * 12


def _below(error: Exception) -> BaseException:
    """The error of the connection below those that client libraries made of it, if there is one."""
    below: BaseException | None = error
    while below is not None and not isinstance(below, httpx.HTTPError):
        below = below.__cause__
    return below or error


def _plain(message: BaseMessage) -> BaseMessage:
    """The message with control marks broken."""
    kinds: dict[str, type[BaseMessage]] = {
        "human": HumanMessage,
        "ai": AIMessage,
        "system": SystemMessage,
    }
    return kinds[message.type](content=defused(message.text))

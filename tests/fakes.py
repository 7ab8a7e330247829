"""Stand-ins for the language model that say what a test tells them to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from langchain_core.language_models.fake import FakeListLLM
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import BaseMessage

from warmline.backends.base import Backend, Priority, Speed, YesNoQuestion
from warmline.results import Standing

#: What stands of a grade without steps.
NOTHING = Standing(total=10, passed=False, unclear=0, auto_failed=False, steps=())

Kind = Literal["continue", "chat", "yes"]

#: One scripted answer: a text, its pieces, or an error to raise.
Line = str | Sequence[str] | Exception

#: Scripted probabilities: one after the other, or by the question.
Yes = Sequence[float | Exception | None] | Callable[[YesNoQuestion], float | None]


@dataclass(frozen=True)
class Request:
    """What was asked. ``prompt`` is the text, the messages or the question that was sent."""

    kind: Kind
    prompt: str | list[BaseMessage] | YesNoQuestion
    kwargs: dict[str, Any]

    @property
    def text(self) -> str:
        """All of the prompt as one text."""
        if isinstance(self.prompt, str):
            return self.prompt
        if isinstance(self.prompt, YesNoQuestion):
            return f"{self.prompt.instructions}\n\n{self.prompt.user_text()}"
        return "\n\n".join(message.text for message in self.prompt)


class ScriptedBackend(Backend):
    """Gives scripted answers in order, records every request, and fails when it runs out.

    ``continuations`` and ``chats`` are lists of answers; an answer given as a list of texts is
    streamed in those pieces, and an exception is raised. ``yes`` is a list of probabilities, or a
    function of the question, which never runs out.
    """

    def __init__(
        self,
        *,
        continuations: Sequence[Line] = (),
        chats: Sequence[Line] = (),
        yes: Yes = (),
        context_length: int = 8192,
        model: str = "scripted",
        digest: str = "0" * 64,
    ) -> None:
        super().__init__(
            name="scripted",
            model=model,
            digest=digest,
            context_length=context_length,
            chat_model=FakeListChatModel(responses=["not scripted"]),
            writer=FakeListLLM(responses=["not scripted"]),
        )
        self.requests: list[Request] = []
        self.closed = False
        self.stopped_early = 0
        self._continuations = list(continuations)
        self._chats = list(chats)
        self._yes = yes if callable(yes) else list(yes)

    def asked(self, kind: Kind) -> list[Request]:
        """The requests of one kind, in order."""
        return [request for request in self.requests if request.kind == kind]

    @property
    def left(self) -> dict[str, int]:
        """How many answers nobody asked for yet."""
        yes = 0 if callable(self._yes) else len(self._yes)
        return {"continue": len(self._continuations), "chat": len(self._chats), "yes": yes}

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
        self._record(
            "continue",
            prompt,
            stop=list(stop),
            max_tokens=max_tokens,
            temperature=temperature,
            seed=seed,
            fresh_words=fresh_words,
            priority=priority,
        )
        line = self._next(self._continuations, "continuation", prompt)
        try:
            for piece in [line] if isinstance(line, str) else line:
                yield piece
        except GeneratorExit:
            self.stopped_early += 1
            raise

    async def chat(
        self,
        messages: Sequence[BaseMessage],
        *,
        max_tokens: int,
        temperature: float,
        seed: int,
        priority: Priority = Priority.FINISH,
    ) -> str:
        self._record(
            "chat",
            list(messages),
            max_tokens=max_tokens,
            temperature=temperature,
            seed=seed,
            priority=priority,
        )
        line = self._next(self._chats, "chat", self.requests[-1].text)
        return line if isinstance(line, str) else "".join(line)

    async def probability_of_yes(
        self, question: YesNoQuestion, *, priority: Priority = Priority.BACKGROUND
    ) -> float | None:
        self._record("yes", question, priority=priority)
        if callable(self._yes):
            return self._yes(question)
        if not self._yes:
            raise AssertionError(f"No scripted probability is left for: {question.question}")
        answer = self._yes.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def count_tokens(self, text: str) -> int:
        """A token for every four characters."""
        return (len(text) + 3) // 4

    async def measure_speed(self) -> Speed:
        return Speed(reads=100.0, writes=25.0)

    async def aclose(self) -> None:
        self.closed = True

    def _record(self, kind: Kind, prompt: Any, **kwargs: Any) -> None:
        self.requests.append(Request(kind, prompt, kwargs))
        self.usage.calls += 1
        # A token for every four characters, as in count_tokens.
        self.usage.prompt_tokens += (len(self.requests[-1].text) + 3) // 4

    def _next(self, lines: list[Line], what: str, prompt: str) -> str | Sequence[str]:
        if not lines:
            raise AssertionError(f"No scripted {what} is left for:\n{prompt}")
        line = lines.pop(0)
        if isinstance(line, Exception):
            raise line
        return line

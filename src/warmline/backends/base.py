"""What a backend is: one engine that continues text, chats, and says how likely a "yes" is.

Everything above this package talks to these classes and never to a model library.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.language_models.llms import BaseLLM
from langchain_core.messages import BaseMessage

#: Weights smaller than this, in bytes, are those of a small model: some three thousand million
#: parameters of four bits.
SMALL_MODEL_BYTES = 2_300_000_000


class Priority(enum.IntEnum):
    """Who goes first when several wait for the one engine; lower goes first."""

    CUSTOMER = 0
    FINISH = 1
    BACKGROUND = 2


@dataclass(frozen=True)
class YesNoQuestion:
    """One yes/no question about some material.

    The parts are sent in this order, so that questions about the same material share a beginning
    that the engine has already read.
    """

    instructions: str
    material: str
    question: str

    def user_text(self) -> str:
        """The user message: the material, then the question."""
        return f"{self.material}\n\nQuestion: {self.question}\nAnswer with one word, Yes or No."


@dataclass
class Usage:
    """What the engine was asked to do so far: calls, and tokens by kind.

    ``engine_s`` is the seconds it took by its own clock, kept up while it writes; 0 for an engine
    that does not say.
    """

    calls: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    written_tokens: int = 0
    engine_s: float = 0.0

    @property
    def evaluated_tokens(self) -> int:
        """Prompt tokens that had to be read, because no cache held them."""
        return self.prompt_tokens - self.cached_tokens


@dataclass(frozen=True)
class Speed:
    """How fast the engine reads and writes here, in tokens a second."""

    reads: float
    writes: float


class CheckJudge(Protocol):
    """Whatever answers checks with a probability: a language model, or a decision model.

    ``batch`` is how many questions about the same material it is best asked at once.
    """

    name: str
    model: str
    digest: str
    usage: Usage
    batch: int

    async def probabilities_of_yes(
        self, questions: Sequence[YesNoQuestion], *, priority: Priority = Priority.BACKGROUND
    ) -> list[float | None]:
        """The probability of "yes" for each question, 0 to 1; None where it does not say.

        The questions are all about the same material.

        Raises:
            BackendError: one of its kinds, with a plain message.
        """

    async def aclose(self) -> None:
        """Let it go."""


@dataclass
class Backend(ABC):
    """One engine. ``digest`` names the exact weights, so that a grade can be repeated."""

    name: str
    model: str
    digest: str
    context_length: int
    chat_model: BaseChatModel
    writer: BaseLLM
    usage: Usage = field(default_factory=Usage)
    #: A language model answers one question at a time.
    batch: int = 1
    #: A small model, whose long lines are worse than its short ones.
    brief: bool = False

    @abstractmethod
    def continue_text(
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
        """Continue plain text, streamed in pieces, without any chat template.

        With ``fresh_words`` the engine avoids runs of words that the prompt holds already, as far
        as it can. Closing the iterator early stops the engine.

        Raises:
            BackendError: one of its kinds, with a plain message.
        """

    @abstractmethod
    async def chat(
        self,
        messages: Sequence[BaseMessage],
        *,
        max_tokens: int,
        temperature: float,
        seed: int,
        priority: Priority = Priority.FINISH,
    ) -> str:
        """Answer a chat; reasoning between ``<think>`` marks is removed.

        Raises:
            CutReply: when the answer was cut at ``max_tokens``.
            BackendError: one of its other kinds, with a plain message.
        """

    @abstractmethod
    async def probability_of_yes(
        self, question: YesNoQuestion, *, priority: Priority = Priority.BACKGROUND
    ) -> float | None:
        """The probability, 0 to 1, that the model answers "yes" rather than "no".

        From log-probabilities where the server gives them, else from repeated sampling. None when
        the model answers neither.

        Raises:
            BackendError: one of its kinds, with a plain message.
        """

    async def probabilities_of_yes(
        self, questions: Sequence[YesNoQuestion], *, priority: Priority = Priority.BACKGROUND
    ) -> list[float | None]:
        """`probability_of_yes` for several questions, one after the other."""
        return [await self.probability_of_yes(one, priority=priority) for one in questions]

    @abstractmethod
    async def count_tokens(self, text: str) -> int:
        """About how many tokens a text has in this model."""

    @abstractmethod
    async def measure_speed(self) -> Speed:
        """Read and write a little, and say how fast that was."""

    @abstractmethod
    async def aclose(self) -> None:
        """Let the engine go."""

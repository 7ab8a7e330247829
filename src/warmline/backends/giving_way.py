"""An engine that lets everybody else go first: for what a trainer tries while trainees practise."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from langchain_core.messages import BaseMessage

from warmline.backends.base import Backend, CheckJudge, Priority, Speed, YesNoQuestion


class GivesWay(Backend):
    """The same engine, behind everybody who waits for it.

    A request that is running is not interrupted, so that a trainee waits for one short request at
    most. Letting this go leaves the engine as it is.
    """

    def __init__(self, engine: Backend) -> None:
        super().__init__(
            name=engine.name,
            model=engine.model,
            digest=engine.digest,
            context_length=engine.context_length,
            chat_model=engine.chat_model,
            writer=engine.writer,
            usage=engine.usage,
            batch=engine.batch,
            brief=engine.brief,
        )
        self._engine = engine

    def continue_text(
        self,
        prompt: str,
        *,
        stop: Sequence[str],
        max_tokens: int,
        temperature: float,
        seed: int,
        fresh_words: bool = False,
        priority: Priority = Priority.BACKGROUND,
    ) -> AsyncIterator[str]:
        """As the engine does; ``priority`` is not listened to, here and below."""
        return self._engine.continue_text(
            prompt,
            stop=stop,
            max_tokens=max_tokens,
            temperature=temperature,
            seed=seed,
            fresh_words=fresh_words,
            priority=Priority.BACKGROUND,
        )

    async def chat(
        self,
        messages: Sequence[BaseMessage],
        *,
        max_tokens: int,
        temperature: float,
        seed: int,
        priority: Priority = Priority.BACKGROUND,
    ) -> str:
        """As the engine does."""
        return await self._engine.chat(
            messages,
            max_tokens=max_tokens,
            temperature=temperature,
            seed=seed,
            priority=Priority.BACKGROUND,
        )

    async def probability_of_yes(
        self, question: YesNoQuestion, *, priority: Priority = Priority.BACKGROUND
    ) -> float | None:
        """As the engine does."""
        return await self._engine.probability_of_yes(question, priority=Priority.BACKGROUND)

    async def count_tokens(self, text: str) -> int:
        """As the engine does."""
        return await self._engine.count_tokens(text)

    async def measure_speed(self) -> Speed:
        """As the engine does."""
        return await self._engine.measure_speed()

    async def aclose(self) -> None:
        """Nothing: the engine belongs to somebody else."""


class JudgeGivesWay:
    """A judge of checks behind everybody who waits for it; counts what it was asked."""

    def __init__(self, judge: CheckJudge) -> None:
        self._judge = judge
        self.name = judge.name
        self.model = judge.model
        self.digest = judge.digest
        self.usage = judge.usage
        self.batch = judge.batch
        self.asked = 0

    async def probabilities_of_yes(
        self, questions: Sequence[YesNoQuestion], *, priority: Priority = Priority.BACKGROUND
    ) -> list[float | None]:
        """As the judge does; ``priority`` is not listened to."""
        answers = await self._judge.probabilities_of_yes(questions, priority=Priority.BACKGROUND)
        self.asked += len(questions)
        return answers

    async def aclose(self) -> None:
        """Nothing: the judge belongs to somebody else."""

"""The grader at work: which questions are still to ask, asking them, and adding them up.

Every answer goes into a book as soon as it is known, so that work done in the background is there
at Finish, and survives a restart.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from warmline.backends.base import Backend, Priority
from warmline.errors import BackendError, NotGraded, TooLittle
from warmline.grader import checks, evidence, scoring
from warmline.grader.calibration import weigh
from warmline.grader.checks import APPLIES, WHOLE_SESSION, Answer
from warmline.library import Entry
from warmline.rubric import Rubric, Step
from warmline.transcript import Transcript

#: The subject under which the answers about the neutral reply are kept, for all sessions.
#: A transcript's id is never empty, so that none can be taken for it.
NEUTRAL = ""

#: Fewer replies, or fewer words in all of them, and there is nothing to judge.
LEAST_REPLIES = 2
LEAST_WORDS = 12

Key = tuple[str, str, int]


class AnswerBook(Protocol):
    """Where answers are kept: by subject (a session, or NEUTRAL), step, check and turn."""

    async def known(self, subject: str, rubric_hash: str, digest: str) -> dict[Key, float | None]:
        """The answers kept for a subject, for this rubric, model and prompt version."""

    async def keep(
        self, subject: str, rubric_hash: str, digest: str, key: Key, probability: float | None
    ) -> None:
        """Keep one answer."""


class MemoryBook:
    """Answers kept in memory, for transcripts that are not in the store."""

    def __init__(self) -> None:
        self._answers: dict[tuple[str, str, str], dict[Key, float | None]] = {}

    async def known(self, subject: str, rubric_hash: str, digest: str) -> dict[Key, float | None]:
        """The answers kept for a subject."""
        return dict(self._answers.get((subject, rubric_hash, digest), {}))

    async def keep(
        self, subject: str, rubric_hash: str, digest: str, key: Key, probability: float | None
    ) -> None:
        """Keep one answer."""
        self._answers.setdefault((subject, rubric_hash, digest), {})[key] = probability


@dataclass(frozen=True)
class Looking:
    """Which step is being looked at: ``done`` of ``steps``, and its name."""

    done: int
    steps: int
    name: str


class Grader:
    """Grades transcripts by one rubric with one backend."""

    def __init__(self, backend: Backend, rubric: Entry[Rubric], book: AnswerBook) -> None:
        self.backend = backend
        self.entry = rubric
        self.rubric = rubric.item
        self.book = book

    async def prepare(self, priority: Priority = Priority.BACKGROUND) -> None:
        """Ask every check about the neutral reply, once for this rubric and model.

        Raises:
            BackendError: when the model cannot answer.
        """
        known = await self._known(NEUTRAL)
        for material, turn, pairs in (
            (checks.neutral_turn_material(), 0, checks.turn_checks(self.rubric)),
            (
                checks.neutral_session_material(),
                WHOLE_SESSION,
                checks.session_checks(self.rubric),
            ),
        ):
            for step, check in pairs:
                await self._ask(NEUTRAL, known, step, check.id, check.ask, turn, material, priority)
        whole = checks.neutral_session_material()
        for step in self.rubric.steps:
            if step.applies_when:
                await self._ask(
                    NEUTRAL, known, step, APPLIES, step.applies_when, WHOLE_SESSION, whole, priority
                )

    async def read_turn(
        self, transcript: Transcript, turn: int, priority: Priority = Priority.BACKGROUND
    ) -> None:
        """Ask every turn check about one reply; what is in the book is not asked again.

        Raises:
            BackendError: when the model cannot answer.
        """
        known = await self._known(transcript.id)
        material = checks.turn_material(transcript, turn)
        for step, check in checks.turn_checks(self.rubric):
            await self._ask(
                transcript.id, known, step, check.id, check.ask, turn, material, priority
            )

    async def grade(
        self, transcript: Transcript, *, asks_for_no: bool | None = None
    ) -> AsyncGenerator[Looking | scoring.Grade, None]:
        """Grade a whole conversation: the step being looked at, again and again; last the grade.

        ``asks_for_no`` says whether the right answer was a compassionate no; None asks the model.

        Raises:
            NotGraded: with the reason, when the model fails or there is too little to grade.
        """
        self._enough(transcript)
        try:
            async with aclosing(self._grade(transcript, asks_for_no)) as steps:
                async for one in steps:
                    yield one
        except BackendError as error:
            raise NotGraded(
                f"Not graded: {error} What was said is kept; try the grading again."
            ) from error

    def _enough(self, transcript: Transcript) -> None:
        replies = [transcript.turns[turn].text for turn in transcript.agent_turns()]
        if len(replies) < LEAST_REPLIES or sum(len(r.split()) for r in replies) < LEAST_WORDS:
            raise TooLittle(
                "Not graded: there is too little here to judge. "
                f"Write at least {LEAST_REPLIES} replies of a sentence or more."
            )

    async def _grade(
        self, transcript: Transcript, asks_for_no: bool | None
    ) -> AsyncGenerator[Looking | scoring.Grade, None]:
        steps = self.rubric.steps
        yield Looking(0, len(steps), steps[0].name)
        await self.prepare(Priority.FINISH)
        for turn in transcript.agent_turns():
            await self.read_turn(transcript, turn, Priority.FINISH)
        whole = checks.session_material(transcript)
        known = await self._known(transcript.id)
        grades = []
        for done, step in enumerate(steps):
            yield Looking(done, len(steps), step.name)
            if step.scope == "session":
                for check in step.checks:
                    await self._ask(
                        transcript.id, known, step, check.id, check.ask, WHOLE_SESSION, whole,
                        Priority.FINISH,
                    )  # fmt: skip
            reading = scoring.read_step(step, transcript, await self._answers(transcript.id))
            if step.only_for_a_no and asks_for_no is not None:
                reading.applies = float(asks_for_no)
            else:
                reading.applies = await self._applies(transcript.id, known, step, whole)
            quotes = await self._evidence(reading, transcript)
            grades.append(scoring.grade_step(reading, quotes))
        percent, passed, failed_by = scoring.total(self.rubric, grades)
        yield scoring.Grade(
            id=transcript.id,
            rubric=self.rubric.id,
            rubric_hash=self.entry.hash,
            total=percent,
            passed=passed,
            failed_by=failed_by,
            pass_mark=self.rubric.pass_mark,
            steps=grades,
            prompt_version=checks.CHECK_PROMPT_VERSION,
            backend=self.backend.name,
            model=self.backend.model,
            digest=self.backend.digest,
        )

    async def readings(self, transcript: Transcript) -> dict[str, scoring.StepReading]:
        """What is known of every step so far, without asking anything."""
        answers = await self._answers(transcript.id)
        return {step.id: scoring.read_step(step, transcript, answers) for step in self.rubric.steps}

    async def _known(self, subject: str) -> dict[Key, float | None]:
        return await self.book.known(subject, self.entry.hash, self.backend.digest)

    async def _ask(
        self,
        subject: str,
        known: dict[Key, float | None],
        step: Step,
        check_id: str,
        text: str,
        turn: int,
        material: str,
        priority: Priority,
    ) -> None:
        key = (step.id, check_id, turn)
        if key in known:
            return
        known[key] = await checks.ask(self.backend, material, text, priority)
        await self.book.keep(subject, self.entry.hash, self.backend.digest, key, known[key])

    async def _applies(
        self, subject: str, known: dict[Key, float | None], step: Step, material: str
    ) -> float | None:
        """How likely the step applies; None when it always does or the model does not say."""
        if step.applies_when is None:
            return None
        await self._ask(
            subject, known, step, APPLIES, step.applies_when, WHOLE_SESSION, material,
            Priority.FINISH,
        )  # fmt: skip
        key = (step.id, APPLIES, WHOLE_SESSION)
        return weigh(known[key], (await self._known(NEUTRAL)).get(key), None)

    async def _answers(self, subject: str) -> list[Answer]:
        neutral = {(s, c): p for (s, c, _), p in (await self._known(NEUTRAL)).items()}
        return [
            Answer(step, check, turn, probability, neutral.get((step, check)))
            for (step, check, turn), probability in (await self._known(subject)).items()
        ]

    async def _evidence(
        self, reading: scoring.StepReading, transcript: Transcript
    ) -> list[evidence.Quote]:
        """The words that show the step, and those that count against it; each one verified."""
        quotes: list[evidence.Quote] = []
        step = reading.step
        best = reading.best_turn()
        support = reading.support(best) if best is not None else None
        shows = support is not None and support > 1 / (2 * (step.highest - step.lowest))
        if best is not None and (shows or reading.watches_for_faults):
            quote = await self._supporting_quote(reading, transcript, best)
            if quote:
                quotes.append(quote)
        fault = reading.fault()
        if fault and fault[2] > scoring.UNCLEAR_BAND[1]:
            check, turn, _ = fault
            turns = transcript.agent_turns() if turn == WHOLE_SESSION else [turn]
            for one in turns:
                if found := evidence.from_signals(transcript, one, check.signals):
                    quotes.append(found.model_copy(update={"shows": "against"}))
                    break
        return [q for q in dict.fromkeys(quotes) if evidence.stands_verbatim(q, transcript)]

    async def _supporting_quote(
        self, reading: scoring.StepReading, transcript: Transcript, best: int
    ) -> evidence.Quote | None:
        supporting = [check for check in reading.step.checks if check.counts == "for"]
        signals = [signal for check in supporting for signal in check.signals]
        turns = transcript.agent_turns() if best == WHOLE_SESSION else [best]
        for turn in reversed(turns):
            if found := evidence.from_signals(transcript, turn, signals):
                return found
        strongest = max(
            supporting, key=lambda check: reading.strengths.get(check.id, {}).get(best) or 0.0
        )
        return await evidence.from_model(self.backend, transcript, turns[-1], strongest)

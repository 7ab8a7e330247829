"""The grader at work: which questions are still to ask, asking them, and adding them up.

Every answer goes into a book as soon as it is known, so that work done in the background is there
at Finish, and survives a restart.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from warmline.backends.base import CheckJudge, Priority
from warmline.errors import BackendError, NotGraded, TooLittle
from warmline.grader import checks, evidence, scoring
from warmline.grader.calibration import Head, weigh
from warmline.grader.checks import APPLIES, WHOLE_SESSION, Answer
from warmline.grader.judging import OWN_SIGNS, Reading, judges_occasion
from warmline.grader.learned import LearnedJudge, shipped_judge
from warmline.grader.spoken import NOTHING, as_spoken
from warmline.library import Entry
from warmline.rubric import Check, Rubric, Step
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


def _asked(step: Step, check: Check, turn: int) -> tuple[Key, str]:
    return (step.id, check.id, turn), check.ask


class Grader:
    """Grades transcripts by one rubric: with the learned judge, and a judge of checks.

    ``backend`` answers checks: a language model, or a decision model; None where there is none. It
    is asked about those steps that the learned judge knows nothing of; with ``ask_all``, about
    every step. A ``head`` is used only for the steps it was fitted for, and only if it was fitted
    for this rubric and this way of judging.
    """

    def __init__(
        self,
        backend: CheckJudge | None,
        rubric: Entry[Rubric],
        book: AnswerBook,
        *,
        judge: LearnedJudge | None = None,
        ask_all: bool = False,
        head: Head | None = None,
    ) -> None:
        self.backend = backend
        self.entry = rubric
        self.rubric = rubric.item
        self.book = book
        self.judge = judge or shipped_judge()
        self.ask_all = ask_all
        fits = head and (head.rubric_hash, head.judge) == (rubric.hash, self.judged_by)
        self.head = head if fits else None

    @property
    def judged_by(self) -> str:
        """Names what a head's signs come from: the learned judge, and the model if it is asked."""
        if not self.ask_all:
            return self.judge.version
        return f"{self.judge.version}+{self._digest}-{checks.CHECK_PROMPT_VERSION}"

    @property
    def _digest(self) -> str:
        return self.backend.digest if self.backend else "none"

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
            asked = [_asked(step, check, turn) for step, check in pairs if self._asks(step)]
            await self._ask(NEUTRAL, known, asked, material, priority)
        applies = [
            ((step.id, APPLIES, WHOLE_SESSION), step.applies_when)
            for step in self.rubric.steps
            if step.applies_when and (self._asks(step) or not judges_occasion(step))
        ]
        await self._ask(NEUTRAL, known, applies, checks.neutral_session_material(), priority)

    async def read_turn(
        self, transcript: Transcript, turn: int, priority: Priority = Priority.BACKGROUND
    ) -> None:
        """Ask every turn check about one reply; what is in the book is not asked again.

        Raises:
            BackendError: when the model cannot answer.
        """
        spoken = as_spoken(transcript)
        if spoken.turns[turn].text == NOTHING:
            return
        asked = [
            _asked(step, check, turn)
            for step, check in checks.turn_checks(self.rubric)
            if self._asks(step)
        ]
        if asked:
            known = await self._known(transcript.id)
            material = checks.turn_material(spoken, turn)
            await self._ask(transcript.id, known, asked, material, priority)

    async def grade(
        self, transcript: Transcript, *, asks_for_no: bool | None = None
    ) -> AsyncGenerator[Looking | scoring.Grade, None]:
        """Grade a whole conversation: the step being looked at, again and again; last the grade.

        ``asks_for_no`` says whether the right answer was a compassionate no; None asks the model.

        Raises:
            NotGraded: with the reason, when the model fails or there is too little to grade.
        """
        spoken = as_spoken(transcript)
        self._enough(spoken)
        try:
            async with aclosing(self._grade(transcript, spoken, asks_for_no)) as steps:
                async for one in steps:
                    yield one
        except BackendError as error:
            raise NotGraded(
                f"Not graded: {error} What was said is kept; try the grading again."
            ) from error

    def _enough(self, transcript: Transcript) -> None:
        replies = [
            text
            for turn in transcript.agent_turns()
            if (text := transcript.turns[turn].text) != NOTHING
        ]
        if len(replies) < LEAST_REPLIES or sum(len(r.split()) for r in replies) < LEAST_WORDS:
            raise TooLittle(
                "Not graded: there is too little here to judge. "
                f"Write at least {LEAST_REPLIES} replies of a sentence or more, in English, to the "
                "customer: other words are not read."
            )

    async def _grade(
        self, written: Transcript, transcript: Transcript, asks_for_no: bool | None
    ) -> AsyncGenerator[Looking | scoring.Grade, None]:
        steps = self.rubric.steps
        yield Looking(0, len(steps), steps[0].name)
        read = await asyncio.to_thread(Reading, self.judge, written)
        await self.prepare(Priority.FINISH)
        for turn in transcript.agent_turns():
            await self.read_turn(transcript, turn, Priority.FINISH)
        whole = checks.session_material(transcript)
        known = await self._known(transcript.id)
        grades: list[scoring.StepGrade] = []
        for done, step in enumerate(steps):
            yield Looking(done, len(steps), step.name)
            if step.scope == "session" and self._asks(step):
                await self._ask_whole(transcript.id, known, step, whole)
            reading = self._read_step(step, transcript, read, await self._answers(transcript.id))
            if step.only_for_a_no and asks_for_no is not None:
                reading.applies = float(asks_for_no)
            else:
                reading.applies = read.applies(step)
                if reading.applies is None:
                    reading.applies = await self._applies(transcript.id, known, step, whole)
            quoted = [quote for grade in grades for quote in grade.evidence]
            quotes = await self._evidence(reading, read, quoted)
            head = self.head.steps.get(step.id) if self.head else None
            grades.append(scoring.grade_step(reading, quotes, head))
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
            backend=self.backend.name if self.backend else "none",
            model=self.backend.model if self.backend else "none",
            digest=self._digest,
            judge=self.judged_by,
            head=self.head and scoring.Fitted(sessions=self.head.sessions, mean=self.head.mean),
        )

    def _asks(self, step: Step) -> bool:
        """Whether the model is asked this step's checks."""
        return self.ask_all or not step.borrows

    def _read_step(
        self, step: Step, transcript: Transcript, read: Reading, answers: list[Answer]
    ) -> scoring.StepReading:
        reading = scoring.read_step(step, transcript, answers)
        reading.learned = read.learned(step)
        signs = read.signs(step, reading.learned, reading.learned_value())
        if self.ask_all:
            asked = scoring.checks_value(reading)
            signs.insert(0, asked if asked is not None else 0.5)
        reading.signs = signs
        reading.spoilt = read.spoils(step)
        reading.faulty = read.faults(step)
        return reading

    async def readings(self, transcript: Transcript) -> dict[str, scoring.StepReading]:
        """What is known of every step so far, without asking anything."""
        spoken = as_spoken(transcript)
        answers = await self._answers(transcript.id)
        read = await asyncio.to_thread(Reading, self.judge, transcript)
        return {step.id: self._read_step(step, spoken, read, answers) for step in self.rubric.steps}

    async def signs(self, transcript: Transcript) -> dict[str, list[float]]:
        """What a head weighs, for each step that borrows; `own_signs` of them are the step's own.

        Raises:
            BackendError: when the model is asked and cannot answer.
        """
        if self.ask_all:
            await self.prepare(Priority.FINISH)
            for turn in transcript.agent_turns():
                await self.read_turn(transcript, turn, Priority.FINISH)
            whole = checks.session_material(as_spoken(transcript))
            known = await self._known(transcript.id)
            for step in self.rubric.steps:
                if step.scope == "session":
                    await self._ask_whole(transcript.id, known, step, whole)
        readings = await self.readings(transcript)
        return {step.id: readings[step.id].signs for step in self.rubric.steps if step.borrows}

    @property
    def own_signs(self) -> int:
        """How many of the signs are a step's own: those of the judge, and the model's if asked."""
        return OWN_SIGNS + self.ask_all

    async def _known(self, subject: str) -> dict[Key, float | None]:
        return await self.book.known(subject, self.entry.hash, self._digest)

    async def _ask(
        self,
        subject: str,
        known: dict[Key, float | None],
        asked: Sequence[tuple[Key, str]],
        material: str,
        priority: Priority,
    ) -> None:
        """Ask what is not known yet, and keep each answer at once."""
        if self.backend is None:
            # Nobody to ask: what only a model could say stays unknown.
            return
        missing = [(key, text) for key, text in asked if key not in known]
        for start in range(0, len(missing), self.backend.batch):
            batch = missing[start : start + self.backend.batch]
            answers = await checks.ask(
                self.backend, material, [text for _, text in batch], priority
            )
            for (key, _), probability in zip(batch, answers, strict=True):
                known[key] = probability
                await self.book.keep(subject, self.entry.hash, self._digest, key, probability)

    async def _ask_whole(
        self, subject: str, known: dict[Key, float | None], step: Step, whole: str
    ) -> None:
        asked = [_asked(step, check, WHOLE_SESSION) for check in step.checks]
        await self._ask(subject, known, asked, whole, Priority.FINISH)

    async def _applies(
        self, subject: str, known: dict[Key, float | None], step: Step, material: str
    ) -> float | None:
        """How likely the step applies; None when it always does or the model does not say."""
        if step.applies_when is None:
            return None
        key = (step.id, APPLIES, WHOLE_SESSION)
        await self._ask(subject, known, [(key, step.applies_when)], material, Priority.FINISH)
        return weigh(known.get(key), (await self._known(NEUTRAL)).get(key), None)

    async def _answers(self, subject: str) -> list[Answer]:
        neutral = {(s, c): p for (s, c, _), p in (await self._known(NEUTRAL)).items()}
        return [
            Answer(step, check, turn, probability, neutral.get((step, check)))
            for (step, check, turn), probability in (await self._known(subject)).items()
        ]

    async def _evidence(
        self, reading: scoring.StepReading, read: Reading, quoted: Collection[evidence.Quote]
    ) -> list[evidence.Quote]:
        """The words that show the step, and those that count against it; each one verified.

        ``quoted`` is what stands for other steps already.
        """
        step = reading.step
        transcript = read.transcript
        quotes: list[evidence.Quote | None] = []
        best = reading.best_turn()
        support = reading.support(best) if best is not None else None
        shows = support is not None and support > 1 / (2 * (step.highest - step.lowest))
        if best is not None and not reading.spoilt and (shows or reading.watches_for_faults):
            if reading.learned:
                quotes.append(read.quote(step, reading.learned, quoted))
            else:
                quotes.append(await self._supporting_quote(reading, transcript, best))
        if reading.learned:
            quotes += reading.faulty[:1]
        elif (fault := reading.fault()) and fault[2] > scoring.UNCLEAR_BAND[1]:
            check, turn, _ = fault
            turns = transcript.agent_turns() if turn == WHOLE_SESSION else [turn]
            for one in turns:
                if found := evidence.from_signals(transcript, one, check.signals):
                    quotes.append(found.model_copy(update={"shows": "against"}))
                    break
        found_ones = [quote for quote in quotes if quote and quote.quote != NOTHING]
        return [q for q in dict.fromkeys(found_ones) if evidence.stands_verbatim(q, transcript)]

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
        if self.backend is None:
            return None
        return await evidence.from_model(self.backend, transcript, turns[-1], strongest)

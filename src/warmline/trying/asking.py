"""Asking a judge for a try: behind everybody else, nothing twice, and counted."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from warmline.backends.base import CheckJudge, Priority, YesNoQuestion
from warmline.backends.giving_way import JudgeGivesWay
from warmline.grader import checks
from warmline.grader.spoken import NOTHING, as_spoken
from warmline.rubric import Check, Rubric, Step
from warmline.transcript import Transcript


class Asking(JudgeGivesWay):
    """A judge that remembers its answers, so that two versions of a rubric are measured alike.

    What stands in both is asked once. ``planned`` is what will be asked, as far as that is known
    before; ``asked`` how many of all questions were answered.
    """

    def __init__(self, judge: CheckJudge) -> None:
        super().__init__(judge)
        self.known: dict[YesNoQuestion, float | None] = {}
        self.planned: set[YesNoQuestion] = set()

    async def probabilities_of_yes(
        self, questions: Sequence[YesNoQuestion], *, priority: Priority = Priority.BACKGROUND
    ) -> list[float | None]:
        """As the judge does; what was asked before is not asked again."""
        missing = [one for one in dict.fromkeys(questions) if one not in self.known]
        if missing:
            answers = await super().probabilities_of_yes(missing, priority=priority)
            self.known.update(zip(missing, answers, strict=True))
        return [self.known[one] for one in questions]

    @property
    def done(self) -> int:
        """How many of the planned questions were answered."""
        return sum(one in self.known for one in self.planned)

    def of(self, material: str, ask: str) -> float | None:
        """The answer that was given to a question; None where there was none."""
        return self.known.get(checks.question(material, ask))


async def questions_about(rubric: Rubric, transcript: Transcript) -> set[YesNoQuestion]:
    """Every check of a rubric, asked about a transcript and about replies that say nothing."""
    spoken = await asyncio.to_thread(as_spoken, transcript)
    whole = checks.session_material(spoken)
    found = set(_all(checks.neutral_turn_material(), checks.turn_checks(rubric)))
    found.update(_all(checks.neutral_session_material(), checks.session_checks(rubric)))
    found.update(_all(whole, checks.session_checks(rubric)))
    for turn in spoken.agent_turns():
        if spoken.turns[turn].text != NOTHING:
            found.update(_all(checks.turn_material(spoken, turn), checks.turn_checks(rubric)))
    return found


def _all(material: str, asked: Iterable[tuple[Step, Check]]) -> Iterable[YesNoQuestion]:
    return (checks.question(material, check.ask) for _, check in asked)

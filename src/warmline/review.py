"""A coach's review: what they change in a grade, what stands then, and how often they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from warmline.accounts import Who
from warmline.desk import Judged
from warmline.edits import Edit, EditKind, Edits
from warmline.errors import WarmlineError
from warmline.grader.agreement import weighted_kappa
from warmline.grader.scoring import Grade, StepGrade, StepStatus, total
from warmline.results import Standing, StepResult
from warmline.rubric import Rubric
from warmline.sessions import SessionReader
from warmline.transcript import Transcript

#: The longest comment or reason, in characters.
LONGEST_WORDS = 2000

_NO_GRADE = "This conversation has no grade yet."

#: What stands for a step that has no level.
WITHOUT_LEVEL: dict[str, StepStatus] = {
    "unclear": "unclear",
    "not_applicable": "not_applicable",
}


def final_grade(grade: Grade, rubric: Rubric, edits: Sequence[Edit]) -> Grade:
    """A grade as it stands after all edits: levels changed, total and verdict counted anew."""
    changed = {edit.step: edit for edit in edits if edit.kind == "override"}
    if not changed:
        return grade
    steps = [
        _overridden(step, rubric, changed[step.id]) if step.id in changed else step
        for step in grade.steps
    ]
    percent, passed, failed_by = total(rubric, steps)
    return grade.model_copy(
        update={"steps": steps, "total": percent, "passed": passed, "failed_by": failed_by}
    )


def _overridden(step: StepGrade, rubric: Rubric, edit: Edit) -> StepGrade:
    given = edit.after or ""
    changes: dict[str, Any]
    if given in WITHOUT_LEVEL:
        changes = {
            "status": WITHOUT_LEVEL[given],
            "level": None,
            "means": "",
            "evidence": [],
            "reason": edit.words,
        }
    else:
        level = int(given)
        means = rubric.step(step.id).meaning(level)
        changes = {"status": "graded", "level": level, "means": means, "reason": edit.words}
    return step.model_copy(update=changes)


def given_level(step: StepGrade) -> str:
    """A step's level as an edit keeps it."""
    return step.status if step.level is None else str(step.level)


def standing(final: Grade, rubric: Rubric) -> Standing:
    """What lists show of a session: its result as it stands, whole and step by step."""
    return Standing(
        total=final.total,
        passed=final.passed,
        unclear=sum(step.status == "unclear" for step in final.steps),
        auto_failed=bool(final.failed_by),
        steps=tuple(
            StepResult(
                step.id,
                step.status,
                step.level,
                None if step.level is None else step.share(rubric.step(step.id)),
            )
            for step in final.steps
        ),
    )


class Reviews:
    """What coaches may do with a graded session. Who may read it is asked before."""

    def __init__(self, reader: SessionReader) -> None:
        self.reader = reader
        self.edits = Edits(reader.store.database)

    async def final(self, session_id: str) -> Grade | None:
        """A session's grade as it stands, None while it has none."""
        stored = await self.reader.store.grade(session_id)
        if stored is None:
            return None
        rubric = await self._rubric(session_id)
        edits = await self.edits.of(session_id)
        return final_grade(Grade.model_validate(stored.grade), rubric, edits)

    async def recount(self, session_id: str) -> None:
        """Count a session's result from its grade and all edits, and write it down."""
        stored = await self.reader.store.grade(session_id)
        if stored is None:
            return
        grade = Grade.model_validate(stored.grade)
        rubric = await self._rubric(session_id)
        asked_for = (stored.coaching.get("next_step") or {}).get("step")

        def stands(edits: Sequence[Edit]) -> Standing:
            return standing(final_grade(grade, rubric, edits), rubric)

        await self.edits.recount(session_id, stands, asked_for)

    async def count_up(self) -> None:
        """Count the results of sessions that an older version of Warmline graded."""
        for session_id in await self.edits.uncounted():
            await self.recount(session_id)

    async def override(self, who: Who, session_id: str, step: str, level: str, reason: str) -> None:
        """Correct a level, with the reason. The machine's own stays visible beside it.

        Raises:
            WarmlineError: if the level is not one of the step's, or no reason is given.
        """
        final = await self.final(session_id)
        if final and level in [given_level(one) for one in final.steps if one.id == step]:
            raise WarmlineError(
                "That is the level it has already. Choose another, or let the grade stand."
            )
        await self._change(who, session_id, "override", step, level, _words(reason, "reason"))

    async def grade_blind(self, who: Who, session_id: str, levels: dict[str, str]) -> None:
        """Keep a coach's own levels, given before they saw the machine's.

        Raises:
            WarmlineError: if they saw it before, or a level is not one of its step's.
        """
        if await self.reader.store.grade(session_id) is None:
            raise WarmlineError(_NO_GRADE)
        rubric = await self._rubric(session_id)
        if set(levels) != {step.id for step in rubric.steps}:
            raise WarmlineError("Give every step a level, or say that it is unclear.")
        for step, level in levels.items():
            _known_level(rubric, step, level)
        if not await self.edits.add_blind(session_id, who.user.id, levels):
            raise WarmlineError("You have seen the machine's grade; it is no blind grade any more.")

    async def see(self, who: Who, session_id: str) -> None:
        """Keep that a coach looked at the machine's grade, the first time they do."""
        edits = await self.edits.of(session_id)
        if not any(e.coach_id == who.user.id and e.kind == "seen" for e in edits):
            await self.edits.add(session_id, who.user.id, "seen")

    async def comment(self, who: Who, session_id: str, words: str, turn: int | None) -> None:
        """Say something to the trainee, about one turn or the whole.

        Raises:
            WarmlineError: if nothing is said, too much, or about a turn that there is not.
        """
        await self._known_turn(session_id, turn)
        said = _words(words, "comment")
        await self.edits.add(session_id, who.user.id, "comment", turn=turn, words=said)

    async def approve(self, who: Who, session_id: str) -> None:
        """Say that the grade stands as it is now."""
        await self._change(who, session_id, "approve")

    async def send_back(self, who: Who, session_id: str, words: str, turn: int | None) -> None:
        """Ask the trainee to try again, from one of their replies or from the start.

        Raises:
            WarmlineError: if it is not said why, or there is no such reply.
        """
        await self._known_turn(session_id, turn, role="agent")
        await self._change(who, session_id, "try_again", turn=turn, words=_words(words, "note"))

    async def _change(
        self,
        who: Who,
        session_id: str,
        kind: EditKind,
        step: str | None = None,
        level: str | None = None,
        words: str = "",
        turn: int | None = None,
    ) -> None:
        stored = await self.reader.store.grade(session_id)
        if stored is None:
            raise WarmlineError(_NO_GRADE)
        grade = Grade.model_validate(stored.grade)
        rubric = await self._rubric(session_id)
        if step is not None:
            _known_level(rubric, step, level or "")

        def stands(edits: Sequence[Edit]) -> tuple[Standing, dict[str, str]]:
            final = final_grade(grade, rubric, edits)
            levels = {one.id: given_level(one) for one in final.steps}
            return standing(final, rubric), levels

        await self.edits.add(
            session_id,
            who.user.id,
            kind,
            step=step,
            turn=turn,
            after=level,
            words=words,
            standing=stands,
        )

    async def _rubric(self, session_id: str) -> Rubric:
        session = await self.reader.store.session(session_id)
        return (await self.reader.rubric_of(session)).item

    async def _known_turn(self, session_id: str, turn: int | None, role: str | None = None) -> None:
        if turn is None:
            return
        turns = await self.reader.store.turns(session_id)
        if not any(one.number == turn and role in (None, one.role) for one in turns):
            raise WarmlineError("There is no such message in this conversation.")


def _known_level(rubric: Rubric, step: str, level: str) -> None:
    known = next((one for one in rubric.steps if one.id == step), None)
    if known is None:
        raise WarmlineError("There is no such step in this rubric.")
    levels = [str(number) for number in range(known.lowest, known.highest + 1)]
    if level not in levels and level not in WITHOUT_LEVEL:
        raise WarmlineError(f"“{known.name}” has the levels {levels[0]} to {levels[-1]}.")


def _words(words: str, what: str) -> str:
    said = words.strip()
    if not said:
        raise WarmlineError(f"Write the {what}, so that the trainee knows what you mean.")
    if len(said) > LONGEST_WORDS:
        raise WarmlineError(
            f"That {what} has {len(said)} characters; at most {LONGEST_WORDS} can be kept."
        )
    return said


@dataclass(frozen=True)
class StepAgreement:
    """How a step's levels by coaches and by the machine compare, over reviewed sessions.

    ``overridden`` is how many of them a coach changed; ``mean`` the coach's level less the
    machine's, so that above 0 the machine was too harsh and below 0 too kind; ``kappa`` is
    quadratic-weighted, None below ``LEAST`` pairs.
    """

    step: str
    name: str
    sessions: int
    overridden: int
    mean: float | None
    kappa: float | None


#: With fewer pairs than this, no agreement is given.
LEAST = 3


def agreement(sessions: Sequence[Judged]) -> list[StepAgreement]:
    """How often coaches and the machine agreed, step by step, in one version of a rubric."""
    found = []
    for step, name in sessions[0].names.items() if sessions else []:
        pairs = [
            (one.machine[step], one.coach[step])
            for one in sessions
            if step in one.machine and step in one.coach
        ]
        numbers = [(int(a), int(b)) for a, b in pairs if a.isdecimal() and b.isdecimal()]
        enough = len(numbers) >= LEAST
        found.append(
            StepAgreement(
                step=step,
                name=name,
                sessions=len(pairs),
                overridden=sum(a != b for a, b in pairs),
                mean=fmean(b - a for a, b in numbers) if enough else None,
                kappa=weighted_kappa(*zip(*numbers, strict=True)) if enough else None,
            )
        )
    return found


def labels_of(one: Judged, transcript: Transcript) -> dict[str, Any] | None:
    """A judged session as a line for ``warmline calibrate``; None if no step has a level."""
    labels = {step: int(level) for step, level in one.coach.items() if level.isdecimal()}
    if not labels:
        return None
    turns = [{"role": turn.role, "text": turn.text} for turn in transcript.turns]
    return {"id": one.session_id, "turns": turns, "labels": labels}

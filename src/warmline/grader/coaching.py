"""Coaching after the grade: what went well, the one thing to work on, and a reply rewritten.

Everything points at words of this session. What cannot be said of this session is left out.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from warmline.backends.base import Backend
from warmline.detectors import content_words, sentences
from warmline.errors import BackendError
from warmline.grader.evidence import Quote
from warmline.grader.rewriting import COACH_PROMPT_VERSION, Rewrite, rewrite
from warmline.grader.scoring import Grade, StepGrade, StepReading
from warmline.persona import Persona
from warmline.rubric import Rubric, Step
from warmline.transcript import Transcript


class Strength(BaseModel):
    """Something that went well, with the words that show it."""

    model_config = ConfigDict(frozen=True)

    step: str
    name: str
    quote: Quote
    means: str


class NextStep(BaseModel):
    """The one thing to work on next, why it matters to this customer, and what went against it."""

    model_config = ConfigDict(frozen=True)

    step: str
    name: str
    why: str
    customer_said: str
    turn: int
    aim: str
    against: Quote | None = None


class Coaching(BaseModel):
    """What a coach would say after reading the session."""

    model_config = ConfigDict(frozen=True)

    strengths: list[Strength] = []
    next_step: NextStep | None = None
    rewrite: Rewrite | None = None
    prompt_version: str = COACH_PROMPT_VERSION


def strengths(grade: Grade, rubric: Rubric) -> list[Strength]:
    """The two best-reached steps that have a quote of their own; fewer when fewer do."""
    reached = sorted(
        (
            step
            for step in grade.steps
            if step.status == "graded"
            and step.evidence
            # The words quoted there show what should not be done.
            and rubric.step(step.id).direction == "higher_is_better"
            and step.share(rubric.step(step.id)) >= 0.5
            and any(check.counts == "for" for check in rubric.step(step.id).checks)
        ),
        key=lambda step: -step.share(rubric.step(step.id)),
    )
    chosen: list[Strength] = []
    for step in reached:
        taken = [strength.quote for strength in chosen]
        fresh = [q for q in step.evidence if q.shows == "for" and q not in taken]
        if fresh and len(chosen) < 2:
            chosen.append(Strength(step=step.id, name=step.name, quote=fresh[0], means=step.means))
    return chosen


def weakest(grade: Grade, rubric: Rubric) -> StepGrade | None:
    """The step to work on: the one that costs the total most. None when all are at their best."""

    def lost(step: StepGrade) -> float:
        return step.weight * (1 - step.share(rubric.step(step.id)))

    graded = [step for step in grade.steps if step.status == "graded" and lost(step) > 0]
    failing = [step for step in graded if step.id in grade.failed_by]
    return max(failing or graded, key=lost, default=None)


def weakest_turn(step: Step, readings: Mapping[str, StepReading], transcript: Transcript) -> int:
    """The reply that needs this step most: the worst fault, else the least support.

    The last reply is the one for a step about the whole conversation. Ties go to the reply that
    does least for all steps together.
    """
    turns = transcript.agent_turns()
    if step.scope == "session":
        return turns[-1]
    reading = readings[step.id]
    fault = reading.fault()
    if fault and fault[2] > 0.6 and fault[1] in turns:
        return fault[1]

    def overall(turn: int) -> float:
        known = [s for r in readings.values() if (s := r.support(turn)) is not None]
        return sum(known)

    # Where lower is better, what shows the step most is what to work on.
    way = 1 if step.direction == "higher_is_better" else -1
    return min(turns, key=lambda turn: (way * (reading.support(turn) or 0.0), overall(turn)))


def next_step(
    grade: Grade,
    rubric: Rubric,
    readings: Mapping[str, StepReading],
    transcript: Transcript,
) -> NextStep | None:
    """What to work on next, tied to a moment of this session."""
    chosen = weakest(grade, rubric)
    if chosen is None:
        return None
    step = rubric.step(chosen.id)
    against = next(iter(readings[step.id].faulty), None) if step.id in readings else None
    turn = against.turn if against else weakest_turn(step, readings, transcript)
    heard = transcript.heard_before(turn)
    return NextStep(
        step=step.id,
        name=step.name,
        why=step.why,
        customer_said=_telling_sentence(heard[-1]) if heard else "",
        turn=turn,
        aim=step.levels[-1].means if step.direction == "higher_is_better" else step.levels[0].means,
        against=against,
    )


def _telling_sentence(message: str) -> str:
    """The sentence of a message that says most: the one with most content words."""
    spans = sentences(message)
    if not spans:
        return message
    return max((s.of(message) for s in spans), key=lambda words: len(content_words(words)))


async def coach(
    backend: Backend,
    grade: Grade,
    rubric: Rubric,
    readings: Mapping[str, StepReading],
    transcript: Transcript,
    persona: Persona | None,
    *,
    seed: int = 1,
) -> Coaching:
    """The coaching for a graded session. A failed rewrite is left out; the rest needs no model."""
    following = next_step(grade, rubric, readings, transcript)
    rewritten = None
    if following is not None:
        step = rubric.step(following.step)
        held = [*readings[step.id].faulty, *(q for one in grade.steps for q in one.evidence)]
        against = {
            quote.quote
            for quote in held
            if quote.shows == "against" and quote.turn == following.turn
        }
        try:
            rewritten = await rewrite(
                backend, step, transcript, following.turn, persona, against, seed=seed
            )
        except BackendError:
            rewritten = None
    return Coaching(strengths=strengths(grade, rubric), next_step=following, rewrite=rewritten)

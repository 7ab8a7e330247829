"""What practice has come to: a trainee's steps over time, and what to practise next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import fmean
from typing import Literal

from warmline.results import PersonaResult, Result, StepMean, StepResult

#: With fewer conversations than this no line is drawn and nothing is called weak.
LEAST = 3
#: A customer is called too easy or too hard from so many conversations on, when this part of them
#: or more, or this part or less, was passed.
LEAST_FOR_PERSONA = 5
TOO_EASY = 0.9
TOO_HARD = 0.1
#: A step's share up to this is low: the lowest level of five, or the next.
LOW = 0.25

#: What came of the step that feedback asked for, in the next conversation: it rose, is the same,
#: fell, or could not be judged there.
Outcome = Literal["rose", "same", "fell", "unclear"]


@dataclass(frozen=True)
class Asked:
    """A step that feedback asked to work on, and what the next conversation made of it.

    ``before`` and ``after`` are the step in both; ``then`` and ``outcome`` are None as long as
    there is no next conversation with the same rubric.
    """

    step: str
    said_in: Result
    before: StepResult | None
    then: Result | None
    after: StepResult | None
    outcome: Outcome | None


def asked_for(results: Sequence[Result]) -> list[Asked]:
    """What each feedback asked for and whether it was done, newest first.

    Args:
        results: a trainee's sessions, oldest first.
    """
    found = []
    for number, one in enumerate(results):
        if one.asked_for is None:
            continue
        later = (other for other in results[number + 1 :] if other.rubric_id == one.rubric_id)
        then = next(later, None)
        before = one.steps.get(one.asked_for)
        after = then.steps.get(one.asked_for) if then else None
        outcome = _outcome(before, after) if then else None
        found.append(Asked(one.asked_for, one, before, then, after, outcome))
    return found[::-1]


def _outcome(before: StepResult | None, after: StepResult | None) -> Outcome:
    if before is None or after is None or before.share is None or after.share is None:
        return "unclear"
    if after.share == before.share:
        return "same"
    return "rose" if after.share > before.share else "fell"


@dataclass(frozen=True)
class WithPersona:
    """How sessions with one persona went: how many, and the best and the latest of those graded."""

    persona_id: str
    sessions: int
    best: Result
    latest: Result


def with_personas(results: Iterable[Result]) -> list[WithPersona]:
    """The best and the latest try with each persona, the latest met first.

    Args:
        results: a trainee's sessions, oldest first.
    """
    by_persona: dict[str, list[Result]] = {}
    for one in results:
        if one.total is not None:
            # Taken out and put back, so that the latest met stands last.
            by_persona[one.persona_id] = [*by_persona.pop(one.persona_id, []), one]
    return [
        WithPersona(persona, len(ones), max(ones, key=lambda one: one.total or 0.0), ones[-1])
        for persona, ones in reversed(by_persona.items())
    ]


def weeks_in_a_row(days: Iterable[date], today: date) -> int:
    """In how many weeks in a row somebody practised, up to this week or the last.

    A week that has only begun does not end a row.
    """
    mondays = {day - timedelta(days=day.weekday()) for day in days}
    week = today - timedelta(days=today.weekday())
    if week not in mondays:
        week -= timedelta(weeks=1)
    count = 0
    while week in mondays:
        count += 1
        week -= timedelta(weeks=1)
    return count


#: Why a customer is suggested.
Why = Literal["first", "harder", "gentler", "new", "again"]


def next_persona(
    met: Sequence[tuple[str, bool]], difficulties: Mapping[str, int]
) -> tuple[str, Why] | None:
    """Whom to practise with next, and why.

    Two passed in a row at a difficulty lead to the next, two not passed to the one before. Among
    the customers there, somebody new goes first, then whoever was met longest ago.

    Args:
        met: personas practised with, newest first, and if it was passed.
        difficulties: the personas there are, with their difficulty, 1 to 5.
    """
    if not difficulties:
        return None
    known = [(persona, passed) for persona, passed in met if persona in difficulties]
    if not known:
        return min(difficulties, key=lambda one: (difficulties[one], one)), "first"
    now = difficulties[known[0][0]]
    last_two = [passed for _, passed in known[:2]]
    wanted = now
    why: Why | None = None
    if len(last_two) == 2 and all(last_two):
        wanted = min((d for d in difficulties.values() if d > now), default=now)
        why = "harder" if wanted > now else None
    elif len(last_two) == 2 and not any(last_two):
        wanted = max((d for d in difficulties.values() if d < now), default=now)
        why = "gentler" if wanted < now else None
    # How long ago each was met; somebody never met comes first of all.
    ago = {persona: number for number, (persona, _) in reversed(list(enumerate(known)))}
    there = [one for one, difficulty in difficulties.items() if difficulty == wanted]
    chosen = min(there, key=lambda one: (one in ago, -ago.get(one, 0), one))
    return chosen, why or ("again" if chosen in ago else "new")


@dataclass(frozen=True)
class TeamStep:
    """A step over a team: the mean of its trainees' means, and in how many conversations."""

    step: str
    trainees: int
    sessions: int
    share: float


def team_steps(means: Iterable[StepMean]) -> list[TeamStep]:
    """A team's steps, the weakest first. Each trainee counts alike, however much they practised."""
    by_step: dict[str, list[StepMean]] = {}
    for one in means:
        by_step.setdefault(one.step, []).append(one)
    found = [
        TeamStep(
            step, len(ones), sum(one.sessions for one in ones), fmean(one.share for one in ones)
        )
        for step, ones in by_step.items()
    ]
    return sorted(found, key=lambda one: (one.share, one.step))


def persona_verdict(one: PersonaResult) -> Literal["too easy", "too hard"] | None:
    """Whether a customer teaches little, because nearly everybody passes, or nearly nobody."""
    if one.sessions < LEAST_FOR_PERSONA:
        return None
    if one.passed >= TOO_EASY:
        return "too easy"
    return "too hard" if one.passed <= TOO_HARD else None

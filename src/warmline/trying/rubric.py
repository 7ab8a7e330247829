"""A rubric tried on transcripts: every check asked, one version or two, and its own examples."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from warmline.backends.base import CheckJudge
from warmline.bench.own_set import exchange_of, value_of_reply
from warmline.errors import TooLittle
from warmline.grader import checks, evidence
from warmline.grader.checks import WHOLE_SESSION
from warmline.grader.grading import Grader, MemoryBook
from warmline.grader.learned import shipped_judge
from warmline.grader.scoring import (
    UNCLEAR_BAND,
    Grade,
    StepGrade,
    StepReading,
    level_of,
    step_value,
)
from warmline.grader.spoken import NOTHING, as_spoken
from warmline.library import Entry
from warmline.rubric import Check, Example, Rubric, Step
from warmline.transcript import Transcript
from warmline.trying.asking import Asking, questions_about

#: So many conversations can be tried at once.
MOST_TALKS = 6


@dataclass(frozen=True)
class Version:
    """One version of a rubric: which one it is, in words, and the rubric."""

    key: str
    label: str
    entry: Entry[Rubric]

    @property
    def heading(self) -> str:
        """Which one it is, to begin a line with."""
        return first_upper(self.label)


def first_upper(words: str) -> str:
    """Words with a capital at their beginning, and everything else as it is."""
    return words[:1].upper() + words[1:]


@dataclass(frozen=True)
class CheckFound:
    """One check of a step: how surely the answer is yes, 0 to 1, and the words that show it.

    ``strength`` weighs the model's answer (``answered``), what it says to a reply that says nothing
    (``neutral``), and the detectors, if the check has any (``seen``: whether they found something).
    """

    check: Check
    strength: float | None
    answered: float | None
    neutral: float | None
    seen: bool | None
    turn: int | None
    quote: evidence.Quote | None


@dataclass(frozen=True)
class StepFound:
    """One step: its level as trainees are given it here, and what it was made from.

    ``learned`` is what the learned judge says of the whole, from 0 for the lowest level to 1 for
    the highest, and ``by_reply`` what it says of each turn; None and empty where it knows nothing
    of the step. ``with_all`` is the level with every check weighed in.
    """

    step: Step
    grade: StepGrade
    with_all: StepGrade
    learned: float | None
    by_reply: dict[int, float]
    checks: list[CheckFound]


@dataclass(frozen=True)
class Result:
    """What one version makes of one conversation."""

    grade: Grade
    steps: list[StepFound]


@dataclass
class Talk:
    """One conversation, by each version; or why there is no grade.

    ``session_id`` is that of a stored one, None for one that was pasted. ``asks_for_no`` says
    whether the right answer was a kind no; None if nobody knows.
    """

    name: str
    transcript: Transcript
    session_id: str | None = None
    asks_for_no: bool | None = None
    results: list[Result] = field(default_factory=list)
    problem: str = ""


@dataclass(frozen=True)
class Pair:
    """A weak and a strong reply, and what the grader makes of them for their step, 0 to 1.

    None where the grader gave no answer.
    """

    step: Step
    example: Example
    weak: float | None
    strong: float | None

    @property
    def right(self) -> bool:
        """Whether the strong reply is valued higher."""
        return self.weak is not None and self.strong is not None and self.strong > self.weak


@dataclass
class RubricTrial:
    """One or two versions on the same conversations, and on their own examples.

    ``form`` is whatever the page wants to remember of what was asked for.
    """

    versions: list[Version]
    talks: list[Talk]
    with_pairs: bool
    form: object = None
    pairs: list[list[Pair]] = field(default_factory=list)
    asking: Asking | None = None
    doing: str = ""

    @property
    def progress(self) -> tuple[int, int]:
        """How many questions were answered, of how many."""
        return (self.asking.done, len(self.asking.planned)) if self.asking else (0, 0)


async def run_trial(trial: RubricTrial, judge: CheckJudge, *, ask_all: bool) -> None:
    """Try it; ``trial`` fills as it goes. Trainees go first.

    Every check is asked. The level is the one that trainees are given here: with ``ask_all`` made
    from all of the answers, else from those about steps that the learned judge does not know.

    Raises:
        NotGraded: when the model fails. What was found by then is in the trial.
    """
    asking = trial.asking = Asking(judge)
    for version in trial.versions:
        for talk in trial.talks:
            asking.planned |= await questions_about(version.entry.item, talk.transcript)
    if trial.with_pairs:
        for version in trial.versions:
            trial.doing = f"the weak and strong replies of {version.label}"
            trial.pairs.append([one async for one in _pairs(version.entry, asking)])
    for talk in trial.talks:
        for version in trial.versions:
            trial.doing = f"{talk.name}, by {version.label}"
            try:
                talk.results.append(await _result(version.entry, talk, asking, ask_all=ask_all))
            except TooLittle as error:
                talk.problem = str(error)
                break


async def _graded(grader: Grader, talk: Talk) -> Grade:
    last: Grade | None = None
    async with aclosing(grader.grade(talk.transcript, asks_for_no=talk.asks_for_no)) as steps:
        async for step in steps:
            if isinstance(step, Grade):
                last = step
    assert last is not None
    return last


async def _result(entry: Entry[Rubric], talk: Talk, asking: Asking, *, ask_all: bool) -> Result:
    everything = Grader(asking, entry, MemoryBook(), ask_all=True)
    with_all = await _graded(everything, talk)
    usual = with_all
    if not ask_all:
        # What it asks was answered already.
        usual = await _graded(Grader(asking, entry, MemoryBook(), ask_all=False), talk)
    readings = await everything.readings(talk.transcript)
    found = []
    for step, one, other in zip(entry.item.steps, usual.steps, with_all.steps, strict=True):
        reading = readings[step.id]
        found.append(
            StepFound(
                step,
                one,
                other,
                reading.learned_value(),
                dict(sorted(reading.learned.items())),
                [await _check(check, reading, talk.transcript, asking) for check in step.checks],
            )
        )
    return Result(usual, found)


async def _check(
    check: Check, reading: StepReading, transcript: Transcript, asking: Asking
) -> CheckFound:
    strengths = {
        turn: value
        for turn, value in reading.strengths.get(check.id, {}).items()
        if value is not None
    }
    if not strengths:
        return CheckFound(check, None, None, None, None, None, None)
    turn = max(strengths, key=lambda one: (strengths[one], -one))
    spoken = as_spoken(transcript)
    whole = turn == WHOLE_SESSION
    material = checks.session_material(spoken) if whole else checks.turn_material(spoken, turn)
    nothing = checks.neutral_session_material() if whole else checks.neutral_turn_material()
    turns = spoken.agent_turns() if whole else [turn]
    seen = None
    if check.signals:
        seen = any(evidence.from_signals(spoken, one, check.signals) for one in turns)
    quote = None
    if strengths[turn] > UNCLEAR_BAND[1]:
        quote = await _quote(check, spoken, turns, asking)
        if quote and not evidence.stands_verbatim(quote, transcript):
            quote = None
    return CheckFound(
        check,
        strengths[turn],
        asking.of(material, check.ask),
        asking.of(nothing, check.ask),
        seen,
        None if whole else turn,
        quote,
    )


async def _quote(
    check: Check, spoken: Transcript, turns: Sequence[int], asking: Asking
) -> evidence.Quote | None:
    """The words for which the answer is yes: where a detector points, else as the model says."""
    for turn in reversed(turns):
        if found := evidence.from_signals(spoken, turn, check.signals):
            return found
    told = [turn for turn in turns if spoken.turns[turn].text != NOTHING]
    return await evidence.from_model(asking, spoken, told[-1], check) if told else None


# Weak and strong replies


async def _pairs(entry: Entry[Rubric], asking: Asking) -> AsyncIterator[Pair]:
    for step in entry.item.steps:
        for example in step.examples:
            weak, strong = [
                await _value(entry, step, example.customer, reply, asking)
                for reply in (example.weak, example.strong)
            ]
            yield Pair(step, example, weak, strong)


async def _value(
    entry: Entry[Rubric], step: Step, heard: str, reply: str, asking: Asking
) -> float | None:
    """How good a reply is for its step, 0 to 1: by the learned judge, else by the step's checks."""
    if step.borrows:
        # Beside the conversations, for which the event loop has to be free.
        return await asyncio.to_thread(value_of_reply, shipped_judge(), step, heard, reply)
    alone = entry.item.model_copy(update={"steps": [step]})
    grader = Grader(asking, Entry(alone, entry.file, entry.text), MemoryBook(), ask_all=True)
    exchange = exchange_of(heard, reply)
    await grader.signs(exchange)
    value = step_value((await grader.readings(exchange))[step.id])
    if value is None:
        return None
    return value if step.direction == "higher_is_better" else 1 - value


def level_shown(step: Step, value: float) -> int:
    """The level for a value by which more is better, whichever way the step counts."""
    return level_of(value if step.direction == "higher_is_better" else 1 - value, step)


# Two versions


def changes(before: Step | None, after: Step | None) -> list[str]:
    """What is different in a step between two versions, in plain words."""
    if before is None or after is None:
        return ["only in the second"] if before is None else ["only in the first"]
    found = []
    if before.name != after.name:
        found.append(f"called “{before.name}” in the first")
    if before.weight != after.weight:
        found.append(f"weight {before.weight:g}, then {after.weight:g}")
    old, new = ({check.id: check for check in step.checks} for step in (before, after))
    if added := [one for one in new if one not in old]:
        found.append(f"new checks: {', '.join(added)}")
    if gone := [one for one in old if one not in new]:
        found.append(f"checks taken out: {', '.join(gone)}")
    if other := [one for one in new if one in old and new[one] != old[one]]:
        found.append(f"checks changed: {', '.join(other)}")
    for words, field_name in (
        ("other levels", "levels"),
        ("borrows other steps", "borrows"),
        ("asked at another scope", "scope"),
        ("counts the other way", "direction"),
        ("other replies count", "over_turns"),
        ("fails outright at another level", "auto_fail_below"),
        ("called for on another occasion", "applies_when"),
        ("called for on another occasion", "only_for_a_no"),
    ):
        if getattr(before, field_name) != getattr(after, field_name) and words not in found:
            found.append(words)
    return found


def side_by_side(first: Rubric, second: Rubric) -> list[tuple[Step | None, Step | None]]:
    """The steps of two versions, those of one id beside each other, in the second's order."""
    old = {step.id: step for step in first.steps}
    new = {step.id for step in second.steps}
    both: list[tuple[Step | None, Step | None]] = [
        (old.get(step.id), step) for step in second.steps
    ]
    return both + [(step, None) for step in first.steps if step.id not in new]

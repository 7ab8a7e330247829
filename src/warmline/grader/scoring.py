"""From checks to levels to a grade: computed by code, never by the model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from statistics import fmean
from typing import Literal

from pydantic import BaseModel, ConfigDict

from warmline.detectors import detect, near_duplicates
from warmline.grader.agreement import Agreement
from warmline.grader.calibration import StepHead, weigh
from warmline.grader.checks import WHOLE_SESSION, Answer
from warmline.grader.evidence import Quote, exchange_at
from warmline.rubric import Check, Rubric, Step
from warmline.transcript import Transcript

StepStatus = Literal["graded", "not_applicable", "unclear"]

#: A step whose every check lies between these is unclear: nothing speaks for or against it.
UNCLEAR_BAND = (0.4, 0.6)
#: With more than this share of the weight unclear, there is not enough to judge the session by.
MOST_UNCLEAR = 0.5
#: A step applies unless its question is answered "no" more surely than this.
APPLIES_ABOVE = 0.5
#: The checks' strengths that stand for the lowest and the highest level; between them levels are
#: even. No reply reaches 0 or 1: a model is never quite sure, and no detector finds everything.
ANCHORS = (0.1, 0.85)
#: What the checks of a step that mostly watches for faults are worth when none is found.
WITHOUT_FAULT = 0.6
#: What any such step is worth at least where no words can be shown that hold a fault.
FAULTLESS = 0.5
#: How much the best turn counts beside the others, where the best one counts: a single good
#: sentence in a bad conversation is not the whole of it.
BEST_COUNTS = 0.85
#: The share of turns that are the worst ones, where the worst count; and how much they count beside
#: the mean of all. It is not more because the worst single turn of many is often a misreading.
#: Chosen on whole labelled sessions, held out.
WORST_SHARE = 1 / 3
WORST_COUNTS = 0.35
#: The learned judge's share where the model was asked as well and no head weighs them.
LEARNED_SHARE = 0.75
#: What is left of the total where a step fails outright: so much is undone by it.
LEFT_OF_TOTAL = 1 / 5
#: Above this share of a step, its level must be shown by words of the agent.
SHOWN_ABOVE = 0.4


class StepGrade(BaseModel):
    """One step's result. ``level`` is None unless the step is graded; ``reason`` says why not."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    status: StepStatus
    level: int | None = None
    means: str = ""
    lowest: int
    highest: int
    weight: float
    checks: dict[str, float | None]
    evidence: list[Quote] = []
    reason: str = ""

    def share(self, step: Step) -> float:
        """How much of the step was reached, 0 to 1, whichever way its levels run."""
        assert self.level is not None
        part = (self.level - self.lowest) / (self.highest - self.lowest)
        return part if step.direction == "higher_is_better" else 1 - part


class Fitted(BaseModel):
    """What the levels were fitted to: how many labelled sessions, and how well it agrees."""

    model_config = ConfigDict(frozen=True)

    sessions: int
    mean: Agreement


class Grade(BaseModel):
    """All steps and the total: a percentage, or None when there is not enough to judge."""

    model_config = ConfigDict(frozen=True)

    id: str
    rubric: str
    rubric_hash: str
    persona_hash: str | None = None
    total: float | None
    passed: bool | None
    failed_by: list[str] = []
    pass_mark: int
    steps: list[StepGrade]
    prompt_version: str
    backend: str
    model: str
    digest: str
    judge: str = ""
    head: Fitted | None = None


@dataclass
class StepReading:
    """What was found for one step.

    ``strengths`` has each check's strength in each turn, and for the session. ``learned`` has, for
    each turn that the learned judge could read, how near it is to the step's highest level, 0 to
    1. ``signs`` is what a head weighs; ``applies`` how likely the step applies, None for surely.
    ``spoilt``: something was said that makes it the step's lowest level. ``faulty``
    are the sentences that the learned judge holds against the step, the worst first.
    """

    step: Step
    applies: float | None = None
    strengths: dict[str, dict[int, float | None]] = field(default_factory=dict)
    learned: dict[int, float] = field(default_factory=dict)
    signs: list[float] = field(default_factory=list)
    spoilt: bool = False
    faulty: list[Quote] = field(default_factory=list)

    def turns(self) -> list[int]:
        """The turns about which something is known: by the learned judge, else by the checks."""
        if self.learned:
            return sorted(self.learned)
        return sorted({turn for by_turn in self.strengths.values() for turn in by_turn})

    @property
    def watches_for_faults(self) -> bool:
        """Whether most of the step's checks count against it, as for a step about respect."""
        against = sum(check.counts == "against" for check in self.step.checks)
        return against > len(self.step.checks) / 2

    def learned_value(self) -> float | None:
        """What the learned judge says of the session: of the turns that count for this step."""
        if not self.learned:
            return None
        values = list(self.learned.values())
        match self.step.counted_turns:
            case "best":
                return BEST_COUNTS * max(values) + (1 - BEST_COUNTS) * fmean(values)
            case "worst":
                worst = sorted(values)[: ceil(len(values) * WORST_SHARE)]
                return WORST_COUNTS * fmean(worst) + (1 - WORST_COUNTS) * fmean(values)
            case "last":
                return self.learned[max(self.learned)]
            case "whole":
                # A conversation is remembered by its peak as much as by its average.
                return (fmean(values) + max(values)) / 2

    def support(self, turn: int) -> float | None:
        """How strongly one turn shows the step: by the learned judge, else by its checks."""
        if turn in self.learned:
            return self.learned[turn]
        values = [
            value
            for check in self.step.checks
            if check.counts == "for"
            and (value := self.strengths.get(check.id, {}).get(turn)) is not None
        ]
        return fmean(values) if values else None

    def best_turn(self) -> int | None:
        """The turn that shows the step most; None when nothing is known."""
        known = [(s, -t) for t in self.turns() if (s := self.support(t)) is not None]
        return -max(known)[1] if known else None

    def best(self, check: Check) -> float | None:
        """A check's highest strength over the turns."""
        known = [v for v in self.strengths.get(check.id, {}).values() if v is not None]
        return max(known) if known else None

    def fault(self) -> tuple[Check, int, float] | None:
        """The strongest of the checks that count against the step, and the turn it stands in."""
        faults = [
            (value, check, turn)
            for check in self.step.checks
            if check.counts == "against"
            for turn, value in self.strengths.get(check.id, {}).items()
            if value is not None
        ]
        if not faults:
            return None
        value, check, turn = max(faults, key=lambda item: item[0])
        return check, turn, value


def read_step(step: Step, transcript: Transcript, answers: Iterable[Answer]) -> StepReading:
    """Weigh the answers to one step's checks with what the detectors find.

    A reply that says almost what an earlier one said earns nothing a second time.
    """
    reading = StepReading(step)
    checks = {check.id: check for check in step.checks}
    agent_turns = transcript.agent_turns()
    repeated = {
        agent_turns[i] for i in near_duplicates([transcript.turns[t].text for t in agent_turns])
    }
    for answer in answers:
        check = checks.get(answer.check)
        if answer.step != step.id or check is None:
            continue
        looked_at = agent_turns if answer.turn == WHOLE_SESSION else [answer.turn]
        found = None
        if check.signals:
            found = sum(
                len(detect(exchange_at(transcript, turn), check.signals)) for turn in looked_at
            )
        strength = weigh(answer.probability, answer.neutral, found)
        if answer.turn in repeated and check.counts == "for":
            strength = min(strength, 0.0) if strength is not None else None
        reading.strengths.setdefault(check.id, {})[answer.turn] = strength
    return reading


def checks_value(reading: StepReading) -> float | None:
    """How far the checks say that the step was reached, 0 to 1.

    Each check counts at its best, so that nobody has to do everything in one reply; the worst
    fault takes from it.
    """
    known = [
        value
        for check in reading.step.checks
        if check.counts == "for" and (value := reading.best(check)) is not None
    ]
    if not known:
        return None
    base = WITHOUT_FAULT if reading.watches_for_faults else 0.0
    value = base + (1 - base) * fmean(known)
    fault = reading.fault()
    if fault and fault[2] > UNCLEAR_BAND[1]:
        value *= 1 - fault[2]
    low, high = ANCHORS
    return min(1.0, max(0.0, (value - low) / (high - low)))


def step_value(reading: StepReading, head: StepHead | None = None) -> float | None:
    """How near the session is to the step's highest level, 0 to 1; None when nothing is known."""
    step = reading.step
    learned = reading.learned_value()
    if learned is None:
        return checks_value(reading)
    if reading.spoilt:
        return 0.0
    if head is not None:
        part = (head.level(reading.signs) - step.lowest) / (step.highest - step.lowest)
        return min(1.0, max(0.0, part))
    asked = checks_value(reading)
    if asked is None:
        return learned
    return LEARNED_SHARE * learned + (1 - LEARNED_SHARE) * asked


def grade_step(
    reading: StepReading, evidence: Sequence[Quote], head: StepHead | None = None
) -> StepGrade:
    """One step's level, or why it has none."""
    step = reading.step
    strengths = {check.id: _rounded(reading.best(check)) for check in step.checks}

    def result(status: StepStatus, level: int | None = None, reason: str = "") -> StepGrade:
        return StepGrade(
            id=step.id,
            name=step.name,
            status=status,
            level=level,
            means=step.meaning(level) if level is not None else "",
            lowest=step.lowest,
            highest=step.highest,
            weight=step.weight,
            checks=strengths,
            evidence=list(evidence) if status == "graded" else [],
            reason=reason,
        )

    if reading.applies is not None and reading.applies < APPLIES_ABOVE:
        return result("not_applicable", reason="This conversation did not call for it.")
    value = step_value(reading, head)
    if value is None:
        return result("unclear", reason="The model gave no clear answer.")
    known = [v for v in strengths.values() if v is not None]
    if not reading.learned and all(UNCLEAR_BAND[0] <= v <= UNCLEAR_BAND[1] for v in known):
        return result("unclear", reason="The signs point neither way.")
    level = level_of(value, step)
    if reading.watches_for_faults and not any(quote.shows == "against" for quote in evidence):
        # Its low levels say that a fault was made: they are given only for one that can be shown.
        # Nobody fails outright without; and none is low, unless people's own grades say so.
        level = max(level, step.auto_fail_below or step.lowest)
        if reading.learned and head is None and step.direction == "higher_is_better":
            level = max(level, step.lowest + ceil(FAULTLESS * (step.highest - step.lowest)))
    needs_words = (
        value > SHOWN_ABOVE and not reading.watches_for_faults
        if reading.learned
        else level > step.lowest
    )
    if needs_words and not evidence:
        return result("unclear", reason="No words of yours could be found that show it.")
    return result("graded", level)


def level_of(value: float, step: Step) -> int:
    """The level that a value of 0 to 1 stands for."""
    return step.lowest + round(value * (step.highest - step.lowest))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def total(
    rubric: Rubric, steps: Sequence[StepGrade]
) -> tuple[float | None, bool | None, list[str]]:
    """The weighted total in percent, whether it passes, and the steps that fail it outright.

    Steps that are unclear or not applicable are left out; with too much of the weight unclear
    there is no total. Where a step fails outright, `LEFT_OF_TOTAL` of it is left.
    """
    graded = [step for step in steps if step.status == "graded"]
    unclear = sum(step.weight for step in steps if step.status == "unclear")
    weight = sum(step.weight for step in graded)
    if not graded or unclear > MOST_UNCLEAR * (unclear + weight):
        return None, None, []
    reached = sum(step.weight * step.share(rubric.step(step.id)) for step in graded)
    failed_by = [
        step.id
        for step in graded
        if (limit := rubric.step(step.id).auto_fail_below) is not None
        and step.level is not None
        and step.level < limit
    ]
    percent = round(100 * reached / weight * (LEFT_OF_TOTAL if failed_by else 1), 1)
    return percent, percent >= rubric.pass_mark and not failed_by, failed_by


def by_step(answers: Iterable[Answer]) -> Mapping[str, list[Answer]]:
    """The answers sorted by step."""
    sorted_answers: dict[str, list[Answer]] = {}
    for answer in answers:
        sorted_answers.setdefault(answer.step, []).append(answer)
    return sorted_answers

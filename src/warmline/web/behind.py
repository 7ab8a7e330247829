"""What stands behind each level, for coaches: what was asked, and how surely the answer is yes.

A trainee never sees this: whoever knows the questions writes to them and not to the customer.
"""

from __future__ import annotations

from dataclasses import dataclass

from warmline.grader.judging import judges_occasion
from warmline.grader.scoring import LEARNED_SHARE, UNCLEAR_BAND, Grade, StepGrade
from warmline.persona import Persona
from warmline.rubric import Check, Rubric, Step

#: Above the first the answer is surely yes, below the second surely no. What lies between the
#: ends of the grader's own unclear band says nothing either way.
_SURELY = 0.85
_SURELY_NOT = 0.15

#: What a percent is, by whether a step is asked of each reply or of the whole.
_PERCENT = {
    "turn": " The percent is how surely the grader says yes, in the reply where it does so most.",
    "session": " The percent is how surely the grader says yes, of the whole conversation.",
}
_FROM_ANSWERS = "The level was worked out from these answers alone."
_FROM_JUDGE = (
    "The learned judge gave this level from the replies themselves. These questions were not "
    "asked and had no say; they tell what the step is about."
)
_FROM_BOTH = (
    f"The learned judge, which reads the replies themselves, counts for {LEARNED_SHARE:.0%} of "
    "this level, these answers for the rest. Where it could read none of the replies, the answers "
    "count alone."
)
_FROM_BOTH_FITTED = (
    "The learned judge, which reads the replies themselves, and these answers were weighed "
    "together, as learned from conversations that people had graded."
)
_NO_LEVEL_BY_JUDGE = (
    "The learned judge came to no level. These questions were not asked and had no say; they tell "
    "what the step is about."
)
_NOBODY_ASKED = (
    "There was no model to ask these questions, and the learned judge does not know this step."
)
_NO_ANSWER = "The model was asked, and gave no clear answer to any of these."


@dataclass(frozen=True)
class CheckLine:
    """One check in a line: the question, whether yes counts against, the answer in words.

    ``percent`` is how surely the answer is yes, 0 to 100; None where there is no answer.
    """

    ask: str
    against: bool
    answer: str
    percent: int | None


@dataclass(frozen=True)
class Behind:
    """What stands behind the machine's level of one step.

    ``short`` is a few words, ``words`` where the level came from; ``checks`` is empty for a step
    that was not needed, as nothing that was answered had a say then.
    """

    short: str
    words: str
    checks: tuple[CheckLine, ...]


def behind_levels(grade: Grade, rubric: Rubric, persona: Persona) -> dict[str, Behind]:
    """What stands behind the machine's levels, by step.

    Args:
        grade: the grade as the machine gave it, without what coaches changed.
        rubric: the version that it was graded by.
        persona: the customer, in the version that was played.
    """
    return {one.id: _behind(grade, one, rubric.step(one.id), persona) for one in grade.steps}


def answer_words(probability: float) -> str:
    """How sure a yes of this probability (0 to 1) is, in plain words."""
    low, high = UNCLEAR_BAND
    if probability >= _SURELY:
        return "yes, surely"
    if probability > high:
        return "rather yes"
    if probability >= low:
        return "cannot tell"
    if probability > _SURELY_NOT:
        return "rather no"
    return "no"


def _behind(grade: Grade, result: StepGrade, step: Step, persona: Persona) -> Behind:
    if result.status == "not_applicable":
        words = _not_needed(step, persona, by_judge=bool(grade.judge))
        return Behind("not needed", words, ())
    # Grades from before there was a learned judge name none; it knows only what a step borrows.
    judge = bool(grade.judge and step.borrows)
    answered = any(value is not None for value in result.checks.values())
    checks = tuple(_line(check, result, asked=answered or not judge) for check in step.checks)
    if answered:
        words = _FROM_ANSWERS
        if judge:
            words = _FROM_BOTH_FITTED if grade.head else _FROM_BOTH
        return Behind(_found(step, result), words + _PERCENT[step.scope], checks)
    if judge:
        words = _FROM_JUDGE if result.level is not None else _NO_LEVEL_BY_JUDGE
        return Behind("the learned judge, no checks asked", words, checks)
    words = _NOBODY_ASKED if grade.backend == "none" else _NO_ANSWER
    return Behind("no answers", words, checks)


def _line(check: Check, result: StepGrade, *, asked: bool) -> CheckLine:
    value = result.checks.get(check.id)
    if value is None:
        answer, percent = ("no clear answer" if asked else "not asked"), None
    else:
        answer, percent = answer_words(value), round(100 * value)
    return CheckLine(check.ask, check.counts == "against", answer, percent)


def _found(step: Step, result: StepGrade) -> str:
    """How many of the signs for a step were found, and how many faults."""
    yes = {
        check.id
        for check in step.checks
        if (value := result.checks.get(check.id)) is not None and value > UNCLEAR_BAND[1]
    }
    signs = [check.id for check in step.checks if check.counts == "for"]
    faults = [check.id for check in step.checks if check.counts == "against"]
    words = f"{len(yes.intersection(signs))} of {len(signs)} signs found"
    if not faults:
        return words
    seen = len(yes.intersection(faults))
    return f"{words}, {'no fault' if not seen else '1 fault' if seen == 1 else f'{seen} faults'}"


def _not_needed(step: Step, persona: Persona, *, by_judge: bool) -> str:
    """Why a step was left out."""
    if step.only_for_a_no and not persona.asks_for_no:
        return (
            "This step is for conversations in which the right answer is a kind no. With this "
            "customer it is not, so the step was left out."
        )
    if by_judge and judges_occasion(step):
        return "The learned judge saw nothing being refused, so the step was left out."
    if step.applies_when:
        return f"Asked first: “{step.applies_when}” The answer was no, so the step was left out."
    return "The conversation did not call for this step, so it was left out."

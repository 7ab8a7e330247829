"""From checks to levels to a total: arithmetic that can be done by hand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshots import small_rubric
from warmline.grader.calibration import StepHead
from warmline.grader.checks import WHOLE_SESSION, Answer
from warmline.grader.evidence import Quote
from warmline.grader.scoring import (
    ANCHORS,
    WORST_COUNTS,
    StepGrade,
    StepReading,
    StepStatus,
    grade_step,
    level_of,
    read_step,
    step_value,
    total,
)
from warmline.rubric import Rubric, Step
from warmline.transcript import Transcript, Turn

RUBRIC = small_rubric().item
HEAR, RUSH, CLOSE, SAY_NO = RUBRIC.steps
QUOTE = [Quote(turn=1, quote="I hear you.")]
Strengths = dict[str, dict[int, float | None]]


def graded(step: Step, level: int | None, status: StepStatus = "graded") -> StepGrade:
    return StepGrade(
        id=step.id,
        name=step.name,
        status=status,
        level=level,
        lowest=step.lowest,
        highest=step.highest,
        weight=step.weight,
        checks={},
    )


def unclear(step: Step) -> StepGrade:
    return graded(step, None, "unclear")


def left_out(step: Step) -> StepGrade:
    return graded(step, None, "not_applicable")


def reading(step: Step, strengths: Strengths, applies: float | None = None) -> StepReading:
    return StepReading(step, applies, strengths)


# The total. Weights: hear 2 (levels 1 to 5), rush 1 (1 to 3, lower is better), close 1 (0 to 4),
# say-no 1 (1 to 2). The mark to reach is 60; "hear" below 2 fails whatever the total.


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        # (2 · 3/4 + 1 · 1/2 + 1 · 1/4) / 4 = 56.25 %
        pytest.param(
            [graded(HEAR, 4), graded(RUSH, 2), graded(CLOSE, 1), left_out(SAY_NO)],
            (56.2, False, []),
            id="weighted, and what does not apply is left out",
        ),
        # (2 · 3/4 + 1 · 1 + 1 · 1) / 4 = 87.5 %
        pytest.param(
            [graded(HEAR, 4), graded(RUSH, 1), graded(CLOSE, 4), left_out(SAY_NO)],
            (87.5, True, []),
            id="the lowest level is the best where lower is better",
        ),
        # (2 · 2/4 + 1 · 1 + 1 · 2/4) / 4 = 62.5 %, then without the unclear one 2 / 3
        pytest.param(
            [graded(HEAR, 3), graded(RUSH, 1), unclear(CLOSE), unclear(SAY_NO)],
            (66.7, True, []),
            id="what is unclear is left out",
        ),
        # Unclear: 2 of 5, known: 3 of 5
        pytest.param(
            [unclear(HEAR), graded(RUSH, 1), graded(CLOSE, 4), graded(SAY_NO, 2)],
            (100.0, True, []),
            id="two fifths unclear is still a total",
        ),
        # Unclear: 3 of 4
        pytest.param(
            [unclear(HEAR), unclear(CLOSE), graded(RUSH, 1), left_out(SAY_NO)],
            (None, None, []),
            id="mostly unclear is no total",
        ),
        pytest.param([left_out(HEAR), left_out(RUSH)], (None, None, []), id="nothing applies"),
        # (2 · 0 + 1 + 1 + 1) / 5 = 60 %, the mark exactly, of which a fifth is left
        pytest.param(
            [graded(HEAR, 1), graded(RUSH, 1), graded(CLOSE, 4), graded(SAY_NO, 2)],
            (12.0, False, ["hear"]),
            id="a step below its limit fails the whole",
        ),
        # (2 · 1/4 + 1 + 1/2 + 1) / 5 = 60 %
        pytest.param(
            [graded(HEAR, 2), graded(RUSH, 1), graded(CLOSE, 2), graded(SAY_NO, 2)],
            (60.0, True, []),
            id="the mark itself passes",
        ),
    ],
)
def test_the_total_is_the_weighted_share_of_what_was_graded(
    steps: list[StepGrade], expected: tuple[float | None, bool | None, list[str]]
) -> None:
    assert total(RUBRIC, steps) == expected


@given(
    levels=st.tuples(
        st.none() | st.integers(1, 5),
        st.none() | st.integers(1, 3),
        st.none() | st.integers(0, 4),
        st.none() | st.integers(1, 2),
    )
)
def test_a_total_lies_between_0_and_100_and_a_pass_reaches_the_mark(
    levels: tuple[int | None, ...],
) -> None:
    steps = [
        unclear(step) if level is None else graded(step, level)
        for step, level in zip(RUBRIC.steps, levels, strict=True)
    ]
    percent, passed, failed_by = total(RUBRIC, steps)
    assert (percent is None) == (passed is None)
    if percent is not None:
        assert 0 <= percent <= 100
        assert passed == (percent >= RUBRIC.pass_mark and not failed_by)


# One step's level


def strong(step: Step, strength: float | None, turn: int = 1) -> Strengths:
    """Every check that counts for the step at one strength, those against it at none."""
    return {check.id: {turn: strength if check.counts == "for" else 0.0} for check in step.checks}


@given(strength=st.floats(0, 1), index=st.integers(0, 3))
def test_a_level_is_one_of_the_steps_own(strength: float, index: int) -> None:
    step = RUBRIC.steps[index]
    assert step.lowest <= level_of(strength, step) <= step.highest
    result = grade_step(reading(step, strong(step, strength)), QUOTE)
    if result.status == "graded":
        assert result.level is not None
        assert step.lowest <= result.level <= step.highest
        assert result.means == step.meaning(result.level)
        assert 0 <= result.share(step) <= 1
    else:
        assert (result.level, result.evidence) == (None, [])
        assert result.reason


@given(st.lists(st.floats(0, 1), min_size=2, max_size=2))
def test_more_support_is_never_a_lower_level(strengths: list[float]) -> None:
    low, high = sorted(strengths)
    assert level_of(low, HEAR) <= level_of(high, HEAR)


def test_nothing_and_everything_are_the_ends_of_the_range() -> None:
    for step in RUBRIC.steps:
        assert level_of(0.0, step) == step.lowest
        assert level_of(1.0, step) == step.highest


def test_the_best_turn_counts() -> None:
    two = reading(HEAR, {c.id: {1: 0.05, 3: 0.95} for c in HEAR.checks if c.counts == "for"})
    assert two.best_turn() == 3
    assert step_value(two) == step_value(reading(HEAR, strong(HEAR, 0.95)))


def test_one_fault_in_any_turn_takes_from_the_best_one() -> None:
    spoilt = reading(
        HEAR, {"says-back": {1: 0.9}, "detail": {1: 0.9}, "talks-past": {1: 0.0, 3: 0.7}}
    )
    low, high = ANCHORS
    assert step_value(spoilt) == pytest.approx((0.9 * 0.3 - low) / (high - low))


@pytest.mark.parametrize(
    ("strengths", "applies", "evidence", "status", "reason"),
    [
        (strong(HEAR, 0.9), 0.2, QUOTE, "not_applicable", "did not call for it"),
        (strong(HEAR, 0.9), 0.8, QUOTE, "graded", ""),
        (strong(HEAR, 0.9), None, [], "unclear", "No words of yours"),
        (strong(HEAR, 0.0), None, [], "graded", ""),
        (strong(HEAR, None), None, QUOTE, "unclear", "no clear answer"),
        ({}, None, QUOTE, "unclear", "no clear answer"),
        ({c.id: {1: 0.5} for c in HEAR.checks}, None, QUOTE, "unclear", "neither way"),
    ],
    ids=["does not apply", "applies", "no words show it", "lowest needs no words", "no answers",
         "never asked", "between yes and no"],
)  # fmt: skip
def test_a_step_is_graded_only_on_clear_signs_and_words(
    strengths: Strengths, applies: float | None, evidence: list[Quote], status: str, reason: str
) -> None:
    result = grade_step(reading(HEAR, strengths, applies), evidence)
    assert result.status == status
    assert reason in result.reason
    assert bool(reason) == bool(result.reason)
    assert (result.level is None) == (status != "graded")


# Reading the answers


def talk(*replies: str) -> Transcript:
    turns = [
        Turn(role="customer", text="My heating is off."),
        *(Turn(role="agent", text=r) for r in replies),
    ]
    return Transcript(id="t", turns=turns)


def answers(step: Step, turns: list[int], probability: float | None = 0.9) -> list[Answer]:
    return [Answer(step.id, c.id, turn, probability, 0.5) for c in step.checks for turn in turns]


def test_what_is_said_twice_earns_nothing_the_second_time() -> None:
    reply = "Your heating is off and the flat is cold."
    once = read_step(HEAR, talk(reply), answers(HEAR, [1]))
    twice = read_step(HEAR, talk(reply, f"{reply} Yes."), answers(HEAR, [1, 2]))
    assert twice.support(1) == once.support(1)
    assert twice.support(2) == 0.0
    assert twice.best_turn() == 1
    fault = twice.fault()
    assert fault is not None
    assert twice.strengths["talks-past"][2] == once.strengths["talks-past"][1]


def test_without_a_probability_a_check_is_unknown_and_not_zero() -> None:
    unknown = read_step(HEAR, talk("I hear you there."), answers(HEAR, [1], None))
    assert unknown.support(1) is None
    assert grade_step(unknown, QUOTE).status == "unclear"


def test_answers_to_other_steps_and_unknown_checks_are_passed_over() -> None:
    found = read_step(
        HEAR, talk("I hear you there."), [*answers(RUSH, [1]), Answer("hear", "gone", 1, 0.9, 0.5)]
    )
    assert found.strengths == {}


def test_a_detector_speaks_where_the_model_does_not() -> None:
    data: dict[str, Any] = HEAR.model_dump()
    data["checks"][0]["signals"] = ["rude"]
    step = Step.model_validate(data)
    found = read_step(step, talk("You are stupid, madam."), answers(step, [1], None))
    assert found.strengths["says-back"][1] == 1.0


def test_the_whole_session_is_read_by_its_own_turn_number() -> None:
    found = read_step(CLOSE, talk("Goodbye and take care."), answers(CLOSE, [WHOLE_SESSION]))
    assert found.best_turn() == WHOLE_SESSION


def test_a_rubric_finds_its_steps_by_id() -> None:
    assert isinstance(RUBRIC, Rubric)
    assert RUBRIC.step("close") is CLOSE
    with pytest.raises(KeyError):
        RUBRIC.step("nowhere")


@pytest.mark.parametrize(
    ("highest", "fails_below", "at_least"),
    [(5, None, 3), (5, 2, 3), (5, 4, 4), (2, None, 2), (4, 2, 3), (6, None, 4)],
)
def test_nobody_is_marked_down_for_a_fault_that_cannot_be_shown(
    highest: int, fails_below: int | None, at_least: int
) -> None:
    faults = [check.model_copy(update={"counts": "against"}) for check in HEAR.checks]
    levels = [HEAR.levels[0].model_copy(update={"score": n}) for n in range(1, highest + 1)]
    watching = HEAR.model_copy(
        update={"checks": faults, "auto_fail_below": fails_below, "levels": levels}
    )
    found = StepReading(watching, learned={1: 0.0, 3: 0.05})
    assert found.watches_for_faults
    assert (watching.lowest, watching.highest) == (1, highest)
    kind = [Quote(turn=1, quote="Take your time.", shows="for")]
    assert grade_step(found, []).level == grade_step(found, kind).level == at_least
    shown = [Quote(turn=1, quote="That's on you.", shows="against")]
    assert grade_step(found, [*kind, *shown]).level == 1
    # Where low is good, nothing is lifted; and what people's own grades say is kept.
    harmless = watching.model_copy(update={"direction": "lower_is_better", "auto_fail_below": None})
    assert grade_step(StepReading(harmless, learned={1: 0.0}), []).level == 1
    head = StepHead(intercept=1.0, weights=[0.0], mean=[0.0], scale=[1.0])
    told = StepReading(watching, learned={1: 0.0}, signs=[0.0])
    assert grade_step(told, [], head).level == (fails_below or 1)
    # What was left undone needs no words to be shown.
    assert grade_step(StepReading(HEAR, learned={1: 0.0, 3: 0.05}), []).level == 1


def test_the_worst_turns_count_and_not_a_single_one_of_many() -> None:
    worst = HEAR.model_copy(update={"over_turns": "worst"})
    few = StepReading(worst, learned={1: 0.0, 3: 0.6, 5: 0.9})
    assert few.learned_value() == pytest.approx(WORST_COUNTS * 0.0 + (1 - WORST_COUNTS) * 0.5)
    many = StepReading(worst, learned=dict.fromkeys(range(1, 12, 2), 0.6) | {13: 0.0})
    expected = WORST_COUNTS * 0.4 + (1 - WORST_COUNTS) * 3.6 / 7
    assert many.learned_value() == pytest.approx(expected)

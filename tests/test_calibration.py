"""Weighing a check: the model's answer counts as far as it differs from the neutral one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmline.grader.calibration import against_neutral, weigh

probabilities = st.floats(0, 1)


@given(probability=probabilities, neutral=probabilities)
def test_a_strength_is_a_share(probability: float, neutral: float) -> None:
    assert 0 <= against_neutral(probability, neutral) <= 1
    for signals in (None, 0, 1, 7):
        strength = weigh(probability, neutral, signals)
        assert strength is not None
        assert 0 <= strength <= 1


@given(probability=probabilities)
def test_the_same_answer_as_to_a_reply_that_says_nothing_is_a_no(probability: float) -> None:
    assert against_neutral(probability, probability) < 0.3


@given(pair=st.tuples(probabilities, probabilities), neutral=probabilities)
def test_a_surer_yes_is_never_weaker(pair: tuple[float, float], neutral: float) -> None:
    low, high = sorted(pair)
    assert against_neutral(low, neutral) <= against_neutral(high, neutral)
    assert against_neutral(neutral, low) >= against_neutral(neutral, high)


@given(probability=probabilities, neutral=probabilities)
def test_what_a_detector_sees_outweighs_what_the_model_says(
    probability: float, neutral: float
) -> None:
    seen, unseen = weigh(probability, neutral, 1), weigh(probability, neutral, 0)
    assert seen is not None
    assert unseen is not None
    assert seen > 0.5 > unseen


@pytest.mark.parametrize(
    ("probability", "neutral", "signals", "strength"),
    [
        (None, 0.5, None, None),
        (0.9, None, None, None),
        (None, None, 0, 0.0),
        (None, None, 2, 1.0),
        (0.9, None, 1, 1.0),
    ],
)
def test_what_is_not_known_is_left_out(
    probability: float | None, neutral: float | None, signals: int | None, strength: float | None
) -> None:
    assert weigh(probability, neutral, signals) == strength


def test_a_clear_yes_and_a_clear_no_are_told_apart() -> None:
    assert against_neutral(0.95, 0.4) > 0.8
    assert against_neutral(0.2, 0.4) < 0.1

"""Weighing what a check has: the model's probability and the detectors' findings.

Without labels, a probability counts by how far it stands from the model's answer about a reply
that says nothing, and a detector's finding counts more than the model does. The two constants
were read off a small trial: on six replies to one message and nine questions, the builtin model's
log-odds moved by 1 to 2 where a reader would say yes and by less than 0.5 where not.
"""

from __future__ import annotations

import math

#: The shift in log-odds at which "yes" and "no" are equally likely, and how fast that turns.
MIDPOINT = 0.7
SLOPE = 2.2

#: The share of a check's weight that its detectors have, where it has any.
DETECTOR_SHARE = 0.6

_EDGE = 1e-4


def _log_odds(probability: float) -> float:
    kept = min(1 - _EDGE, max(_EDGE, probability))
    return math.log(kept / (1 - kept))


def against_neutral(probability: float, neutral: float) -> float:
    """The probability of "yes" once the model's habit of saying yes is taken away; 0 to 1."""
    shift = _log_odds(probability) - _log_odds(neutral)
    return 1 / (1 + math.exp(-SLOPE * (shift - MIDPOINT)))


def weigh(probability: float | None, neutral: float | None, signals: int | None) -> float | None:
    """One check's strength, 0 (no) to 1 (yes); None when nothing speaks either way.

    ``signals`` is how many of the check's detectors found something; None when it has none.
    """
    model = (
        against_neutral(probability, neutral)
        if probability is not None and neutral is not None
        else None
    )
    seen = None if signals is None else float(signals > 0)
    if model is None:
        return seen
    if seen is None:
        return model
    return DETECTOR_SHARE * seen + (1 - DETECTOR_SHARE) * model

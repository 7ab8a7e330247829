"""Weighing what speaks for a step: the learned judge, the detectors, and the model's answers.

A head that was fitted on labels (`Head`) weighs them for its own rubric and model. Without one,
the learned judge speaks where a step borrows from it. Where it does not, a check counts by how far
the model's probability stands from its answer about a reply that says nothing, and a detector's
finding counts more than the model does. The two constants for that were read off a small trial: on
six replies to one message and nine questions, the builtin model's log-odds moved by 1 to 2 where a
reader would say yes and by less than 0.5 where not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict
from sklearn.linear_model import Ridge

from warmline.grader.agreement import Agreement, agreement_of, mean_agreement
from warmline.grader.features import Numbers
from warmline.library import Entry
from warmline.rubric import Rubric, Step

#: The shift in log-odds at which "yes" and "no" are equally likely, and how fast that turns.
MIDPOINT = 0.7
SLOPE = 2.2

#: The share of a check's weight that its detectors have, where it has any.
DETECTOR_SHARE = 0.6

_EDGE = 1e-4

# A head. The first signs are made for the step; the others are the same for every step, and may
# only say a little. With few labels a head is hardly more than the first ones, put to scale.

#: How much more a step's own signs may say than the others.
OWN_WEIGHT = 20.0**0.5
#: How strongly a head is held back.
HEAD_ALPHA = 100.0
#: Timid predictions are stretched at most this much.
MOST_STRETCH = 3.0
#: Fewer labelled sessions than this are no basis for a head.
LEAST_SESSIONS = 8


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


class StepHead(BaseModel):
    """One step's fitted weights: ``level = intercept + sum(weights * (signs - mean) / scale)``."""

    model_config = ConfigDict(frozen=True)

    intercept: float
    weights: list[float]
    mean: list[float]
    scale: list[float]

    def level(self, signs: Sequence[float]) -> float:
        """The level that a session's signs stand for, not yet rounded or clipped."""
        standard = (np.asarray(signs) - np.asarray(self.mean)) / np.asarray(self.scale)
        return self.intercept + float(standard @ np.asarray(self.weights))


class Head(BaseModel):
    """Fitted weights for the labelled steps of one rubric, with one judge.

    ``judge`` names everything that the signs come from; a head is used only where it is the same.
    ``agreement`` is what cross-validation found, each session held out once.
    """

    model_config = ConfigDict(frozen=True)

    rubric: str
    rubric_hash: str
    judge: str
    sessions: int
    steps: dict[str, StepHead]
    agreement: dict[str, Agreement]
    mean: Agreement


def fit_step(signs: Numbers, levels: Numbers, own: int) -> StepHead:
    """Fit one step: ``signs`` has a row a session, the step's ``own`` signs first."""
    mean = signs.mean(axis=0)
    scale = signs.std(axis=0)
    # A sign that never changes says nothing.
    scale[scale < 1e-6] = np.inf
    weight = np.ones(signs.shape[1])
    weight[:own] = OWN_WEIGHT
    table = (signs - mean) / scale * weight
    ridge = Ridge(alpha=HEAD_ALPHA).fit(table, levels)
    stretch = _stretch(table, levels, ridge.predict(table))
    return StepHead(
        intercept=float(ridge.intercept_),
        weights=(ridge.coef_ * weight * stretch).tolist(),
        mean=mean.tolist(),
        scale=np.where(np.isinf(scale), 1e12, scale).tolist(),
    )


def _stretch(table: Numbers, levels: Numbers, fitted: Numbers) -> float:
    """How much further apart the predictions must be to spread as widely as the labels do.

    Measured on what each session would have been given had it been left out, which for ridge
    follows from one fit (the diagonal of its hat matrix).
    """
    number = len(levels)
    gram = table @ table.T
    hat = np.diag(gram @ np.linalg.inv(gram + HEAD_ALPHA * np.eye(number))) + 1 / number
    left_out = levels - (levels - fitted) / (1 - np.clip(hat, 0.0, 0.95))
    if levels.std() == 0 or left_out.std() < 1e-9:
        return 1.0
    return float(min(MOST_STRETCH, max(1.0, levels.std() / left_out.std())))


def held_out_levels(signs: Numbers, levels: Numbers, own: int, step: Step) -> list[int]:
    """Each session's level by a head that was fitted without it."""
    found = []
    for row in range(len(levels)):
        others = np.arange(len(levels)) != row
        level = fit_step(signs[others], levels[others], own).level(signs[row].tolist())
        found.append(int(np.clip(round(level), step.lowest, step.highest)))
    return found


@dataclass(frozen=True)
class Labelled:
    """What one step's head is fitted on: a row of signs for each session, and its label."""

    step: Step
    signs: Numbers
    levels: Numbers
    own: int


def fit_head(rubric: Entry[Rubric], judge: str, labelled: Sequence[Labelled]) -> Head:
    """Fit a head for these steps of a rubric, and measure it with each session held out once."""
    pairs = {
        one.step.id: (
            held_out_levels(one.signs, one.levels, one.own, one.step),
            np.rint(one.levels).astype(np.int64).tolist(),
        )
        for one in labelled
    }
    return Head(
        rubric=rubric.item.id,
        rubric_hash=rubric.hash,
        judge=judge,
        sessions=max(len(one.levels) for one in labelled),
        steps={one.step.id: fit_step(one.signs, one.levels, one.own) for one in labelled},
        agreement={step: agreement_of(*pair) for step, pair in pairs.items()},
        mean=mean_agreement(list(pairs.values())),
    )

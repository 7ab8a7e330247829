"""How well two graders agree: quadratic-weighted kappa, with an interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict
from sklearn.metrics import cohen_kappa_score

Levels = npt.NDArray[np.int64] | Sequence[int]

#: Samples drawn for an interval, and the seed they are drawn with.
DRAWS = 1000
SEED = 20260101


class Agreement(BaseModel):
    """Kappa over ``n`` pairs, with the 95 % interval of a bootstrap."""

    model_config = ConfigDict(frozen=True)

    kappa: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.kappa:.2f} [{self.low:.2f}, {self.high:.2f}] (n={self.n})"


def weighted_kappa(one: Levels, other: Levels) -> float:
    """Quadratic-weighted kappa of two lists of levels: 1 is the same, 0 is chance.

    Two lists in which everything is the same one level agree fully: 1. If only one of them never
    changes, there is nothing to agree about: 0. Source: Cohen 1968.
    """
    a, b = np.asarray(one), np.asarray(other)
    if np.array_equal(a, b):
        return 1.0
    if len(set(a.tolist())) == 1 or len(set(b.tolist())) == 1:
        return 0.0
    # Every level between counts, whether it was given or not: distances depend on it.
    labels = list(range(int(min(a.min(), b.min())), int(max(a.max(), b.max())) + 1))
    return float(cohen_kappa_score(a, b, labels=labels, weights="quadratic"))


def mean_agreement(pairs: Sequence[tuple[Levels, Levels]], draws: int = DRAWS) -> Agreement:
    """The mean kappa of several steps.

    Where all steps have the same sessions, in the same order, the bootstrap draws sessions, so
    that a session's steps stay together; else each step's sessions are drawn on their own.
    """
    steps = [(np.asarray(one), np.asarray(other)) for one, other in pairs]
    number = max(len(one) for one, _ in steps)
    chance = np.random.default_rng(SEED)
    means = []
    for _ in range(draws):
        drawn = chance.integers(0, number, number)
        kappas = []
        for a, b in steps:
            rows = drawn if len(a) == number else chance.integers(0, len(a), len(a))
            kappas.append(weighted_kappa(a[rows], b[rows]))
        means.append(float(np.mean(kappas)))
    low, high = np.quantile(means, [0.025, 0.975])
    kappa = float(np.mean([weighted_kappa(a, b) for a, b in steps]))
    return Agreement(kappa=kappa, low=float(low), high=float(high), n=number)


def agreement_of(one: Levels, other: Levels, draws: int = DRAWS) -> Agreement:
    """Kappa of one step over several sessions, with its interval."""
    return mean_agreement([(one, other)], draws)

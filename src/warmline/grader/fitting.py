"""Calibrating a grader: from labelled conversations to a head for its rubric."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from warmline.errors import WarmlineError
from warmline.grader.calibration import Head, Labelled, fit_head
from warmline.grader.grading import Grader
from warmline.labelled import LabelledTranscript
from warmline.rubric import Step

#: With fewer labelled sessions a head would say more about chance than about the labels.
LEAST_SESSIONS = 8


async def step_labels(grader: Grader, sessions: Sequence[LabelledTranscript]) -> list[Labelled]:
    """For each step that has enough labels: its signs and levels, a row a session.

    Raises:
        WarmlineError: if a label is no step of the rubric, or lies outside the step's range.
        BackendError: when the model is asked and cannot answer.
    """
    steps = {step.id: step for step in grader.rubric.steps}
    for session in sessions:
        for name, level in session.labels.items():
            if name not in steps:
                raise WarmlineError(
                    f"{session.id}: {name!r} is no step of {grader.rubric.id}. "
                    f"Its steps are {', '.join(steps)}."
                )
            if not steps[name].lowest <= level <= steps[name].highest:
                raise WarmlineError(
                    f"{session.id}: {name} has the label {level:g}, outside "
                    f"{steps[name].lowest} to {steps[name].highest}."
                )
    signs = [
        await grader.signs(
            session.transcript().model_copy(update={"id": f"{number}: {session.id}"})
        )
        for number, session in enumerate(sessions)
    ]
    return [
        _rows(step, sessions, signs, grader.own_signs)
        for step in steps.values()
        if step.borrows and sum(step.id in one.labels for one in sessions) >= LEAST_SESSIONS
    ]


def _rows(
    step: Step,
    sessions: Sequence[LabelledTranscript],
    signs: Sequence[dict[str, list[float]]],
    own: int,
) -> Labelled:
    known = [number for number, one in enumerate(sessions) if step.id in one.labels]
    return Labelled(
        step=step,
        signs=np.array([signs[number][step.id] for number in known]),
        levels=np.array([sessions[number].labels[step.id] for number in known]),
        own=own,
    )


async def fitted_head(grader: Grader, sessions: Sequence[LabelledTranscript]) -> Head:
    """The head that these labelled conversations make for the grader's rubric.

    Raises:
        WarmlineError: if the labels do not fit the rubric, or are too few.
        BackendError: when the model is asked and cannot answer.
    """
    labelled = await step_labels(grader, sessions)
    if not labelled:
        raise WarmlineError(
            f"Nothing to calibrate: a step needs `borrows` in the rubric and at least "
            f"{LEAST_SESSIONS} labelled conversations."
        )
    return fit_head(grader.entry, grader.judged_by, labelled)

"""The traits that the learned judge knows: the core steps, the faults, and two occasions.

A step of any rubric can say which steps and faults it resembles (``borrows``); for a fault, the
step's value falls as the fault grows, unless the step itself is one where lower is better.
"""

from __future__ import annotations

#: The steps of the ``core`` rubric: each is labelled in every reply of ``rubrics/labelled/``.
STEP_TRAITS = (
    "listen",
    "acknowledge",
    "perspective",
    "ask",
    "own",
    "resolve",
    "kind-no",
    "personalise",
    "close",
    "respect",
)

#: What an agent should not do, marked in the same replies.
FAULTS = (
    "stock-phrases",
    "unasked-advice",
    "minimising",
    "blaming",
    "interrogating",
    "talk-of-self",
)

#: The replies in which a step is called for at all, for the two steps that are not always.
OCCASIONS = {"kind-no": "refusing", "close": "closing"}

#: What a rubric's step can borrow.
BORROWED = (*STEP_TRAITS, *FAULTS)

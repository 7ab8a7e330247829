"""The rubrics' own examples: the detectors must see in them what the author says is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from warmline.detectors import CUES, Exchange, detect
from warmline.library import read_library
from warmline.rubric import Example, Step

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = read_library(ROOT / "personas", ROOT / "rubrics")

FAULTS = {
    "blames", "curt", "deflects", "interrogates", "minimises", "orders_the_model", "rude", "stock_phrase",
    "talks_of_self",
}  # fmt: skip

CASES = [
    pytest.param(step, example, id=f"{rubric}-{step.id}-{number}")
    for rubric, entry in LIBRARY.rubrics.items()
    for step in entry.item.steps
    for number, example in enumerate(step.examples, start=1)
]


def seen(reply: str, example: Example) -> set[str]:
    return set(detect(Exchange(reply, (example.customer,))))


def wanted(step: Step) -> list[set[str]]:
    """The signals of each check that counts for the step and has any."""
    return [set(c.signals) for c in step.checks if c.counts == "for" and c.signals]


def test_there_are_examples_and_known_faults() -> None:
    assert len(CASES) >= 50
    assert FAULTS <= CUES


@pytest.mark.parametrize(("step", "example"), CASES)
def test_a_strong_reply_shows_every_good_sign_and_no_fault(step: Step, example: Example) -> None:
    found = seen(example.strong, example)
    for signals in wanted(step):
        assert found & signals, f"none of {sorted(signals)} in {example.strong!r}"
    assert not found & FAULTS


@pytest.mark.parametrize(("step", "example"), CASES)
def test_a_weak_reply_lacks_some_good_sign(step: Step, example: Example) -> None:
    found = seen(example.weak, example)
    assert not all(found & signals for signals in wanted(step))

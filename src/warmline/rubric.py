"""A rubric: empathy steps with checks and levels, one YAML file in ``rubrics/``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from warmline.detectors import SIGNALS
from warmline.persona import Line, Slug, Text
from warmline.traits import BORROWED
from warmline.yamlfile import RuleBroken, RulesBroken, StrictModel


class Check(StrictModel):
    """One yes/no question about the agent's words, asked on its own.

    ``signals`` names detectors that look for the same thing in the text itself; the grader weighs
    them beside the model's answer. ``counts: against`` marks a question whose "yes" lowers it.
    """

    id: Slug
    ask: Line
    counts: Literal["for", "against"] = "for"
    signals: list[str] = []


class Level(StrictModel):
    """One anchored score and what it means."""

    score: int = Field(ge=0, le=100)
    means: Line


class Example(StrictModel):
    """A weak and a strong reply to the same message, and why."""

    customer: Line
    weak: Line
    strong: Line
    because: Line


class Step(StrictModel):
    """One empathy step.

    ``applies_when`` is a question about the conversation; where it is answered "no", the step is
    not applicable. ``only_for_a_no`` marks a step for conversations in which the right answer is a
    compassionate no: with a persona that says so, or does not, the question is not asked.

    ``borrows`` names the core steps and faults that the step resembles: the learned judge knows
    those, and no others. ``over_turns`` says which of the agent's turns count most: the best, the
    worst, the last, or the whole, of which the most telling turn is half; left out, the best for a
    step of scope ``turn`` and the whole for one of scope ``session``.
    """

    id: Slug
    name: Line
    why: Line
    scope: Literal["turn", "session"] = "turn"
    direction: Literal["higher_is_better", "lower_is_better"] = "higher_is_better"
    weight: float = Field(default=1.0, gt=0, le=10)
    auto_fail_below: int | None = None
    applies_when: Line | None = None
    only_for_a_no: bool = False
    borrows: list[str] = []
    over_turns: Literal["best", "worst", "last", "whole"] | None = None
    checks: list[Check] = Field(min_length=3, max_length=6)
    levels: list[Level] = Field(min_length=2, max_length=10)
    examples: list[Example] = []

    @property
    def lowest(self) -> int:
        """The lowest level's score."""
        return self.levels[0].score

    @property
    def highest(self) -> int:
        """The highest level's score."""
        return self.levels[-1].score

    @property
    def counted_turns(self) -> Literal["best", "worst", "last", "whole"]:
        """Which of the agent's turns count for what the learned judge says."""
        return self.over_turns or ("best" if self.scope == "turn" else "whole")

    def meaning(self, score: int) -> str:
        """What a level means: the description of the highest anchored level not above it.

        Raises:
            ValueError: if the score is outside the step's range.
        """
        if not self.lowest <= score <= self.highest:
            raise ValueError(f"{score} is outside {self.lowest} to {self.highest}")
        return next(level.means for level in reversed(self.levels) if level.score <= score)

    @model_validator(mode="after")
    def _rules(self) -> Step:
        broken = []
        ids = [check.id for check in self.checks]
        for index, check in enumerate(self.checks):
            if check.id in ids[:index]:
                broken.append(
                    RuleBroken(("checks", index, "id"), f"{check.id!r} stands twice; rename one")
                )
            for number, signal in enumerate(check.signals):
                if signal not in SIGNALS:
                    known = ", ".join(sorted(SIGNALS))
                    broken.append(
                        RuleBroken(
                            ("checks", index, "signals", number),
                            f"no signal {signal!r}; the signals are {known}",
                        )
                    )
        for index, trait in enumerate(self.borrows):
            if trait not in BORROWED:
                known = ", ".join(BORROWED)
                broken.append(
                    RuleBroken(
                        ("borrows", index),
                        f"no step or fault {trait!r} to borrow; there are {known}",
                    )
                )
        if all(check.counts == "against" for check in self.checks):
            broken.append(
                RuleBroken(("checks",), "every check counts against; add one that counts for")
            )
        scores = [level.score for level in self.levels]
        if scores != sorted(set(scores)):
            broken.append(RuleBroken(("levels",), "list the levels lowest first, each score once"))
        elif self.auto_fail_below is not None and not (
            scores[0] < self.auto_fail_below <= scores[-1]
        ):
            broken.append(
                RuleBroken(
                    ("auto_fail_below",),
                    f"must lie above {scores[0]} and not above {scores[-1]}, or be left out",
                )
            )
        if broken:
            raise RulesBroken(broken)
        return self


class Rubric(StrictModel):
    """Empathy steps, and how they add up."""

    id: Slug
    title: Line
    source: Line
    definition: Text
    pass_mark: int = Field(ge=0, le=100)
    steps: list[Step] = Field(min_length=1, max_length=20)

    def step(self, step_id: str) -> Step:
        """The step of that id.

        Raises:
            KeyError: if the rubric has no such step.
        """
        for step in self.steps:
            if step.id == step_id:
                return step
        raise KeyError(step_id)

    @model_validator(mode="after")
    def _rules(self) -> Rubric:
        ids = [step.id for step in self.steps]
        broken = [
            RuleBroken(("steps", index, "id"), f"{one!r} stands twice; rename one")
            for index, one in enumerate(ids)
            if one in ids[:index]
        ]
        if broken:
            raise RulesBroken(broken)
        return self

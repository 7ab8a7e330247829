"""What will not work in a rubric, rule by rule."""

from __future__ import annotations

from collections.abc import Iterator

from warmline.detectors import near_duplicates
from warmline.lint.found import Advice, in_order
from warmline.rubric import Rubric, Step

#: A step of a smaller share of the total, in percent, changes no result.
LEAST_SHARE = 1.0
#: Steps whose checks are so many questions make every grade slow.
MOST_ASKED = 60


def advice_on_rubric(rubric: Rubric) -> list[Advice]:
    """What will not work in a valid rubric, in the order of its fields."""
    found = [*_marks(rubric), *_weights(rubric), *_asked(rubric)]
    for index, step in enumerate(rubric.steps):
        for rule in (_unknown, _questions, _levels, _examples, _auto_fail):
            found += [Advice(("steps", index, *one.path), one.message) for one in rule(step)]
    return in_order(found, Rubric)


def _marks(rubric: Rubric) -> Iterator[Advice]:
    if rubric.pass_mark == 0:
        yield Advice(("pass_mark",), "with a mark of 0 everybody passes; choose a higher one")
    if rubric.pass_mark == 100:
        yield Advice(
            ("pass_mark",),
            "with a mark of 100 one level below the best in any step fails; choose a lower one",
        )


def _weights(rubric: Rubric) -> Iterator[Advice]:
    total = sum(step.weight for step in rubric.steps)
    for index, step in enumerate(rubric.steps):
        if 100 * step.weight < LEAST_SHARE * total:
            yield Advice(
                ("steps", index, "weight"),
                "it is less than 1 of 100 of the total, so that this step changes nothing; give it "
                "more, or take the step out",
            )


def _asked(rubric: Rubric) -> Iterator[Advice]:
    """Questions that stand twice: each one is asked, and counted, each time."""
    places = [
        (("steps", index, "checks", number, "ask"), check.ask)
        for index, step in enumerate(rubric.steps)
        for number, check in enumerate(step.checks)
    ]
    known: dict[str, str] = {}
    for path, ask in places:
        plain = " ".join(ask.casefold().split())
        if plain in known:
            yield Advice(
                path,
                f"the same question stands in {known[plain]}; one reply would be counted twice",
            )
        known.setdefault(plain, ".".join(str(part) for part in path[:-1]))
    alone = sum(len(step.checks) for step in rubric.steps if not step.borrows)
    if alone > MOST_ASKED:
        yield Advice(
            ("steps",),
            f"{alone} questions go to the language model for each reply; say in borrows what the "
            "steps resemble, and most need not be asked",
        )


def _unknown(step: Step) -> Iterator[Advice]:
    """A step for which nothing but the language model's answers can speak."""
    if not step.borrows and not any(check.signals for check in step.checks):
        yield Advice(
            ("borrows",),
            "only the language model judges this step, and a small one is often wrong: say in "
            "borrows which step it resembles, or give its checks signals",
        )


def _questions(step: Step) -> Iterator[Advice]:
    for number, check in enumerate(step.checks):
        if not check.ask.rstrip().endswith("?"):
            yield Advice(("checks", number, "ask"), "ask a question that yes or no answers")
    if step.applies_when is not None and not step.applies_when.rstrip().endswith("?"):
        yield Advice(("applies_when",), "ask a question that yes or no answers")


def _levels(step: Step) -> Iterator[Advice]:
    for number in near_duplicates([level.means for level in step.levels]):
        yield Advice(
            ("levels", number, "means"),
            "this says much the same as a level below; say what is better here",
        )


def _auto_fail(step: Step) -> Iterator[Advice]:
    if step.auto_fail_below is not None and step.direction == "lower_is_better":
        yield Advice(
            ("auto_fail_below",),
            "in this step a lower level is better, so that this fails whoever does well; leave it "
            "out, or turn the levels round",
        )


def _examples(step: Step) -> Iterator[Advice]:
    if not step.examples:
        yield Advice(
            ("examples",),
            "without a weak and a strong reply nobody can try whether the grader sees the "
            "difference; add one pair",
        )
    for number, example in enumerate(step.examples):
        if near_duplicates([example.weak, example.strong]):
            yield Advice(
                ("examples", number, "strong"),
                "the strong reply says much the same as the weak one; make the difference plain",
            )

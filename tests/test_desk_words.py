"""What a coach reads beside a level, and the course of the mood down a transcript's side."""

from __future__ import annotations

from typing import Any

import pytest

from snapshots import small_persona, small_rubric
from test_review import RUBRIC, grade_of
from warmline.grader.agreement import Agreement
from warmline.grader.scoring import Fitted, Grade
from warmline.rubric import Rubric
from warmline.web.behind import Behind, answer_words, behind_levels
from warmline.web.course import course_of

NORA = small_persona().item
STEP = RUBRIC.steps[0]
CHECKS = [check.id for check in STEP.checks]
FITTED = Fitted(sessions=40, mean=Agreement(kappa=0.7, low=0.6, high=0.8, n=40))


@pytest.mark.parametrize(
    ("probability", "words"),
    [
        (1.0, "yes, surely"),
        (0.85, "yes, surely"),
        (0.84, "rather yes"),
        (0.61, "rather yes"),
        (0.6, "cannot tell"),
        (0.4, "cannot tell"),
        (0.39, "rather no"),
        (0.16, "rather no"),
        (0.15, "no"),
        (0.0, "no"),
    ],
)
def test_every_probability_has_words(probability: float, words: str) -> None:
    assert answer_words(probability) == words


def behind(
    checks: dict[str, float | None],
    *,
    borrows: bool = True,
    step: dict[str, Any] | None = None,
    persona: dict[str, Any] | None = None,
    level: int | str = 3,
    **grade: Any,
) -> Behind:
    """What stands behind the first step, with what differs from an ordinary grade."""
    changes = {"borrows": ["listen"] if borrows else [], **(step or {})}
    rubric = RUBRIC.model_copy(
        update={"steps": [STEP.model_copy(update=changes), *RUBRIC.steps[1:]]}
    )
    made = grade_of("one", {STEP.id: level})
    first = made.steps[0].model_copy(update={"checks": checks})
    made = made.model_copy(update={"steps": [first, *made.steps[1:]], "judge": "judge-1", **grade})
    return behind_levels(made, rubric, NORA.model_copy(update=persona or {}))[STEP.id]


def test_a_level_that_came_from_answers_shows_each_with_its_weight() -> None:
    values = dict(zip(CHECKS, [0.9, 0.5, 0.7], strict=False))
    found = behind({**dict.fromkeys(CHECKS), **values}, borrows=False)
    assert "from these answers alone" in found.words
    assert [(line.answer, line.percent) for line in found.checks[:3]] == [
        ("yes, surely", 90), ("cannot tell", 50), ("rather yes", 70),
    ]  # fmt: skip
    assert [line.ask for line in found.checks] == [check.ask for check in STEP.checks]
    assert [line.against for line in found.checks] == [
        check.counts == "against" for check in STEP.checks
    ]
    assert "in the reply where" in found.words
    whole = behind(dict.fromkeys(CHECKS, 0.9), borrows=False, step={"scope": "session"})
    assert "of the whole conversation" in whole.words
    # A question that stayed open among answered ones is not taken for one that was not asked.
    assert {line.answer for line in found.checks[3:]} <= {"no clear answer"}
    assert "signs found" in found.short


def test_signs_and_faults_are_counted_apart() -> None:
    against = [check.id for check in STEP.checks if check.counts == "against"]
    signs = [check for check in CHECKS if check not in against]
    assert against
    good = behind({one: 0.1 if one in against else 0.9 for one in CHECKS}, borrows=False)
    assert good.short == f"{len(signs)} of {len(signs)} signs found, no fault"
    bad = behind({one: 0.9 if one in against else 0.5 for one in CHECKS}, borrows=False)
    faults = "1 fault" if len(against) == 1 else f"{len(against)} faults"
    assert bad.short == f"0 of {len(signs)} signs found, {faults}"


def test_the_learned_judges_level_is_not_shown_as_if_checks_had_made_it() -> None:
    found = behind(dict.fromkeys(CHECKS))
    assert found.short == "the learned judge, no checks asked"
    assert "had no say" in found.words
    assert {(line.answer, line.percent) for line in found.checks} == {("not asked", None)}
    none = behind(dict.fromkeys(CHECKS), level="unclear")
    assert "came to no level" in none.words
    # Where the model was asked as well, its answers had a say, and not the only one.
    both = behind(dict.fromkeys(CHECKS, 0.9))
    assert "75%" in both.words
    assert "weighed together" in behind(dict.fromkeys(CHECKS, 0.9), head=FITTED).words
    # A grade from before there was a judge names none.
    assert "from these answers alone" in behind(dict.fromkeys(CHECKS, 0.9), judge="").words


def test_a_step_without_any_answer_says_why() -> None:
    nobody = behind(dict.fromkeys(CHECKS), borrows=False, level="unclear", backend="none")
    assert "no model to ask" in nobody.words
    vague = behind(dict.fromkeys(CHECKS), borrows=False, level="unclear")
    assert "no clear answer" in vague.words
    assert {line.answer for line in vague.checks} == {"no clear answer"}


def test_a_step_that_was_not_needed_shows_why_and_no_numbers() -> None:
    asked = {"applies_when": "Did the customer speak of a loss?", "only_for_a_no": False}
    values: dict[str, float | None] = dict.fromkeys(CHECKS, 0.9)
    found = behind(values, step=asked, level="not_applicable")
    assert (found.short, found.checks) == ("not needed", ())
    assert "Did the customer speak of a loss?" in found.words
    assert "The answer was no" in found.words
    for_a_no = {**asked, "only_for_a_no": True}
    words = behind(values, step=for_a_no, level="not_applicable").words
    assert "a kind no" in words
    assert "speak of a loss" not in words
    refusing = {"borrows": ["kind-no"], "applies_when": None}
    assert "being refused" in behind(values, step=refusing, level="not_applicable").words
    plain: dict[str, Any] = {"borrows": [], "applies_when": None}
    assert "did not call for" in behind(values, step=plain, level="not_applicable").words


def test_every_step_of_a_grade_has_something_behind_it() -> None:
    grade: Grade = grade_of("one", {})
    rubric: Rubric = small_rubric().item
    assert set(behind_levels(grade, rubric, NORA)) == {step.id for step in rubric.steps}


def test_no_two_moods_of_a_ladder_look_the_same() -> None:
    rung = NORA.ladder[0]
    for count in range(3, 8):
        moods = [f"mood-{number}" for number in range(count)]
        ladder = [rung.model_copy(update={"mood": mood}) for mood in moods]
        course = course_of(NORA.model_copy(update={"ladder": ladder}), {})
        bars = [one.bar for one in course.ladder]
        assert len(set(bars)) == count
        assert bars == sorted(bars)
        assert (bars[0], bars[-1]) == ("rung-0", "rung-6")
        assert [one.place for one in course.ladder] == list(range(1, count + 1))
        assert (course.first, course.last, course.at) == ("", "", {})


def test_the_course_runs_from_the_first_mood_to_the_last() -> None:
    moods = NORA.moods
    course = course_of(NORA, {0: NORA.start, 4: moods[-1], 2: "never heard of"})
    assert (course.first, course.last) == (NORA.start, moods[-1])
    assert set(course.at) == {0, 4}
    assert (course.at[4].place, course.at[4].of) == (len(moods), len(moods))

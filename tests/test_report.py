"""The report card: plain words, the trainee's own quotes, and nothing they should not see."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from snapshots import small_persona, small_rubric
from warmline.grader.coaching import Coaching, NextStep, Rewrite, Strength
from warmline.grader.evidence import Quote
from warmline.grader.learned import shipped_judge
from warmline.grader.scoring import Grade, StepGrade
from warmline.library import Library
from warmline.report import report_card, trust
from warmline.rubric import Rubric
from warmline.store import StoredGrade, StoredTurn

NORA, SMALL = small_persona().item, small_rubric().item
AT = "2026-03-10T09:00:00.000Z"
TURNS = [
    StoredTurn("t0", 0, "customer", NORA.opening, AT),
    StoredTurn("t1", 1, "agent", "Reference number?", AT),
    StoredTurn("t2", 2, "customer", "I gave it twice.", AT),
    StoredTurn("t3", 3, "agent", "You gave it twice, and the flat is still cold.", AT),
]
QUOTE = Quote(turn=3, quote="You gave it twice")
LEVELS = {"hear": 4, "rush": 2, "close": 0}


def step(step_id: str) -> StepGrade:
    own = SMALL.step(step_id)
    level = LEVELS.get(step_id)
    return StepGrade(
        id=own.id,
        name=own.name,
        status="unclear" if level is None else "graded",
        level=level,
        means="" if level is None else own.meaning(level),
        lowest=own.lowest,
        highest=own.highest,
        weight=own.weight,
        checks={check.id: 0.8642 for check in own.checks},
        evidence=[QUOTE] if step_id == "hear" else [],
        reason="The signs point neither way." if level is None else "",
    )


def card(total: float | None = 71.5, **changes: Any) -> dict[str, Any]:
    grade = Grade(
        id="s",
        rubric="small",
        rubric_hash="f" * 16,
        persona_hash="e" * 16,
        total=total,
        passed=changes.pop("passed", None if total is None else total >= 60),
        failed_by=changes.pop("failed_by", []),
        pass_mark=60,
        steps=[step(own.id) for own in SMALL.steps],
        prompt_version="checks-9",
        backend="scripted",
        model="a-small-model",
        digest="d" * 64,
    )
    coaching = Coaching(
        strengths=[Strength(step="hear", name="Hear them", quote=QUOTE, means="Heard.")],
        next_step=NextStep(
            step="close",
            name="Close kindly",
            why="The end is what stays.",
            customer_said="I gave it twice.",
            turn=3,
            aim="Ended kindly.",
        ),
        rewrite=Rewrite(turn=1, original=TURNS[1].text, rewritten="Better.", reason="Warmer."),
    )
    coaching = coaching.model_copy(update=changes)
    stored = StoredGrade("s", AT, grade.model_dump(mode="json"), coaching.model_dump(mode="json"))
    return report_card(stored, TURNS, NORA, SMALL)


def values(node: Any) -> Iterator[Any]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield key
            yield from values(value)
    elif isinstance(node, list):
        for value in node:
            yield from values(value)
    else:
        yield node


def test_the_card_holds_no_check_no_probability_and_nothing_hidden() -> None:
    text = json.dumps(card())
    checks = [check for own in SMALL.steps for check in own.checks]
    hidden = [word for fact in NORA.facts for word in fact.giveaways]
    for secret in [
        *(check.id for check in checks if "-" in check.id),
        *(check.ask for check in checks),
        *hidden,
        "checks",
        "8642",
        "f" * 16,
        "d" * 64,
    ]:
        assert secret not in text
    assert not [value for value in values(card()) if isinstance(value, float)]


@pytest.mark.parametrize(
    ("total", "changes", "heading"),
    [
        (71.5, {}, "You got there"),
        (41.0, {}, "A start to build on"),
        (71.5, {"passed": False, "failed_by": ["hear"]}, "Let's look at this one together"),
        (None, {}, "Not enough to judge by"),
    ],
    ids=["passed", "below the mark", "failed by one step", "no total"],
)
def test_the_heading_says_how_it_went(
    total: float | None, changes: dict[str, Any], heading: str
) -> None:
    made = card(total, **changes)
    assert made["heading"] == heading
    assert made["summary"]


@pytest.mark.parametrize(
    ("total", "shown"), [(None, None), (0.0, 0), (59.9, 59), (60.0, 60), (100.0, 100)]
)
def test_the_total_shown_agrees_with_the_mark(total: float | None, shown: int | None) -> None:
    made = card(total)
    assert made["total"] == shown
    assert made["passed"] is (None if shown is None else shown >= made["pass_mark"])


def test_a_step_that_fails_the_whole_is_named_with_its_limit() -> None:
    (line,) = card(71.5, passed=False, failed_by=["hear"])["failed_by"]
    assert "Hear them" in line
    assert "reach 2" in line
    assert "stands at 4" in line


def test_steps_come_in_the_rubrics_order_with_their_meaning_or_reason() -> None:
    made = card()["steps"]
    assert [one["name"] for one in made] == [own.name for own in SMALL.steps]
    assert [(one["status"], one["level"]) for one in made] == [
        ("graded", 4), ("graded", 2), ("graded", 0), ("unclear", None)
    ]  # fmt: skip
    assert all(one["means"] or one["reason"] for one in made)


def test_quotes_name_the_reply_and_the_message_to_jump_to() -> None:
    made = card()
    expected = {
        "quote": "You gave it twice", "shows": "for", "turn": 3, "turn_id": "t3", "reply": 2,
    }  # fmt: skip
    assert made["steps"][0]["evidence"] == [expected]
    assert made["coaching"]["strengths"][0]["quote"] == expected
    assert made["coaching"]["rewrite"]["quote"]["reply"] == 1
    assert made["coaching"]["next_step"]["moment"] == (
        "Try it where Nora wrote “I gave it twice.” (before your reply 2)."
    )


def test_the_words_that_counted_against_the_trainee_stand_beside_what_to_work_on() -> None:
    against = Quote(turn=3, quote="You gave it twice", shows="against")
    following = NextStep(
        step="close", name="Close kindly", why="", customer_said="", turn=3, aim="", against=against
    )
    shown = card(next_step=following)["coaching"]["next_step"]["against"]
    assert (shown["quote"], shown["shows"], shown["reply"]) == (against.quote, "against", 2)
    assert card()["coaching"]["next_step"]["against"] is None
    # Coaching that was kept before there were such words.
    kept = following.model_dump(mode="json", exclude={"against"})
    assert NextStep.model_validate(kept).against is None


def test_what_the_coach_left_out_is_left_out() -> None:
    made = card(rewrite=None, next_step=None, strengths=[])["coaching"]
    assert made == {"strengths": [], "next_step": None, "rewrite": None}


def test_the_card_names_the_model_that_graded() -> None:
    assert "a-small-model" in card()["trust"]


def graded_by(rubric: Rubric, **fields: Any) -> str:
    stored = Grade.model_validate({**json.loads(GRADED), **fields})
    return trust(stored, rubric)


GRADED = Grade(
    id="s", rubric="r", rubric_hash="f", total=70.0, passed=True, pass_mark=70, steps=[],
    prompt_version="p", backend="b", model="m", digest="d", judge="j",
).model_dump_json()  # fmt: skip


def test_the_line_on_trust_says_no_more_than_was_measured(library: Library) -> None:
    core, nine = library.rubric("core").item, library.rubric("nine-steps").item
    assert f"{int(100 * shipped_judge().within_one)} times in 100" in graded_by(core)
    assert "not a person's" in graded_by(core)
    assert "has not been measured" in graded_by(nine)
    assert "has not been measured" in graded_by(SMALL)
    fitted = {"sessions": 20, "mean": {"kappa": 0.61, "low": 0.43, "high": 0.68, "n": 20}}
    line = graded_by(nine, head=fitted)
    assert "20 conversations that people had graded" in line
    assert "0.61" in line

"""The report card: a grade and its coaching in the words and order in which a person reads them."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Sequence
from typing import Any

from warmline.edits import Edit
from warmline.grader.coaching import Coaching
from warmline.grader.evidence import Quote
from warmline.grader.learned import shipped_judge
from warmline.grader.scoring import Grade, StepGrade
from warmline.persona import Persona
from warmline.review import final_grade
from warmline.rubric import Rubric
from warmline.store import StoredGrade, StoredTurn

DIFFICULTY_WORDS = {1: "gentle", 2: "fairly gentle", 3: "demanding", 4: "hard", 5: "very hard"}

#: What stands where a step has no level.
STATUS_WORDS = {"unclear": "unclear", "not_applicable": "not needed here"}

#: What a report card says about itself, by who graded.
TRUST_JUDGE = (
    "Graded on this machine. On practice replies it had never seen, the grader was within one "
    "level of the label {within_one} times in 100; those labels were a language model's, not a "
    "person's. The quotes are yours word for word, the levels are a first opinion, and a coach's "
    "word goes before it."
)
TRUST_HEAD = (
    "Graded on this machine, fitted to {sessions} conversations that people had graded; with "
    "those it had not seen it agreed at {kappa:.2f}, where 1 is always and 0 is chance. The quotes "
    "are yours word for word, and a coach's word goes before it."
)
TRUST_UNMEASURED = (
    "Graded{by}, on this machine. How far the grade can be trusted has not been measured for this "
    "rubric: the quotes are yours word for word, the levels a first opinion, and a coach's "
    "word goes before it."
)


def trust(grade: Grade, rubric: Rubric) -> str:
    """One honest line on how far to trust this grade."""
    if grade.head is not None:
        return TRUST_HEAD.format(sessions=grade.head.sessions, kappa=grade.head.mean.kappa)
    # The judge was measured on the core steps themselves, not on steps that resemble them.
    if grade.judge and all(step.borrows == [step.id] for step in rubric.steps):
        return TRUST_JUDGE.format(within_one=math.floor(100 * shipped_judge().within_one))
    asked = any(not step.borrows for step in rubric.steps)
    return TRUST_UNMEASURED.format(by=f" by {grade.model}" if asked else "")


def report_card(
    stored: StoredGrade,
    turns: list[StoredTurn],
    persona: Persona,
    rubric: Rubric,
    edits: Sequence[Edit] = (),
) -> dict[str, Any]:
    """The report card as plain values, ready to be shown, with what coaches changed.

    A trainee sees names, levels and their meaning, their own words, and the coaching: no check,
    no probability, nothing that the persona hides.
    """
    machines = Grade.model_validate(stored.grade)
    grade = final_grade(machines, rubric, edits)
    overrides = {edit.step: edit for edit in edits if edit.kind == "override"}
    coaching = Coaching.model_validate(stored.coaching)
    heading, summary = _opening(grade, persona)
    return {
        "session_id": stored.session_id,
        "heading": heading,
        "summary": summary,
        # Rounded down: 69.6 is not the 70 that had to be reached.
        "total": None if grade.total is None else math.floor(grade.total),
        "passed": grade.passed,
        "pass_mark": grade.pass_mark,
        "failed_by": [
            _failed_line(step, rubric) for step in grade.steps if step.id in grade.failed_by
        ],
        "steps": [
            _step(step, turns) | _change(machine, overrides.get(step.id))
            for step, machine in zip(grade.steps, machines.steps, strict=True)
        ],
        "coaching": {
            "strengths": [
                {
                    "step": one.step,
                    "name": one.name,
                    "means": one.means,
                    "quote": _quote(one.quote, turns),
                }
                for one in coaching.strengths
            ],
            "next_step": _next_step(coaching, turns, persona),
            "rewrite": coaching.rewrite
            and {
                "quote": _quote(
                    Quote(turn=coaching.rewrite.turn, quote=coaching.rewrite.original), turns
                ),
                "rewritten": coaching.rewrite.rewritten,
                "reason": coaching.rewrite.reason,
            },
        },
        "trust": trust(grade, rubric),
        "replies": [
            {"turn": turn.number, "words": shortened(turn.text)}
            for turn in turns
            if turn.role == "agent"
        ],
    }


def as_text(words: str) -> str:
    """Words that are shown as they are written, where Markdown is read.

    The chat's Markdown also takes a colon before a word for an order.
    """
    return re.sub(r"([\\`*_{}\[\]<>#|~&!:])", r"\\\1", words)


def coach_words(edit: Edit, turns: list[StoredTurn], rubric: Rubric) -> str:
    """What a trainee reads of one thing that a coach did; empty if it is nothing to them."""
    words = as_text(edit.words)
    about = "" if edit.turn is None else f" your reply {reply_number(edit.turn, turns)}"
    match edit.kind:
        case "override":
            name = rubric.step(edit.step or "").name
            after = STATUS_WORDS.get(edit.after or "", edit.after)
            return f"I changed “{as_text(name)}” to {after}: {words}"
        case "comment":
            return f"About{about or ' this conversation'}: {words}"
        case "approve":
            return "I have read this conversation, and your feedback stands."
        case "try_again":
            where = f"from{about}" if about else "from the start"
            return (
                f"Please try again {where}: {words} "
                "(“Try a moment again”, below your feedback, takes you there.)"
            )
        case _:
            return ""


def shortened(text: str, longest: int = 90) -> str:
    """The beginning of a message on one line, cut between words."""
    return textwrap.shorten(text, longest, placeholder=" …")


def _opening(grade: Grade, persona: Persona) -> tuple[str, str]:
    first = persona.name.split()[0]
    if grade.total is None:
        return (
            "Not enough to judge by",
            "Too many steps were unclear for a fair total. What could be read stands below; a "
            "longer conversation says more.",
        )
    if grade.passed:
        return "You got there", f"{first} had somebody to talk to. Here is what made it so."
    if grade.failed_by:
        return (
            "Let's look at this one together",
            f"Some of it was hard for {first} to hear. It can be said another way; see below.",
        )
    return (
        "A start to build on",
        f"There is more that {first} needed. Below is what you already have, and one thing to "
        "try next.",
    )


def _failed_line(step: StepGrade, rubric: Rubric) -> str:
    limit = rubric.step(step.id).auto_fail_below
    return (
        f"“{step.name}” has to reach {limit}, whatever else was good; it stands at {step.level}. "
        "Until then a fifth of the total counts. The words that it rests on are quoted there, and "
        "a coach can overrule it."
    )


def _step(step: StepGrade, turns: list[StoredTurn]) -> dict[str, Any]:
    return {
        "id": step.id,
        "name": step.name,
        "status": step.status,
        "level": step.level,
        "lowest": step.lowest,
        "highest": step.highest,
        "means": step.means,
        "reason": step.reason,
        "evidence": [_quote(quote, turns) for quote in step.evidence],
    }


def _change(machine: StepGrade, override: Edit | None) -> dict[str, Any]:
    """Who changed a step, why, and what the machine had said; nothing if nobody did."""
    if override is None:
        return {"changed_by": None}
    said = STATUS_WORDS.get(machine.status) or f"{machine.level} of {machine.highest}"
    return {"changed_by": override.coach, "why": override.words, "machine": said}


def reply_number(turn: int, turns: list[StoredTurn]) -> int:
    """Which of the agent's replies a turn is, from 1."""
    return sum(one.role == "agent" for one in turns if one.number <= turn)


def _quote(quote: Quote, turns: list[StoredTurn]) -> dict[str, Any]:
    return {
        "quote": quote.quote,
        "shows": quote.shows,
        "turn": quote.turn,
        "turn_id": turns[quote.turn].id,
        "reply": reply_number(quote.turn, turns),
    }


def _next_step(
    coaching: Coaching, turns: list[StoredTurn], persona: Persona
) -> dict[str, Any] | None:
    following = coaching.next_step
    if following is None:
        return None
    first = persona.name.split()[0]
    reply = reply_number(following.turn, turns)
    moment = f"Try it where {first} wrote “{following.customer_said}” (before your reply {reply})."
    return {
        "step": following.step,
        "name": following.name,
        "why": following.why,
        "against": following.against and _quote(following.against, turns),
        "moment": moment if following.customer_said else "",
    }

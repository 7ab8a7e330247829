"""What came of trying a rubric, as its page shows it."""

from __future__ import annotations

from typing import Any

from fastapi import HTTPException

from warmline.accounts import Who
from warmline.grader.scoring import StepGrade
from warmline.rubric import Step
from warmline.transcript import Transcript
from warmline.trying.rubric import (
    RubricTrial,
    StepFound,
    Talk,
    changes,
    level_shown,
    side_by_side,
)
from warmline.web.behind import answer_words
from warmline.web.reading import readable


def pairs_shown(trial: RubricTrial) -> list[dict[str, Any]]:
    """For each version, how many pairs were told apart, and those that were not."""
    return [
        {
            "label": version.heading,
            "count": len(pairs),
            "right": sum(pair.right for pair in pairs),
            "wrong": [
                {
                    "step": pair.step.name,
                    "example": pair.example,
                    "weak": _valued(pair.step, pair.weak),
                    "strong": _valued(pair.step, pair.strong),
                }
                for pair in pairs
                if not pair.right
            ],
        }
        for version, pairs in zip(trial.versions, trial.pairs, strict=False)
    ]


def _valued(step: Step, value: float | None) -> str:
    if value is None:
        return "no clear answer"
    return f"{round(100 * value)} of 100, level {level_shown(step, value)}"


async def talks_shown(who: Who, trial: RubricTrial) -> list[dict[str, Any]]:
    """The conversations as they are shown; one that may not be read any more is only named so."""
    found: list[dict[str, Any]] = []
    for talk in trial.talks:
        if talk.session_id is not None:
            try:
                await readable(who, talk.session_id)
            except HTTPException:
                found.append({"gone": True})
                continue
        found.append(
            {
                "gone": False,
                "name": talk.name,
                "session": talk.session_id,
                "turns": talk.transcript.turns,
                "problem": talk.problem,
                "graded": [
                    {
                        "label": version.heading,
                        "grade": result.grade,
                        "steps": [_step(one, talk.transcript) for one in result.steps],
                    }
                    for version, result in zip(trial.versions, talk.results, strict=False)
                ],
                "rows": _rows(trial, talk),
            }
        )
    return found


def _rows(trial: RubricTrial, talk: Talk) -> list[dict[str, Any]]:
    """The steps of two versions beside each other, once both have graded."""
    if len(talk.results) < 2:
        return []
    first, second = ({one.step.id: one for one in r.steps} for r in talk.results)
    rows = []
    for old, new in side_by_side(*(version.entry.item for version in trial.versions)):
        one = first[old.id] if old else None
        other = second[new.id] if new else None
        levels = [_level(step) for step in (one, other)]
        step = new or old
        assert step is not None
        rows.append(
            {
                "name": step.name,
                "levels": levels,
                "differs": levels[0] != levels[1],
                "changes": changes(old, new),
            }
        )
    return rows


def _level(found: StepFound | None) -> str:
    if found is None:
        return "not in it"
    return _level_of(found.grade)


def _level_of(grade: StepGrade) -> str:
    if grade.level is not None:
        return f"{grade.level} of {grade.highest}"
    return "unclear" if grade.status == "unclear" else "not needed here"


def _step(found: StepFound, transcript: Transcript) -> dict[str, Any]:
    """A step of the result as the page shows it."""
    replies = {turn: number for number, turn in enumerate(transcript.agent_turns(), start=1)}
    usual, with_all = _level_of(found.grade), _level_of(found.with_all)
    return {
        "name": found.step.name,
        "level": usual,
        "words": found.grade.means or found.grade.reason,
        "with_all": with_all if with_all != usual else "",
        "borrows": found.step.borrows,
        "lowest": found.step.lowest,
        "highest": found.step.highest,
        "learned": None if found.learned is None else round(100 * found.learned),
        "by_reply": [
            (replies[turn], round(100 * value))
            for turn, value in found.by_reply.items()
            if turn in replies
        ],
        "quotes": [(one.quote, replies.get(one.turn), one.shows) for one in found.grade.evidence],
        "checks": [
            {
                "ask": one.check.ask,
                "against": one.check.counts == "against",
                "words": "no clear answer" if one.strength is None else answer_words(one.strength),
                "percent": _percent(one.strength),
                "answered": _percent(one.answered),
                "neutral": _percent(one.neutral),
                "seen": one.seen,
                "reply": replies.get(one.turn) if one.turn is not None else None,
                "quote": one.quote.quote if one.quote else "",
                "quote_reply": replies.get(one.quote.turn) if one.quote else None,
            }
            for one in found.checks
        ],
    }


def _percent(value: float | None) -> int | None:
    return None if value is None else round(100 * value)

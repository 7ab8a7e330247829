"""A trainee's own progress: their steps over time, and what became of each piece of feedback."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response

from warmline.errors import NotFound
from warmline.progress import LEAST, Asked, asked_for, next_persona, weeks_in_a_row, with_personas
from warmline.results import Result, StepResult
from warmline.rubric import Rubric, Step
from warmline.web import runtime
from warmline.web.access import who_of
from warmline.web.charts import line_chart
from warmline.web.due import customer
from warmline.web.history import card_of
from warmline.web.reading import NONE, readable
from warmline.web.templating import render

router = APIRouter()

#: So many conversations are drawn, the newest; and so many pieces of feedback listed.
_DRAWN = 30
_ASKED = 5

#: Why a customer is suggested, in words.
WHY = {
    "first": "a gentle one to begin with",
    "harder": "the last two went well, so somebody a little harder",
    "gentler": "the last two were hard, so somebody a little gentler",
    "new": "somebody new, about as hard",
    "again": "about as hard, and met longest ago",
}


@router.get("/progress")
async def progress(request: Request, rubric: str = "") -> Response:
    """Where somebody stands, by their own conversations."""
    parts = runtime.current()
    results = await parts.results.of(who_of(request.scope).user.id)
    rubrics = sorted({one.rubric_id for one in results})
    chosen = rubric if rubric in rubrics else (results[-1].rubric_id if results else "")
    ones = [one for one in results if one.rubric_id == chosen]
    of = await _rubric_of(ones[-1]) if ones else None
    names = {step.id: step.name for step in of.steps} if of else {}
    return render(
        request,
        "progress.html",
        rubrics=rubrics,
        chosen=chosen,
        conversations=len(results),
        customers=len({one.persona_id for one in results}),
        weeks=weeks_in_a_row(
            [date.fromisoformat(one.created_at[:10]) for one in results], datetime.now(UTC).date()
        ),
        steps=[_step_row(step, ones) for step in of.steps] if of else [],
        least=LEAST,
        asked=[_asked_row(one, names) for one in asked_for(ones)[:_ASKED]],
        personas=[
            {
                "name": customer(one.persona_id)[0],
                "sessions": one.sessions,
                "best": one.best,
                "latest": one.latest,
            }
            for one in with_personas(ones)
        ],
        suggested=_suggested(results),
        history=results[::-1],
        # Nothing comes before these.
        firsts={one.rubric_id: one.session_id for one in results[::-1]}.values(),
    )


async def _rubric_of(result: Result) -> Rubric:
    session = await runtime.current().store.session(result.session_id)
    return (await runtime.current().practice.rubric_of(session)).item


def _suggested(results: list[Result]) -> dict[str, str] | None:
    met = [(one.persona_id, one.passed) for one in results[::-1] if one.passed is not None]
    difficulties = {
        name: entry.item.difficulty for name, entry in runtime.current().library.personas.items()
    }
    found = next_persona(met, difficulties)
    if found is None:
        return None
    name, title = customer(found[0])
    return {"name": name, "title": title, "why": WHY[found[1]]}


def _levels(step: Step, results: list[Result]) -> list[float | None]:
    """A step's levels on its scale of today, one for each session; None where it has none."""
    found: list[float | None] = []
    for result in results:
        one = result.steps.get(step.id)
        if one is None or one.share is None:
            found.append(None)
            continue
        share = one.share if step.direction == "higher_is_better" else 1 - one.share
        found.append(step.lowest + share * (step.highest - step.lowest))
    return found


def _step_row(step: Step, results: list[Result]) -> dict[str, Any]:
    graded = [level for level in _levels(step, results[-_DRAWN:]) if level is not None]
    return {
        "id": step.id,
        "name": step.name,
        "highest": step.highest,
        "count": len(graded),
        "first": graded[0] if graded else None,
        "latest": graded[-1] if graded else None,
        "levels": graded,
        "drawn": len(graded) >= LEAST,
    }


def level_words(one: StepResult | None) -> str:
    """A step's result in a word or a number."""
    if one is None or one.status == "not_applicable":
        return "not needed"
    return "unclear" if one.level is None else str(one.level)


def _asked_row(one: Asked, names: dict[str, str]) -> dict[str, Any]:
    return {
        "name": names.get(one.step, one.step),
        "said_in": one.said_in,
        "then": one.then,
        "before": level_words(one.before),
        "after": level_words(one.after),
        "outcome": one.outcome,
    }


@router.get("/progress/steps/{rubric}/{step}")
async def step_chart(request: Request, rubric: str, step: str) -> Response:
    """One step over time, as a picture."""
    results = await runtime.current().results.of(who_of(request.scope).user.id)
    ones = [one for one in results if one.rubric_id == rubric][-_DRAWN:]
    of = await _rubric_of(ones[-1]) if ones else None
    known = next((one for one in of.steps if one.id == step), None) if of else None
    levels = _levels(known, ones) if known else []
    if known is None or sum(level is not None for level in levels) < LEAST:
        raise HTTPException(404, "There are too few conversations for a line.")
    days = [date.fromisoformat(one.created_at[:10]) for one in ones]
    marks = range(known.lowest, known.highest + 1)
    picture = line_chart(days, levels, known.lowest, known.highest, marks=list(marks))
    return Response(picture, media_type="image/svg+xml")


@router.get("/progress/{session_id}")
async def since_last_time(request: Request, session_id: str) -> Response:
    """What somebody did better than last time, in their own words of both times."""
    parts = runtime.current()
    who = who_of(request.scope)
    now = await readable(who, session_id)
    earlier = await parts.results.earlier(session_id)
    stored = await parts.store.grade(session_id)
    if now.session.user_id != who.user.id:
        raise HTTPException(404, NONE)
    if earlier is None or stored is None:
        raise HTTPException(404, "There is nothing to compare this conversation with yet.")
    before = await parts.practice.view(earlier)
    stored_before = await parts.store.grade(earlier)
    if stored_before is None:
        raise NotFound(NONE)
    cards = (await card_of(before, stored_before), await card_of(now, stored))
    was = {step["id"]: step for step in cards[0]["steps"]}
    pairs = [(was[step["id"]], step) for step in cards[1]["steps"] if step["id"] in was]
    return render(
        request,
        "since_last_time.html",
        before=before.session,
        now=now.session,
        totals=[card["total"] for card in cards],
        better=[pair for pair in pairs if _rise(*pair) > 0],
        others=[pair for pair in pairs if _rise(*pair) <= 0],
    )


def _rise(before: dict[str, Any], now: dict[str, Any]) -> float:
    """By how much a step rose, as a part of its scale; 0 where one of both has no level."""
    if before["level"] is None or now["level"] is None:
        return 0.0
    parts = [
        (one["level"] - one["lowest"]) / (one["highest"] - one["lowest"]) for one in (before, now)
    ]
    return float(parts[1] - parts[0])

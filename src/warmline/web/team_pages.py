"""A team on the coach's desk: who stands where, what is weakest and why, and what comes next."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response

from warmline.accounts import Who
from warmline.grader.coaching import Coaching
from warmline.progress import (
    LEAST,
    LOW,
    TeamStep,
    next_persona,
    persona_verdict,
    team_steps,
)
from warmline.report import reply_number, shortened
from warmline.results import PersonaResult, StepMean, Week
from warmline.rubric import Rubric, Step
from warmline.tables import Table, as_csv, as_json
from warmline.web import runtime
from warmline.web.access import who_of
from warmline.web.charts import line_chart
from warmline.web.due import customer
from warmline.web.printing import download, printed_table
from warmline.web.progress_pages import WHY
from warmline.web.templating import render

router = APIRouter()

#: A trainee stands where their newest conversations put them, so many of them.
EACH = 10
#: Trends and customers are looked at over so many weeks.
WEEKS = 12
#: The weakest steps, and the places that show why, for each.
_WEAKEST = 3
_PLACES = 2
_MORE_PLACES = 8


@dataclass(frozen=True)
class Team:
    """What one rubric says of the trainees on a coach's desk."""

    rubric: Rubric
    means: list[StepMean]
    weakest: list[TeamStep]

    def share(self, user_id: str, step: str) -> StepMean | None:
        """One trainee's step."""
        return next((m for m in self.means if (m.user_id, m.step) == (user_id, step)), None)


def _since() -> str:
    """The Monday with which the weeks begin that are looked at."""
    today = datetime.now(UTC).date()
    return (today - timedelta(days=today.weekday(), weeks=WEEKS - 1)).isoformat()


async def _rubric(who: Who, asked: str) -> tuple[list[str], Rubric | None]:
    """The rubrics in use on a desk, and the one that is looked at."""
    parts = runtime.current()
    used = await parts.results.rubrics(who.user.id, own=who.local, since=_since())
    there = [one for one in used if one in parts.library.rubrics]
    chosen = asked if asked in there else next(iter(there), None)
    return there, parts.library.rubrics[chosen].item if chosen else None


async def _team(who: Who, rubric: Rubric) -> Team:
    means = await runtime.current().results.step_means(
        who.user.id, rubric.id, own=who.local, each=EACH
    )
    # Steps that only an older version of the rubric had say nothing of this one.
    known = {step.id for step in rubric.steps}
    means = [one for one in means if one.step in known]
    enough = [one for one in team_steps(means) if one.sessions >= LEAST]
    return Team(rubric, means, enough)


def _level(step: Step, share: float) -> float:
    part = share if step.direction == "higher_is_better" else 1 - share
    return step.lowest + part * (step.highest - step.lowest)


def _cell(step: Step, one: StepMean | None) -> dict[str, Any] | None:
    """A cell of the heat map; without a colour where there are too few conversations."""
    if one is None:
        return None
    heat = min(4, int(one.share * 5)) if one.sessions >= LEAST else None
    return {"level": _level(step, one.share), "sessions": one.sessions, "heat": heat}


def _heat_map(team: Team) -> list[dict[str, Any]]:
    """A row for each trainee, whoever needs most help first."""
    by_user: dict[str, dict[str, StepMean]] = {}
    for one in team.means:
        by_user.setdefault(one.user_id, {})[one.step] = one
    rows = [
        {
            "user_id": user_id,
            "trainee": next(iter(ones.values())).trainee,
            "mean": sum(one.share for one in ones.values()) / len(ones),
            "cells": [_cell(step, ones.get(step.id)) for step in team.rubric.steps],
        }
        for user_id, ones in by_user.items()
    ]
    return sorted(rows, key=lambda row: (row["mean"], row["trainee"]))


@router.get("/desk/team")
async def team_page(request: Request, rubric: str = "") -> Response:
    """A team at a glance."""
    parts = runtime.current()
    who = who_of(request.scope)
    rubrics, chosen = await _rubric(who, rubric)
    if chosen is None:
        return render(request, "team.html", rubric=None)
    team = await _team(who, chosen)
    own, since = who.local, _since()
    weeks = await parts.results.weeks(who.user.id, chosen.id, own=own, since=since)
    personas = await parts.results.personas(who.user.id, chosen.id, own=own, since=since)
    rows = _heat_map(team)
    suggested = await _suggested(who, chosen)
    by_id = {step.id: step for step in chosen.steps}
    weakest = []
    for one in team.weakest[:_WEAKEST]:
        step = by_id[one.step]
        weakest.append(
            {
                "step": step,
                "level": _level(step, one.share),
                "sessions": one.sessions,
                "trainees": one.trainees,
                "places": await _places(who, chosen, step, seen=True, limit=_PLACES),
            }
        )
    return render(
        request,
        "team.html",
        rubric=chosen,
        rubrics=rubrics,
        rows=[{**row, "next": suggested.get(row["user_id"])} for row in rows],
        each=EACH,
        least=LEAST,
        weeks=_drawn(weeks),
        looked_at=WEEKS,
        weakest=weakest,
        personas=[_persona_row(one) for one in personas],
    )


def _drawn(weeks: list[Week]) -> list[Week]:
    """The weeks with enough conversations, if they make a line."""
    enough = [week for week in weeks if week.sessions >= LEAST]
    return enough if len(enough) > 1 else []


def _persona_row(one: PersonaResult) -> dict[str, Any]:
    return {
        "name": customer(one.persona_id)[0],
        "sessions": one.sessions,
        "trainees": one.trainees,
        "total": one.total if one.sessions >= LEAST else None,
        "passed": one.passed if one.sessions >= LEAST else None,
        "verdict": persona_verdict(one),
    }


async def _suggested(who: Who, rubric: Rubric) -> dict[str, dict[str, str]]:
    """For each trainee the customer to practise with next, and why."""
    parts = runtime.current()
    met = await parts.results.newest(who.user.id, rubric.id, own=who.local, each=EACH)
    difficulties = {name: one.item.difficulty for name, one in parts.library.personas.items()}
    found = {}
    for user_id, ones in met.items():
        if suggestion := next_persona(ones, difficulties):
            persona, why = suggestion
            found[user_id] = {"name": customer(persona)[0], "why": WHY[why]}
    return found


async def _places(
    who: Who, rubric: Rubric, step: Step, *, seen: bool, limit: int
) -> list[dict[str, Any]]:
    """Where a step is low: the trainee's words that show it, or what they answered instead."""
    parts = runtime.current()
    low = await parts.results.weakest(
        who.user.id, rubric.id, step.id, own=who.local, below=LOW, seen=seen, limit=limit
    )
    found = []
    for session_id, trainee in low:
        stored = await parts.store.grade(session_id)
        final = await parts.reviews.final(session_id)
        if stored is None or final is None:
            continue
        if not seen:
            await parts.reviews.see(who, session_id)
        turns = await parts.store.turns(session_id)
        one = next(one for one in final.steps if one.id == step.id)
        following = Coaching.model_validate(stored.coaching).next_step
        against = next((quote for quote in one.evidence if quote.shows == "against"), None)
        if against:
            turn, words = against.turn, against.quote
        else:
            asked = following is not None and following.step == step.id
            turn = following.turn if following and asked else 1
            words = shortened(turns[turn].text, 160) if turn < len(turns) else ""
        found.append(
            {
                "session_id": session_id,
                "trainee": trainee,
                "level": one.level,
                "turn": turn,
                "reply": reply_number(turn, turns),
                "words": words,
                "against": against is not None,
                "means": one.means,
            }
        )
    return found


def _picture(weeks: list[Week], lowest: float, highest: float, marks: list[float]) -> Response:
    """A trend as a picture; 404 where it would be drawn from too little."""
    drawn = {week.monday: week.mean for week in _drawn(weeks)}
    if not drawn:
        raise HTTPException(404, "There are too few conversations for a line.")
    mondays = [week.monday for week in weeks]
    values = [drawn.get(monday) for monday in mondays]
    days = [date.fromisoformat(monday) for monday in mondays]
    picture = line_chart(days, values, lowest, highest, marks=marks)
    return Response(picture, media_type="image/svg+xml")


@router.get("/desk/team/trend/{rubric}")
async def total_trend(request: Request, rubric: str) -> Response:
    """The mean total week by week, as a picture."""
    who = who_of(request.scope)
    weeks = await runtime.current().results.weeks(
        who.user.id, rubric, own=who.local, since=_since()
    )
    return _picture(weeks, 0, 100, [0, 25, 50, 75, 100])


async def _step(who: Who, rubric_id: str, step_id: str) -> tuple[Rubric, Step]:
    entry = runtime.current().library.rubrics.get(rubric_id)
    step = next((one for one in entry.item.steps if one.id == step_id), None) if entry else None
    if entry is None or step is None:
        raise HTTPException(404, "There is no such step.")
    return entry.item, step


@router.get("/desk/team/trend/{rubric}/{step}")
async def step_trend(request: Request, rubric: str, step: str) -> Response:
    """One step's mean level week by week, as a picture."""
    who = who_of(request.scope)
    of, one = await _step(who, rubric, step)
    weeks = await runtime.current().results.weeks(
        who.user.id, of.id, own=who.local, since=_since(), step=one.id
    )
    levels = [Week(week.monday, week.sessions, _level(one, week.mean)) for week in weeks]
    marks = [float(level) for level in range(one.lowest, one.highest + 1)]
    return _picture(levels, one.lowest, one.highest, marks)


@router.get("/desk/team/steps/{rubric}/{step}")
async def step_page(request: Request, rubric: str, step: str) -> Response:
    """One step of a team: its trend, and the newest places where it is low.

    What it shows are levels of the machine's, so those conversations count as opened.
    """
    who = who_of(request.scope)
    of, one = await _step(who, rubric, step)
    team = await _team(who, of)
    weeks = await runtime.current().results.weeks(
        who.user.id, of.id, own=who.local, since=_since(), step=one.id
    )
    return render(
        request,
        "team_step.html",
        rubric=of,
        step=one,
        weeks=_drawn(weeks),
        looked_at=WEEKS,
        means=[
            {"trainee": mean.trainee, "level": _level(one, mean.share), "sessions": mean.sessions}
            for mean in sorted(team.means, key=lambda mean: (mean.share, mean.trainee))
            if mean.step == one.id
        ],
        places=await _places(who, of, one, seen=False, limit=_MORE_PLACES),
    )


async def _table(request: Request, rubric: str) -> Table:
    who = who_of(request.scope)
    _, chosen = await _rubric(who, rubric)
    if chosen is None:
        raise HTTPException(404, "Nothing on your desk is graded yet.")
    team = await _team(who, chosen)
    columns = {"trainee": "Trainee"}
    for step in chosen.steps:
        columns |= {step.id: step.name, f"{step.id}_conversations": "n"}
    rows = []
    for row in _heat_map(team):
        cells = [
            (None, 0) if cell is None else (round(cell["level"], 2), cell["sessions"])
            for cell in row["cells"]
        ]
        rows.append([row["trainee"], *(value for cell in cells for value in cell)])
    return Table(
        f"Team, {chosen.title}",
        columns,
        rows,
        notes=[
            f"Mean levels over each trainee's newest {EACH} shared conversations.",
            "n is in how many of them the step was graded.",
        ],
    )


@router.get("/desk/team.csv")
async def team_csv(request: Request, rubric: str = "") -> Response:
    """The heat map for a spreadsheet."""
    return download(as_csv(await _table(request, rubric)), "team.csv", "text/csv")


@router.get("/desk/team.json")
async def team_json(request: Request, rubric: str = "") -> Response:
    """The heat map for a program."""
    values = as_json(await _table(request, rubric))
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    return download(text, "team.json", "application/json")


@router.get("/desk/team.html")
async def team_print(request: Request, rubric: str = "") -> Response:
    """The heat map to print."""
    return download(printed_table(await _table(request, rubric)), "team.html", "text/html")

"""The coach's desk: finding a session, reading it, correcting its grade, writing to its trainee."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Awaitable
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse

from warmline.accounts import normal_name
from warmline.customer.director import CustomerState
from warmline.desk import Wanted
from warmline.edits import Edit
from warmline.errors import WarmlineError
from warmline.grader.scoring import Grade
from warmline.report import report_card
from warmline.review import Reviewed, agreement, labels_of, reviewed
from warmline.sessions import View
from warmline.web import runtime
from warmline.web.access import who_of
from warmline.web.reading import on_desk
from warmline.web.templating import render, row

router = APIRouter()

#: Sessions on a page of the desk, and the newest reviewed ones that agreement is counted over.
PAGE = 50
REVIEWED = 200


def wanted_of(
    trainee: str = "",
    persona: str = "",
    rubric: str = "",
    since: str = "",
    until: str = "",
    passed: str = "",
    unclear: str = "",
    not_reviewed: str = "",
    words: str = "",
) -> Wanted:
    """What a coach looks for, from the address."""
    return Wanted(
        trainee=normal_name(trainee),
        persona_id=persona,
        rubric_id=rubric,
        since=_day(since),
        until=_day(until),
        passed={"yes": True, "no": False}.get(passed),
        unclear=bool(unclear),
        not_reviewed=bool(not_reviewed),
        words=words,
    )


@router.get("/desk")
async def desk(
    request: Request, wanted: Annotated[Wanted, Depends(wanted_of)], before: str = ""
) -> Response:
    """What the trainees of a coach's teams have shared, by what is looked for."""
    parts = runtime.current()
    who = who_of(request.scope)
    found = await parts.desk.sessions(
        who.user.id, wanted, own=who.local, before=before or None, limit=PAGE + 1
    )
    rows = [
        row(
            session,
            trainee=name,
            graded=session.status == "graded",
            total=session.total,
            passed=session.passed,
            unclear=session.unclear,
            reviewed=session.reviewed_at,
            # Whoever wants to grade it first must not learn the machine's total here.
            seen=seen,
        )
        for session, name, seen in found[:PAGE]
    ]
    return render(
        request,
        "desk.html",
        sessions=rows,
        asked=dict(request.query_params),
        personas=sorted(parts.library.personas),
        rubrics=sorted(parts.library.rubrics),
        query=str(request.url.query),
        more=str(request.url.include_query_params(before=rows[-1]["id"]).query)
        if len(found) > PAGE
        else "",
    )


def _day(text: str) -> str:
    """A day as it is asked for; anything else is left out."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return ""


@router.get("/desk/agreement")
async def agreement_page(request: Request) -> Response:
    """How often the coaches of these teams and the machine agreed."""
    groups: dict[tuple[str, str, str, bool], list[Reviewed]] = defaultdict(list)
    for one in await _reviewed(request):
        # By version: another one may have other steps.
        key = (one.grade.rubric, one.grade.rubric_hash, one.grade.model, one.blind)
        groups[key].append(one)
    return render(
        request,
        "agreement.html",
        groups=[
            {
                "rubric": rubric,
                "model": model,
                "blind": blind,
                "sessions": len(ones),
                "steps": agreement(ones),
            }
            for (rubric, _, model, blind), ones in sorted(groups.items())
        ],
    )


@router.get("/desk/labels/{rubric_id}")
async def labels(request: Request, rubric_id: str) -> Response:
    """Reviewed sessions as JSON lines for ``warmline calibrate``."""
    reader = runtime.current().practice
    lines = []
    for one in await _reviewed(request):
        if one.grade.rubric == rubric_id:
            transcript = await reader.store.transcript(one.session_id, "")
            if line := labels_of(one, transcript):
                lines.append(json.dumps(line, ensure_ascii=False))
    if not lines:
        raise HTTPException(404, "No reviewed conversation has labels for this rubric yet.")
    name = f"labels-{rubric_id}.jsonl"
    return PlainTextResponse(
        "\n".join(lines) + "\n",
        headers={"Content-Disposition": f'attachment; filename="{_safe(name)}"'},
        media_type="application/x-ndjson",
    )


def _safe(name: str) -> str:
    return "".join(c for c in name if c.isascii() and (c.isalnum() or c in "-_."))


async def _reviewed(request: Request) -> list[Reviewed]:
    parts = runtime.current()
    who = who_of(request.scope)
    found = await parts.desk.sessions(
        who.user.id, Wanted(judged=True), own=who.local, limit=REVIEWED
    )
    ones = []
    for session, _, seen in found:
        if not seen:
            continue
        stored = await parts.store.grade(session.id)
        if stored is not None:
            rubric = (await parts.practice.rubric_of(session)).item
            edits = await parts.reviews.edits.of(session.id)
            grade = Grade.model_validate(stored.grade)
            ones.append(reviewed(grade, rubric, session.id, edits))
    return ones


@router.get("/desk/{session_id}")
async def desk_session(request: Request, session_id: str, blind: str = "") -> Response:
    """One conversation: its turns, and each step with its quotes; blind, without the grade."""
    return await _session_page(
        request, await on_desk(who_of(request.scope), session_id), blind=bool(blind)
    )


async def _session_page(
    request: Request, view: View, *, blind: bool = False, problem: str = ""
) -> Response:
    parts = runtime.current()
    who = who_of(request.scope)
    session = view.session
    persona = await parts.practice.persona_of(session)
    rubric = (await parts.practice.rubric_of(session)).item
    stored = await parts.store.grade(session.id)
    edits = await parts.reviews.edits.of(session.id)
    saw = any(e.coach_id == who.user.id and e.kind == "seen" for e in edits)
    blind = blind and not saw and stored is not None
    if stored is not None and not blind:
        await parts.reviews.see(who, session.id)
    owner = await parts.accounts.people.user(session.user_id)
    card = None
    if stored is not None and not blind:
        card = report_card(stored, view.turns, persona, rubric, edits)
    moods = {
        turn.number: CustomerState.model_validate_json(turn.state).mood
        for turn in view.turns
        if turn.state
    }
    shown_by: dict[int, list[dict[str, str]]] = defaultdict(list)
    for step in card["steps"] if card else []:
        for quote in step["evidence"]:
            shown_by[quote["turn"]].append({"id": step["id"], "name": step["name"]})
    return render(
        request,
        "desk_session.html",
        422 if problem else 200,
        session=row(session, trainee=owner.identifier),
        customer=persona.name,
        turns=view.turns,
        moods=moods,
        shown_by=shown_by,
        card=card,
        rubric=rubric,
        blind=blind,
        own_blind={
            e.step: e.after for e in edits if e.kind == "blind" and e.coach_id == who.user.id
        },
        comments=_by_turn(edits),
        history=[edit for edit in edits if edit.kind not in ("seen", "blind")],
        names={step.id: step.name for step in rubric.steps},
        problem=problem,
    )


def _by_turn(edits: list[Edit]) -> dict[int | None, list[Edit]]:
    found: dict[int | None, list[Edit]] = defaultdict(list)
    for edit in edits:
        if edit.kind in ("comment", "try_again"):
            found[edit.turn].append(edit)
    return found


async def _done(
    request: Request, view: View, work: Awaitable[None], *, blind: bool = False
) -> Response:
    """Do it and show the session anew; a problem is said on the page, and nothing was changed."""
    try:
        await work
    except WarmlineError as error:
        return await _session_page(request, view, blind=blind, problem=str(error))
    return RedirectResponse(f"/desk/{view.session.id}", 303)


Text = Annotated[str, Form()]


@router.post("/desk/{session_id}/override")
async def override(
    request: Request, session_id: str, step: Text, level: Text, reason: Text = ""
) -> Response:
    """Correct a level."""
    view = await on_desk(who_of(request.scope), session_id)
    work = runtime.current().reviews.override(
        who_of(request.scope), session_id, step, level, reason
    )
    return await _done(request, view, work)


@router.post("/desk/{session_id}/comment")
async def comment(request: Request, session_id: str, words: Text = "", turn: Text = "") -> Response:
    """Write to the trainee."""
    view = await on_desk(who_of(request.scope), session_id)
    work = runtime.current().reviews.comment(
        who_of(request.scope), session_id, words, _number(turn)
    )
    return await _done(request, view, work)


@router.post("/desk/{session_id}/approve")
async def approve(request: Request, session_id: str) -> Response:
    """Let the grade stand."""
    view = await on_desk(who_of(request.scope), session_id)
    work = runtime.current().reviews.approve(who_of(request.scope), session_id)
    return await _done(request, view, work)


@router.post("/desk/{session_id}/send-back")
async def send_back(
    request: Request, session_id: str, words: Text = "", turn: Text = ""
) -> Response:
    """Ask for another try."""
    view = await on_desk(who_of(request.scope), session_id)
    work = runtime.current().reviews.send_back(
        who_of(request.scope), session_id, words, _number(turn)
    )
    return await _done(request, view, work)


@router.post("/desk/{session_id}/blind")
async def grade_blind(request: Request, session_id: str) -> Response:
    """Keep the coach's own levels, given before they saw the machine's."""
    view = await on_desk(who_of(request.scope), session_id)
    form = await request.form()
    levels = {
        name.removeprefix("level-"): str(value)
        for name, value in form.items()
        if name.startswith("level-") and value
    }
    work = runtime.current().reviews.grade_blind(who_of(request.scope), session_id, levels)
    return await _done(request, view, work, blind=True)


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 9 else None

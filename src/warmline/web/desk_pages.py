"""The coach's desk: finding a session, reading it, correcting its grade, writing to its trainee."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Awaitable
from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Form, HTTPException, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse

from warmline.accounts import normal_name
from warmline.desk import Judged, Wanted
from warmline.edits import Edit
from warmline.errors import WarmlineError
from warmline.grader.scoring import Grade
from warmline.plans import today
from warmline.records import moods_of
from warmline.report import report_card
from warmline.review import agreement, labels_of
from warmline.sessions import View
from warmline.web import runtime
from warmline.web.access import who_of
from warmline.web.behind import behind_levels
from warmline.web.course import course_of
from warmline.web.due import of_desk
from warmline.web.reading import on_desk
from warmline.web.templating import render, row

router = APIRouter()

#: Sessions on a page of the desk.
PAGE = 50
#: How far back agreement is counted unless a coach asks for another day.
COUNTED = timedelta(weeks=12)


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
async def agreement_page(request: Request, since: str = "") -> Response:
    """How often the coaches of these teams and the machine agreed, since a day."""
    who = who_of(request.scope)
    day = _counted_since(since)
    ones = await runtime.current().desk.judged(who.user.id, day, own=who.local)
    groups: dict[tuple[str, str, str, bool], list[Judged]] = defaultdict(list)
    for one in ones:
        # By version: another one may have other steps.
        groups[(one.rubric_id, one.rubric_hash, one.model, one.blind)].append(one)
    return render(
        request,
        "agreement.html",
        since=day,
        count=len(ones),
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
async def labels(request: Request, rubric_id: str, since: str = "") -> Response:
    """The same sessions of one rubric as JSON lines for ``warmline calibrate``."""
    who = who_of(request.scope)
    desk = runtime.current().desk
    ones = await desk.judged(who.user.id, _counted_since(since), rubric_id=rubric_id, own=who.local)
    said = await desk.transcripts([one.session_id for one in ones])
    lines = [
        json.dumps(line, ensure_ascii=False)
        for one in ones
        # One that was deleted in the meantime has nothing to learn from.
        if one.session_id in said and (line := labels_of(one, said[one.session_id]))
    ]
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


def _counted_since(text: str) -> str:
    """The day from which agreement is counted: as asked for, else twelve weeks ago."""
    return _day(text) or (today() - COUNTED).isoformat()


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
    card, behind, assigned = None, {}, None
    # All three tell the result, or what it is made of.
    if stored is not None and not blind:
        card = report_card(stored, view.turns, persona, rubric, edits)
        behind = behind_levels(Grade.model_validate(stored.grade), rubric, persona)
        assigned = await of_desk(session)
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
        course=course_of(persona, moods_of(view.turns)),
        shown_by=shown_by,
        card=card,
        behind=behind,
        assigned=assigned,
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

"""Assignments: what a trainee is to practise, and what a coach gave and got back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import FormData

from warmline.errors import NotFound, WarmlineError
from warmline.plans import (
    LONGEST_NOTE,
    MOST_TRIES,
    Asked,
    Assignment,
    Given,
    Try,
    Work,
    day_of,
    planned,
    today,
)
from warmline.web import runtime
from warmline.web.access import who_of
from warmline.web.due import (
    MEANS,
    customer,
    due_words,
    hand_in_words,
    playable,
    startable,
    tries_words,
)
from warmline.web.runtime import Wish
from warmline.web.templating import STATUS, day_words, render

router = APIRouter()

#: Assignments on a page of a coach's.
PAGE = 20

#: With more trainees than this, an assignment is shown folded.
_FOLDED_FROM = 12

#: What a page says after something was done.
_DONE = {
    "handed-in": "Handed in. Your coaches can read that conversation and its feedback now.",
    "assigned": "Assigned. It stands above the customers now, and on the page Assignments.",
    "withdrawn": "Withdrawn. It is not shown to trainees any more; what was handed in stays below.",
}


# For the trainee


@router.get("/assignments")
async def assignments(request: Request, done: str = "") -> Response:
    """What somebody is to practise: what is open, then what is done."""
    return await _own_page(request, done=_DONE.get(done, ""))


async def _own_page(request: Request, *, done: str = "", problem: str = "") -> Response:
    works = await runtime.current().assignments.of_trainee(who_of(request.scope).user.id)
    return render(
        request,
        "assignments.html",
        422 if problem else 200,
        to_do=[_own(one) for one in works if one.open],
        over=[_own(one) for one in works if not one.open],
        means=MEANS,
        done=done,
        problem=problem,
    )


def _own(work: Work) -> dict[str, Any]:
    """An assignment as its trainee sees it."""
    assignment = work.assignment
    return {
        **_assignment(assignment),
        "due": due_words(assignment, today(), still_open=work.open),
        "tries": tries_words(work),
        "passed": work.passed,
        "best": work.best,
        "playable": playable(assignment),
        "practised": [
            {
                **_try(one, assignment),
                "status": STATUS.get(one.status, ""),
                "talking": one.status == "talking",
                "hand_in": hand_in_words(work)
                if one.status == "graded" and not one.handed_in_at and work.tries_left != 0
                else "",
            }
            for one in reversed(work.tries)
        ],
    }


def _assignment(assignment: Assignment) -> dict[str, Any]:
    name, title = customer(assignment.persona_id)
    rubric = runtime.current().library.rubrics.get(assignment.rubric_id)
    return {
        "id": assignment.id,
        "name": name,
        "title": title,
        "rubric": rubric.item.title if rubric else f"{assignment.rubric_id} (not here any more)",
        "coach": assignment.coach,
        "pass_mark": assignment.pass_mark,
        "note": assignment.note,
    }


def _try(one: Try, assignment: Assignment) -> dict[str, Any]:
    now = today()
    return {
        "id": one.session_id,
        "title": one.title,
        "on": day_words(day_of(one.created_at), now),
        "handed_in": day_words(day_of(one.handed_in_at), now) if one.handed_in_at else "",
        "late": bool(one.handed_in_at) and assignment.is_late(one.handed_in_at or ""),
        "total": one.total,
        "passed": one.passes(assignment.pass_mark),
        "seen": one.seen,
    }


@router.post("/assignments/{assignment_id}/start")
async def start(request: Request, assignment_id: str) -> Response:
    """Go to the chat, where the customer of an assignment begins to talk."""
    user_id = who_of(request.scope).user.id
    try:
        found = await startable(user_id, assignment_id)
    except NotFound as error:
        raise HTTPException(404, str(error)) from error
    except WarmlineError as error:
        return await _own_page(request, problem=str(error))
    runtime.current().wanted[user_id] = Wish(found.persona_id, found.id)
    return RedirectResponse("/", 303)


@router.post("/assignments/tries/{session_id}/hand-in")
async def hand_in(request: Request, session_id: str) -> Response:
    """Hand in a conversation of one's own as a try."""
    try:
        await runtime.current().assignments.hand_in(who_of(request.scope).user.id, session_id)
    except NotFound as error:
        raise HTTPException(404, str(error)) from error
    except WarmlineError as error:
        return await _own_page(request, problem=str(error))
    return RedirectResponse("/assignments?done=handed-in", 303)


# For the coach


@router.get("/desk/assignments")
async def given(request: Request, before: str = "", done: str = "") -> Response:
    """What the trainees of a coach's teams were given, and how far they are."""
    return await _desk_page(request, before=before, done=_DONE.get(done, ""))


async def _desk_page(
    request: Request,
    *,
    status: int = 200,
    before: str = "",
    done: str = "",
    problems: Sequence[str] = (),
    asked: Asked | None = None,
    chosen: Sequence[str] = (),
    team: str = "",
) -> Response:
    parts = runtime.current()
    who = who_of(request.scope)
    found = await parts.assignments.given(
        who.user.id, own=who.local, before=before or None, limit=PAGE + 1
    )
    trainees = await parts.assignments.trainees(who.user.id, own=who.local)
    return render(
        request,
        "desk_assignments.html",
        status,
        given=[_given(one) for one in found[:PAGE]],
        more=found[PAGE - 1].assignment.id if len(found) > PAGE else "",
        later=bool(before),
        trainees=trainees,
        teams=sorted({one for trainee in trainees for one in trainee.teams}),
        personas=sorted(
            (entry.item for entry in parts.library.personas.values()),
            key=lambda persona: (persona.difficulty, persona.name),
        ),
        rubrics=sorted(
            (entry.item for entry in parts.library.rubrics.values()), key=lambda one: one.title
        ),
        today=today().isoformat(),
        most_tries=MOST_TRIES,
        longest_note=LONGEST_NOTE,
        asked=asked or Asked(),
        chosen=chosen,
        team=team,
        done=done,
        problems=problems,
    )


def _given(one: Given) -> dict[str, Any]:
    """An assignment as a coach sees it."""
    assignment = one.assignment
    now = today()
    return {
        **_assignment(assignment),
        "due": due_words(assignment, now),
        "tries": assignment.tries,
        "withdrawn": day_words(day_of(assignment.withdrawn_at), now)
        if assignment.withdrawn_at
        else "",
        "may_withdraw": one.may_withdraw,
        "folded": len(one.works) > _FOLDED_FROM,
        "passed": sum(work.passed for work in one.works),
        "not_opened": sum(work.not_opened for work in one.works),
        "works": [
            {
                "trainee": work.trainee,
                "state": _state(work),
                "result": _result(work),
                "best": work.best,
                "handed_in": [_try(done, assignment) for done in work.handed_in],
            }
            for work in one.works
        ],
    }


def _state(work: Work) -> str:
    """Where a trainee is, in words for their coach."""
    used, tries = len(work.handed_in), work.assignment.tries
    if used:
        return f"{used} of {tries} tries handed in" if tries else f"{used} handed in"
    return "practising" if work.begun else "not started"


def _result(work: Work) -> str:
    """What came of it so far, as far as the coach who asks may know it."""
    assignment = work.assignment
    if work.passed:
        return "passed"
    if work.not_opened:
        return "not opened yet"
    if work.open and not assignment.withdrawn_at and assignment.due_on < today().isoformat():
        return "overdue"
    if work.handed_in:
        return "not passed yet" if work.open else "not passed"
    return ""


@router.post("/desk/assignments")
async def assign(request: Request) -> Response:
    """Give trainees something to practise; what was typed stays there if something is wrong."""
    parts = runtime.current()
    who = who_of(request.scope)
    form = await request.form()
    asked = Asked(
        persona=_typed(form, "persona"),
        rubric=_typed(form, "rubric"),
        due=_typed(form, "due"),
        mark=_typed(form, "mark"),
        tries=_typed(form, "tries"),
        # Browsers send a line's end as two characters, and count it as one.
        note=_typed(form, "note").replace("\r\n", "\n"),
    )
    chosen = [one for one in form.getlist("trainee") if isinstance(one, str)]
    team = _typed(form, "team")
    status, problems = 422, []
    try:
        plan = planned(parts.library, asked, today())
    except WarmlineError as error:
        problems = str(error).splitlines()
    if not problems:
        try:
            await parts.assignments.assign(who.user.id, plan, chosen, team, own=who.local)
        except NotFound as error:
            status, problems = 404, [str(error)]
        except WarmlineError as error:
            problems = [str(error)]
    elif not chosen and not team:
        problems.append("Choose at least one trainee, or a team.")
    if problems:
        return await _desk_page(
            request, status=status, problems=problems, asked=asked, chosen=chosen, team=team
        )
    return RedirectResponse("/desk/assignments?done=assigned", 303)


def _typed(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value.strip() if isinstance(value, str) else ""


@router.post("/desk/assignments/{assignment_id}/withdraw")
async def withdraw(request: Request, assignment_id: str) -> Response:
    """Take an assignment back."""
    who = who_of(request.scope)
    try:
        await runtime.current().assignments.withdraw(who.user.id, assignment_id, own=who.local)
    except NotFound as error:
        raise HTTPException(404, str(error)) from error
    except WarmlineError as error:
        return await _desk_page(request, status=422, problems=[str(error)])
    return RedirectResponse("/desk/assignments?done=withdrawn", 303)

"""Getting things out: lists and sessions from the coach's desk, and everything of one's own."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from warmline.database import now
from warmline.desk import Wanted
from warmline.edits import Edit
from warmline.export import file_stem, session_rows, session_table
from warmline.persona import Persona
from warmline.records import everything, moods_of, record
from warmline.report import STATUS_WORDS, reply_number, report_card
from warmline.rubric import Rubric
from warmline.sessions import View
from warmline.store import StoredSession
from warmline.summaries import summaries
from warmline.tables import Table, as_json
from warmline.web import runtime
from warmline.web.access import who_of
from warmline.web.course import course_of
from warmline.web.desk_pages import wanted_of
from warmline.web.printing import download, printed, printed_table
from warmline.web.reading import on_desk
from warmline.web.templating import STATUS
from warmline.xapi import home_of, statements

router = APIRouter()

#: The parts of a result that are left empty for a coach who has not opened it.
_HIDDEN: dict[str, Any] = {"total": None, "passed": None, "unclear": None, "auto_failed": None}

#: What coaches do for themselves: nothing that is read later beside a session.
_UNSAID = ("seen", "blind")

JSON = "application/json"


def _json(values: object) -> str:
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"


async def _found(request: Request, wanted: Wanted) -> list[tuple[StoredSession, str, bool]]:
    """The sessions of a desk's list, with their trainees, and whether this coach saw the grade.

    A result that they have not opened is left empty.
    """
    who = who_of(request.scope)
    found = await runtime.current().desk.sessions(who.user.id, wanted, own=who.local, limit=-1)
    return [
        (session if seen else replace(session, **_HIDDEN), name, seen)
        for session, name, seen in found
    ]


@router.get("/desk/sessions.csv")
async def sessions_csv(request: Request, wanted: Annotated[Wanted, Depends(wanted_of)]) -> Response:
    """The desk's list as a table for a spreadsheet, without what was said."""
    found = await _found(request, wanted)
    table = session_table([(session, name) for session, name, _ in found])
    return download(table, "sessions.csv", "text/csv")


@router.get("/desk/sessions.json")
async def sessions_json(
    request: Request, wanted: Annotated[Wanted, Depends(wanted_of)]
) -> Response:
    """The same for a program, with what stands of each step."""
    found = await _found(request, wanted)
    values = as_json(session_rows([(session, name) for session, name, _ in found]))
    ids = [session.id for session, _, seen in found if seen]
    known = await summaries(runtime.current().store.database, ids)
    for row, (session, _, seen) in zip(values["rows"], found, strict=True):
        row["passed"] = None if session.passed is None else bool(session.passed)
        row["seen"] = seen
        row["steps"] = None
        if seen and session.id in known:
            row["steps"] = [
                {"step": one.step, "status": one.status, "level": one.level, "share": one.share}
                for one in known[session.id].steps
            ]
    return download(_json(values), "sessions.json", JSON)


@router.get("/desk/sessions.html")
async def sessions_html(
    request: Request, wanted: Annotated[Wanted, Depends(wanted_of)]
) -> Response:
    """The same to print."""
    found = await _found(request, wanted)
    table = Table(
        "Conversations",
        {
            "trainee": "Trainee",
            "title": "Conversation",
            "started": "Started (UTC)",
            "rubric": "Rubric",
            "result": "Result",
            "reviewed": "Reviewed",
        },
        [
            (
                name,
                session.title,
                session.created_at[:16].replace("T", " "),
                session.rubric_id,
                _result(session, seen=seen),
                (session.reviewed_at or "")[:10],
            )
            for session, name, seen in found
        ],
        [
            f"{len(found)} conversations, newest first; printed {now()[:10]}. A result that you "
            "have not opened is left out."
        ],
    )
    return download(printed_table(table), "sessions.html", "text/html")


def _result(session: StoredSession, *, seen: bool) -> str:
    if session.status == "graded" and not seen:
        return "graded"
    if session.total is None:
        return "too much unclear" if session.status == "graded" else STATUS[session.status]
    verdict = "passed" if session.passed else "not passed"
    unclear = f", {session.unclear} unclear" if session.unclear else ""
    # Rounded down: 69.6 is not the 70 that had to be reached.
    return f"{int(session.total)} of 100, {verdict}{unclear}"


@router.get("/desk/statements.json")
async def statements_json(
    request: Request, wanted: Annotated[Wanted, Depends(wanted_of)]
) -> Response:
    """The graded ones among the same as xAPI statements, for a learning-record store."""
    parts = runtime.current()
    found = await _found(request, wanted)
    made = await statements(parts.practice, found, home_of(parts.settings.public_url))
    return download(_json(made), "statements.json", JSON)


@dataclass(frozen=True)
class _Whole:
    """One session with all that a coach may read of it."""

    view: View
    trainee: str
    persona: Persona
    rubric: Rubric
    card: dict[str, Any] | None
    edits: list[Edit]
    record: dict[str, Any]


async def _whole(request: Request, session_id: str) -> _Whole:
    """A session on this coach's desk. To open it whole is to see the machine's grade.

    Raises:
        HTTPException: 404 for any that is not on their desk.
    """
    parts = runtime.current()
    who = who_of(request.scope)
    view = await on_desk(who, session_id)
    stored = await parts.store.grade(session_id)
    if stored is not None:
        await parts.reviews.see(who, session_id)
    persona = await parts.practice.persona_of(view.session)
    rubric = (await parts.practice.rubric_of(view.session)).item
    edits = await parts.reviews.edits.of(session_id)
    card = report_card(stored, view.turns, persona, rubric, edits) if stored else None
    said = [edit for edit in edits if edit.kind not in _UNSAID]
    owner = await parts.accounts.people.user(view.session.user_id)
    values = {
        "trainee": owner.identifier,
        **record(view, persona, card, said, moods_of(view.turns)),
    }
    return _Whole(view, owner.identifier, persona, rubric, card, said, values)


@router.get("/desk/{session_id}/session.json")
async def session_json(request: Request, session_id: str) -> Response:
    """One session whole, for a program."""
    whole = await _whole(request, session_id)
    return download(_json(whole.record), f"{file_stem(whole.view.session)}.json", JSON)


@router.get("/desk/{session_id}/session.html")
async def session_html(request: Request, session_id: str) -> Response:
    """One session whole, to print."""
    whole = await _whole(request, session_id)
    turns = whole.view.turns
    comments: dict[int | None, list[Edit]] = defaultdict(list)
    for edit in whole.edits:
        if edit.kind in ("comment", "try_again"):
            comments[edit.turn].append(edit)
    page = printed(
        "print_session.html",
        session=whole.view.session,
        trainee=whole.trainee,
        customer=whole.persona.name,
        rubric=whole.rubric.title,
        turns=turns,
        course=course_of(whole.persona, moods_of(turns)),
        replies={turn.number: reply_number(turn.number, turns) for turn in turns},
        card=whole.card,
        comments=comments,
        history=whole.edits,
        names={step.id: step.name for step in whole.rubric.steps},
        words=STATUS_WORDS,
        made_at=now(),
    )
    return download(page, f"{file_stem(whole.view.session)}.html", "text/html")


@router.get("/your-data/everything.json")
async def everything_json(request: Request) -> Response:
    """All that is kept of whoever asks, as one file."""
    kept = await everything(runtime.current().practice, who_of(request.scope).user)
    return download(_json(kept), "everything.json", JSON)

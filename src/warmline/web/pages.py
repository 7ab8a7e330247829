"""The pages beside the chat for everybody: one's own data, two tries; and the accounts."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from warmline.accounts import Who
from warmline.errors import HandedIn, NotFound
from warmline.store import StoredSession
from warmline.web import runtime
from warmline.web.access import who_of
from warmline.web.history import card_of
from warmline.web.reading import NONE, readable
from warmline.web.templating import render, row

router = APIRouter()

#: What a page says after something was done.
_DONE = {
    "shared": "Shared. Your coaches can read that conversation and its feedback now.",
    "private": "Private again. Your coaches can no longer read that conversation.",
    "deleted": "Deleted. Nothing of that conversation is left here.",
    "deleted-but-tries": "Deleted. What you tried again from it are conversations of their own and "
    "begin with the same words; delete them too if you want those gone.",
    "everything": "Deleted. Nothing that you practised is left here.",
}


@router.get("/your-data")
async def your_data(request: Request, done: str = "") -> Response:
    """What is kept of somebody, who can read it, and for how long."""
    parts = runtime.current()
    who = who_of(request.scope)
    sessions = await parts.store.sessions(who.user.id)
    handed_in = await parts.assignments.handed_in_by(who.user.id)
    return render(
        request,
        "your_data.html",
        sessions=[row(session, handed_in=session.id in handed_in) for session in sessions],
        coaches=await parts.accounts.people.coaches_of(who.user),
        retention_days=parts.settings.retention_days,
        remote=parts.remote,
        done=_DONE.get(done, ""),
    )


async def _own_session(who: Who, session_id: str) -> StoredSession:
    """A session of one's own; somebody else's is answered as if it did not exist."""
    try:
        session = await runtime.current().store.session(session_id)
    except NotFound as error:
        raise HTTPException(404, NONE) from error
    if session.user_id != who.user.id:
        raise HTTPException(404, NONE)
    return session


def _back(done: str) -> Response:
    return RedirectResponse(f"/your-data?done={done}", 303)


@router.post("/your-data/{session_id}/share")
async def share(request: Request, session_id: str) -> Response:
    """Let the coaches of one's teams read a conversation."""
    session = await _own_session(who_of(request.scope), session_id)
    await runtime.current().store.share(session.id, shared=True)
    return _back("shared")


@router.post("/your-data/{session_id}/keep-private")
async def keep_private(request: Request, session_id: str) -> Response:
    """Take that back."""
    session = await _own_session(who_of(request.scope), session_id)
    try:
        await runtime.current().store.share(session.id, shared=False)
    except HandedIn as error:
        raise HTTPException(409, str(error)) from error
    return _back("private")


@router.post("/your-data/{session_id}/delete")
async def delete(request: Request, session_id: str) -> Response:
    """Delete a conversation with everything that belongs to it."""
    session = await _own_session(who_of(request.scope), session_id)
    parts = runtime.current()
    again = await parts.store.branches(session.id)
    await parts.practice.forget(session.id)
    return _back("deleted-but-tries" if again else "deleted")


@router.post("/your-data/delete-everything")
async def delete_everything(request: Request) -> Response:
    """Delete all conversations of whoever asks."""
    parts = runtime.current()
    sessions = await parts.store.sessions(who_of(request.scope).user.id, limit=-1)
    await parts.practice.forget(*(session.id for session in sessions))
    return _back("everything")


@router.get("/compare/{session_id}")
async def compare(request: Request, session_id: str) -> Response:
    """Two tries at one moment, side by side, with what changed."""
    parts = runtime.current()
    who = who_of(request.scope)
    later = await readable(who, session_id)
    if later.session.branch_of is None:
        raise HTTPException(404, "This conversation is no second try of another.")
    earlier = await readable(who, later.session.branch_of)
    cards = []
    for view in (earlier, later):
        stored = await parts.store.grade(view.session.id)
        if stored and view.session.user_id != who.user.id:
            await parts.reviews.see(who, view.session.id)
        cards.append(await card_of(view, stored) if stored else None)
    persona = await parts.practice.persona_of(later.session)
    start = later.session.branch_turn or 0
    return render(
        request,
        "compare.html",
        title=later.session.title,
        customer=persona.name,
        before=[turn for turn in later.turns if turn.number < start][-1:],
        tries=[
            {"name": name, "turns": [t for t in view.turns if t.number >= start], "card": card}
            for name, view, card in zip(
                ("The first time", "The second time"), (earlier, later), cards, strict=True
            )
        ],
        steps=list(zip(cards[0]["steps"], cards[1]["steps"], strict=True))
        if cards[0] and cards[1]
        else [],
    )


@router.get("/accounts")
async def accounts(request: Request) -> Response:
    """Who may sign in. Accounts are made and changed at the command line."""
    users = await runtime.current().accounts.people.all()
    return render(request, "accounts.html", users=[u for u in users if u.signs_in_with])

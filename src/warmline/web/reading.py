"""Reading a session that is not necessarily one's own."""

from __future__ import annotations

from fastapi import HTTPException

from warmline.accounts import Who
from warmline.errors import NotFound
from warmline.sessions import View
from warmline.web import runtime

NONE = "There is no such conversation."


async def readable(who: Who, session_id: str) -> View:
    """A session that somebody may read.

    Raises:
        HTTPException: 404 for any other, as for one that does not exist, so that nobody learns
            which conversations there are.
    """
    parts = runtime.current()
    try:
        view = await parts.practice.view(session_id)
    except NotFound as error:
        raise HTTPException(404, NONE) from error
    if not await parts.accounts.may_read(who, view.session):
        raise HTTPException(404, NONE)
    return view


async def on_desk(who: Who, session_id: str) -> View:
    """A session that somebody may review: another's, or anybody's where one person is alone.

    Raises:
        HTTPException: 404 for any other.
    """
    view = await readable(who, session_id)
    if view.session.user_id == who.user.id and not who.local:
        raise HTTPException(404, NONE)
    return view

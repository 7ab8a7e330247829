"""The chat's socket and the presses of its buttons: what of them is taken."""

from __future__ import annotations

import logging
from typing import Annotated

from chainlit.auth import get_current_user
from chainlit.server import call_action, sio
from chainlit.session import WebsocketSession
from chainlit.types import CallActionRequest
from chainlit.user import PersistedUser
from fastapi import APIRouter, Depends, HTTPException, Response

from warmline.web import runtime
from warmline.web.access import who_by

log = logging.getLogger(__name__)

router = APIRouter()


@router.post("/project/action")
async def press(
    payload: CallActionRequest, user: Annotated[PersistedUser, Depends(get_current_user)]
) -> Response:
    """Pass on the press of a button, if the page it was pressed on is still connected."""
    if WebsocketSession.get_by_id(payload.sessionId) is None:
        raise HTTPException(404, "This page is no longer connected. Reload it.")
    response: Response = await call_action(payload, user)
    return response


#: What the page needs. Every other event that the chat library listens to, now or in a later
#: version, is left unheard.
TAKEN = {
    "connect",
    "connection_successful",
    "clear_session",
    "disconnect",
    "stop",
    "client_message",
    "window_message",
}


def close_other_events(largest_frame: int) -> None:
    """Replace the handlers of all other events by one that does nothing.

    Args:
        largest_frame: the longest frame that a page may send, in bytes.
    """
    sio.eio.max_http_buffer_size = largest_frame

    # The library's own says that a task was stopped; here it is a line that was broken off, and
    # whoever was writing it says so.
    sio.on("stop", _stop)

    library_resumes = sio.handlers["/"]["connection_successful"]

    async def resume(sid: str) -> None:
        # It gives out the whole conversation, so the login has to hold now and not only then.
        session = WebsocketSession.get(sid)
        token = session.token if session else None
        if await who_by(runtime.current().accounts, token) is None:
            await sio.disconnect(sid)
            return
        await library_resumes(sid)

    sio.on("connection_successful", resume)

    async def unheard(sid: str, *_: object) -> None:
        log.info("an event that is not taken came over a socket")

    for event in list(sio.handlers.get("/", {})):
        if event not in TAKEN:
            sio.on(event, unheard)


async def _stop(sid: str) -> None:
    session = WebsocketSession.get(sid)
    if session and session.current_task:
        session.current_task.cancel()

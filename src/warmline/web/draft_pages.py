"""Practising with a customer as they are in the studio, published or not."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from warmline.accounts import Who
from warmline.errors import NotFound, WarmlineError
from warmline.library import Entry
from warmline.persona import Persona
from warmline.web import runtime
from warmline.web.access import who_of
from warmline.web.runtime import Wish
from warmline.yamlfile import parse_yaml

router = APIRouter()


class NotYet(WarmlineError):
    """The draft cannot be practised with as it is."""


async def drafted(who: Who, persona_id: str) -> Entry[Persona]:
    """A persona to practise with as it is in the studio: its draft, or what is published.

    Raises:
        NotFound: if there is neither, or whoever asks is no trainer.
        NotYet: if it has problems, which the studio shows.
    """
    if not who.has("trainer"):
        raise NotFound("That customer is still being written.")
    studio = runtime.current().studio
    opened = await studio.open("persona", persona_id)
    if await asyncio.to_thread(studio.problems, "persona", persona_id, opened.text):
        raise NotYet(
            "This draft has something to mend before anybody can practise with it. Open it in the "
            "studio: it says what, and where."
        )
    item = await asyncio.to_thread(parse_yaml, opened.text, opened.file, Persona)
    return Entry(item, opened.file, opened.text)


@router.post("/studio/persona/{item_id}/practise")
async def practise(request: Request, item_id: str) -> Response:
    """Go to a new conversation with this customer as they are now in the studio."""
    who = who_of(request.scope)
    try:
        await drafted(who, item_id)
    except NotYet:
        # The page of the draft says at each field what has to be mended.
        return RedirectResponse(f"/studio/persona/{item_id}", 303)
    runtime.current().wanted[who.user.id] = Wish(item_id, draft=True)
    return RedirectResponse("/", 303)

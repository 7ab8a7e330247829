"""The trainer's studio: publishing a draft, throwing it away, and what was there before."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from warmline.drafts import Overtaken
from warmline.errors import NotFound, Problem, WarmlineError
from warmline.lint import advice_in
from warmline.studio import ChangedOnDisk, Invalid, Opened, difference
from warmline.web.access import who_of
from warmline.web.printing import download
from warmline.web.studio_common import AKind, AnId, moment, path_of, placed, state_words, studio
from warmline.web.templating import render

router = APIRouter()

Text = Annotated[str, Form()]


# Publishing


@router.get("/studio/{kind}/{item_id}/publish")
async def publish_page(request: Request, kind: AKind, item_id: AnId) -> Response:
    """What would be published: what is different, what is to be mended, what might not work."""
    return await _publish_page(request, await studio().open(kind, item_id))


async def _publish_page(
    request: Request, opened: Opened, *, status: int = 200, problem: str = ""
) -> Response:
    found = await asyncio.to_thread(studio().problems, opened.kind, opened.item_id, opened.text)
    return render(
        request,
        "studio_publish.html",
        status,
        opened=opened,
        path=path_of(opened.kind, opened.item_id),
        state=state_words(opened, who_of(request.scope)),
        shown=placed(found, {one.field for one in found}, opened),
        advice=[] if found else await asyncio.to_thread(_advice, opened),
        difference=difference(opened.disk or "", opened.text),
        problem=problem,
    )


def _advice(opened: Opened) -> list[Problem]:
    """What is valid and yet may not work; never a reason not to publish."""
    try:
        return advice_in(opened.kind, opened.text, opened.file)
    except WarmlineError:
        return []


@router.post("/studio/{kind}/{item_id}/publish")
async def publish(
    request: Request, kind: AKind, item_id: AnId, read: Text = "", seen: Text = ""
) -> Response:
    """Write the draft to its file."""
    user_id = who_of(request.scope).user.id
    try:
        await studio().publish(kind, item_id, read=_number(read), user_id=user_id, seen=seen)
    except NotFound as error:
        raise HTTPException(404, str(error)) from error
    except (Overtaken, ChangedOnDisk, Invalid) as error:
        return await _again(request, kind, item_id, 409, error)
    except WarmlineError as error:
        return await _again(request, kind, item_id, 503, error)
    return RedirectResponse(f"{path_of(kind, item_id)}?done=published", 303)


async def _again(
    request: Request, kind: AKind, item_id: AnId, status: int, error: WarmlineError
) -> Response:
    """The page to publish on, with what stood in the way and how it is now."""
    opened = await studio().open(kind, item_id)
    words = str(error)
    if isinstance(error, Overtaken):
        words = f"Not published: {error.theirs.by or 'somebody'} changed it just now. Look again."
    return await _publish_page(request, opened, status=status, problem=words)


@router.post("/studio/{kind}/{item_id}/discard")
async def discard(request: Request, kind: AKind, item_id: AnId, read: Text = "") -> Response:
    """Throw the draft away."""
    user_id = who_of(request.scope).user.id
    opened = await studio().open(kind, item_id)
    if not opened.is_draft:
        return RedirectResponse(path_of(kind, item_id), 303)
    try:
        await studio().discard(kind, item_id, read=_number(read), user_id=user_id)
    except Overtaken as error:
        words = f"Not discarded: {error.theirs.by or 'somebody'} changed it just now. Look again."
        now = await studio().open(kind, item_id)
        return await _publish_page(request, now, status=409, problem=words)
    if opened.disk is None:
        return RedirectResponse(f"{path_of(kind, item_id)}/history?done=discarded", 303)
    return RedirectResponse(f"{path_of(kind, item_id)}?done=discarded", 303)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 9 else -1


# What was there before


@router.get("/studio/{kind}/{item_id}/history")
async def history(request: Request, kind: AKind, item_id: AnId, done: str = "") -> Response:
    """The versions: who published them, and when."""
    told = "The draft is discarded. Until you bring it back from here, it is in no list."
    return await _history_page(request, kind, item_id, done=told if done == "discarded" else "")


async def _history_page(
    request: Request, kind: AKind, item_id: AnId, *, done: str = "", problem: str = ""
) -> Response:
    versions = await studio().history(kind, item_id)
    kept = await studio().kept(kind, item_id)
    now = ""
    try:
        opened = await studio().open(kind, item_id)
        now = opened.on_disk
    except NotFound:
        # A draft that was never published and is thrown away can still be brought back.
        if not versions and not kept:
            raise
    return render(
        request,
        "studio_history.html",
        422 if problem else 200,
        kind=kind,
        item_id=item_id,
        path=path_of(kind, item_id),
        versions=[
            {"hash": one.hash, "at": moment(one.at), "by": one.by, "how": one.how}
            for one in versions
        ],
        kept=[{"hash": one.hash, "at": moment(one.at)} for one in kept if one.hash != now],
        now=now,
        done=done,
        problem=problem,
    )


@router.get("/studio/{kind}/{item_id}/history/{version}")
async def version_page(request: Request, kind: AKind, item_id: AnId, version: str) -> Response:
    """One version, and what is different now."""
    text = await studio().version(kind, item_id, version)
    present, is_draft = "", False
    try:
        opened = await studio().open(kind, item_id)
        present, is_draft = opened.text, opened.is_draft
    except NotFound:
        pass
    published = [one for one in await studio().history(kind, item_id) if one.hash == version]
    return render(
        request,
        "studio_version.html",
        kind=kind,
        item_id=item_id,
        path=path_of(kind, item_id),
        version=version,
        at=moment(published[0].at) if published else "",
        by=published[0].by if published else "",
        text=text,
        is_draft=is_draft,
        difference=difference(text, present),
    )


@router.post("/studio/{kind}/{item_id}/restore")
async def restore(request: Request, kind: AKind, item_id: AnId, version: Text = "") -> Response:
    """Make an old version a draft."""
    user_id = who_of(request.scope).user.id
    try:
        await studio().restore(kind, item_id, version, user_id=user_id)
    except NotFound as error:
        raise HTTPException(404, str(error)) from error
    except WarmlineError as error:
        return await _history_page(request, kind, item_id, problem=str(error))
    return RedirectResponse(f"{path_of(kind, item_id)}?done=restored", 303)


# Taking it elsewhere


@router.get("/studio/{kind}/{item_id}/published.yaml")
async def published_file(kind: AKind, item_id: AnId) -> Response:
    """What trainees are offered, as a file."""
    opened = await studio().open(kind, item_id)
    if opened.disk is None:
        raise HTTPException(404, "It was not published yet. Download the draft.")
    return download(opened.disk, f"{item_id}.yaml", "application/yaml")


@router.get("/studio/{kind}/{item_id}/draft.yaml")
async def draft_file(kind: AKind, item_id: AnId) -> Response:
    """The draft, as a file."""
    opened = await studio().open(kind, item_id)
    if not opened.is_draft:
        raise HTTPException(404, "There is no draft. Download what is published.")
    return download(opened.text, f"{item_id}.draft.yaml", "application/yaml")

"""The trainer's studio: the library of personas and rubrics, new ones, and those from elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import UploadFile

from warmline.drafts import Draft
from warmline.errors import FileProblems, NotFound, Problem, WarmlineError
from warmline.livelibrary import MODELS, Kind, Shelved, is_id
from warmline.studio import skeleton
from warmline.web.access import who_of
from warmline.web.studio_common import moment, path_of, studio
from warmline.web.studio_reading import lines_of
from warmline.web.templating import render
from warmline.yamlfile import read_values

router = APIRouter()

#: Where a new one begins that is made from none.
_EMPTY = "skeleton"


@dataclass(frozen=True)
class Listed:
    """A persona or rubric in the list."""

    kind: Kind
    item_id: str | None
    file: str
    about: Mapping[str, str]
    text: str
    offered: bool
    problems: tuple[Problem, ...]
    on_disk: bool = True
    draft: Draft | None = None
    draft_problems: int = 0
    saved: str = ""

    @property
    def path(self) -> str:
        """Where it is edited; empty where it has no id to be found by."""
        return path_of(self.kind, self.item_id) if self.item_id else ""


@lru_cache(maxsize=256)
def _about(text: str) -> Mapping[str, str]:
    """What the list says of a file, as far as it can be read."""
    try:
        values = read_values(text, Path("the file"))[0]
    except FileProblems:
        return {}
    fields = ("name", "title", "sector", "difficulty")
    return {one: str(values[one]) for one in fields if isinstance(values.get(one), (str, int))}


def _listed(drafts: list[Draft]) -> list[Listed]:
    """Everything there is of both kinds."""
    found = []
    by_id = {(one.kind, one.item_id): one for one in drafts}
    for kind in MODELS:
        for shelved in studio().library.shelf(kind):
            draft = by_id.pop((kind, shelved.item_id or ""), None)
            found.append(_with_draft(_of_file(shelved), draft))
    for (kind, item_id), draft in by_id.items():
        empty = Listed(kind, item_id, f"{item_id}.yaml", {}, "", False, (), on_disk=False)
        found.append(_with_draft(empty, draft))
    return sorted(found, key=lambda one: (one.kind, one.about.get("name", ""), one.file))


def _of_file(shelved: Shelved) -> Listed:
    text = shelved.text or ""
    return Listed(
        shelved.kind,
        shelved.item_id,
        shelved.file.name,
        _about(text),
        text,
        shelved.entry is not None,
        shelved.problems,
    )


def _with_draft(one: Listed, draft: Draft | None) -> Listed:
    if draft is None or draft.text is None or one.item_id is None:
        return one
    problems = studio().problems(one.kind, one.item_id, draft.text)
    return replace(
        one,
        about=one.about or _about(draft.text),
        text=f"{one.text}\n{draft.text}",
        draft=draft,
        draft_problems=len(problems),
        saved=moment(draft.saved_at),
    )


def _fits(one: Listed, asked: Mapping[str, str]) -> bool:
    words = asked.get("words", "").casefold()
    return (
        asked.get("kind", "") in ("", one.kind)
        and asked.get("sector", "") in ("", one.about.get("sector"))
        and asked.get("difficulty", "") in ("", one.about.get("difficulty"))
        and (not words or words in one.text.casefold() or words in one.file)
        and (not asked.get("draft") or one.draft is not None)
        and (not asked.get("problem") or bool(one.problems) or one.draft_problems > 0)
    )


@router.get("/studio")
async def library(request: Request) -> Response:
    """All personas and rubrics, by what is looked for."""
    return await _library_page(request)


async def _library_page(
    request: Request,
    *,
    problem: str = "",
    at: str = "",
    typed: Mapping[str, str] | None = None,
) -> Response:
    everything = await asyncio.to_thread(_listed, await studio().drafts.all())
    asked = dict(request.query_params)
    found = [one for one in everything if _fits(one, asked)]
    return render(
        request,
        "studio.html",
        422 if problem else 200,
        groups=[
            (words, [one for one in found if one.kind == kind])
            for kind, words in (("persona", "Customers"), ("rubric", "Rubrics"))
        ],
        everything=[one for one in everything if one.item_id],
        broken=sum(1 for one in everything if one.problems),
        sectors=sorted({one.about["sector"] for one in everything if "sector" in one.about}),
        asked=asked,
        problem=problem,
        at=at,
        typed=typed or {},
    )


Text = Annotated[str, Form()]


@router.post("/studio/new")
async def new(request: Request, start: Text = "", name: Text = "") -> Response:
    """Begin a new one, from nothing or from one that there is."""
    kind_name, _, item_id = start.partition("/")
    typed = {"start": start, "name": name}
    try:
        kind = _kind(kind_name)
        text = skeleton(kind)
        if item_id != _EMPTY:
            if not is_id(item_id):
                raise WarmlineError("Choose what to begin with.")
            opened = await studio().open(kind, item_id)
            text = opened.disk if opened.disk is not None else opened.text
        draft = await studio().begin(kind, name, text, user_id=who_of(request.scope).user.id)
    except WarmlineError as error:
        return await _library_page(request, problem=str(error), at="new", typed=typed)
    return RedirectResponse(f"{path_of(kind, draft.item_id)}?done=begun", 303)


def _kind(name: str) -> Kind:
    for one in MODELS:
        if one == name:
            return one
    raise WarmlineError("Choose whether it is a customer or a rubric.")


@router.post("/studio/import")
async def bring_in(request: Request) -> Response:
    """Make a draft of a file from elsewhere. Its own name counts for nothing, only its id."""
    form = await request.form()
    typed = {
        one: value for one in ("kind", "text", "name") if isinstance(value := form.get(one), str)
    }
    try:
        file = form.get("file")
        if isinstance(file, UploadFile) and file.size:
            # What is in the file stays on the page, whatever is wrong with it.
            typed["text"] = _decoded(await file.read())
        text = lines_of(typed.get("text", ""))
        if not text.strip():
            raise WarmlineError("Choose a file, or paste what is in one.")
        kind = _kind(typed.get("kind", ""))
        name = typed.get("name", "").strip() or await asyncio.to_thread(_id_in, text)
        draft = await studio().begin(kind, name, text, user_id=who_of(request.scope).user.id)
    except NotFound:
        raise
    except WarmlineError as error:
        return await _library_page(request, problem=str(error), at="import", typed=typed)
    return RedirectResponse(f"{path_of(kind, draft.item_id)}?done=begun", 303)


def _decoded(raw: bytes) -> str:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise WarmlineError("That file is no text. Choose a YAML file, saved as UTF-8.")
    return text


def _id_in(text: str) -> str:
    """The id that stands in a text.

    Raises:
        WarmlineError: if there is none.
    """
    try:
        found: Any = read_values(text, Path("the file"))[0].get("id")
    except FileProblems:
        found = None
    if isinstance(found, str) and is_id(found):
        return found
    raise WarmlineError(
        "No usable id stands in it: small letters, numbers and hyphens. Give it a short name here."
    )

"""The trainer's studio: one persona or rubric, as a form and as a file."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.datastructures import FormData

from warmline.drafts import Draft, Overtaken
from warmline.errors import FileProblems, NotFound, WarmlineError
from warmline.formfile import edited
from warmline.livelibrary import Kind
from warmline.studio import Opened, difference
from warmline.web import runtime
from warmline.web.access import who_of
from warmline.web.studio_common import (
    MOST_FIELDS,
    AKind,
    AnId,
    Shown,
    moment,
    path_of,
    placed,
    state_words,
    studio,
    wants_json,
)
from warmline.web.studio_form import Around, Node, form_of, moods_of, templates_of
from warmline.web.studio_reading import done, lines_of, read_form
from warmline.web.templating import render
from warmline.yamlfile import read_values

router = APIRouter()

#: What a page says after something was done.
_DONE = {
    "kept": "Kept as a draft. Trainees do not see it before it is published.",
    "same": "Nothing was changed.",
    "begun": "Here is your draft. Trainees do not see it before it is published.",
    "published": "Published. Trainees are offered it from now on.",
    "discarded": "The draft is discarded. It can be brought back from the history.",
    "restored": "Brought back as a draft. Trainees do not see it before it is published.",
}


@dataclass(frozen=True)
class Sent:
    """What a page sent: the text it stands for, and what that was made from."""

    form: FormData
    view: str
    text: str
    names: dict[str, str] | None
    read: int
    first: int
    started_from: str | None
    base: str
    focus: str

    @property
    def changed(self) -> bool:
        """Whether there is anything to keep."""
        return self.text != self.base or self.read != self.first

    def name_of(self, path: str) -> str:
        """The name on the form of a place in the file, or of the nearest part around it."""
        names = self.names or {}
        while path and path not in names:
            path = path.rpartition(".")[0]
        return names.get(path, "")


@router.get("/studio/{kind}/{item_id}")
async def form_view(request: Request, kind: AKind, item_id: AnId, done: str = "") -> Response:
    """The form."""
    return await _page(request, await studio().open(kind, item_id), "form", done=done)


@router.get("/studio/{kind}/{item_id}/file")
async def file_view(request: Request, kind: AKind, item_id: AnId, done: str = "") -> Response:
    """The same as a file."""
    return await _page(request, await studio().open(kind, item_id), "file", done=done)


async def _page(
    request: Request, opened: Opened, view: str, *, done: str = "", problem: str = ""
) -> Response:
    kind = opened.kind
    found = await asyncio.to_thread(studio().problems, kind, opened.item_id, opened.text)
    values = await asyncio.to_thread(_values, opened)
    around = Around(moods_of(values or {}), _rubrics())
    sections = form_of(kind, values, around) if values is not None and view == "form" else []
    names = {name for _, nodes in sections for node in nodes for name in _names(node)}
    shown = placed(found, names, opened)
    at: dict[str, list[Shown]] = {}
    for one in shown:
        at.setdefault(one.at, []).append(one)
    path = path_of(kind, opened.item_id)
    return render(
        request,
        "studio_edit.html",
        422 if problem else 200,
        opened=opened,
        heading=_heading(opened, values or {}),
        view=view,
        path=path,
        sections=sections,
        templates=templates_of(kind, around) if sections else [],
        at=at,
        shown=shown,
        done=_DONE.get(done, ""),
        problem=problem,
        state=state_words(opened, who_of(request.scope)),
        saved=moment(opened.draft.saved_at),
        disk_difference=difference(opened.text, opened.disk or "")
        if opened.changed_on_disk
        else [],
        more=[(words, f"{path}/{last}", method) for words, last, method, of in _MORE if of == kind],
    )


#: Pages about one persona or rubric that stand elsewhere.
_MORE = [
    ("Practise with this customer", "practise", "POST", "persona"),
    ("Let the six agents play", "try", "GET", "persona"),
    ("Try it on a transcript", "try", "GET", "rubric"),
]


def _values(opened: Opened) -> dict[Any, Any] | None:
    """The values in the text; None while it cannot be read."""
    try:
        return read_values(opened.text, opened.file)[0]
    except FileProblems:
        return None


def _heading(opened: Opened, values: dict[Any, Any]) -> str:
    words = [values.get(name) for name in ("name", "title")]
    return ": ".join(one for one in words if isinstance(one, str) and one) or opened.item_id


def _rubrics() -> dict[str, str]:
    rubrics = runtime.current().library.rubrics
    return {one: rubrics[one].item.title for one in sorted(rubrics)}


def _names(node: Node) -> list[str]:
    return [node.name, *(name for one in node.children for name in _names(one))]


# What is typed


async def _sent(request: Request, kind: Kind, item_id: str) -> Sent:
    form = await request.form(max_fields=MOST_FIELDS)
    view = _one(form, "_view")
    base = lines_of(_one(form, "_base"))
    names: dict[str, str] | None = None
    focus = ""
    if view == "file":
        text = lines_of(_one(form, "_text"))
    else:
        pairs = [(n, v) for n, v in form.multi_items() if isinstance(v, str) and n[:1] != "_"]
        if what := _one(form, "_do"):
            pairs, focus = done(pairs, what)

        def written() -> tuple[str, dict[str, str]]:
            before = read_values(base, studio().library.file_of(kind, item_id))[0]
            typed = read_form(kind, pairs, before)
            return edited(base, typed.values), typed.names

        text, names = await asyncio.to_thread(written)
    return Sent(
        form,
        view,
        text,
        names,
        _number(_one(form, "_read")),
        _number(_one(form, "_first")),
        _one(form, "_started") or None,
        base,
        focus,
    )


def _one(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value if isinstance(value, str) else ""


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 9 else -1


@router.post("/studio/{kind}/{item_id}/check")
async def check(request: Request, kind: AKind, item_id: AnId) -> Response:
    """What is wrong with what is typed, field by field; nothing is kept."""
    try:
        sent = await _sent(request, kind, item_id)
    except WarmlineError as error:
        return JSONResponse({"detail": str(error)}, 422)
    return JSONResponse({"text": sent.text, "problems": await _problems(kind, item_id, sent)})


async def _problems(kind: Kind, item_id: str, sent: Sent) -> list[dict[str, Any]]:
    found = await asyncio.to_thread(studio().problems, kind, item_id, sent.text)
    file = studio().library.file_of(kind, item_id)
    shown = []
    for one in found:
        own = one.file == file
        message = one.message if own else f"{one.message} (in {one.file.name})"
        name = sent.name_of(one.field) if own else ""
        at = Shown(name, one.line if own else 0, one.field, message)
        shown.append(asdict(at) | {"words": at.words})
    return shown


@router.post("/studio/{kind}/{item_id}")
async def save(request: Request, kind: AKind, item_id: AnId) -> Response:
    """Keep what was typed as a draft, valid or not."""
    user_id = who_of(request.scope).user.id
    try:
        sent = await _sent(request, kind, item_id)
        draft = None
        if sent.changed:
            draft = await studio().save(
                kind,
                item_id,
                sent.text,
                read=sent.read,
                started_from=sent.started_from,
                user_id=user_id,
                over=bool(_one(sent.form, "_over")),
                base=sent.base,
            )
    except NotFound as error:
        raise HTTPException(404, str(error)) from error
    except Overtaken as error:
        return await _overtaken(request, kind, item_id, sent, error)
    except WarmlineError as error:
        if wants_json(request):
            return JSONResponse({"detail": str(error)}, 422)
        return await _not_kept(request, kind, item_id, str(error))
    if wants_json(request):
        return JSONResponse(
            {
                **await _kept(kind, item_id, sent, draft),
                "state": state_words(await studio().open(kind, item_id), who_of(request.scope)),
            }
        )
    path = path_of(kind, item_id)
    then = _one(sent.form, "_then") or sent.view
    where = {"file": f"{path}/file", "publish": f"{path}/publish"}.get(then, path)
    told = "" if then != sent.view or sent.focus else "?done=kept" if draft else "?done=same"
    at = f"#f-{quote(sent.focus)}" if sent.focus else ""
    return RedirectResponse(f"{where}{told}{at}", 303)


async def _kept(kind: Kind, item_id: str, sent: Sent, draft: Draft | None) -> dict[str, Any]:
    """What the page has to know after what it sent was kept."""
    return {
        "read": draft.revision if draft else sent.read,
        "started": (draft.started_from if draft else sent.started_from) or "",
        "at": moment(draft.saved_at) if draft else "",
        "text": sent.text,
        "problems": await _problems(kind, item_id, sent),
    }


async def _not_kept(request: Request, kind: Kind, item_id: str, why: str) -> Response:
    """Say why nothing was kept, with what was typed in the file view where that can be had."""
    form = await request.form(max_fields=MOST_FIELDS)
    return render(
        request,
        "studio_not_kept.html",
        422,
        path=path_of(kind, item_id),
        problem=why,
        typed=[
            (name, value)
            for name, value in form.multi_items()
            if isinstance(value, str) and value and name[:1] != "_" and not name.endswith("#")
        ]
        or [("", _one(form, "_text"))],
    )


async def _overtaken(
    request: Request, kind: Kind, item_id: str, sent: Sent, error: Overtaken
) -> Response:
    """Show what somebody else did meanwhile beside what was typed, and let choose."""
    if wants_json(request):
        return JSONResponse({"detail": str(error)}, 409)
    try:
        opened = await studio().open(kind, item_id)
        theirs: str | None = opened.text
        read, started = opened.revision, opened.started_from or ""
    except NotFound:
        theirs, read, started = None, error.theirs.revision, ""
    return render(
        request,
        "studio_overtaken.html",
        409,
        kind=kind,
        item_id=item_id,
        path=path_of(kind, item_id),
        problem=str(error),
        theirs=theirs,
        who_else=error.theirs.by or "somebody",
        saved=moment(error.theirs.saved_at),
        mine=sent.text,
        read=read,
        started=started,
        difference=difference(theirs or "", sent.text),
    )

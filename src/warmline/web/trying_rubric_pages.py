"""Trying a rubric in the studio: on conversations, beside another version, on its own examples.

Whose conversations can be tried is asked twice: when a try is begun, and each time its page is
shown. A try is seen by nobody but whoever began it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from warmline.accounts import Who
from warmline.desk import Wanted
from warmline.errors import FileProblems, NotFound, Problem, WarmlineError
from warmline.library import Read, read_text
from warmline.livelibrary import is_id
from warmline.rubric import Rubric
from warmline.settings import PROJECT
from warmline.store import StoredSession
from warmline.studio import Opened
from warmline.transcript import parse_transcripts, read_transcripts
from warmline.trying.jobs import Busy
from warmline.trying.rubric import (
    MOST_TALKS,
    RubricTrial,
    Talk,
    Version,
    first_upper,
    run_trial,
)
from warmline.web import runtime
from warmline.web.access import who_of
from warmline.web.reading import readable
from warmline.web.studio_common import moment
from warmline.web.templating import render
from warmline.web.trying_found import pairs_shown, talks_shown
from warmline.web.trying_pages import job_of, opened_valid, refreshed

router = APIRouter()

#: A conversation to begin with, which comes with Warmline.
EXAMPLE = PROJECT / "examples" / "late-parcel.txt"
#: So many of the newest conversations are offered.
_OFFERED = 20
#: What a transcript that was pasted is called in problems.
_PASTED = Path("The pasted conversation")


@dataclass(frozen=True)
class Asked:
    """What the form asks for."""

    first: str = ""
    second: str = ""
    sessions: Sequence[str] = ()
    pasted: str = ""
    example: bool = False
    pairs: bool = True


def _key(rubric_id: str, who: Who) -> tuple[str, str, str]:
    return ("rubric", rubric_id, who.user.id)


async def _read(text: str, opened: Opened) -> Read[Rubric]:
    """A text as a rubric; some 50 ms for a long one, so beside the conversations."""
    return await asyncio.to_thread(read_text, text, opened.file, Rubric)


async def _versions(rubric_id: str) -> tuple[dict[str, str], list[Problem], str]:
    """The versions that can be chosen, in words; what is wrong with the draft; the page's title."""
    opened, problems = await opened_valid("rubric", rubric_id)
    studio = runtime.current().studio
    found = {}
    if opened.is_draft and not problems:
        found["draft"] = "the draft"
    if opened.disk is not None and not (await _read(opened.disk, opened)).problems:
        found["file"] = "the published version"
    for one in await studio.history("rubric", rubric_id):
        by = f" by {one.by}" if one.by else ", found in the file"
        found.setdefault(one.hash, f"published {moment(one.at)}{by}")
    for kept in await studio.kept("rubric", rubric_id):
        found.setdefault(kept.hash, f"kept {moment(kept.at)}")
    read = await _read(opened.text, opened)
    return found, problems, read.entry.item.title if read.entry else rubric_id


async def _version(rubric_id: str, key: str, label: str) -> Version:
    """A version that was chosen.

    Raises:
        WarmlineError: if it is not a rubric that this Warmline can use.
    """
    studio = runtime.current().studio
    opened = await studio.open("rubric", rubric_id)
    text = opened.disk if key == "file" else opened.text
    if key not in ("draft", "file"):
        text = await studio.version("rubric", rubric_id, key)
    read = await _read(text or "", opened)
    if read.entry is None:
        raise WarmlineError(f"{first_upper(label)} cannot be tried: {read.problems[0].message}.")
    return Version(key, label, read.entry)


@router.get("/studio/rubric/{rubric_id}/try")
async def try_rubric(request: Request, rubric_id: str, still: str = "") -> Response:
    """What came of the last try, and the form for another."""
    return await _page(request, rubric_id, None, still=bool(still))


async def _page(
    request: Request,
    rubric_id: str,
    asked: Asked | None,
    *,
    still: bool = False,
    problem: str = "",
    status: int = 200,
) -> Response:
    who = who_of(request.scope)
    versions, problems, title = await _versions(rubric_id)
    job = job_of(_key(rubric_id, who))
    trial = job.work if job else None
    assert trial is None or isinstance(trial, RubricTrial)
    if asked is None:
        # The same once more, after something was mended, is what most come back for.
        asked = trial.form if trial and isinstance(trial.form, Asked) else Asked(example=True)
    show = bool(trial and job and (still or not job.running))
    response = render(
        request,
        "try_rubric.html",
        status,
        id=rubric_id,
        title=title,
        versions=versions,
        problems=problems,
        problem=problem,
        asked=asked,
        offered=await _offered(who),
        most=MOST_TALKS,
        job=job,
        trial=trial,
        still=still,
        show=show,
        pairs=pairs_shown(trial) if trial and show else [],
        talks=await talks_shown(who, trial) if trial and show else [],
        ask_all=runtime.current().practice.ask_all,
        judge=runtime.current().practice.judge.model,
        remote=runtime.current().remote,
    )
    return refreshed(response, job, still=still)


async def _offered(who: Who) -> list[dict[str, Any]]:
    """Conversations that somebody may read: their own, and what lies on their desk."""
    parts = runtime.current()
    found: dict[str, tuple[StoredSession, str]] = {
        one.id: (one, "") for one in await parts.store.sessions(who.user.id, limit=_OFFERED)
    }
    if who.has("coach") and not who.local:
        for one, trainee, _ in await parts.desk.sessions(who.user.id, Wanted(), limit=_OFFERED):
            found.setdefault(one.id, (one, trainee))
    newest = sorted(found.values(), key=lambda pair: pair[0].created_at, reverse=True)
    return [
        {"id": one.id, "title": one.title, "at": one.created_at, "trainee": trainee}
        for one, trainee in newest[:_OFFERED]
    ]


async def _talks(who: Who, asked: Asked) -> list[Talk]:
    """The conversations that were chosen.

    Raises:
        HTTPException: 404 for a session that whoever asks may not read.
        FileProblems: if what was pasted is no transcript.
        WarmlineError: if there are none, or too many.
    """
    parts = runtime.current()
    found = []
    for session_id in dict.fromkeys(asked.sessions):
        view = await readable(who, session_id)
        persona = await parts.practice.persona_of(view.session)
        transcript = await parts.store.transcript(session_id, persona.name)
        found.append(Talk(view.session.title, transcript, session_id, persona.asks_for_no))
    if asked.example:
        found += [Talk("The late parcel", one) for one in read_transcripts(EXAMPLE)]
    if asked.pasted.strip():
        pasted = parse_transcripts(asked.pasted, _PASTED)
        for number, one in enumerate(pasted, start=1):
            name = str(_PASTED) if len(pasted) == 1 else f"{_PASTED}, number {number}"
            # Two that were pasted may well have the same id.
            found.append(Talk(name, one.model_copy(update={"id": f"pasted {number}"})))
    if len(found) > MOST_TALKS:
        raise WarmlineError(
            f"These are {len(found)} conversations; at most {MOST_TALKS} can be tried at once."
        )
    if not found and not asked.pairs:
        raise WarmlineError(
            "Choose at least one conversation, paste one, or try the weak and strong replies."
        )
    return found


Text = Annotated[str, Form()]


@router.post("/studio/rubric/{rubric_id}/try")
async def begin(
    request: Request,
    rubric_id: str,
    version: Text = "",
    beside: Text = "",
    session: Annotated[list[str] | None, Form()] = None,
    pasted: Text = "",
    example: Text = "",
    pairs: Text = "",
) -> Response:
    """Begin a try."""
    parts = runtime.current()
    who = who_of(request.scope)
    asked = Asked(version, beside, session or [], pasted, bool(example), bool(pairs))
    versions, _, _ = await _versions(rubric_id)
    chosen = [one for one in dict.fromkeys((version, beside)) if one]
    if not chosen or any(one not in versions for one in chosen):
        said = "Choose a version that there is. Somebody may have published or discarded it."
        return await _page(request, rubric_id, asked, problem=said, status=422)
    try:
        talks = await _talks(who, asked)
        taken = [await _version(rubric_id, one, versions[one]) for one in chosen]
    except FileProblems as error:
        said = " ".join(f"{one.file}, line {one.line}: {one.message}." for one in error.problems)
        return await _page(request, rubric_id, asked, problem=said, status=422)
    except WarmlineError as error:
        return await _page(request, rubric_id, asked, problem=str(error), status=422)
    for talk in talks:
        # What a rubric says of a conversation is not far from the grade that a coach could else
        # still give before they know the machine's.
        if talk.session_id and await _others(who, talk.session_id):
            await parts.reviews.see(who, talk.session_id)
    trial = RubricTrial(taken, talks, asked.pairs, asked)

    async def run(work: RubricTrial) -> None:
        await run_trial(work, parts.practice.judge, ask_all=parts.practice.ask_all)

    key = _key(rubric_id, who)
    try:
        parts.tries.start(key, trial, run, user_id=who.user.id, by=who.user.identifier)
    except Busy as error:
        return await _page(request, rubric_id, asked, problem=str(error), status=409)
    except WarmlineError as error:
        return await _page(request, rubric_id, asked, problem=str(error), status=503)
    return RedirectResponse(f"/studio/rubric/{rubric_id}/try", 303)


async def _others(who: Who, session_id: str) -> bool:
    """Whether a session is somebody else's, and has a grade that whoever asks could still give."""
    store = runtime.current().store
    session = await store.session(session_id)
    return session.user_id != who.user.id and await store.grade(session_id) is not None


@router.post("/studio/rubric/{rubric_id}/try/stop")
async def stop_trying(request: Request, rubric_id: str) -> Response:
    """Stop a try; what was found by then stays to be looked at."""
    if not is_id(rubric_id):
        raise NotFound("There is no rubric of that name.")
    await runtime.current().tries.stop(_key(rubric_id, who_of(request.scope)))
    return RedirectResponse(f"/studio/rubric/{rubric_id}/try", 303)

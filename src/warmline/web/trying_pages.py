"""Trying a persona in the studio: six scripted agents play the draft, and a trainer looks on.

The pages need no script: while agents play, a page comes anew by itself every few seconds.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Request, Response
from fastapi.responses import RedirectResponse

from warmline.errors import NotFound, Problem, WarmlineError
from warmline.library import Entry
from warmline.livelibrary import Kind, is_id
from warmline.persona import Persona
from warmline.rubric import Rubric
from warmline.simulation import AGENTS
from warmline.studio import Opened
from warmline.trying.jobs import Busy, Job
from warmline.trying.persona import (
    AGENT_NAMES,
    ENDED,
    LEAST_REPLIES,
    MOST_REPLIES,
    AgentTrial,
    PersonaTrial,
    persona_trial,
    play_trial,
    summary,
    told,
)
from warmline.web import runtime
from warmline.web.access import who_of
from warmline.web.charts import mood_chart, mood_chart_size
from warmline.web.course import Course, course_of
from warmline.web.templating import render
from warmline.yamlfile import parse_yaml

router = APIRouter()

#: A page on which something goes on comes anew after so many seconds.
AGAIN_S = 3
#: How many replies the form offers at first.
_REPLIES = 6

#: What each agent does, for those who have never met them.
_ABOUT = {
    "kind": "does everything right",
    "mixed": "is kind and careless by turns",
    "cold": "is correct and no more",
    "hostile": "blames and belittles",
    "silent": "hardly says a word",
    "breaker": "talks to the machine and not to the customer",
}

#: Where a line came from, in words.
_SOURCES = {
    "model": "by the model",
    "script": "from your lines",
    "script and model": "by the model and from your lines",
    "fallback": "from your lines, as none of the model's passed",
}


@dataclass(frozen=True)
class Tried:
    """What is to be tried: the draft if there is one, else the file; or what is wrong with it."""

    opened: Opened
    persona: Entry[Persona] | None
    rubric: Entry[Rubric] | None
    problems: list[Problem]


async def opened_valid(kind: Kind, item_id: str) -> tuple[Opened, list[Problem]]:
    """What a trainer works on, and what has to be mended before it can be tried.

    Raises:
        NotFound: if there is no such persona or rubric.
    """
    if not is_id(item_id):
        raise NotFound(f"There is no {kind} of that name.")
    studio = runtime.current().studio
    opened = await studio.open(kind, item_id)
    return opened, await asyncio.to_thread(studio.problems, kind, item_id, opened.text)


async def _tried(persona_id: str) -> Tried:
    opened, problems = await opened_valid("persona", persona_id)
    if problems:
        return Tried(opened, None, None, problems)
    item = await asyncio.to_thread(parse_yaml, opened.text, opened.file, Persona)
    rubric = runtime.current().library.rubric(item.rubric)
    return Tried(opened, Entry(item, opened.file, opened.text), rubric, [])


def _key(persona_id: str) -> tuple[str, str]:
    return ("persona", persona_id)


def job_of(key: tuple[str, ...]) -> Job[Any] | None:
    """The job about something, running or ended."""
    return runtime.current().tries.of(key)


def refreshed(response: Response, job: Job[Any] | None, *, still: bool) -> Response:
    """The page, told to come anew while a job is running; not for those who asked it to stay."""
    if job and job.running and not still:
        response.headers["Refresh"] = str(AGAIN_S)
    return response


@router.get("/studio/persona/{persona_id}/try")
async def try_persona(request: Request, persona_id: str, still: str = "") -> Response:
    """How far the agents are, or what came of it; and the form to let them play."""
    return await _page(request, await _tried(persona_id), still=bool(still))


async def _page(
    request: Request,
    tried: Tried,
    *,
    still: bool = False,
    problem: str = "",
    status: int = 200,
    asked: tuple[str, list[str]] | None = None,
) -> Response:
    persona_id = tried.opened.item_id
    job = job_of(_key(persona_id))
    trial = job.work if job else None
    assert trial is None or isinstance(trial, PersonaTrial)
    current = tried.persona.hash if tried.persona else ""
    if asked is None:
        # The same once more, after something was mended, is what most come back for.
        again = (str(trial.asked), [one.agent for one in trial.agents]) if trial else None
        asked = again or (str(_REPLIES), list(AGENTS))
    response = render(
        request,
        "try_persona.html",
        status,
        id=persona_id,
        customer=tried.persona.item.name if tried.persona else persona_id,
        is_draft=tried.opened.is_draft,
        problems=tried.problems,
        problem=problem,
        least=LEAST_REPLIES,
        most=MOST_REPLIES,
        replies=asked[0],
        chosen=asked[1],
        agents=[{"id": one, "name": AGENT_NAMES[one], "about": _ABOUT[one]} for one in AGENTS],
        job=job,
        trial=trial,
        older=trial is not None and trial.entry.hash != current,
        still=still,
        names=AGENT_NAMES,
        summary=list(summary(trial)) if trial and any(one.turns for one in trial.agents) else [],
        # While it goes on the page stays short, as it comes anew all the time.
        shown=[_agent(trial, one) for one in trial.agents if one.played]
        if trial and job and (still or not job.running)
        else [],
        picture=mood_chart_size(trial.persona.moods) if trial else (0, 0),
        remote=runtime.current().remote,
    )
    return refreshed(response, job, still=still)


@dataclass(frozen=True)
class _Turn:
    """One message of the agent, and the customer's, with what is to be said about it."""

    agent: str
    customer: str
    place: int
    source: str
    told: list[str]
    early: list[str]
    held: list[tuple[str, str]]


@dataclass(frozen=True)
class _Shown:
    """One agent's conversation on the page."""

    agent: str
    name: str
    opening: str
    planned: int
    turns: list[_Turn]
    course: Course
    moods: list[str]
    ended: str
    told: list[tuple[str, int, bool]]
    held: int
    sources: list[tuple[str, int]]


def _agent(trial: PersonaTrial, one: AgentTrial) -> _Shown:
    assert one.played is not None
    persona = trial.persona
    facts = told(persona, one.turns)
    turns = []
    for number, turn in enumerate(one.turns, start=1):
        held = [tuple(rejected.split(": ", 1)) for rejected in turn.rejected]
        turns.append(
            _Turn(
                turn.agent,
                turn.customer,
                number,
                _SOURCES.get(turn.source, turn.source),
                [f.fact.id for f in facts if f.reply == number and not f.early],
                [f.fact.id for f in facts if f.reply == number and f.early],
                [(words[0], words[-1]) for words in held],
            )
        )
    counts: dict[str, int] = {}
    for turn in one.turns:
        words = _SOURCES.get(turn.source, turn.source)
        counts[words] = counts.get(words, 0) + 1
    moods = {number: turn.mood for number, turn in enumerate(one.turns, start=1)}
    return _Shown(
        one.agent,
        AGENT_NAMES[one.agent],
        one.played.opening,
        one.replies,
        turns,
        course_of(persona, {0: persona.start, **moods}),
        [persona.start, *moods.values()],
        ENDED[one.played.ended] if one.done or one.played.ended else "it was broken off",
        [(fact.fact.id, fact.reply, fact.early) for fact in facts],
        sum(len(turn.rejected) for turn in one.turns),
        list(counts.items()),
    )


@router.post("/studio/persona/{persona_id}/try")
async def let_them_play(
    request: Request,
    persona_id: str,
    replies: Annotated[str, Form()] = "",
    agent: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """Let the agents play."""
    tried = await _tried(persona_id)
    wanted = [one for one in AGENTS if one in (agent or [])]
    asked = (replies, wanted)
    if tried.persona is None or tried.rubric is None:
        return await _page(request, tried, status=422, asked=asked)
    count = int(replies) if replies.isascii() and replies.isdigit() and len(replies) < 4 else 0
    if not LEAST_REPLIES <= count <= MOST_REPLIES:
        said = f"Choose from {LEAST_REPLIES} to {MOST_REPLIES} replies."
        return await _page(request, tried, problem=said, status=422, asked=asked)
    if not wanted:
        said = "Choose at least one agent."
        return await _page(request, tried, problem=said, status=422, asked=asked)
    parts = runtime.current()
    trial = persona_trial(tried.persona, wanted, count, draft=tried.opened.is_draft)
    rubric = tried.rubric

    async def run(work: PersonaTrial) -> None:
        await play_trial(work, rubric, parts.backend, parts.practice.hearing)

    who = who_of(request.scope).user
    try:
        parts.tries.start(_key(persona_id), trial, run, user_id=who.id, by=who.identifier)
    except Busy as error:
        return await _page(request, tried, problem=str(error), status=409, asked=asked)
    except WarmlineError as error:
        return await _page(request, tried, problem=str(error), status=503, asked=asked)
    return RedirectResponse(f"/studio/persona/{persona_id}/try", 303)


@router.post("/studio/persona/{persona_id}/try/stop")
async def stop_playing(persona_id: str) -> Response:
    """Stop the agents; what they have played stays to be looked at."""
    if not is_id(persona_id):
        raise NotFound("There is no persona of that name.")
    await runtime.current().tries.stop(_key(persona_id))
    return RedirectResponse(f"/studio/persona/{persona_id}/try", 303)


@router.get("/studio/persona/{persona_id}/try/chart/{agent}")
async def chart(persona_id: str, agent: str, job: str = "") -> Response:
    """The course of the mood with one agent, as a picture."""
    found = job_of(_key(persona_id))
    trial = found.work if found and job in ("", str(found.number)) else None
    if isinstance(trial, PersonaTrial):
        for one in trial.agents:
            if one.agent == agent and one.played:
                ranks = [trial.persona.rank(turn.mood) for turn in one.turns]
                start = trial.persona.rank(trial.persona.start)
                picture = mood_chart(trial.persona.moods, [start, *ranks], one.replies)
                return Response(picture, media_type="image/svg+xml")
    raise HTTPException(404, "There is no such picture.")

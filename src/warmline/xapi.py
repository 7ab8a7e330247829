"""Graded sessions as statements of the Experience API 1.0.3, for a learning-record store.

A statement says who practised what and with what result; no word that was said is in it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from warmline.persona import Persona
from warmline.rubric import Rubric
from warmline.sessions import SessionReader
from warmline.store import StoredSession
from warmline.summaries import Summary, summaries

#: The home page of accounts, and the beginning of every IRI of ours, where ``public_url`` is not
#: set. Two machines without it cannot be told apart in one learning-record store.
LOCAL_HOME = "http://localhost"

#: The verbs of ADL, by how a session ended.
_VERBS = "http://adlnet.gov/expapi/verbs/"
_SIMULATION = "http://adlnet.gov/expapi/activities/simulation"

#: Under which the ids of statements and registrations are made; never to be changed.
_NAMESPACE = uuid.UUID("5b0f7e3e-3d0c-5a53-9d0f-6a2c1f3f8f11")


def home_of(public_url: str | None) -> str:
    """The IRI that this instance is known by in statements, without a slash at its end."""
    return public_url or LOCAL_HOME


async def statements(
    reader: SessionReader, sessions: Sequence[tuple[StoredSession, str, bool]], home: str
) -> list[dict[str, Any]]:
    """One statement for each graded session; those without a grade are left out.

    Args:
        reader: reads the sessions' personas and rubrics.
        sessions: each with its trainee's name, and whether its result may be in the statement;
            without it, the statement says no more than that the session was completed.
        home: the IRI of this instance, see ``home_of``.
    """
    graded = [one for one in sessions if one[0].status == "graded"]
    known = await summaries(reader.store.database, [session.id for session, _, _ in graded])
    return [
        statement(
            session,
            trainee,
            await reader.persona_of(session),
            (await reader.rubric_of(session)).item,
            known[session.id],
            home,
            with_result=with_result,
        )
        for session, trainee, with_result in graded
        if session.id in known
    ]


def statement(
    session: StoredSession,
    trainee: str,
    persona: Persona,
    rubric: Rubric,
    summary: Summary,
    home: str,
    *,
    with_result: bool = True,
) -> dict[str, Any]:
    """One graded session as a statement.

    Its id follows from all that it states, so that the same is never taken twice by a store, and
    one whose grade a coach changed is a new one.
    """
    activity = f"{home}/xapi/activities/practice/{session.persona_id}/{session.rubric_id}"
    stated: dict[str, Any] = {
        "actor": {
            "objectType": "Agent",
            "account": {"homePage": home, "name": trainee},
        },
        "verb": {"id": f"{_VERBS}completed"},
        "object": {"objectType": "Activity", "id": activity},
        "result": {
            "completion": True,
            "duration": duration(session.created_at, summary.last_at),
        },
        "context": {
            "registration": registration(session.id),
            "language": persona.language,
            "platform": "Warmline",
            "revision": f"{session.persona_hash[:16]} {session.rubric_hash[:16]}",
            "contextActivities": _activities(session, home),
            "extensions": {f"{home}/xapi/extensions/difficulty": persona.difficulty},
        },
        "timestamp": session.finished_at or summary.last_at,
    }
    if with_result:
        _add_result(stated, session, rubric, summary, home)
    made = uuid.uuid5(_NAMESPACE, json.dumps(stated, sort_keys=True, ensure_ascii=False))
    # Names and descriptions are no part of what is stated, and may be put better later on.
    stated["verb"]["display"] = {"en": stated["verb"]["id"].removeprefix(_VERBS)}
    stated["object"]["definition"] = {
        "type": _SIMULATION,
        "name": {"en": f"{persona.name}: {persona.title}"},
        "description": {
            "en": f"A practice conversation with a simulated customer ({persona.sector}, "
            f"difficulty {persona.difficulty} of 5), graded by the rubric “{rubric.title}”."
        },
    }
    return {"id": str(made), **stated}


def _add_result(
    stated: dict[str, Any],
    session: StoredSession,
    rubric: Rubric,
    summary: Summary,
    home: str,
) -> None:
    if session.total is not None:
        stated["result"]["score"] = {
            "scaled": round(session.total / 100, 4),
            "raw": round(session.total, 2),
            "min": 0,
            "max": 100,
        }
    if session.total is not None and session.passed is not None:
        stated["result"]["success"] = bool(session.passed)
        stated["verb"]["id"] = _VERBS + ("passed" if session.passed else "failed")
    steps: dict[str, Mapping[str, Any]] = {}
    for one in summary.steps:
        step = rubric.step(one.step)
        level = {} if one.level is None else {"level": one.level, "share": one.share}
        range_ = {"lowest": step.lowest, "highest": step.highest}
        steps[one.step] = {"name": step.name, "status": one.status, **range_, **level}
    stated["context"]["extensions"][f"{home}/xapi/extensions/steps"] = steps


def _activities(session: StoredSession, home: str) -> dict[str, list[dict[str, str]]]:
    def activity(kind: str, name: str) -> dict[str, str]:
        return {"objectType": "Activity", "id": f"{home}/xapi/activities/{kind}/{name}"}

    found = {
        "grouping": [
            activity("personas", session.persona_id),
            activity("rubrics", session.rubric_id),
        ]
    }
    if session.assignment_id:
        found["parent"] = [activity("assignments", session.assignment_id)]
    return found


def registration(session_id: str) -> str:
    """A session's id as the UUID of its registration: itself, or one made from it."""
    try:
        found = uuid.UUID(session_id)
    except ValueError:
        found = uuid.uuid5(_NAMESPACE, session_id)
    return str(found)


def duration(start: str, end: str) -> str:
    """The time from one moment to a later one (ISO 8601) as an ISO 8601 duration.

    To a hundredth of a second; nothing if the clock was set back in between.
    """
    passed = datetime.fromisoformat(end) - datetime.fromisoformat(start)
    seconds = max(0.0, passed.total_seconds())
    minutes, rest = divmod(round(seconds, 2), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"PT{hours}H{minutes}M{rest:.2f}S"

"""Whole sessions, and everything of one person, as plain values that can be kept elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from warmline.belongings import Belongings
from warmline.customer.director import CustomerState
from warmline.database import now
from warmline.edits import Edit, Edits
from warmline.errors import NotFound
from warmline.people import User
from warmline.persona import Persona
from warmline.report import report_card
from warmline.sessions import SessionReader, View
from warmline.store import StoredTurn

#: What the file with everything of a person says of itself.
ABOUT = (
    "Everything that Warmline keeps about you: your account without the scrambled password, your "
    "conversations with their feedback, what coaches did with them, what was assigned to you, "
    "what you handed in, and what you wrote in the studio. Left out is what belongs to the "
    "customer you practised with and not to you: their hidden story, their moods, the lines they "
    "nearly said, and each single answer of the model behind a level."
)

#: Parts of a report card that only the page needs.
_OF_THE_PAGE = {"session_id", "replies"}


def moods_of(turns: Sequence[StoredTurn]) -> dict[int, str]:
    """The customer's mood after a turn, by the turn's number. Not for trainees."""
    return {
        turn.number: CustomerState.model_validate_json(turn.state).mood
        for turn in turns
        if turn.state
    }


def record(
    view: View,
    persona: Persona,
    card: Mapping[str, Any] | None,
    edits: Sequence[Edit],
    moods: Mapping[int, str] | None = None,
) -> dict[str, Any]:
    """A session as plain values; its ``turns`` are what ``warmline grade`` reads.

    Args:
        view: the session with its turns.
        persona: the customer, in the version it was played with; only the name is shown.
        card: the report card, None while there is no grade or it must not be seen.
        edits: what coaches did, as far as the reader may know of it.
        moods: the moods by turn, for those who may see them.
    """
    session = view.session
    return {
        "id": session.id,
        "title": session.title,
        "customer_name": persona.name,
        "persona": {"id": session.persona_id, "hash": session.persona_hash},
        "rubric": {"id": session.rubric_id, "hash": session.rubric_hash},
        "status": session.status,
        "created_at": session.created_at,
        "finished_at": session.finished_at,
        "shared_at": session.shared_at,
        "reviewed_at": session.reviewed_at,
        "assignment_id": session.assignment_id,
        "branch_of": session.branch_of,
        "branch_turn": session.branch_turn,
        "turns": [_turn(turn, moods) for turn in view.turns],
        "feedback": card
        and {name: value for name, value in card.items() if name not in _OF_THE_PAGE},
        "edits": [_edit(edit) for edit in edits],
    }


def _turn(turn: StoredTurn, moods: Mapping[int, str] | None) -> dict[str, Any]:
    # Named one by one: a turn's other fields say what the customer keeps to themself.
    shown = {
        "id": turn.id,
        "number": turn.number,
        "role": turn.role,
        "text": turn.text,
        "at": turn.created_at,
        "partial": turn.partial,
    }
    return shown if moods is None else {**shown, "mood": moods.get(turn.number)}


def _edit(edit: Edit) -> dict[str, Any]:
    return {
        "coach": edit.coach,
        "at": edit.at,
        "kind": edit.kind,
        "step": edit.step,
        "turn": edit.turn,
        "before": edit.before,
        "after": edit.after,
        "words": edit.words,
    }


async def everything(reader: SessionReader, user: User) -> dict[str, Any]:
    """All that is kept of one person, as they may see it.

    No scrambled password, nothing that a persona hides, and no probability of a check.

    Raises:
        WarmlineError: if the database cannot be read.
    """
    belongings = await Belongings(reader.store.database).of(user)
    conversations = []
    for session in await reader.store.sessions(user.id, limit=-1):
        try:
            conversations.append(await _own(reader, session.id))
        except NotFound:
            # Deleted in the meantime.
            continue
    return {
        "about": ABOUT,
        "made_at": now(),
        "account": {
            "id": user.id,
            "name": user.identifier,
            "created_at": user.created_at,
            "roles": sorted(user.roles),
            "teams": list(user.teams),
            "signs_in_with": user.signs_in_with,
            "disabled_at": user.disabled_at,
        },
        "conversations": conversations,
        **belongings,
    }


async def _own(reader: SessionReader, session_id: str) -> dict[str, Any]:
    """A session as its owner may see it."""
    view = await reader.view(session_id)
    persona = await reader.persona_of(view.session)
    rubric = (await reader.rubric_of(view.session)).item
    stored = await reader.store.grade(session_id)
    edits = await Edits(reader.store.database).of(session_id)
    card = report_card(stored, view.turns, persona, rubric, edits) if stored else None
    return record(view, persona, card, edits)

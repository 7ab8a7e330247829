"""Past sessions for the chat page: Chainlit's data layer over the project's own store.

The store is the one record. What Chainlit wants to write of a conversation is already there, so
its writes are heard and left; what it reads is made from the store.
"""

from __future__ import annotations

import uuid
from typing import Any

from chainlit.data.base import BaseDataLayer
from chainlit.element import Element, ElementDict
from chainlit.step import StepDict
from chainlit.types import (
    Feedback,
    PageInfo,
    PaginatedResponse,
    Pagination,
    ThreadDict,
    ThreadFilter,
)
from chainlit.user import PersistedUser, User

from warmline.errors import NotFound
from warmline.people import User as StoredUser
from warmline.report import as_text, coach_words, report_card
from warmline.sessions import View
from warmline.store import StoredGrade, StoredSession
from warmline.web import due, runtime

HOST = "Warmline"
COACH = "Your coach"

#: The longest title that a trainee may give a session, in characters.
LONGEST_TITLE = 120


def report_step_id(session_id: str) -> str:
    """The id of the message that carries a session's report card."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"warmline:report:{session_id}"))


async def card_of(view: View, stored: StoredGrade) -> dict[str, Any]:
    """A session's report card as its owner sees it, with the way to an earlier try if it is one."""
    parts = runtime.current()
    session = view.session
    persona = await parts.practice.persona_of(session)
    rubric = (await parts.practice.rubric_of(session)).item
    edits = await parts.reviews.edits.of(session.id)
    card = report_card(stored, view.turns, persona, rubric, edits)
    return {
        **card,
        "compare": f"/compare/{session.id}" if session.branch_of else None,
        "assignment": await due.of_card(session),
        "last_time": await _last_time(session),
    }


async def _last_time(session: StoredSession) -> str | None:
    """Where a session stands beside the one before it; None for the first."""
    earlier = await runtime.current().results.earlier(session.id)
    return f"/progress/{session.id}" if earlier else None


def broken_off(name: str) -> str:
    """What is said after half a line of the customer's."""
    return f"{name}'s line was broken off here. Write on as if they had stopped there."


def _persisted(user: StoredUser) -> PersistedUser:
    return PersistedUser(
        id=user.id, identifier=user.identifier, createdAt=user.created_at, metadata={}
    )


class StoreHistory(BaseDataLayer):
    """Reads the sidebar's sessions from the store."""

    async def get_user(self, identifier: str) -> PersistedUser | None:
        """The user of that name."""
        user = await runtime.current().accounts.people.find(identifier)
        return _persisted(user) if user else None

    async def create_user(self, user: User) -> PersistedUser | None:
        """The user of that name. People are made by ``Accounts``, never by signing in."""
        return await self.get_user(user.identifier)

    async def list_threads(
        self, pagination: Pagination, filters: ThreadFilter
    ) -> PaginatedResponse[ThreadDict]:
        """A page of a user's sessions, newest first, without their turns."""
        store = runtime.current().store
        if filters.search:
            found = await self._matching(filters.userId or "", filters.search)
        else:
            found = await store.sessions(
                filters.userId or "", before=pagination.cursor, limit=pagination.first + 1
            )
        page = found if filters.search else found[: pagination.first]
        return PaginatedResponse(
            data=[_thread(session, filters.userId or "", [], []) for session in page],
            pageInfo=PageInfo(
                hasNextPage=len(found) > len(page),
                startCursor=page[0].id if page else None,
                endCursor=page[-1].id if page else None,
            ),
        )

    async def _matching(self, user_id: str, words: str) -> list[StoredSession]:
        """All of a user's sessions in whose title or turns the words stand, newest first."""
        store = runtime.current().store
        hits = await store.search(words, user_id=user_id, limit=1000)
        said = {session_id for session_id, _, _ in hits}
        sessions = await store.sessions(user_id, limit=-1)
        return [s for s in sessions if s.id in said or words.lower() in s.title.lower()]

    async def get_thread_author(self, thread_id: str) -> str:
        """The name of the user whose session this is; empty, which is nobody, if there is none."""
        store = runtime.current().store
        try:
            session = await store.session(thread_id)
        except NotFound:
            return ""
        return (await runtime.current().accounts.people.user(session.user_id)).identifier

    async def get_thread(self, thread_id: str) -> ThreadDict | None:
        """A session with its turns and, once graded, its report card."""
        parts = runtime.current()
        try:
            view = await parts.practice.view(thread_id)
        except NotFound:
            return None
        persona = await parts.practice.persona_of(view.session)
        steps: list[StepDict] = []
        for turn in view.turns:
            mine = turn.role == "agent"
            name = "You" if mine else persona.name
            # Only the customer's lines are read as Markdown by the page.
            text = turn.text if mine else as_text(turn.text)
            steps.append(_step(thread_id, turn.id, name, text, turn.created_at, mine=mine))
            if turn.partial:
                note = str(uuid.uuid5(uuid.NAMESPACE_URL, f"warmline:broken-off:{turn.id}"))
                steps.append(_step(thread_id, note, HOST, broken_off(name), turn.created_at))
        elements: list[ElementDict] = []
        stored = await parts.store.grade(thread_id)
        report = report_step_id(thread_id)
        if stored is not None:
            steps.append(_step(thread_id, report, COACH, "Your feedback:", stored.created_at))
        rubric = (await parts.practice.rubric_of(view.session)).item
        for edit in await parts.reviews.edits.of(thread_id):
            if words := coach_words(edit, view.turns, rubric):
                note = str(uuid.uuid5(uuid.NAMESPACE_URL, f"warmline:edit:{edit.id}"))
                steps.append(_step(thread_id, note, edit.coach, words, edit.at))
        if stored is not None:
            elements.append(
                {
                    "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"warmline:card:{thread_id}")),
                    "threadId": thread_id,
                    "type": "custom",
                    "name": "ReportCard",
                    "display": "inline",
                    "forId": report,
                    "mime": "application/json",
                    "props": await card_of(view, stored),
                }
            )
        owner = await parts.accounts.people.user(view.session.user_id)
        return _thread(view.session, owner.identifier, steps, elements)

    async def delete_thread(self, thread_id: str) -> None:
        """Delete a session with everything that belongs to it."""
        await runtime.current().practice.forget(thread_id)

    # What Chainlit would write is in the store already, or is not kept at all.

    async def create_step(self, step_dict: StepDict) -> None:
        """Heard and left: a turn is stored before it is shown."""

    async def update_step(self, step_dict: StepDict) -> None:
        """Heard and left: a turn does not change."""

    async def delete_step(self, step_id: str) -> None:
        """Heard and left: a turn is not deleted by itself."""

    async def create_element(self, element: Element) -> None:
        """Heard and left: the report card is made from the grade."""

    async def get_element(self, thread_id: str, element_id: str) -> ElementDict | None:
        """No element is kept."""
        return None

    async def delete_element(self, element_id: str, thread_id: str | None = None) -> None:
        """Heard and left."""

    async def update_thread(
        self,
        thread_id: str,
        name: str | None = None,
        user_id: str | None = None,
        metadata: dict[str, Any] | None = None,
        tags: list[str] | None = None,
    ) -> None:
        """Keep a new title; nothing else that Chainlit would write of a session is kept.

        A call that names the user is not from a person: it is how Chainlit begins a session.
        """
        title = " ".join((name or "").split())[:LONGEST_TITLE]
        if title and user_id is None:
            await runtime.current().store.rename_session(thread_id, title)

    async def delete_feedback(self, feedback_id: str) -> bool:
        """No feedback is kept."""
        return False

    async def upsert_feedback(self, feedback: Feedback) -> str:
        """No feedback is kept."""
        return ""

    async def get_favorite_steps(self, user_id: str) -> list[StepDict]:
        """There are no favourites."""
        return []

    async def build_debug_url(self) -> str:
        """There is no debug page."""
        return ""

    async def close(self) -> None:
        """The store is closed by the server."""


def _step(
    thread_id: str, step_id: str, name: str, text: str, at: str, *, mine: bool = False
) -> StepDict:
    return {
        "id": step_id,
        "threadId": thread_id,
        "parentId": None,
        "name": name,
        "type": "user_message" if mine else "assistant_message",
        "output": text,
        "input": "",
        "createdAt": at,
        "start": at,
        "end": at,
        "streaming": False,
        "isError": False,
        "waitForAnswer": False,
        "metadata": {},
    }


def _thread(
    session: StoredSession, user: str, steps: list[StepDict], elements: list[ElementDict]
) -> ThreadDict:
    return {
        "id": session.id,
        "createdAt": session.created_at,
        "name": session.title,
        "userId": session.user_id,
        "userIdentifier": user,
        "tags": [],
        "metadata": {},
        "steps": steps,
        "elements": elements,
    }

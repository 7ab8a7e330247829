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
from warmline.report import report_card
from warmline.store import StoredSession, StoredUser
from warmline.web import runtime

COACH = "Your coach"


def report_step_id(session_id: str) -> str:
    """The id of the message that carries a session's report card."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"warmline:report:{session_id}"))


def _persisted(user: StoredUser) -> PersistedUser:
    return PersistedUser(
        id=user.id, identifier=user.identifier, createdAt=user.created_at, metadata={}
    )


class StoreHistory(BaseDataLayer):
    """Reads the sidebar's sessions from the store."""

    async def get_user(self, identifier: str) -> PersistedUser | None:
        """The user of that name."""
        user = await runtime.current().store.find_user(identifier)
        return _persisted(user) if user else None

    async def create_user(self, user: User) -> PersistedUser | None:
        """The user of that name, made if there is none."""
        return _persisted(await runtime.current().store.user(user.identifier))

    async def list_threads(
        self, pagination: Pagination, filters: ThreadFilter
    ) -> PaginatedResponse[ThreadDict]:
        """A page of a user's sessions, newest first, without their turns."""
        store = runtime.current().store
        found = await store.sessions(
            filters.userId, before=pagination.cursor, limit=pagination.first + 1
        )
        page = found[: pagination.first]
        if filters.search:
            hits = {hit[0] for hit in await store.search(filters.search, limit=500)}
            asked = filters.search.lower()
            page = [s for s in page if s.id in hits or asked in s.title.lower()]
        return PaginatedResponse(
            data=[_thread(session, filters.userId or "", [], []) for session in page],
            pageInfo=PageInfo(
                hasNextPage=len(found) > pagination.first,
                startCursor=page[0].id if page else None,
                endCursor=page[-1].id if page else None,
            ),
        )

    async def get_thread_author(self, thread_id: str) -> str:
        """The name of the user whose session this is; empty, which is nobody, if there is none."""
        store = runtime.current().store
        try:
            session = await store.session(thread_id)
        except NotFound:
            return ""
        return await store.user_name(session.user_id)

    async def get_thread(self, thread_id: str) -> ThreadDict | None:
        """A session with its turns and, once graded, its report card."""
        parts = runtime.current()
        try:
            view = await parts.practice.view(thread_id)
        except NotFound:
            return None
        persona = await parts.practice.persona_of(view.session)
        steps: list[StepDict] = [
            {
                "id": turn.id,
                "threadId": thread_id,
                "parentId": None,
                "name": persona.name if turn.role == "customer" else "You",
                "type": "assistant_message" if turn.role == "customer" else "user_message",
                "output": turn.text,
                "input": "",
                "createdAt": turn.created_at,
                "start": turn.created_at,
                "end": turn.created_at,
                "streaming": False,
                "isError": False,
                "waitForAnswer": False,
                "metadata": {},
            }
            for turn in view.turns
        ]
        elements: list[ElementDict] = []
        stored = await parts.store.grade(thread_id)
        if stored is not None:
            rubric = await parts.practice.rubric_of(view.session)
            report = report_step_id(thread_id)
            steps.append(
                {
                    **steps[0],
                    "id": report,
                    "name": COACH,
                    "type": "assistant_message",
                    "output": "Your feedback:",
                    "createdAt": stored.created_at,
                    "start": stored.created_at,
                    "end": stored.created_at,
                }
            )
            elements.append(
                {
                    "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"warmline:card:{thread_id}")),
                    "threadId": thread_id,
                    "type": "custom",
                    "name": "ReportCard",
                    "display": "inline",
                    "forId": report,
                    "mime": "application/json",
                    "props": report_card(stored, view.turns, persona, rubric.item),
                }
            )
        name = await parts.store.user_name(view.session.user_id)
        return _thread(view.session, name, steps, elements)

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
        """Heard and left: a session's title is its persona's, and nothing else is kept of it."""

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

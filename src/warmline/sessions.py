"""Reading sessions back from the store, in the versions they were played with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from warmline.customer.director import CustomerState
from warmline.library import Entry, ItemT
from warmline.persona import Persona
from warmline.rubric import Rubric
from warmline.store import Store, StoredSession, StoredTurn
from warmline.yamlfile import parse_yaml


@dataclass(frozen=True)
class View:
    """Where a session stands."""

    session: StoredSession
    turns: list[StoredTurn]
    state: CustomerState

    @property
    def waits_for_customer(self) -> bool:
        """Whether the agent's last message has no answer yet."""
        return self.turns[-1].role == "agent" and self.session.status == "talking"

    @property
    def replies(self) -> int:
        """How many messages the agent has sent."""
        return sum(turn.role == "agent" for turn in self.turns)


class SessionReader:
    """Reads sessions; needs no model."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._parsed: dict[str, Persona | Rubric] = {}

    async def view(self, session_id: str) -> View:
        """Where a session stands.

        Raises:
            NotFound: if there is no such session.
        """
        session = await self.store.session(session_id)
        turns = await self.store.turns(session_id)
        states = [turn.state for turn in turns if turn.state]
        return View(session, turns, CustomerState.model_validate_json(states[-1]))

    async def persona_of(self, session: StoredSession) -> Persona:
        """The persona, in the version that the session is played with."""
        return (await self._version(session.persona_hash, Persona)).item

    async def rubric_of(self, session: StoredSession) -> Entry[Rubric]:
        """The rubric, in the version that the session is graded by."""
        return await self._version(session.rubric_hash, Rubric)

    async def _version(self, version: str, model: type[ItemT]) -> Entry[ItemT]:
        text = await self.store.version_text(version)
        if version not in self._parsed:
            self._parsed[version] = parse_yaml(text, Path(f"version {version}"), model)
        item = self._parsed[version]
        assert isinstance(item, model)
        return Entry(item, Path(f"version {version}"), text)

"""What coaches did, in the database: one row for each thing, in order, never changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlite_utils.db import Database as Connection

from warmline.database import Database, now
from warmline.results import Standing, keep_standing

#: ``seen``: looked at the machine's grade. ``blind``: gave a level before that. ``override``: gave
#: another level than the one that stood. ``comment``: said something, on a turn or the whole.
#: ``approve``: the grade stands. ``try_again``: sent the trainee back, to a turn or to the start.
EditKind = Literal["seen", "blind", "override", "comment", "approve", "try_again"]


@dataclass(frozen=True)
class Edit:
    """One thing that a coach did.

    ``before`` and ``after`` are levels, as text; ``unclear`` and ``not_applicable`` stand for a
    step without one. ``turn`` is a turn's number, None for the whole.
    """

    id: int
    session_id: str
    coach_id: str | None
    coach: str
    at: str
    kind: EditKind
    step: str | None
    turn: int | None
    before: str | None
    after: str | None
    words: str


class Edits:
    """Reads and writes what coaches did."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def of(self, session_id: str) -> list[Edit]:
        """Everything that coaches did with a session, oldest first."""
        return await self.database.run(lambda db: _of(db, session_id))

    async def add_blind(self, session_id: str, coach_id: str, levels: dict[str, str]) -> bool:
        """Keep a coach's own level for each step, all or none, and that they may see the grade now.

        False, and nothing kept, if they had seen it or graded it before.
        """

        def work(db: Connection) -> bool:
            with db.atomic():
                if _saw(db, session_id, coach_id):
                    return False
                rows: list[tuple[EditKind, str | None, str | None]] = [
                    ("blind", step, level) for step, level in levels.items()
                ]
                for kind, step, level in [*rows, ("seen", None, None)]:
                    db.execute(
                        "INSERT INTO edits (session_id, coach_id, at, kind, step, after) "
                        "VALUES (?, ?, ?, ?, ?, ?)",
                        (session_id, coach_id, now(), kind, step, level),
                    )
                return True

        return await self.database.run(work)

    async def add(
        self,
        session_id: str,
        coach_id: str,
        kind: EditKind,
        *,
        step: str | None = None,
        turn: int | None = None,
        after: str | None = None,
        words: str = "",
        standing: Callable[[Sequence[Edit]], tuple[Standing, dict[str, str]]] | None = None,
    ) -> None:
        """Keep one edit, and with it the session's result as it stands then.

        Args:
            session_id: the session.
            coach_id: who did it.
            kind: what they did.
            step: the step it is about.
            turn: the turn it is about.
            after: the level they gave.
            words: what they said.
            standing: from all edits of the session, the result and each step's level. It is asked
                before and after, within the one transaction, so that two coaches at once never
                count each other's change away.
        """

        def work(db: Connection) -> None:
            with db.atomic():
                # First of all the row, so that the database is ours to write until the end.
                edit_id = db.execute(
                    "INSERT INTO edits (session_id, coach_id, at, kind, step, turn, after, words) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (session_id, coach_id, now(), kind, step, turn, after, words),
                ).lastrowid
                if standing is None:
                    return
                edits = _of(db, session_id)
                _, levels = standing([one for one in edits if one.id != edit_id])
                if step is not None:
                    db.execute(
                        "UPDATE edits SET before = ? WHERE id = ?", (levels.get(step), edit_id)
                    )
                result, _ = standing(edits)
                reviewed = kind in ("override", "approve", "try_again")
                keep_standing(db, session_id, result)
                if reviewed:
                    db.execute(
                        "UPDATE sessions SET reviewed_at = ? WHERE id = ?", (now(), session_id)
                    )

        await self.database.run(work)

    async def uncounted(self) -> list[str]:
        """Graded sessions of which it is not written down what stands of each step.

        An older version of Warmline did not.
        """

        def work(db: Connection) -> list[str]:
            rows = db.query(
                "SELECT id FROM sessions WHERE status = 'graded' AND auto_failed IS NULL"
            )
            return [str(row["id"]) for row in rows]

        return await self.database.run(work)

    async def recount(
        self, session_id: str, standing: Callable[[Sequence[Edit]], Standing], asked_for: str | None
    ) -> None:
        """Write down anew what stands of a session, and what its feedback asked for."""

        def work(db: Connection) -> None:
            with db.atomic():
                keep_standing(db, session_id, standing(_of(db, session_id)))
                db.table("sessions").update(session_id, {"asked_for": asked_for})

        await self.database.run(work)


def _saw(db: Connection, session_id: str, coach_id: str) -> bool:
    return any(
        edit.coach_id == coach_id and edit.kind in ("seen", "blind") for edit in _of(db, session_id)
    )


def _of(db: Connection, session_id: str) -> list[Edit]:
    rows = db.query(
        "SELECT edits.*, COALESCE(users.identifier, 'somebody who left') AS coach FROM edits "
        "LEFT JOIN users ON users.id = edits.coach_id WHERE session_id = ? ORDER BY edits.id",
        (session_id,),
    )
    return [Edit(**row) for row in rows]

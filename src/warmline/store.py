"""The store: sessions, turns, answers and grades in the database."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from sqlite_utils.db import Database as Connection

from warmline.database import Database, now
from warmline.errors import HandedIn, NotFound, WarmlineError
from warmline.library import Entry
from warmline.persona import Persona
from warmline.results import Standing, keep_standing
from warmline.rubric import Rubric
from warmline.transcript import Role, Transcript, Turn

SessionStatus = Literal["talking", "over", "graded", "not_graded"]


@dataclass(frozen=True)
class StoredTurn:
    """One turn as it is kept. ``state`` is the director's state after it, as JSON."""

    id: str
    number: int
    role: Role
    text: str
    created_at: str
    bracket: str | None = None
    state: str | None = None
    source: str | None = None
    partial: bool = False
    rejected: tuple[str, ...] = ()


@dataclass(frozen=True)
class StoredSession:
    """One session as it is kept, without its turns."""

    id: str
    user_id: str
    persona_id: str
    persona_hash: str
    rubric_id: str
    rubric_hash: str
    title: str
    status: SessionStatus
    seed: int
    created_at: str
    finished_at: str | None
    #: When the trainee shared it with the coaches of their teams; None while it is private.
    shared_at: str | None = None
    #: The session it goes on from, and the number of the reply that is tried again.
    branch_of: str | None = None
    branch_turn: int | None = None
    #: The result as it stands, with what coaches changed; None while there is none.
    total: float | None = None
    passed: int | None = None
    unclear: int | None = None
    auto_failed: int | None = None
    reviewed_at: str | None = None
    #: The step that the feedback asked to work on next.
    asked_for: str | None = None
    #: The assignment it was started for.
    assignment_id: str | None = None
    #: The newest edit of a coach's that its owner has been shown.
    owner_saw: int = 0
    #: 1 if a trainer tried the customer out in the studio: nobody's practice, it counts nowhere.
    draft: int = 0


@dataclass(frozen=True)
class StoredGrade:
    """A grade and its coaching, as the JSON they were made as."""

    session_id: str
    created_at: str
    grade: dict[str, Any]
    coaching: dict[str, Any]


class Store:
    """The database. Make it with ``Store.open``; close it when done."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @classmethod
    async def open(cls, file: Path) -> Store:
        """Open the database, making or upgrading it.

        Raises:
            WarmlineError: as ``Database.open`` does.
        """
        return cls(await Database.open(file))

    async def close(self) -> None:
        """Close the database."""
        await self.database.close()

    # Sessions

    async def start_session(
        self,
        session_id: str,
        user_id: str,
        persona: Entry[Persona],
        rubric: Entry[Rubric],
        state: str,
        seed: int,
        assignment_id: str | None = None,
        draft: bool = False,
    ) -> StoredSession:
        """Keep a new session with its opening line, and the versions it is played with.

        With ``assignment_id`` it is practised for that assignment of its user's; a ``draft`` is
        what a trainer tries out in the studio.
        """

        title = f"{persona.item.name}: {persona.item.title}"

        def work(db: Connection) -> StoredSession:
            at = now()
            row: dict[str, Any] = {
                "id": session_id,
                "user_id": user_id,
                "persona_id": persona.item.id,
                "persona_hash": persona.hash,
                "rubric_id": rubric.item.id,
                "rubric_hash": rubric.hash,
                "title": f"{title} (tried out)" if draft else title,
                "status": "talking",
                "seed": seed,
                "created_at": at,
                "finished_at": None,
                "assignment_id": assignment_id,
                "draft": int(draft),
            }
            with db.atomic():
                for kind, entry in (("persona", persona), ("rubric", rubric)):
                    db.table("versions").insert(
                        {
                            "hash": entry.hash,
                            "kind": kind,
                            "item_id": entry.item.id,
                            "text": entry.text,
                            "first_seen": at,
                        },
                        ignore=True,
                    )
                db.table("sessions").insert(row)
                _insert_turn(
                    db,
                    session_id,
                    str(uuid.uuid4()),
                    0,
                    "customer",
                    persona.item.opening,
                    bracket=persona.item.start,
                    state=state,
                    source="script",
                )
            return StoredSession(**row)

        return await self.database.run(work)

    async def branch_session(
        self, session_id: str, source: StoredSession, turn: int, title: str, seed: int
    ) -> StoredSession:
        """Keep a new session that is another one up to a turn, which is not in it any more.

        With the turns go the director's states and the answers to checks about them, so that the
        customer and the grader stand where they stood then.
        """

        def work(db: Connection) -> StoredSession:
            at = now()
            row: dict[str, Any] = {
                **asdict(source),
                "id": session_id,
                "title": title,
                "status": "talking",
                "seed": seed,
                "created_at": at,
                "finished_at": None,
                "shared_at": None,
                "branch_of": source.id,
                "branch_turn": turn,
                "total": None,
                "passed": None,
                "unclear": None,
                "auto_failed": None,
                "reviewed_at": None,
                "asked_for": None,
                # A try of the whole conversation is what was asked for.
                "assignment_id": None,
                "owner_saw": 0,
            }
            with db.atomic():
                db.table("sessions").insert(row)
                # A new id for each turn, as theirs are taken.
                db.execute(
                    """
                    INSERT INTO turns (id, session_id, number, role, text, created_at, bracket,
                                       state, source, rejected, partial)
                    SELECT ? || '-' || number, ?, number, role, text, created_at, bracket,
                           state, source, rejected, partial
                    FROM turns WHERE session_id = ? AND number < ? ORDER BY number
                    """,
                    (session_id, session_id, source.id, turn),
                )
                db.execute(
                    """
                    INSERT INTO answers
                    SELECT ?, rubric_hash, digest, prompt_version, step, check_id, turn, probability
                    FROM answers WHERE subject = ? AND turn BETWEEN 0 AND ?
                    """,
                    (session_id, source.id, turn - 1),
                )
            return StoredSession(**row)

        return await self.database.run(work)

    async def branches(self, session_id: str) -> list[StoredSession]:
        """The sessions that go on from one, oldest first."""

        def work(db: Connection) -> list[StoredSession]:
            rows = db.query(
                "SELECT * FROM sessions WHERE branch_of = ? ORDER BY created_at, id", (session_id,)
            )
            return [StoredSession(**row) for row in rows]

        return await self.database.run(work)

    async def session(self, session_id: str) -> StoredSession:
        """One session.

        Raises:
            NotFound: if there is none of that id.
        """

        def work(db: Connection) -> StoredSession:
            row = _one(db, "SELECT * FROM sessions WHERE id = ?", (session_id,))
            if row is None:
                raise NotFound(f"No session {session_id}.")
            return StoredSession(**row)

        return await self.database.run(work)

    async def sessions(
        self, user_id: str | None = None, *, before: str | None = None, limit: int = 1000
    ) -> list[StoredSession]:
        """Sessions, newest first: one user's or everybody's, those before a session's id."""

        def work(db: Connection) -> list[StoredSession]:
            sql = """
                SELECT * FROM sessions
                WHERE (:user IS NULL OR user_id = :user)
                  AND (:before IS NULL OR (created_at, id) <
                       (SELECT created_at, id FROM sessions WHERE id = :before))
                ORDER BY created_at DESC, id DESC LIMIT :limit
            """
            args = {"user": user_id, "before": before, "limit": limit}
            return [StoredSession(**row) for row in db.query(sql, args)]

        return await self.database.run(work)

    async def set_status(self, session_id: str, status: SessionStatus) -> None:
        """Change where a session stands, unless it has its grade: that stays."""

        def work(db: Connection) -> None:
            with db.atomic():
                db.execute(
                    "UPDATE sessions SET status = ? WHERE id = ? AND status != 'graded'",
                    (status, session_id),
                )

        await self.database.run(work)

    async def share(self, session_id: str, *, shared: bool) -> None:
        """Let the coaches of the owner's teams read a session, or take that back.

        Raises:
            HandedIn: if it is to be taken back and was handed in for an assignment.
            WarmlineError: if it was tried out in the studio.
        """

        def work(db: Connection) -> None:
            with db.atomic():
                tried = "SELECT 1 FROM sessions WHERE id = ? AND draft"
                if shared and _one(db, tried, (session_id,)):
                    raise WarmlineError("What was tried out in the studio is not shared.")
                handed_in = "SELECT 1 FROM submissions WHERE session_id = ?"
                if not shared and _one(db, handed_in, (session_id,)):
                    raise HandedIn(
                        "You handed this conversation in, so your coaches go on reading it. You "
                        "can delete it; the try stays counted."
                    )
                db.table("sessions").update(session_id, {"shared_at": now() if shared else None})

        await self.database.run(work)

    async def owner_saw(self, session_id: str, edit_id: int) -> None:
        """Note the newest thing that the owner of a session has been shown of a coach's."""
        await self.database.run(
            lambda db: db.table("sessions").update(session_id, {"owner_saw": edit_id})
        )

    async def with_news(self, user_id: str) -> list[StoredSession]:
        """A user's sessions in which a coach wrote something that they have not been shown."""

        def work(db: Connection) -> list[StoredSession]:
            sql = """
                SELECT * FROM sessions WHERE user_id = ? AND EXISTS (
                    SELECT 1 FROM edits WHERE session_id = sessions.id AND edits.id > owner_saw
                      AND kind IN ('override', 'comment', 'approve', 'try_again'))
                ORDER BY created_at DESC, id DESC
            """
            return [StoredSession(**row) for row in db.query(sql, (user_id,))]

        return await self.database.run(work)

    async def rename_session(self, session_id: str, title: str) -> None:
        """Give a session the title that its owner wants."""
        await self.database.run(
            lambda db: db.table("sessions").update(session_id, {"title": title})
        )

    async def sessions_before(self, moment: str) -> list[StoredSession]:
        """Sessions in which nothing was said, graded or started since a moment (ISO 8601)."""

        def work(db: Connection) -> list[StoredSession]:
            sql = """
                SELECT * FROM sessions
                WHERE created_at < :moment AND COALESCE(finished_at, '') < :moment
                  AND NOT EXISTS (
                    SELECT 1 FROM turns
                    WHERE turns.session_id = sessions.id AND turns.created_at >= :moment)
            """
            return [StoredSession(**row) for row in db.query(sql, {"moment": moment})]

        return await self.database.run(work)

    async def delete_sessions(self, session_ids: Collection[str]) -> None:
        """Delete sessions with everything that belongs to them, so that no trace is left."""

        def work(db: Connection) -> None:
            with db.atomic():
                for one in session_ids:
                    db.execute("DELETE FROM answers WHERE subject = ?", (one,))
                    # Row by row through the turns first, so that the full-text index follows.
                    db.execute("DELETE FROM turns WHERE session_id = ?", (one,))
                    db.execute("DELETE FROM sessions WHERE id = ?", (one,))

        await self.database.run(work)
        await self.database.scrub()

    async def version_text(self, version: str) -> str:
        """The text of a persona or rubric version that a session was played with.

        Raises:
            NotFound: if that version was never used.
        """

        def work(db: Connection) -> str:
            row = _one(db, "SELECT text FROM versions WHERE hash = ?", (version,))
            if row is None:
                raise NotFound(f"No version {version}.")
            return str(row["text"])

        return await self.database.run(work)

    # Turns

    async def add_turn(
        self,
        session_id: str,
        role: Role,
        text: str,
        *,
        turn_id: str | None = None,
        bracket: str | None = None,
        state: str | None = None,
        source: str | None = None,
        rejected: list[str] | None = None,
        partial: bool = False,
        heard: int | None = None,
    ) -> int:
        """Keep one turn; returns its number. The same ``turn_id`` twice is kept once.

        With ``heard``, the number of the message that this line answers, nothing is kept if
        another process has kept an answer to it in the meantime.
        """

        def work(db: Connection) -> int:
            with db.atomic():
                if turn_id is not None:
                    old = _one(
                        db,
                        "SELECT number FROM turns WHERE id = ? AND session_id = ?",
                        (turn_id, session_id),
                    )
                    if old is not None:
                        return int(old["number"])
                if heard is not None:
                    other = _one(
                        db,
                        "SELECT number FROM turns WHERE session_id = ? AND number > ? "
                        "AND role = 'customer'",
                        (session_id, heard),
                    )
                    if other is not None:
                        return int(other["number"])
                row = _one(
                    db,
                    "SELECT COALESCE(MAX(number) + 1, 0) AS number FROM turns WHERE session_id = ?",
                    (session_id,),
                )
                assert row is not None
                number = int(row["number"])
                _insert_turn(
                    db,
                    session_id,
                    turn_id or str(uuid.uuid4()),
                    number,
                    role,
                    text,
                    bracket=bracket,
                    state=state,
                    source=source,
                    rejected=json.dumps(rejected) if rejected else None,
                    partial=int(partial),
                )
            return number

        return await self.database.run(work)

    async def turns(self, session_id: str) -> list[StoredTurn]:
        """A session's turns, oldest first."""

        def work(db: Connection) -> list[StoredTurn]:
            rows = db.query(
                "SELECT id, number, role, text, created_at, bracket, state, source, partial, "
                "rejected FROM turns WHERE session_id = ? ORDER BY number",
                (session_id,),
            )
            return [
                StoredTurn(
                    **{
                        **row,
                        "partial": bool(row["partial"]),
                        "rejected": tuple(json.loads(row["rejected"] or "[]")),
                    }
                )
                for row in rows
            ]

        return await self.database.run(work)

    async def search(
        self, words: str, *, user_id: str | None = None, limit: int = 50
    ) -> list[tuple[str, int, str]]:
        """Turns in which the words stand: session, turn number and text, best first.

        One user's, or everybody's.
        """

        def work(db: Connection) -> list[tuple[str, int, str]]:
            quoted = quoted_words(words)
            if not quoted:
                return []
            where = "session_id IN (SELECT id FROM sessions WHERE user_id = :user)"
            rows = db.table("turns").search(
                quoted,
                limit=limit,
                where=where if user_id else None,
                where_args={"user": user_id} if user_id else None,
            )
            return [(row["session_id"], row["number"], row["text"]) for row in rows]

        return await self.database.run(work)

    # Answers and grades

    async def answers(
        self, subject: str, rubric_hash: str, digest: str, prompt_version: str
    ) -> dict[tuple[str, str, int], float | None]:
        """The kept answers of one subject, by step, check and turn."""

        def work(db: Connection) -> dict[tuple[str, str, int], float | None]:
            rows = db.query(
                "SELECT step, check_id, turn, probability FROM answers "
                "WHERE subject = ? AND rubric_hash = ? AND digest = ? AND prompt_version = ?",
                (subject, rubric_hash, digest, prompt_version),
            )
            return {(r["step"], r["check_id"], r["turn"]): r["probability"] for r in rows}

        return await self.database.run(work)

    async def keep_answer(
        self,
        subject: str,
        rubric_hash: str,
        digest: str,
        prompt_version: str,
        key: tuple[str, str, int],
        probability: float | None,
    ) -> None:
        """Keep one answer of the model to a check."""

        def work(db: Connection) -> None:
            step, check, turn = key
            db.table("answers").insert(
                {
                    "subject": subject,
                    "rubric_hash": rubric_hash,
                    "digest": digest,
                    "prompt_version": prompt_version,
                    "step": step,
                    "check_id": check,
                    "turn": turn,
                    "probability": probability,
                },
                replace=True,
            )

        await self.database.run(work)

    async def add_grade(
        self,
        session_id: str,
        grade: dict[str, Any],
        coaching: dict[str, Any],
        standing: Standing,
    ) -> None:
        """Keep a grade with its coaching, unless the session has one already.

        ``standing`` is what lists show of it; ``grade`` and ``coaching`` are kept as they are.
        """

        def work(db: Connection) -> None:
            with db.atomic():
                if _one(db, "SELECT 1 FROM grades WHERE session_id = ?", (session_id,)):
                    # Another process was asked for it as well, and was first.
                    return
                db.table("grades").insert(
                    {
                        "session_id": session_id,
                        "created_at": now(),
                        **{
                            field: grade[field]
                            for field in (
                                "persona_hash",
                                "rubric_hash",
                                "prompt_version",
                                "backend",
                                "model",
                                "digest",
                                "total",
                                "passed",
                            )
                        },
                        "grade": json.dumps(grade, ensure_ascii=False),
                        "coaching": json.dumps(coaching, ensure_ascii=False),
                    }
                )
                asked_for = (coaching.get("next_step") or {}).get("step")
                changes = {"status": "graded", "finished_at": now(), "asked_for": asked_for}
                db.table("sessions").update(session_id, changes)
                keep_standing(db, session_id, standing)

        await self.database.run(work)

    async def grade(self, session_id: str) -> StoredGrade | None:
        """The latest grade of a session, if it has one."""

        def work(db: Connection) -> StoredGrade | None:
            row = _one(
                db,
                "SELECT session_id, created_at, grade, coaching FROM grades "
                "WHERE session_id = ? ORDER BY id DESC LIMIT 1",
                (session_id,),
            )
            if row is None:
                return None
            return StoredGrade(
                session_id=row["session_id"],
                created_at=row["created_at"],
                grade=json.loads(row["grade"]),
                coaching=json.loads(row["coaching"]),
            )

        return await self.database.run(work)

    async def add_head(self, rubric_id: str, rubric_hash: str, judge: str, head: str) -> None:
        """Keep a calibrated head (JSON) for a rubric's version and a way of judging."""

        def work(db: Connection) -> None:
            db.table("heads").insert(
                {
                    "created_at": now(),
                    "rubric_id": rubric_id,
                    "rubric_hash": rubric_hash,
                    "judge": judge,
                    "head": head,
                }
            )

        await self.database.run(work)

    async def head(self, rubric_hash: str, judge: str) -> str | None:
        """The newest head (JSON) for a rubric's version and a way of judging, if there is one."""

        def work(db: Connection) -> str | None:
            row = _one(
                db,
                "SELECT head FROM heads WHERE rubric_hash = ? AND judge = ? "
                "ORDER BY id DESC LIMIT 1",
                (rubric_hash, judge),
            )
            return None if row is None else str(row["head"])

        return await self.database.run(work)

    async def transcript(self, session_id: str, customer_name: str) -> Transcript:
        """A session's turns as a transcript."""
        turns = await self.turns(session_id)
        return Transcript(
            id=session_id,
            turns=[Turn(role=turn.role, text=turn.text) for turn in turns],
            customer_name=customer_name,
        )


def quoted_words(words: str) -> str:
    """Words for the full-text index, each in quotes, so that none is taken as search syntax."""
    return " ".join(f'"{word}"' for word in re.findall(r"\w+", words))


def _one(db: Connection, sql: str, args: tuple[object, ...]) -> dict[str, Any] | None:
    return next(iter(db.query(sql, args)), None)


def _insert_turn(
    db: Connection,
    session_id: str,
    turn_id: str,
    number: int,
    role: Role,
    text: str,
    **more: Any,
) -> None:
    db.table("turns").insert(
        {
            "id": turn_id,
            "session_id": session_id,
            "number": number,
            "role": role,
            "text": text,
            "created_at": now(),
            **more,
        }
    )

"""The store: sessions, turns, answers and grades in one SQLite file.

This module and the migrations are the only ones that know the database. A call runs in the
store's one thread; what it wrote is on the disk when it returns.
"""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar

from sqlite_utils.db import Database

from warmline.errors import NotFound, WarmlineError
from warmline.library import Entry
from warmline.migrations import migrations
from warmline.persona import Persona
from warmline.rubric import Rubric
from warmline.transcript import Role, Transcript, Turn

P = ParamSpec("P")
T = TypeVar("T")

SessionStatus = Literal["talking", "over", "graded", "not_graded"]

#: How long a writer waits for another process, in milliseconds.
BUSY_TIMEOUT_MS = 10_000


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


@dataclass(frozen=True)
class StoredGrade:
    """A grade and its coaching, as the JSON they were made as."""

    session_id: str
    created_at: str
    grade: dict[str, Any]
    coaching: dict[str, Any]


@dataclass(frozen=True)
class StoredUser:
    """A person who uses Warmline."""

    id: str
    identifier: str
    role: str
    created_at: str


def now() -> str:
    """The time as ISO 8601 in UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Store:
    """The database. Make it with ``Store.open``; close it when done."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._db: Database | None = None

    @classmethod
    async def open(cls, file: Path) -> Store:
        """Open the database, making or upgrading it.

        Raises:
            WarmlineError: if the file cannot be opened, is damaged, or is not a database.
        """
        store = cls(file)
        try:
            await store._run(store._open)
        except BaseException:
            store._thread.shutdown(wait=False)
            raise
        return store

    async def close(self) -> None:
        """Close the database."""
        if self._db is not None:
            await self._run(self._db.close)
        self._thread.shutdown(wait=True)

    def _open(self) -> None:
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            db = Database(sqlite3.connect(self.file, timeout=BUSY_TIMEOUT_MS / 1000))
            db.enable_wal()
            # A turn is on the disk before it is answered, power loss included.
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA foreign_keys = ON")
            migrations.apply(db)
        except (sqlite3.Error, OSError) as error:
            raise WarmlineError(
                f"The database {self.file} cannot be opened: {error}. "
                "Check that the folder can be written and the disk is not full."
            ) from error
        self._db = db

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, lambda: work(*args, **kwargs))
        except sqlite3.IntegrityError:
            # A rule of the schema broken by our own code, not the state of the file.
            raise
        except sqlite3.DatabaseError as error:
            raise WarmlineError(
                f"The database {self.file} cannot be used now: {error}. "
                "What was saved before is safe; check the disk and try again."
            ) from error

    @property
    def _open_db(self) -> Database:
        assert self._db is not None, "the store is not open"
        return self._db

    def _one(self, sql: str, args: tuple[object, ...]) -> dict[str, Any] | None:
        return next(iter(self._open_db.query(sql, args)), None)

    # Users

    async def user(self, identifier: str, role: str = "trainee") -> StoredUser:
        """The user of that name, made with that role if there is none."""

        def work() -> StoredUser:
            row = self._one("SELECT * FROM users WHERE identifier = ?", (identifier,))
            if row is None:
                row = {
                    "id": str(uuid.uuid4()),
                    "identifier": identifier,
                    "role": role,
                    "created_at": now(),
                }
                self._open_db.table("users").insert(row)
            return StoredUser(**row)

        return await self._run(work)

    async def find_user(self, identifier: str) -> StoredUser | None:
        """The user of that name, if there is one."""

        def work() -> StoredUser | None:
            row = self._one("SELECT * FROM users WHERE identifier = ?", (identifier,))
            return StoredUser(**row) if row else None

        return await self._run(work)

    async def user_name(self, user_id: str) -> str:
        """The name of a user.

        Raises:
            NotFound: if there is none of that id.
        """

        def work() -> str:
            row = self._one("SELECT identifier FROM users WHERE id = ?", (user_id,))
            if row is None:
                raise NotFound("No such user.")
            return str(row["identifier"])

        return await self._run(work)

    # Sessions

    async def start_session(
        self,
        session_id: str,
        user_id: str,
        persona: Entry[Persona],
        rubric: Entry[Rubric],
        state: str,
        seed: int,
    ) -> StoredSession:
        """Keep a new session with its opening line, and the versions it is played with."""

        def work() -> StoredSession:
            db = self._open_db
            at = now()
            row: dict[str, Any] = {
                "id": session_id,
                "user_id": user_id,
                "persona_id": persona.item.id,
                "persona_hash": persona.hash,
                "rubric_id": rubric.item.id,
                "rubric_hash": rubric.hash,
                "title": f"{persona.item.name}: {persona.item.title}",
                "status": "talking",
                "seed": seed,
                "created_at": at,
                "finished_at": None,
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
                self._insert_turn(
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

        return await self._run(work)

    async def session(self, session_id: str) -> StoredSession:
        """One session.

        Raises:
            NotFound: if there is none of that id.
        """

        def work() -> StoredSession:
            row = self._one("SELECT * FROM sessions WHERE id = ?", (session_id,))
            if row is None:
                raise NotFound(f"No session {session_id}.")
            return StoredSession(**row)

        return await self._run(work)

    async def sessions(
        self, user_id: str | None = None, *, before: str | None = None, limit: int = 1000
    ) -> list[StoredSession]:
        """Sessions, newest first: one user's or everybody's, those before a session's id."""

        def work() -> list[StoredSession]:
            sql = """
                SELECT * FROM sessions
                WHERE (:user IS NULL OR user_id = :user)
                  AND (:before IS NULL OR (created_at, id) <
                       (SELECT created_at, id FROM sessions WHERE id = :before))
                ORDER BY created_at DESC, id DESC LIMIT :limit
            """
            args = {"user": user_id, "before": before, "limit": limit}
            return [StoredSession(**row) for row in self._open_db.query(sql, args)]

        return await self._run(work)

    async def set_status(self, session_id: str, status: SessionStatus) -> None:
        """Change where a session stands."""

        def work() -> None:
            changes: dict[str, Any] = {"status": status}
            if status == "graded":
                changes["finished_at"] = now()
            self._open_db.table("sessions").update(session_id, changes)

        await self._run(work)

    async def delete_session(self, session_id: str) -> None:
        """Delete a session with everything that belongs to it."""

        def work() -> None:
            db = self._open_db
            with db.atomic():
                db.execute("DELETE FROM answers WHERE subject = ?", (session_id,))
                # Row by row through the turns first, so that the full-text index follows.
                db.execute("DELETE FROM turns WHERE session_id = ?", (session_id,))
                db.execute("DELETE FROM sessions WHERE id = ?", (session_id,))

        await self._run(work)

    async def version_text(self, version: str) -> str:
        """The text of a persona or rubric version that a session was played with.

        Raises:
            NotFound: if that version was never used.
        """

        def work() -> str:
            row = self._one("SELECT text FROM versions WHERE hash = ?", (version,))
            if row is None:
                raise NotFound(f"No version {version}.")
            return str(row["text"])

        return await self._run(work)

    # Turns

    def _insert_turn(
        self, session_id: str, turn_id: str, number: int, role: Role, text: str, **more: Any
    ) -> None:
        self._open_db.table("turns").insert(
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
    ) -> int:
        """Keep one turn; returns its number. The same ``turn_id`` twice is kept once."""

        def work() -> int:
            db = self._open_db
            with db.atomic():
                if turn_id is not None:
                    old = self._one(
                        "SELECT number FROM turns WHERE id = ? AND session_id = ?",
                        (turn_id, session_id),
                    )
                    if old is not None:
                        return int(old["number"])
                row = self._one(
                    "SELECT COALESCE(MAX(number) + 1, 0) AS number FROM turns WHERE session_id = ?",
                    (session_id,),
                )
                assert row is not None
                number = int(row["number"])
                self._insert_turn(
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

        return await self._run(work)

    async def turns(self, session_id: str) -> list[StoredTurn]:
        """A session's turns, oldest first."""

        def work() -> list[StoredTurn]:
            rows = self._open_db.query(
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

        return await self._run(work)

    async def search(self, words: str, limit: int = 50) -> list[tuple[str, int, str]]:
        """Turns in which the words stand: session, turn number and text, best first."""

        def work() -> list[tuple[str, int, str]]:
            # Each word in quotes of its own, so that nothing typed is taken as search syntax.
            quoted = " ".join(f'"{word}"' for word in re.findall(r"\w+", words))
            if not quoted:
                return []
            rows = self._open_db.table("turns").search(quoted, limit=limit)
            return [(row["session_id"], row["number"], row["text"]) for row in rows]

        return await self._run(work)

    # Answers and grades

    async def answers(
        self, subject: str, rubric_hash: str, digest: str, prompt_version: str
    ) -> dict[tuple[str, str, int], float | None]:
        """The kept answers of one subject, by step, check and turn."""

        def work() -> dict[tuple[str, str, int], float | None]:
            rows = self._open_db.query(
                "SELECT step, check_id, turn, probability FROM answers "
                "WHERE subject = ? AND rubric_hash = ? AND digest = ? AND prompt_version = ?",
                (subject, rubric_hash, digest, prompt_version),
            )
            return {(r["step"], r["check_id"], r["turn"]): r["probability"] for r in rows}

        return await self._run(work)

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

        def work() -> None:
            step, check, turn = key
            self._open_db.table("answers").insert(
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

        await self._run(work)

    async def add_grade(
        self, session_id: str, grade: dict[str, Any], coaching: dict[str, Any]
    ) -> None:
        """Keep a grade with its coaching; earlier grades of the session stay."""

        def work() -> None:
            db = self._open_db
            with db.atomic():
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
                db.table("sessions").update(session_id, {"status": "graded", "finished_at": now()})

        await self._run(work)

    async def grade(self, session_id: str) -> StoredGrade | None:
        """The latest grade of a session, if it has one."""

        def work() -> StoredGrade | None:
            row = self._one(
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

        return await self._run(work)

    async def add_head(self, rubric_id: str, rubric_hash: str, judge: str, head: str) -> None:
        """Keep a calibrated head (JSON) for a rubric's version and a way of judging."""

        def work() -> None:
            self._open_db.table("heads").insert(
                {
                    "created_at": now(),
                    "rubric_id": rubric_id,
                    "rubric_hash": rubric_hash,
                    "judge": judge,
                    "head": head,
                }
            )

        await self._run(work)

    async def head(self, rubric_hash: str, judge: str) -> str | None:
        """The newest head (JSON) for a rubric's version and a way of judging, if there is one."""

        def work() -> str | None:
            row = self._one(
                "SELECT head FROM heads WHERE rubric_hash = ? AND judge = ? "
                "ORDER BY id DESC LIMIT 1",
                (rubric_hash, judge),
            )
            return None if row is None else str(row["head"])

        return await self._run(work)

    async def transcript(self, session_id: str, customer_name: str) -> Transcript:
        """A session's turns as a transcript."""
        turns = await self.turns(session_id)
        return Transcript(
            id=session_id,
            turns=[Turn(role=turn.role, text=turn.text) for turn in turns],
            customer_name=customer_name,
        )

"""The coach's desk in the database: finding sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlite_utils.db import Database as Connection

from warmline.database import Database
from warmline.store import StoredSession, quoted_words


@dataclass(frozen=True)
class Wanted:
    """Which sessions a coach looks for; None and empty leave it open.

    ``since`` and ``until`` are days, as ``2030-05-01``; ``words`` is looked for in what was said.
    """

    trainee: str = ""
    persona_id: str = ""
    rubric_id: str = ""
    since: str = ""
    until: str = ""
    passed: bool | None = None
    unclear: bool = False
    not_reviewed: bool = False
    judged: bool = False
    words: str = ""


_SESSIONS = """
    SELECT sessions.*, users.identifier AS trainee,
        EXISTS (SELECT 1 FROM edits WHERE session_id = sessions.id AND coach_id = :coach
                AND kind = 'seen') AS seen
    FROM sessions JOIN users ON users.id = sessions.user_id
    WHERE {clauses}
    ORDER BY sessions.created_at DESC, sessions.id DESC LIMIT :limit
"""


class Desk:
    """Reads what lies on a coach's desk."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def sessions(
        self,
        coach_id: str,
        wanted: Wanted,
        *,
        own: bool = False,
        before: str | None = None,
        limit: int = 50,
    ) -> list[tuple[StoredSession, str, bool]]:
        """Sessions on a coach's desk, newest first.

        With each its trainee's name, and whether this coach has seen the machine's grade.

        Args:
            coach_id: whose desk it is.
            wanted: which sessions are looked for.
            own: the coach's own sessions, for somebody who is alone here; else what the trainees
                of the coach's teams have shared.
            before: the session that the page before ended with.
            limit: how many.
        """
        whose = (
            "sessions.user_id = :coach"
            if own
            else """shared_at IS NOT NULL AND sessions.user_id != :coach AND sessions.user_id IN (
                SELECT user_id FROM team_members
                WHERE team IN (SELECT team FROM team_members WHERE user_id = :coach))"""
        )
        clauses = [whose]
        args: dict[str, Any] = {"coach": coach_id, "limit": limit}

        def when(given: object, clause: str, **values: object) -> None:
            if given:
                clauses.append(clause)
                args.update(values)

        when(wanted.trainee, "users.identifier = :trainee", trainee=wanted.trainee)
        when(wanted.persona_id, "persona_id = :persona", persona=wanted.persona_id)
        when(wanted.rubric_id, "rubric_id = :rubric", rubric=wanted.rubric_id)
        when(wanted.since, "sessions.created_at >= :since", since=wanted.since)
        # Later than every moment of that day.
        when(wanted.until, "sessions.created_at < :until", until=f"{wanted.until}T99")
        when(wanted.passed is not None, "passed = :passed", passed=int(bool(wanted.passed)))
        when(wanted.unclear, "unclear > 0")
        when(wanted.not_reviewed, "reviewed_at IS NULL AND status = 'graded'")
        # A blind grade says how well both agree, whatever was done afterwards; to be asked for
        # another try says nothing of it.
        when(
            wanted.judged,
            "EXISTS (SELECT 1 FROM edits WHERE session_id = sessions.id "
            "AND kind IN ('blind', 'override', 'approve'))",
        )
        quoted = quoted_words(wanted.words)
        when(
            quoted,
            "sessions.id IN (SELECT session_id FROM turns WHERE rowid IN "
            "(SELECT rowid FROM turns_fts WHERE turns_fts MATCH :words))",
            words=quoted,
        )
        when(
            before,
            "(sessions.created_at, sessions.id) < "
            "(SELECT created_at, id FROM sessions WHERE id = :before)",
            before=before,
        )

        def work(db: Connection) -> list[tuple[StoredSession, str, bool]]:
            # The clauses are those above; what was asked for goes in as parameters.
            sql = _SESSIONS.format(clauses=" AND ".join(clauses))
            found = []
            for row in db.query(sql, args):
                trainee = str(row.pop("trainee"))
                seen = bool(row.pop("seen"))
                found.append((StoredSession(**row), trainee, seen))
            return found

        return await self.database.run(work)

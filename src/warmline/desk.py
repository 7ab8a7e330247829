"""The coach's desk in the database: finding sessions, and how coaches judged them."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlite_utils.db import Database as Connection

from warmline.database import Database
from warmline.results import OF_TEAM, OWN
from warmline.store import StoredSession, quoted_words
from warmline.transcript import Transcript, Turn


@dataclass(frozen=True)
class Wanted:
    """Which sessions a coach looks for; None and empty leave it open.

    ``since`` and ``until`` are days, as ``2030-05-01``; ``words`` is looked for in what was said.
    ``passed`` and ``unclear`` find only sessions whose grade the coach has seen: the list would
    else tell a result that they could still give their own grade before.
    """

    trainee: str = ""
    persona_id: str = ""
    rubric_id: str = ""
    since: str = ""
    until: str = ""
    passed: bool | None = None
    unclear: bool = False
    not_reviewed: bool = False
    words: str = ""


@dataclass(frozen=True)
class Judged:
    """A session that a coach judged: each step's level by the machine and by coaches, as text.

    ``unclear`` and ``not_applicable`` stand for a step without a level. ``names`` are the steps'
    names, in the rubric's order. ``blind`` says that a coach gave their levels before seeing the
    machine's; those count then, whatever was changed afterwards.
    """

    session_id: str
    rubric_id: str
    rubric_hash: str
    model: str
    names: dict[str, str]
    machine: dict[str, str]
    coach: dict[str, str]
    blind: bool


#: Words that stand in more turns than this are looked for in each session, newest first; rarer
#: ones first in the index.
_RARE = 5000

_RARELY = """sessions.id IN (SELECT session_id FROM turns WHERE rowid IN (
    SELECT rowid FROM turns_fts WHERE turns_fts MATCH :words))"""
_OFTEN = """EXISTS (SELECT 1 FROM turns WHERE session_id = sessions.id AND rowid IN (
    SELECT rowid FROM turns_fts WHERE turns_fts MATCH :words))"""

#: Whether this coach has seen a session's grade.
_SEEN = """EXISTS (SELECT 1 FROM edits WHERE session_id = sessions.id AND coach_id = :coach
    AND kind = 'seen')"""

_SESSIONS = f"""
    SELECT sessions.*, users.identifier AS trainee, {_SEEN} AS seen
    FROM sessions JOIN users ON users.id = sessions.user_id
    WHERE {{clauses}}
    ORDER BY sessions.created_at DESC, sessions.id DESC LIMIT :limit
"""  # noqa: S608

#: A blind grade says how well both agree, whatever was done afterwards; to be asked for another
#: try says nothing of it. Of each grade only what is compared is read.
_JUDGED = f"""
    SELECT sessions.id AS session_id, rubric_id, grades.rubric_hash AS rubric_hash, model,
        (SELECT json_group_array(json_array(
                json_extract(value, '$.id'), json_extract(value, '$.name'),
                COALESCE(CAST(json_extract(value, '$.level') AS TEXT),
                         json_extract(value, '$.status'))))
         FROM json_each(grade, '$.steps')) AS steps,
        (SELECT json_group_array(json_array(kind, step, after))
         FROM (SELECT kind, step, after FROM edits WHERE session_id = sessions.id
               AND kind IN ('blind', 'override') ORDER BY id)) AS given
    FROM sessions
    JOIN grades ON grades.id = (SELECT MAX(id) FROM grades WHERE session_id = sessions.id)
    WHERE {{whose}} AND sessions.created_at >= :since
      AND (:rubric = '' OR rubric_id = :rubric)
      AND EXISTS (SELECT 1 FROM edits WHERE session_id = sessions.id
                  AND kind IN ('blind', 'override', 'approve'))
      AND {_SEEN}
    ORDER BY sessions.created_at DESC, sessions.id DESC
"""  # noqa: S608


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
        clauses = [OWN if own else OF_TEAM.format(plus="" if wanted.trainee else "+")]
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
        # To be found by a result is to be told it.
        when(wanted.passed is not None or wanted.unclear, _SEEN)
        when(wanted.not_reviewed, "reviewed_at IS NULL AND status = 'graded'")
        quoted = quoted_words(wanted.words)
        when(
            before,
            "(sessions.created_at, sessions.id) < "
            "(SELECT created_at, id FROM sessions WHERE id = :before)",
            before=before,
        )

        def work(db: Connection) -> list[tuple[StoredSession, str, bool]]:
            if quoted:
                clauses.append(_RARELY if _is_rare(db, quoted) else _OFTEN)
                args["words"] = quoted
            # The clauses are those above; what was asked for goes in as parameters.
            sql = _SESSIONS.format(clauses=" AND ".join(clauses))
            found = []
            for row in db.query(sql, args):
                trainee = str(row.pop("trainee"))
                seen = bool(row.pop("seen"))
                found.append((StoredSession(**row), trainee, seen))
            return found

        return await self.database.run(work)

    async def judged(
        self, coach_id: str, since: str, *, rubric_id: str = "", own: bool = False
    ) -> list[Judged]:
        """Sessions on a desk that coaches judged and whose grade this coach has seen, newest first.

        Args:
            coach_id: whose desk it is.
            since: the day of the earliest session, as ``2030-05-01``.
            rubric_id: only those graded by this rubric; empty for all.
            own: as for ``sessions``.
        """
        whose = OWN if own else OF_TEAM.format(plus="+")
        args = {"coach": coach_id, "since": since, "rubric": rubric_id}

        def work(db: Connection) -> list[Judged]:
            return [_judged(row) for row in db.query(_JUDGED.format(whose=whose), args)]

        return await self.database.run(work)

    async def transcripts(self, session_ids: Collection[str]) -> dict[str, Transcript]:
        """What was said in sessions, by their ids; unknown ids are left out."""

        def work(db: Connection) -> dict[str, Transcript]:
            turns: dict[str, list[Turn]] = {}
            for row in db.query(
                "SELECT session_id, role, text FROM turns "
                "WHERE session_id IN (SELECT value FROM json_each(?)) ORDER BY session_id, number",
                (json.dumps(list(session_ids)),),
            ):
                said = Turn(role=row["role"], text=row["text"])
                turns.setdefault(str(row["session_id"]), []).append(said)
            return {one: Transcript(id=one, turns=said) for one, said in turns.items()}

        return await self.database.run(work)


def _judged(row: dict[str, Any]) -> Judged:
    steps = json.loads(row.pop("steps"))
    given = json.loads(row.pop("given"))
    machine = {step: level for step, _, level in steps}
    blind = {step: level for kind, step, level in given if kind == "blind"}
    changed = {step: level for kind, step, level in given if kind == "override"}
    return Judged(
        **row,
        names={step: name for step, name, _ in steps},
        machine=machine,
        coach=blind or machine | changed,
        blind=bool(blind),
    )


def _is_rare(db: Connection, words: str) -> bool:
    """Whether words stand in few turns."""
    found = db.execute(
        "SELECT COUNT(*) FROM (SELECT 1 FROM turns_fts WHERE turns_fts MATCH ? LIMIT ?)",
        (words, _RARE + 1),
    ).fetchone()[0]
    return int(found) <= _RARE

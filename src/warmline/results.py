"""What stands of a session's grade after all that coaches changed, in the database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlite_utils.db import Database as Connection

from warmline.database import Database


@dataclass(frozen=True)
class StepResult:
    """What stands of one step.

    ``status`` is ``graded``, ``unclear`` or ``not_applicable``. ``level`` and ``share``, how much
    of the step was reached (0 to 1), are None unless it is graded.
    """

    step: str
    status: str
    level: int | None
    share: float | None


@dataclass(frozen=True)
class Standing:
    """A session's result as it stands, as lists show it.

    ``total`` is 0 to 100, None when too much is unclear; ``unclear`` counts the steps that are.
    ``auto_failed``: a step is below what it has to reach, whatever the total.
    """

    total: float | None
    passed: bool | None
    unclear: int
    auto_failed: bool
    steps: tuple[StepResult, ...]


def keep_standing(db: Connection, session_id: str, standing: Standing) -> None:
    """Write it down in the place of what stood before. The caller holds the transaction."""
    db.execute(
        "UPDATE sessions SET total = ?, passed = ?, unclear = ?, auto_failed = ? WHERE id = ?",
        (
            standing.total,
            standing.passed,
            standing.unclear,
            standing.auto_failed,
            session_id,
        ),
    )
    db.execute("DELETE FROM step_results WHERE session_id = ?", (session_id,))
    db.conn.executemany(
        "INSERT INTO step_results (session_id, step, status, level, share) VALUES (?, ?, ?, ?, ?)",
        [(session_id, one.step, one.status, one.level, one.share) for one in standing.steps],
    )


@dataclass(frozen=True)
class Result:
    """A graded session with what stands of each step, by the step's id."""

    session_id: str
    user_id: str
    persona_id: str
    rubric_id: str
    title: str
    created_at: str
    total: float | None
    passed: bool | None
    asked_for: str | None
    steps: dict[str, StepResult]


@dataclass(frozen=True)
class StepMean:
    """A trainee's step over several sessions: in how many it was graded, and the mean share."""

    user_id: str
    trainee: str
    step: str
    sessions: int
    share: float


@dataclass(frozen=True)
class Week:
    """A week, by its Monday: how many sessions, and the mean of what is asked for."""

    monday: str
    sessions: int
    mean: float


@dataclass(frozen=True)
class PersonaResult:
    """How sessions with a persona went: how many, by how many trainees, mean total, part passed."""

    persona_id: str
    sessions: int
    trainees: int
    total: float
    passed: float


#: Which sessions lie on a coach's desk, ``:coach``: what the trainees of their teams have shared.
#: With the plus SQLite goes through the sessions by time and stops when a page is full, and does
#: not collect those of a whole team first.
OF_TEAM = """shared_at IS NOT NULL AND sessions.user_id != :coach AND {plus}sessions.user_id IN (
    SELECT user_id FROM team_members
    WHERE team IN (SELECT team FROM team_members WHERE user_id = :coach))"""
#: The same for somebody who is alone here: their own. What was tried out in the studio is no
#: practice; it cannot be shared either.
OWN = "sessions.user_id = :coach AND NOT draft"

_RUBRICS = """
    SELECT rubric_id, COUNT(*) AS sessions FROM sessions
    WHERE {whose} AND status = 'graded' AND created_at >= :since
    GROUP BY rubric_id ORDER BY sessions DESC, rubric_id
"""

_OF_STEP = "JOIN step_results ON step_results.session_id = sessions.id AND step = :step"

_WEEKS = """
    SELECT date(created_at, 'weekday 0', '-6 days') AS monday,
           COUNT({value}) AS sessions, AVG({value}) AS mean
    FROM sessions {join}
    WHERE {whose} AND rubric_id = :rubric AND sessions.status = 'graded'
      AND created_at >= :since AND {value} IS NOT NULL
    GROUP BY 1 ORDER BY 1
"""

_PERSONAS = """
    SELECT persona_id, COUNT(*) AS sessions, COUNT(DISTINCT user_id) AS trainees,
           AVG(total) AS total, AVG(passed) AS passed
    FROM sessions
    WHERE {whose} AND rubric_id = :rubric AND status = 'graded'
      AND created_at >= :since AND total IS NOT NULL
    GROUP BY persona_id ORDER BY total, persona_id
"""

_WEAKEST = """
    SELECT sessions.id AS id, identifier AS trainee
    FROM sessions JOIN users ON users.id = sessions.user_id {join}
    WHERE {whose} AND rubric_id = :rubric AND sessions.status = 'graded'
      AND share <= :below {only}
    ORDER BY sessions.created_at DESC, sessions.id DESC LIMIT :limit
"""

_SEEN = """AND EXISTS (SELECT 1 FROM edits WHERE session_id = sessions.id
    AND coach_id = :coach AND kind = 'seen')"""

#: For each trainee on the desk, the newest sessions only, however many there are.
_NEWEST = """
    FROM (SELECT DISTINCT user_id FROM team_members
          WHERE team IN (SELECT team FROM team_members WHERE user_id = :coach)
            AND user_id != :coach AND NOT :own
          UNION SELECT :coach WHERE :own) AS member
    JOIN sessions ON sessions.id IN (
        SELECT id FROM sessions WHERE user_id = member.user_id
          AND (shared_at IS NOT NULL OR :own AND NOT draft)
          AND rubric_id = :rubric AND status = 'graded'
        ORDER BY created_at DESC, id DESC LIMIT :each)
"""

_STEP_MEANS = (
    "SELECT member.user_id AS user_id, identifier AS trainee, step, COUNT(share) AS sessions, "
    "AVG(share) AS share" + _NEWEST + "JOIN step_results ON step_results.session_id = sessions.id "
    "JOIN users ON users.id = member.user_id "
    "WHERE share IS NOT NULL GROUP BY member.user_id, step"
)

_MET = (
    "SELECT member.user_id AS user_id, persona_id, passed"
    + _NEWEST
    + "WHERE passed IS NOT NULL ORDER BY created_at DESC, sessions.id DESC"
)


class Results:
    """Reads what stands, of one trainee or of those on a coach's desk.

    ``own`` stands for somebody who is alone here, and whose desk holds their own sessions.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    async def of(self, user_id: str) -> list[Result]:
        """All graded sessions of a user, oldest first."""

        def work(db: Connection) -> list[Result]:
            return _results(
                db.query(
                    "SELECT sessions.*, step, step_results.status AS step_status, level, share "
                    "FROM sessions LEFT JOIN step_results ON session_id = sessions.id "
                    "WHERE user_id = ? AND sessions.status = 'graded' AND NOT draft "
                    "ORDER BY created_at, sessions.id",
                    (user_id,),
                )
            )

        return await self.database.run(work)

    async def earlier(self, session_id: str) -> str | None:
        """The graded session that its trainee had before it with the same rubric, if any."""
        sql = """
            SELECT earlier.id AS id FROM sessions AS one JOIN sessions AS earlier
              ON earlier.user_id = one.user_id AND earlier.rubric_id = one.rubric_id
              AND earlier.status = 'graded' AND NOT earlier.draft
              AND (earlier.created_at, earlier.id) < (one.created_at, one.id)
            WHERE one.id = :id ORDER BY earlier.created_at DESC, earlier.id DESC LIMIT 1
        """
        rows = await self._rows(sql, {"id": session_id})
        return str(rows[0]["id"]) if rows else None

    async def rubrics(self, coach_id: str, *, own: bool, since: str) -> list[str]:
        """The rubrics of what is on a desk since a day, the most used first."""
        sql = _RUBRICS.format(whose=_whose(own))
        rows = await self._rows(sql, {"coach": coach_id, "since": since})
        return [str(row["rubric_id"]) for row in rows]

    async def step_means(
        self, coach_id: str, rubric_id: str, *, own: bool, each: int
    ) -> list[StepMean]:
        """Each trainee's steps over the newest ``each`` of their sessions with a rubric."""
        args = {"coach": coach_id, "rubric": rubric_id, "own": own, "each": each}
        return [StepMean(**row) for row in await self._rows(_STEP_MEANS, args)]

    async def newest(
        self, coach_id: str, rubric_id: str, *, own: bool, each: int
    ) -> dict[str, list[tuple[str, bool]]]:
        """Each trainee's newest sessions with a rubric, newest first: persona, and if passed."""
        args = {"coach": coach_id, "rubric": rubric_id, "own": own, "each": each}
        found: dict[str, list[tuple[str, bool]]] = {}
        for row in await self._rows(_MET, args):
            found.setdefault(row["user_id"], []).append((row["persona_id"], bool(row["passed"])))
        return found

    async def weeks(
        self, coach_id: str, rubric_id: str, *, own: bool, since: str, step: str | None = None
    ) -> list[Week]:
        """Week by week since a day: the mean total (0 to 100), or a step's mean share (0 to 1)."""
        value = "total" if step is None else "share"
        join = "" if step is None else _OF_STEP
        sql = _WEEKS.format(whose=_whose(own), value=value, join=join)
        args = {"coach": coach_id, "rubric": rubric_id, "since": since, "step": step}
        return [Week(**row) for row in await self._rows(sql, args)]

    async def personas(
        self, coach_id: str, rubric_id: str, *, own: bool, since: str
    ) -> list[PersonaResult]:
        """How sessions with each persona went since a day, the hardest first."""
        sql = _PERSONAS.format(whose=_whose(own))
        args = {"coach": coach_id, "rubric": rubric_id, "since": since}
        return [PersonaResult(**row) for row in await self._rows(sql, args)]

    async def weakest(
        self,
        coach_id: str,
        rubric_id: str,
        step: str,
        *,
        own: bool,
        below: float,
        seen: bool,
        limit: int,
    ) -> list[tuple[str, str]]:
        """The newest sessions in which a step's share is low, with their trainees' names.

        Args:
            coach_id: whose desk it is.
            rubric_id: the rubric.
            step: the step.
            own: see the class.
            below: a share up to this is low, 0 to 1.
            seen: only those whose grade this coach has seen.
            limit: how many.
        """
        sql = _WEAKEST.format(whose=_whose(own), join=_OF_STEP, only=_SEEN if seen else "")
        args: dict[str, Any] = {
            "coach": coach_id, "rubric": rubric_id, "step": step, "below": below, "limit": limit,
        }  # fmt: skip
        return [(row["id"], row["trainee"]) for row in await self._rows(sql, args)]

    async def _rows(self, sql: str, args: dict[str, Any]) -> list[dict[str, Any]]:
        # What is asked for goes in as parameters; the rest of each statement is written above.
        return await self.database.run(lambda db: list(db.query(sql, args)))


def _whose(own: bool) -> str:
    return OWN if own else OF_TEAM.format(plus="+")


def _results(rows: Iterable[dict[str, Any]]) -> list[Result]:
    """Sessions from their rows, one for each step."""
    found: dict[str, Result] = {}
    for row in rows:
        one = found.get(row["id"])
        if one is None:
            one = found[row["id"]] = Result(
                session_id=row["id"],
                user_id=row["user_id"],
                persona_id=row["persona_id"],
                rubric_id=row["rubric_id"],
                title=row["title"],
                created_at=row["created_at"],
                total=row["total"],
                passed=None if row["passed"] is None else bool(row["passed"]),
                asked_for=row["asked_for"],
                steps={},
            )
        if row["step"] is not None:
            one.steps[row["step"]] = StepResult(
                row["step"], row["step_status"], row["level"], row["share"]
            )
    return list(found.values())

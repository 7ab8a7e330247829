"""Assignments in the store: who was given what, and the tries that were handed in."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection
from typing import Any

from sqlite_utils.db import Database as Connection

from warmline.database import Database, now
from warmline.errors import NotFound, WarmlineError
from warmline.plans import NO_SUCH_PEOPLE, Assignment, Given, Plan, Trainee, Try, Work

#: Everybody on a coach's page: who shares a team with them, and is not disabled; with ``own`` the
#: coach themselves, for somebody who is alone here.
_THEIRS = """
    SELECT id FROM users WHERE disabled_at IS NULL AND CASE WHEN :own THEN id = :coach ELSE
        id != :coach AND id IN (SELECT user_id FROM team_members WHERE team IN
            (SELECT team FROM team_members WHERE user_id = :coach)) END
"""

#: Whether a coach gave an assignment, or nobody who is still here did.
_GAVE_IT = """(coach_id IS :coach OR coach_id IS NULL
    OR coach_id IN (SELECT id FROM users WHERE disabled_at IS NOT NULL))"""

_ASSIGNMENTS = """
    SELECT assignments.*, COALESCE(users.identifier, 'somebody who left') AS coach
    FROM assignments LEFT JOIN users ON users.id = assignments.coach_id
"""


class Assignments:
    """Reads and writes what was assigned and handed in.

    For a coach's page, ``own`` says that the coach is alone here and sees their own practice.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    # For the coach

    async def trainees(self, coach_id: str, *, own: bool = False) -> list[Trainee]:
        """Whom a coach may assign to, by name."""
        return await self.database.run(lambda db: _trainees(db, coach_id, own=own))

    async def assign(
        self,
        coach_id: str,
        plan: Plan,
        user_ids: Collection[str],
        team: str = "",
        *,
        own: bool = False,
    ) -> str:
        """Give trainees something to practise; returns the assignment's id.

        Exactly what this coach has given already, by a second press of the button, is not given
        twice.

        Args:
            coach_id: who gives it.
            plan: what is to be practised.
            user_ids: for whom.
            team: and everybody who is a trainee in this team now; empty for nobody.
            own: as for all of a coach's page.

        Raises:
            NotFound: if somebody, or the team, is not of the coach's.
            WarmlineError: if that is nobody at all.
        """

        def work(db: Connection) -> str:
            with db.atomic():
                everybody = _trainees(db, coach_id, own=own)
                chosen = set(user_ids)
                if not chosen <= {one.id for one in everybody}:
                    raise NotFound(NO_SUCH_PEOPLE)
                if team:
                    if not _in_team(db, coach_id, team):
                        raise NotFound(NO_SUCH_PEOPLE)
                    chosen |= {one.id for one in everybody if team in one.teams}
                if not chosen:
                    raise WarmlineError(
                        f"There is no trainee in {team} yet. Choose somebody else."
                        if team
                        else "Choose at least one trainee, or a team."
                    )
                return _given_already(db, coach_id, plan, chosen) or _insert(
                    db, coach_id, plan, chosen
                )

        return await self.database.run(work)

    async def given(
        self, coach_id: str, *, own: bool = False, before: str | None = None, limit: int = 20
    ) -> list[Given]:
        """What was assigned to a coach's trainees, by them and by others, the last due first.

        The result of a try that this coach has not opened is left out.

        Args:
            coach_id: whose page it is.
            own: as for all of a coach's page.
            before: the assignment that the page before ended with.
            limit: how many.
        """

        def work(db: Connection) -> list[Given]:
            args = {"coach": coach_id, "own": own, "before": before, "limit": limit}
            # The text put in is our own; what was asked for goes in as parameters.
            sql = f"""
                SELECT a.*, {_GAVE_IT} OR NOT EXISTS (
                        SELECT 1 FROM assigned JOIN users ON users.id = assigned.user_id
                        WHERE assignment_id = a.id AND disabled_at IS NULL
                          AND user_id NOT IN ({_THEIRS})) AS may_withdraw
                FROM ({_ASSIGNMENTS}) AS a
                WHERE EXISTS (SELECT 1 FROM assigned
                              WHERE assignment_id = a.id AND user_id IN ({_THEIRS}))
                  AND (:before IS NULL OR (a.due_on, a.created_at, a.id) <
                       (SELECT due_on, created_at, id FROM assignments WHERE id = :before))
                ORDER BY a.due_on DESC, a.created_at DESC, a.id DESC LIMIT :limit
            """  # noqa: S608
            rows = list(db.query(sql, args))
            may = {row["id"]: bool(row.pop("may_withdraw")) for row in rows}
            assignments = [Assignment(**row) for row in rows]
            works = _works_for_coach(db, coach_id, own, assignments)
            return [Given(one, tuple(works[one.id]), may[one.id]) for one in assignments]

        return await self.database.run(work)

    async def withdraw(self, coach_id: str, assignment_id: str, *, own: bool = False) -> None:
        """Take an assignment back: trainees no longer see it; what was handed in stays.

        A coach may do so with what they gave, with what only trainees of their teams have, and
        with what was given by somebody who is not here any more.

        Raises:
            NotFound: if nobody of theirs has it.
            WarmlineError: if another coach gave it, to others too.
        """

        def work(db: Connection) -> None:
            with db.atomic():
                args = {"coach": coach_id, "own": own, "id": assignment_id}
                sql = f"""
                    SELECT COUNT(*) FILTER (WHERE theirs) AS theirs,
                           COUNT(*) FILTER (WHERE NOT theirs) AS others,
                           MAX({_GAVE_IT}) AS gave_it
                    FROM (SELECT coach_id, assigned.user_id IN ({_THEIRS}) AS theirs
                          FROM assigned JOIN users ON users.id = assigned.user_id
                          JOIN assignments ON assignments.id = assigned.assignment_id
                          WHERE assignment_id = :id AND disabled_at IS NULL)
                """  # noqa: S608
                row = next(iter(db.query(sql, args)))
                if not row["theirs"]:
                    raise NotFound("There is no such assignment.")
                if row["others"] and not row["gave_it"]:
                    raise WarmlineError(
                        "Another coach gave this assignment, to trainees of other teams too. Ask "
                        "them to withdraw it."
                    )
                db.execute(
                    "UPDATE assignments SET withdrawn_at = ? WHERE id = ? AND withdrawn_at IS NULL",
                    (now(), assignment_id),
                )

        await self.database.run(work)

    # For the trainee

    async def of_trainee(self, user_id: str) -> list[Work]:
        """What somebody is to practise: what is open first, in both parts the first due first."""

        def work(db: Connection) -> list[Work]:
            works = _works_of(db, user_id)
            return sorted(
                works,
                key=lambda one: (
                    not one.open,
                    one.assignment.due_on,
                    one.assignment.created_at,
                    one.assignment.id,
                ),
            )

        return await self.database.run(work)

    async def assigned_to(self, user_id: str, assignment_id: str) -> Assignment:
        """An assignment that somebody was given.

        Raises:
            NotFound: if they were not, or it was withdrawn.
        """

        def work(db: Connection) -> list[Work]:
            return _works_of(db, user_id, assignment_id)

        found = await self.database.run(work)
        if not found or found[0].assignment.withdrawn_at:
            raise NotFound(
                "That assignment is not there any more; your coach may have withdrawn it. What is "
                "there stands on your page Assignments."
            )
        return found[0].assignment

    async def work_for(self, user_id: str, assignment_id: str) -> Work | None:
        """How far somebody is with an assignment, withdrawn or not; None if it is not theirs."""
        found = await self.database.run(lambda db: _works_of(db, user_id, assignment_id))
        return found[0] if found else None

    async def hand_in(self, user_id: str, session_id: str) -> None:
        """Hand in a session: it counts as a try, and the coaches may read it from now on.

        A session that was handed in already stays so, and counts once.

        Raises:
            NotFound: if it is no session of theirs.
            WarmlineError: if it cannot be handed in, with the reason.
        """

        def work(db: Connection) -> None:
            with db.atomic():
                row = _handing_in(db, user_id, session_id)
                if row is None:
                    raise NotFound("There is no such conversation.")
                if row["handed_in"]:
                    return
                if problem := _why_not(row):
                    raise WarmlineError(problem)
                at = now()
                db.table("submissions").insert(
                    {
                        "assignment_id": row["assignment_id"],
                        "user_id": user_id,
                        "session_id": session_id,
                        "at": at,
                    }
                )
                db.execute(
                    "UPDATE sessions SET shared_at = COALESCE(shared_at, ?) WHERE id = ?",
                    (at, session_id),
                )

        await self.database.run(work)

    async def handed_in_by(self, user_id: str) -> set[str]:
        """The sessions that somebody has handed in, those left out that were deleted since."""

        def work(db: Connection) -> set[str]:
            rows = db.query(
                "SELECT session_id FROM submissions WHERE user_id = ? AND session_id IS NOT NULL",
                (user_id,),
            )
            return {str(row["session_id"]) for row in rows}

        return await self.database.run(work)


def _trainees(db: Connection, coach_id: str, *, own: bool) -> list[Trainee]:
    sql = f"""
        SELECT users.id, identifier AS name, (
            SELECT json_group_array(team) FROM (
                SELECT team FROM team_members WHERE user_id = users.id AND team IN
                    (SELECT team FROM team_members WHERE user_id = :coach) ORDER BY team)) AS teams
        FROM users JOIN user_roles ON user_roles.user_id = users.id AND role = 'trainee'
        WHERE users.id IN ({_THEIRS}) ORDER BY identifier
    """  # noqa: S608
    return [
        Trainee(row["id"], row["name"], tuple(json.loads(row["teams"])))
        for row in db.query(sql, {"coach": coach_id, "own": own})
    ]


def _in_team(db: Connection, user_id: str, team: str) -> bool:
    sql = "SELECT 1 FROM team_members WHERE user_id = ? AND team = ?"
    return next(iter(db.query(sql, (user_id, team))), None) is not None


def _given_already(db: Connection, coach_id: str, plan: Plan, chosen: set[str]) -> str | None:
    rows = db.query(
        """
        SELECT id, (SELECT json_group_array(user_id) FROM assigned
                    WHERE assignment_id = assignments.id) AS people
        FROM assignments
        WHERE coach_id = ? AND persona_id = ? AND rubric_id = ? AND due_on = ? AND pass_mark = ?
          AND tries IS ? AND note = ? AND withdrawn_at IS NULL
        """,
        (
            coach_id,
            plan.persona_id,
            plan.rubric_id,
            plan.due_on,
            plan.pass_mark,
            plan.tries,
            plan.note,
        ),
    )
    same = (row["id"] for row in rows if set(json.loads(row["people"])) == chosen)
    return next((str(one) for one in same), None)


def _insert(db: Connection, coach_id: str, plan: Plan, chosen: set[str]) -> str:
    assignment_id = str(uuid.uuid4())
    db.table("assignments").insert(
        {
            "id": assignment_id,
            "coach_id": coach_id,
            "persona_id": plan.persona_id,
            "rubric_id": plan.rubric_id,
            "due_on": plan.due_on,
            "pass_mark": plan.pass_mark,
            "tries": plan.tries,
            "note": plan.note,
            "created_at": now(),
        }
    )
    db.table("assigned").insert_all(
        {"assignment_id": assignment_id, "user_id": user_id} for user_id in sorted(chosen)
    )
    return assignment_id


def _works_for_coach(
    db: Connection, coach_id: str, own: bool, assignments: list[Assignment]
) -> dict[str, list[Work]]:
    """For each assignment the coach's trainees who have it, by name."""
    by_id = {one.id: one for one in assignments}
    args = {"coach": coach_id, "own": own, "ids": json.dumps(list(by_id))}
    these = "assignment_id IN (SELECT value FROM json_each(:ids))"
    tries: dict[tuple[str, str], list[Try]] = {}
    for row in db.query(
        f"""
        SELECT submissions.assignment_id, submissions.user_id, submissions.at AS handed_in_at,
            sessions.id AS session_id, COALESCE(title, '') AS title,
            COALESCE(status, '') AS status, COALESCE(created_at, submissions.at) AS created_at,
            total, auto_failed,
            EXISTS (SELECT 1 FROM edits WHERE edits.session_id = sessions.id
                    AND edits.coach_id = :coach AND kind = 'seen') AS seen
        FROM submissions LEFT JOIN sessions ON sessions.id = submissions.session_id
        WHERE submissions.{these} ORDER BY submissions.at, submissions.id
        """,  # noqa: S608
        args,
    ):
        tries.setdefault((row.pop("assignment_id"), row.pop("user_id")), []).append(
            _as_coach_sees(row)
        )
    begun = {
        (row["assignment_id"], row["user_id"])
        for row in db.query(
            f"SELECT DISTINCT assignment_id, user_id FROM sessions WHERE {these}",  # noqa: S608
            args,
        )
    }
    works: dict[str, list[Work]] = {one.id: [] for one in assignments}
    for row in db.query(
        f"""
        SELECT assignment_id, user_id, identifier FROM assigned
        JOIN users ON users.id = assigned.user_id
        WHERE {these} AND user_id IN ({_THEIRS}) ORDER BY identifier
        """,  # noqa: S608
        args,
    ):
        key = (row["assignment_id"], row["user_id"])
        works[key[0]].append(
            Work(
                by_id[key[0]],
                key[1],
                row["identifier"],
                tuple(tries.get(key, [])),
                begun=key in begun,
            )
        )
    return works


def _as_coach_sees(row: dict[str, Any]) -> Try:
    """A try; without its result while the coach could still grade it before they see that."""
    seen = bool(row["seen"])
    hidden = {} if seen else {"total": None, "auto_failed": None}
    return Try(**{**row, "seen": seen, **hidden})


def _works_of(db: Connection, user_id: str, only: str | None = None) -> list[Work]:
    """What somebody was assigned, the withdrawn left out; or one assignment, withdrawn or not."""
    args = {"user": user_id, "only": only}
    rows = db.query(
        f"""
        SELECT a.*, me.identifier AS trainee FROM assigned
        JOIN ({_ASSIGNMENTS}) AS a ON a.id = assigned.assignment_id
        JOIN users AS me ON me.id = assigned.user_id
        WHERE assigned.user_id = :user
          AND CASE WHEN :only IS NULL THEN a.withdrawn_at IS NULL ELSE a.id = :only END
        """,  # noqa: S608
        args,
    )
    assignments = [(str(row.pop("trainee")), Assignment(**row)) for row in rows]
    tries: dict[str, list[Try]] = {}
    # By their user, who has few sessions, and not by the assignment, which many may have.
    for row in db.query(
        """
        SELECT sessions.assignment_id, sessions.id AS session_id, title, status, created_at,
            submissions.at AS handed_in_at, total, auto_failed
        FROM sessions LEFT JOIN submissions ON submissions.session_id = sessions.id
        WHERE sessions.user_id = :user AND +sessions.assignment_id IS NOT NULL
        UNION ALL
        SELECT assignment_id, NULL, '', '', at, at, NULL, NULL
        FROM submissions WHERE user_id = :user AND session_id IS NULL
        ORDER BY created_at
        """,
        args,
    ):
        tries.setdefault(row.pop("assignment_id"), []).append(Try(**row))
    return [
        Work(one, user_id, name, tuple(tries.get(one.id, [])), begun=one.id in tries)
        for name, one in assignments
    ]


def _handing_in(db: Connection, user_id: str, session_id: str) -> dict[str, Any] | None:
    """What has to be known of one's session before it is handed in."""
    rows = db.query(
        """
        SELECT sessions.assignment_id, status, tries, withdrawn_at,
            assigned.user_id IS NOT NULL AS assigned,
            EXISTS (SELECT 1 FROM submissions WHERE session_id = sessions.id) AS handed_in,
            (SELECT COUNT(*) FROM submissions WHERE submissions.user_id = sessions.user_id
             AND submissions.assignment_id = sessions.assignment_id) AS used
        FROM sessions
        LEFT JOIN assignments ON assignments.id = sessions.assignment_id
        LEFT JOIN assigned ON assigned.assignment_id = sessions.assignment_id
            AND assigned.user_id = sessions.user_id
        WHERE sessions.id = ? AND sessions.user_id = ?
        """,
        (session_id, user_id),
    )
    return next(iter(rows), None)


def _why_not(row: dict[str, Any]) -> str | None:
    """Why a session cannot be handed in; None if it can."""
    if row["assignment_id"] is None or not row["assigned"]:
        return "This conversation was not practised for an assignment, so it cannot be handed in."
    if row["withdrawn_at"] is not None:
        return "This assignment was withdrawn. There is nothing to hand in any more."
    if row["status"] != "graded":
        return "This conversation has no feedback yet. Press Finish, then hand it in."
    if row["tries"] is not None and row["used"] >= row["tries"]:
        return "You have handed in as many tries as this assignment has."
    return None

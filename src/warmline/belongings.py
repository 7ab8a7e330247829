"""What belongs to one person in the database: read as a whole, and deleted as a whole."""

from __future__ import annotations

from typing import Any

from sqlite_utils.db import Database as Connection

from warmline.database import Database
from warmline.errors import WarmlineError
from warmline.people import User

#: Each list, and the rows it holds of a person (``:me`` is their id, ``:name`` their name).
_LISTS = {
    # Without the login's own id, which a browser's cookie names.
    "sign_ins": """
        SELECT created_at, expires_at FROM logins WHERE user_id = :me ORDER BY created_at
    """,
    "failed_sign_ins": """
        SELECT at, address FROM login_failures WHERE identifier = :name ORDER BY at
    """,
    "assigned": """
        SELECT assignments.id, persona_id, rubric_id, due_on, pass_mark, tries, note,
            assignments.created_at, withdrawn_at, users.identifier AS by_coach
        FROM assigned JOIN assignments ON assignments.id = assignment_id
        LEFT JOIN users ON users.id = coach_id
        WHERE user_id = :me ORDER BY assignments.created_at, assignments.id
    """,
    "handed_in": """
        SELECT assignment_id, session_id, at FROM submissions WHERE user_id = :me ORDER BY id
    """,
    "wrote_as_coach": """
        SELECT session_id, at, kind, step, turn, after, words FROM edits
        WHERE coach_id = :me ORDER BY id
    """,
    "assigned_as_coach": """
        SELECT id, persona_id, rubric_id, due_on, pass_mark, tries, note, created_at, withdrawn_at
        FROM assignments WHERE coach_id = :me ORDER BY created_at, id
    """,
    "saved_as_trainer": """
        SELECT kind, item_id, text, saved_at FROM drafts
        WHERE user_id = :me AND text IS NOT NULL ORDER BY kind, item_id
    """,
    "published_as_trainer": """
        SELECT kind, item_id, hash, file, at FROM publications WHERE user_id = :me ORDER BY id
    """,
}

#: What is deleted of a person, in this order; with the person go roles, teams, logins, and what
#: was assigned and handed in.
_FORGET = [
    "DELETE FROM answers WHERE subject IN (SELECT id FROM sessions WHERE user_id = ?)",
    # Row by row through the turns first, so that the full-text index follows.
    "DELETE FROM turns WHERE session_id IN (SELECT id FROM sessions WHERE user_id = ?)",
    "DELETE FROM sessions WHERE user_id = ?",
    "DELETE FROM users WHERE id = ?",
]


class Belongings:
    """Reads and deletes what is kept of one person, beside their sessions."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def of(self, user: User) -> dict[str, list[dict[str, Any]]]:
        """Rows of theirs, by list: sign-ins, assignments, what they handed in, did as a coach."""

        def work(db: Connection) -> dict[str, list[dict[str, Any]]]:
            args = {"me": user.id, "name": user.identifier}
            return {
                name: [dict(row) for row in db.query(sql, args)] for name, sql in _LISTS.items()
            }

        return await self.database.run(work)

    async def forget(self, user: User) -> None:
        """Delete a person with everything of theirs, all or nothing.

        What they did as a coach with other people's sessions stays, without their name. Traces
        in the full-text index and the write-ahead log are left to ``Database.scrub``.

        Raises:
            WarmlineError: if they are the last admin while there are other accounts, or the
                database cannot be changed now. Nothing is deleted then.
        """

        def work(db: Connection) -> None:
            with db.atomic():
                # Within the transaction, so that two at once cannot each leave the other.
                if _is_last_admin(db, user.id):
                    raise WarmlineError(
                        f"{user.identifier} is the last admin. Make somebody else one first: "
                        "warmline user role NAME admin"
                    )
                for sql in _FORGET:
                    db.execute(sql, (user.id,))
                db.execute("DELETE FROM login_failures WHERE identifier = ?", (user.identifier,))

        await self.database.run(work)


def _is_last_admin(db: Connection, user_id: str) -> bool:
    row = next(
        iter(
            db.query(
                """
                SELECT
                    EXISTS (SELECT 1 FROM users WHERE signs_in_with IS NOT NULL AND id != :me)
                        AS others,
                    EXISTS (SELECT 1 FROM users JOIN user_roles ON user_id = users.id
                            WHERE role = 'admin' AND disabled_at IS NULL AND users.id = :me)
                        AS admin,
                    EXISTS (SELECT 1 FROM users JOIN user_roles ON user_id = users.id
                            WHERE role = 'admin' AND disabled_at IS NULL
                              AND signs_in_with IS NOT NULL AND users.id != :me) AS other_admin
                """,
                {"me": user_id},
            )
        )
    )
    return bool(row["admin"] and row["others"] and not row["other_admin"])

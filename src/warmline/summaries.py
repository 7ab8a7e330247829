"""What lists that leave Warmline say of many sessions at once, in the database."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass

from sqlite_utils.db import Database as Connection

from warmline.database import Database
from warmline.results import StepResult


@dataclass(frozen=True)
class Summary:
    """What is kept beside a session's own row.

    ``steps`` is what stands of each step, empty while there is no grade; ``last_at`` is when
    something was said last (ISO 8601).
    """

    steps: tuple[StepResult, ...]
    last_at: str


async def summaries(database: Database, session_ids: Collection[str]) -> dict[str, Summary]:
    """The summaries of sessions, by id; without what was said. Unknown ids are left out."""

    def work(db: Connection) -> dict[str, Summary]:
        ids = {"ids": json.dumps(list(session_ids))}
        steps: dict[str, list[StepResult]] = {}
        for row in db.query(
            "SELECT session_id, step, status, level, share FROM step_results "
            "WHERE session_id IN (SELECT value FROM json_each(:ids)) ORDER BY session_id, step",
            ids,
        ):
            one = StepResult(row["step"], row["status"], row["level"], row["share"])
            steps.setdefault(str(row["session_id"]), []).append(one)
        rows = db.query(
            "SELECT session_id, MAX(created_at) AS last_at FROM turns "
            "WHERE session_id IN (SELECT value FROM json_each(:ids)) GROUP BY session_id",
            ids,
        )
        return {
            str(row["session_id"]): Summary(
                tuple(steps.get(str(row["session_id"]), ())), str(row["last_at"])
            )
            for row in rows
        }

    return await database.run(work)

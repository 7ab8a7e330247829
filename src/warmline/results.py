"""What stands of a session's grade after all that coaches changed, in the database."""

from __future__ import annotations

from dataclasses import dataclass

from sqlite_utils.db import Database as Connection


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

"""A database as a team leaves it after a year: many trainees, sessions, turns, grades and edits.

The words are those of the labelled set, the levels drawn; written in bulk, and otherwise as the
store would have kept it.
"""

from __future__ import annotations

import json
import random
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from warmline.customer.director import first_state
from warmline.database import iso
from warmline.grader.evidence import Quote
from warmline.grader.scoring import Grade, StepGrade, total
from warmline.library import Entry, Library, read_library
from warmline.persona import Persona
from warmline.review import standing
from warmline.rubric import Rubric
from warmline.settings import PROJECT

#: Turns of a session, its opening included.
TURNS = 10


def seed(
    file: Path,
    trainees: Sequence[str],
    sessions: int,
    *,
    coach: str | None = None,
    weeks: int = 52,
    shared: float = 1.0,
    random_seed: int = 1,
    until: datetime | None = None,
) -> None:
    """Fill a database that has these people.

    Args:
        file: the database, as this version of Warmline makes it.
        trainees: names of users, among whom the sessions are dealt out.
        sessions: how many; spread evenly over the weeks.
        coach: a user who has opened nine in ten sessions and changed a level in one of ten.
        weeks: how far back the first one lies.
        shared: the share of the sessions that coaches may read, 0 to 1.
        random_seed: the same gives the same.
        until: when the last one was.
    """
    rng = random.Random(random_seed)
    library = read_library(PROJECT / "personas", PROJECT / "rubrics")
    said = _sayings()
    end = until or datetime.now(UTC)
    step = timedelta(weeks=weeks) / max(1, sessions)
    with closing(sqlite3.connect(file)) as db, db:
        db.execute("PRAGMA foreign_keys = ON")
        ids = dict(db.execute("SELECT identifier, id FROM users"))
        skill = {name: rng.uniform(0.2, 0.7) for name in trainees}
        for number in range(sessions):
            name = trainees[number % len(trainees)]
            at = end - step * (sessions - number)
            # People get better with time.
            good = min(1.0, skill[name] + 0.3 * number / sessions)
            one = _Session(library, rng, said, ids[name], at, good, rng.random() < shared)
            one.write(db)
            if coach and rng.random() < 0.9:
                one.review(db, ids[coach], changes=rng.random() < 0.1)


class _Session:
    """One session as it is kept."""

    def __init__(
        self,
        library: Library,
        rng: random.Random,
        said: dict[str, list[str]],
        user_id: str,
        at: datetime,
        good: float,
        shared: bool,
    ) -> None:
        self.id = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        self.rng = rng
        self.at = at
        self.user_id = user_id
        self.shared = shared
        self.persona: Entry[Persona] = rng.choice(list(library.personas.values()))
        self.rubric: Entry[Rubric] = library.rubric("core")
        self.texts = [self.persona.item.opening] + [
            rng.choice(said["agent" if number % 2 else "customer"]) for number in range(1, TURNS)
        ]
        self.grade = self._grade(good - 0.06 * (self.persona.item.difficulty - 3))

    def _grade(self, good: float) -> Grade:
        steps = []
        for step in self.rubric.item.steps:
            unclear = self.rng.random() < 0.05
            part = min(1.0, max(0.0, self.rng.gauss(good, 0.2)))
            level = None if unclear else round(step.lowest + part * (step.highest - step.lowest))
            turn = self.rng.randrange(1, TURNS, 2)
            quotes = [Quote(turn=turn, quote=self.texts[turn][:60])] if part > 0.4 else []
            steps.append(
                StepGrade(
                    id=step.id,
                    name=step.name,
                    status="unclear" if level is None else "graded",
                    level=level,
                    means="" if level is None else step.meaning(level),
                    lowest=step.lowest,
                    highest=step.highest,
                    weight=step.weight,
                    checks={check.id: round(self.rng.random(), 3) for check in step.checks},
                    evidence=quotes if level is not None else [],
                    reason="Nothing speaks for or against it." if level is None else "",
                )
            )
        percent, passed, failed_by = total(self.rubric.item, steps)
        return Grade(
            id=self.id, rubric=self.rubric.item.id, rubric_hash=self.rubric.hash,
            persona_hash=self.persona.hash, total=percent, passed=passed, failed_by=failed_by,
            pass_mark=self.rubric.item.pass_mark, steps=steps, prompt_version="seeded",
            backend="seeded", model="seeded", digest="seeded",
        )  # fmt: skip

    def _coaching(self) -> dict[str, Any]:
        graded = [step for step in self.grade.steps if step.level is not None]
        weakest = min(graded, key=lambda step: step.level or 0)
        turn = self.rng.randrange(1, TURNS, 2)
        next_step = {
            "step": weakest.id, "name": weakest.name, "why": "It matters to this customer.",
            "customer_said": self.texts[turn - 1][:80], "turn": turn, "aim": "",
        }  # fmt: skip
        return {"strengths": [], "next_step": next_step, "rewrite": None}

    def write(self, db: sqlite3.Connection) -> None:
        """Keep it with its turns, its grade and what stands of it."""
        at = iso(self.at)
        finished = iso(self.at + timedelta(minutes=12))
        state = first_state(self.persona.item).model_dump_json()
        coaching = self._coaching()
        for kind, entry in (("persona", self.persona), ("rubric", self.rubric)):
            db.execute(
                "INSERT OR IGNORE INTO versions VALUES (?, ?, ?, ?, ?)",
                (entry.hash, kind, entry.item.id, entry.text, at),
            )
        stands = standing(self.grade, self.rubric.item)
        _insert(
            db,
            "sessions",
            id=self.id, user_id=self.user_id, persona_id=self.persona.item.id,
            persona_hash=self.persona.hash, rubric_id="core", rubric_hash=self.rubric.hash,
            title=f"{self.persona.item.name}: {self.persona.item.title}", status="graded", seed=1,
            created_at=at, finished_at=finished, shared_at=finished if self.shared else None,
            total=stands.total, passed=stands.passed, unclear=stands.unclear,
            auto_failed=stands.auto_failed, asked_for=coaching["next_step"]["step"],
        )  # fmt: skip
        for number, text in enumerate(self.texts):
            customer = number % 2 == 0
            _insert(
                db,
                "turns",
                id=f"{self.id}-{number}", session_id=self.id, number=number,
                role="customer" if customer else "agent", text=text, created_at=at,
                state=state if customer else None, source="model" if customer else None,
            )  # fmt: skip
        _insert(
            db,
            "grades",
            session_id=self.id, created_at=finished, persona_hash=self.persona.hash,
            rubric_hash=self.rubric.hash, prompt_version="seeded", backend="seeded",
            model="seeded", digest="seeded", total=self.grade.total, passed=self.grade.passed,
            grade=self.grade.model_dump_json(), coaching=json.dumps(coaching),
        )  # fmt: skip
        db.executemany(
            "INSERT INTO step_results VALUES (?, ?, ?, ?, ?)",
            [(self.id, one.step, one.status, one.level, one.share) for one in stands.steps],
        )

    def review(self, db: sqlite3.Connection, coach_id: str, *, changes: bool) -> None:
        """Let a coach have opened it, and perhaps approved it."""
        at = iso(self.at + timedelta(days=1))
        kinds = ["seen", "comment", "approve"] if changes else ["seen"]
        for kind in kinds:
            _insert(
                db,
                "edits",
                session_id=self.id, coach_id=coach_id, at=at, kind=kind,
                words="Say first what you heard." if kind == "comment" else "",
            )  # fmt: skip
        if changes:
            db.execute("UPDATE sessions SET reviewed_at = ? WHERE id = ?", (at, self.id))


def _insert(db: sqlite3.Connection, table: str, **row: Any) -> None:
    # Names of tables and columns are those written above.
    columns = ", ".join(row)
    marks = ", ".join("?" * len(row))
    db.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", tuple(row.values()))


def _sayings() -> dict[str, list[str]]:
    """What customers and agents say in the labelled set."""
    found: dict[str, list[str]] = {"customer": [], "agent": []}
    for turn in _labelled_turns():
        found[turn["role"]].append(turn["text"])
    return found


def _labelled_turns() -> Iterator[dict[str, Any]]:
    for file in sorted((PROJECT / "rubrics" / "labelled").glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            yield from json.loads(line)["turns"]

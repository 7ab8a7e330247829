"""The database's history: append only, from nothing and from the first schema."""

from __future__ import annotations

import inspect
import sqlite3
from pathlib import Path

from sqlite_utils import Migrations  # noqa: TID251
from sqlite_utils.db import Database  # noqa: TID251

from snapshots import small_persona, small_rubric
from warmline.migrations import (
    m001_first_schema,
    m002_heads,
    m003_accounts,
    m004_review,
    m005_progress,
    m006_studio,
    migrations,
)
from warmline.people import People
from warmline.store import Store

#: Every migration ever shipped, in order. Add at the end; never change what stands here.
SHIPPED = [
    "m001_first_schema",
    "m002_heads",
    "m003_accounts",
    "m004_review",
    "m005_progress",
    "m006_studio",
]


def test_shipped_migrations_stay_in_their_order() -> None:
    database = Database(memory=True)
    assert [one.name for one in migrations.pending(database)] == SHIPPED


def test_every_migration_says_what_it_does() -> None:
    assert inspect.getdoc(m001_first_schema)
    assert inspect.getdoc(m002_heads)
    assert inspect.getdoc(m003_accounts)
    assert inspect.getdoc(m004_review)
    assert inspect.getdoc(m005_progress)
    assert inspect.getdoc(m006_studio)


def test_applying_them_twice_changes_nothing() -> None:
    database = Database(memory=True)
    migrations.apply(database)
    before = database.schema
    migrations.apply(database)
    assert database.schema == before
    assert [one.name for one in migrations.applied(database)] == SHIPPED


async def test_a_blank_file_becomes_a_store(tmp_path: Path) -> None:
    file = tmp_path / "blank.db"
    file.touch()
    store = await Store.open(file)
    assert await store.sessions() == []
    await store.close()


async def test_a_database_of_the_first_schema_keeps_its_rows(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    first = Migrations("warmline")
    first()(m001_first_schema)
    database = Database(sqlite3.connect(file))
    first.apply(database)
    persona, rubric = small_persona(), small_rubric()
    at = "2026-01-02T03:04:05.678Z"
    database.conn.executescript(
        f"""
        INSERT INTO users VALUES ('u', 'you', 'trainee', '{at}');
        INSERT INTO versions VALUES ('{persona.hash}', 'persona', 'nora-heating', 'p', '{at}');
        INSERT INTO versions VALUES ('{rubric.hash}', 'rubric', 'small', 'r', '{at}');
        INSERT INTO sessions VALUES ('s', 'u', 'nora-heating', '{persona.hash}', 'small',
            '{rubric.hash}', 'Nora', 'graded', 7, '{at}', '{at}');
        INSERT INTO turns (id, session_id, number, role, text, created_at, state)
            VALUES ('t0', 's', 0, 'customer', 'The giraffe is cold.', '{at}', '{{}}');
        INSERT INTO answers VALUES ('s', '{rubric.hash}', 'd', 'v', 'hear', 'detail', 1, 0.5);
        INSERT INTO grades VALUES (1, 's', '{at}', '{persona.hash}', '{rubric.hash}', 'v',
            'scripted', 'm', 'd', 71.5, 1, '{{"total": 71.5, "steps": [{{"status": "unclear"}}, {{"status": "graded"}}]}}', '{{}}');
        """
    )
    database.close()

    store = await Store.open(file)
    session = await store.session("s")
    assert (session.title, session.status, session.seed) == ("Nora", "graded", 7)
    (turn,) = await store.turns("s")
    assert (turn.text, turn.partial) == ("The giraffe is cold.", False)
    assert await store.search("giraffe") == [("s", 0, "The giraffe is cold.")]
    assert await store.answers("s", rubric.hash, "d", "v") == {("hear", "detail", 1): 0.5}
    stored = await store.grade("s")
    assert stored is not None
    assert stored.grade["total"] == 71.5
    assert await store.add_turn("s", "agent", "I hear you.") == 1
    user = await People(store.database).user("u")
    assert (user.identifier, user.roles, user.signs_in_with) == ("you", {"trainee"}, None)
    assert session.shared_at is None
    assert (session.total, session.passed, session.unclear) == (71.5, 1, 1)
    await store.close()

"""docs/database.md describes the database there is, and its questions have answers."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from seeded import seed
from warmline.accounts import Accounts
from warmline.people import People
from warmline.settings import PROJECT
from warmline.store import Store

PAGE = (PROJECT / "docs" / "database.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"^\*\*([^*]+\?)\*\*(?:(?!```).)*```sql\n(.*?)```", PAGE, re.M | re.S)


def described(page: str) -> dict[str, list[str]]:
    """The columns that a page describes, by table; each has to say something in every cell."""
    found: dict[str, list[str]] = {}
    for part in re.split(r"^### ", page, flags=re.M)[1:]:
        name = re.match(r"`(\w+)`\n", part)
        if name:
            rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", part.split("\n## ")[0], re.M)
            found[name[1]] = [column for column, what, who in rows if what.strip() and who.strip()]
    return found


def columns(db: sqlite3.Connection) -> dict[str, list[str]]:
    """The columns there are, by table, without SQLite's own."""
    names = [
        name
        for _, name, kind, *_ in db.execute("PRAGMA main.table_list")
        if kind in ("table", "virtual") and not name.startswith("sqlite_")
    ]
    return {name: [row[1] for row in db.execute(f"PRAGMA table_info({name})")] for name in names}


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """A database as a team leaves it, opened as a tool that only reads opens it."""
    file = tmp_path_factory.mktemp("database") / "warmline.db"

    async def people() -> None:
        store = await Store.open(file)
        accounts = Accounts(People(store.database), loopback=True)
        for name, role in (("mira", "trainee"), ("nils", "trainee"), ("joan", "coach")):
            await accounts.add(name, [role], ["support"], password="a good long one")
        await store.close()

    asyncio.run(people())
    seed(file, ["mira", "nils"], 60, coach="joan", weeks=12)
    with closing(sqlite3.connect(file)) as writing, writing:
        writing.executescript(
            """
            INSERT INTO edits (session_id, coach_id, at, kind, step, before, after, words)
                SELECT id, (SELECT id FROM users WHERE identifier = 'joan'), created_at,
                       'override', 'listen', '2', '4', 'You did.' FROM sessions LIMIT 3;
            INSERT INTO assignments
                SELECT 'a', id, 'dani-stranded', 'core', '2026-01-01', 70, 2, '', '2025-12-01', NULL
                FROM users WHERE identifier = 'joan';
            INSERT INTO assigned SELECT 'a', id FROM users WHERE identifier IN ('mira', 'nils');
            INSERT INTO submissions (assignment_id, user_id, session_id, at)
                SELECT 'a', user_id, sessions.id, finished_at FROM sessions
                JOIN users ON users.id = user_id WHERE identifier = 'nils' LIMIT 1;
            """
        )
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as opened:
        opened.row_factory = sqlite3.Row
        yield opened


def answer(db: sqlite3.Connection, question: str) -> list[dict[str, Any]]:
    """What a question of the page, named by its first words, gets."""
    (sql,) = [sql for asked, sql in QUERIES if asked.startswith(question)]
    return [dict(row) for row in db.execute(sql)]


def test_the_page_has_every_table_and_column_and_no_other(db: sqlite3.Connection) -> None:
    there = {name: sorted(names) for name, names in columns(db).items()}
    assert {name: sorted(names) for name, names in described(PAGE).items()} == there


def test_a_table_or_column_more_or_less_is_noticed(db: sqlite3.Connection) -> None:
    full = described(PAGE)
    line = next(line for line in PAGE.splitlines() if line.startswith("| `total` |"))
    assert described(PAGE.replace(f"{line}\n", "", 1)) != full
    assert described(PAGE.replace(line, "| `total` |  |  |", 1)) != full
    assert described(PAGE.replace("### `heads`", "### `hats`")) != full
    assert described(PAGE.replace(line, f"{line}\n| `sum` | it | them |", 1)) != full


def test_what_sqlite_keeps_beside_the_index_is_named(db: sqlite3.Connection) -> None:
    shadows = [row[1] for row in db.execute("PRAGMA main.table_list") if row[2] == "shadow"]
    assert shadows
    for name in shadows:
        assert f"`{name}`" in PAGE


def test_the_drawing_has_the_tables_and_their_relations(db: sqlite3.Connection) -> None:
    drawing = re.search(r"```mermaid\n(.*?)```", PAGE, re.DOTALL)
    assert drawing
    drawn = {
        frozenset(pair)
        for pair in re.findall(r"^ +(\w+) [|o}]{2}--[|o{]{2} (\w+) : ", drawing[1], re.M)
    }
    assert len(drawn) >= 15
    assert {name for pair in drawn for name in pair} <= set(columns(db))
    for table in columns(db):
        for key in db.execute(f"PRAGMA foreign_key_list({table})"):
            assert frozenset((table, key["table"])) in drawn, (table, key["table"])


def test_every_question_has_an_answer(db: sqlite3.Connection) -> None:
    assert len(QUERIES) >= 5
    assert PAGE.count("```sql") == len(QUERIES)
    for question, sql in QUERIES:
        assert db.execute(sql).fetchall(), question


def test_the_answers_are_those_of_the_rows(db: sqlite3.Connection) -> None:
    shares = [
        row["share"]
        for row in db.execute(
            "SELECT share FROM step_results WHERE step = 'listen' AND share IS NOT NULL"
        )
    ]
    weakest = answer(db, "Which steps are weakest")
    listen = next(row for row in weakest if row["step"] == "listen")
    assert (listen["team"], listen["sessions"]) == ("support", len(shares))
    assert listen["share"] == pytest.approx(fmean(shares), abs=0.006)
    assert [row["share"] for row in weakest] == sorted(row["share"] for row in weakest)
    assert [row["trainee"] for row in answer(db, "Who has not handed in")] == ["mira"]
    (changed,) = answer(db, "Where do coaches disagree")
    assert (changed["step"], changed["changed"], changed["by_levels"]) == ("listen", 3, 2.0)
    assert {row["source"] for row in answer(db, "How often does the model")} == {"model"}


def test_what_the_page_says_of_standing_results_is_so(db: sqlite3.Connection) -> None:
    marked = {
        (table, column)
        for part in re.split(r"^### ", PAGE, flags=re.M)[1:]
        for table in re.findall(r"^`(\w+)`\n", part)
        for column in re.findall(r"^\| `(\w+)` \| \*\*stands\*\*", part, re.M)
    }
    assert marked == {
        *(("sessions", name) for name in ("total", "passed", "unclear", "auto_failed")),
        *(("step_results", name) for name in ("status", "level", "share")),
    }


def test_a_backup_is_read_as_the_readme_says(tmp_path: Path) -> None:
    """What ``datasette --immutable`` does with the file: open it so that nothing can change."""
    backup = tmp_path / "today.db"

    async def back_up() -> None:
        store = await Store.open(tmp_path / "warmline.db")
        await store.database.back_up(backup)
        await store.close()

    asyncio.run(back_up())
    backup.chmod(0o400)
    before = backup.read_bytes()
    with closing(sqlite3.connect(f"{backup.as_uri()}?immutable=1", uri=True)) as db:
        assert db.execute("SELECT COUNT(*) FROM sessions").fetchone() == (0,)
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            db.execute("DELETE FROM users")
    assert backup.read_bytes() == before
    assert {one.name for one in tmp_path.iterdir()} == {"today.db", "warmline.db"}

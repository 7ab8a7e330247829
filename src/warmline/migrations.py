"""The database's history. Append only: a migration that has been shipped never changes."""

from __future__ import annotations

from sqlite_utils import Migrations
from sqlite_utils.db import Database

migrations = Migrations("warmline")


@migrations()
def m001_first_schema(db: Database) -> None:
    """Users, the versions of personas and rubrics, sessions, turns, answers and grades."""
    db.executescript(
        """
        CREATE TABLE users (
            id TEXT PRIMARY KEY,
            identifier TEXT NOT NULL UNIQUE,
            role TEXT NOT NULL,
            created_at TEXT NOT NULL
        );
        CREATE TABLE versions (
            hash TEXT PRIMARY KEY,
            kind TEXT NOT NULL CHECK (kind IN ('persona', 'rubric')),
            item_id TEXT NOT NULL,
            text TEXT NOT NULL,
            first_seen TEXT NOT NULL
        );
        CREATE TABLE sessions (
            id TEXT PRIMARY KEY,
            user_id TEXT NOT NULL REFERENCES users(id),
            persona_id TEXT NOT NULL,
            persona_hash TEXT NOT NULL REFERENCES versions(hash),
            rubric_id TEXT NOT NULL,
            rubric_hash TEXT NOT NULL REFERENCES versions(hash),
            title TEXT NOT NULL,
            status TEXT NOT NULL CHECK (status IN ('talking', 'over', 'graded', 'not_graded')),
            seed INTEGER NOT NULL,
            created_at TEXT NOT NULL,
            finished_at TEXT
        );
        CREATE INDEX sessions_by_user ON sessions(user_id, created_at);
        CREATE TABLE turns (
            id TEXT PRIMARY KEY,
            session_id TEXT NOT NULL REFERENCES sessions(id) ON DELETE CASCADE,
            number INTEGER NOT NULL,
            role TEXT NOT NULL CHECK (role IN ('customer', 'agent')),
            text TEXT NOT NULL,
            created_at TEXT NOT NULL,
            bracket TEXT,
            state TEXT,
            source TEXT,
            rejected TEXT,
            partial INTEGER NOT NULL DEFAULT 0,
            UNIQUE (session_id, number)
        );
        CREATE TABLE answers (
            subject TEXT NOT NULL,
            rubric_hash TEXT NOT NULL,
            digest TEXT NOT NULL,
            prompt_version TEXT NOT NULL,
            step TEXT NOT NULL,
            check_id TEXT NOT NULL,
            turn INTEGER NOT NULL,
            probability REAL,
            PRIMARY KEY (subject, rubric_hash, digest, prompt_version, step, check_id, turn)
        );
        CREATE TABLE grades (
            id INTEGER PRIMARY KEY,
            session_id TEXT NOT NULL REFERENCES sessions(id) ON DELETE CASCADE,
            created_at TEXT NOT NULL,
            persona_hash TEXT NOT NULL,
            rubric_hash TEXT NOT NULL,
            prompt_version TEXT NOT NULL,
            backend TEXT NOT NULL,
            model TEXT NOT NULL,
            digest TEXT NOT NULL,
            total REAL,
            passed INTEGER,
            grade TEXT NOT NULL,
            coaching TEXT NOT NULL
        );
        CREATE INDEX grades_by_session ON grades(session_id, id);
        """
    )
    db.table("turns").enable_fts(["text"], create_triggers=True)


@migrations()
def m002_heads(db: Database) -> None:
    """Calibrated heads: fitted weights for one rubric and one way of judging, the newest counts."""
    db.executescript(
        """
        CREATE TABLE heads (
            id INTEGER PRIMARY KEY,
            created_at TEXT NOT NULL,
            rubric_id TEXT NOT NULL,
            rubric_hash TEXT NOT NULL,
            judge TEXT NOT NULL,
            head TEXT NOT NULL
        );
        CREATE INDEX heads_by_rubric ON heads(rubric_hash, judge, id);
        """
    )

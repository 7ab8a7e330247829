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


@migrations()
def m003_accounts(db: Database) -> None:
    """Accounts with several roles, teams, logins that end, and what a trainee has shared."""
    db.executescript(
        """
        CREATE TABLE user_roles (
            user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
            role TEXT NOT NULL CHECK (role IN ('trainee', 'trainer', 'coach', 'admin')),
            PRIMARY KEY (user_id, role)
        );
        INSERT INTO user_roles (user_id, role) SELECT id, 'trainee' FROM users;
        ALTER TABLE users DROP COLUMN role;
        -- How somebody signs in: 'password', or the name of an OAuth provider. Empty: nobody can
        -- sign in as that user; they practised before there were accounts.
        ALTER TABLE users ADD COLUMN signs_in_with TEXT;
        ALTER TABLE users ADD COLUMN password_hash TEXT;
        ALTER TABLE users ADD COLUMN disabled_at TEXT;
        CREATE TABLE team_members (
            team TEXT NOT NULL,
            user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
            PRIMARY KEY (team, user_id)
        );
        CREATE INDEX team_members_by_user ON team_members(user_id);
        CREATE TABLE logins (
            id TEXT PRIMARY KEY,
            user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
            created_at TEXT NOT NULL,
            expires_at TEXT NOT NULL
        );
        CREATE INDEX logins_by_user ON logins(user_id);
        CREATE TABLE login_failures (
            identifier TEXT NOT NULL,
            address TEXT NOT NULL,
            at TEXT NOT NULL
        );
        CREATE INDEX login_failures_by_time ON login_failures(at);
        ALTER TABLE sessions ADD COLUMN shared_at TEXT;
        """
    )


@migrations()
def m004_review(db: Database) -> None:
    """Branches from a turn, what coaches say and change, and each session's standing result."""
    db.executescript(
        """
        ALTER TABLE sessions ADD COLUMN branch_of TEXT REFERENCES sessions(id) ON DELETE SET NULL;
        ALTER TABLE sessions ADD COLUMN branch_turn INTEGER;
        -- The result as it stands, with what coaches changed: for lists, so that none has to read
        -- every grade. Written together with each grade and each change.
        ALTER TABLE sessions ADD COLUMN total REAL;
        ALTER TABLE sessions ADD COLUMN passed INTEGER;
        ALTER TABLE sessions ADD COLUMN unclear INTEGER;
        ALTER TABLE sessions ADD COLUMN reviewed_at TEXT;
        -- The newest edit that the trainee has been shown.
        ALTER TABLE sessions ADD COLUMN owner_saw INTEGER NOT NULL DEFAULT 0;
        CREATE INDEX sessions_by_branch ON sessions(branch_of);
        CREATE INDEX sessions_by_time ON sessions(created_at, id);
        UPDATE sessions SET
            total = (SELECT g.total FROM grades g WHERE g.session_id = sessions.id
                     ORDER BY g.id DESC LIMIT 1),
            passed = (SELECT g.passed FROM grades g WHERE g.session_id = sessions.id
                      ORDER BY g.id DESC LIMIT 1),
            unclear = (SELECT COUNT(*) FROM json_each(
                (SELECT json_extract(g.grade, '$.steps') FROM grades g
                 WHERE g.session_id = sessions.id ORDER BY g.id DESC LIMIT 1)) AS step
                WHERE json_extract(step.value, '$.status') = 'unclear')
        WHERE status = 'graded';
        -- Everything a coach did, in order; nothing in it ever changes.
        CREATE TABLE edits (
            id INTEGER PRIMARY KEY,
            session_id TEXT NOT NULL REFERENCES sessions(id) ON DELETE CASCADE,
            coach_id TEXT REFERENCES users(id) ON DELETE SET NULL,
            at TEXT NOT NULL,
            kind TEXT NOT NULL
                CHECK (kind IN ('seen', 'blind', 'override', 'comment', 'approve', 'try_again')),
            step TEXT,
            turn INTEGER,
            before TEXT,
            after TEXT,
            words TEXT NOT NULL DEFAULT ''
        );
        CREATE INDEX edits_by_session ON edits(session_id, id);
        """
    )


@migrations()
def m005_progress(db: Database) -> None:
    """Each step's standing result, what a coach assigned, and the tries that were handed in."""
    db.executescript(
        """
        -- What stands of each step after all changes, so that no list has to read every grade.
        -- Written together with each grade and each change.
        CREATE TABLE step_results (
            session_id TEXT NOT NULL REFERENCES sessions(id) ON DELETE CASCADE,
            step TEXT NOT NULL,
            status TEXT NOT NULL CHECK (status IN ('graded', 'unclear', 'not_applicable')),
            level INTEGER,
            -- How much of the step was reached, 0 to 1; none unless it is graded.
            share REAL,
            PRIMARY KEY (session_id, step)
        ) WITHOUT ROWID;
        ALTER TABLE sessions ADD COLUMN auto_failed INTEGER;
        -- The step that the feedback asked to work on next.
        ALTER TABLE sessions ADD COLUMN asked_for TEXT;
        CREATE TABLE assignments (
            id TEXT PRIMARY KEY,
            coach_id TEXT REFERENCES users(id) ON DELETE SET NULL,
            persona_id TEXT NOT NULL,
            rubric_id TEXT NOT NULL,
            due_on TEXT NOT NULL,
            -- The total to reach, 0 to 100.
            pass_mark INTEGER NOT NULL,
            -- How many tries may be handed in; none: as many as one likes.
            tries INTEGER,
            note TEXT NOT NULL DEFAULT '',
            created_at TEXT NOT NULL,
            withdrawn_at TEXT
        );
        CREATE TABLE assigned (
            assignment_id TEXT NOT NULL REFERENCES assignments(id) ON DELETE CASCADE,
            user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
            PRIMARY KEY (assignment_id, user_id)
        ) WITHOUT ROWID;
        CREATE INDEX assigned_by_user ON assigned(user_id);
        -- The assignment that a session was started for.
        ALTER TABLE sessions ADD COLUMN assignment_id TEXT
            REFERENCES assignments(id) ON DELETE SET NULL;
        CREATE INDEX sessions_by_assignment ON sessions(assignment_id);
        -- A try that was handed in. It stays one, without its session, when that is deleted.
        CREATE TABLE submissions (
            id INTEGER PRIMARY KEY,
            assignment_id TEXT NOT NULL REFERENCES assignments(id) ON DELETE CASCADE,
            user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
            session_id TEXT UNIQUE REFERENCES sessions(id) ON DELETE SET NULL,
            at TEXT NOT NULL
        );
        CREATE INDEX submissions_by_assignment ON submissions(assignment_id, user_id);
        CREATE INDEX submissions_by_user ON submissions(user_id);
        """
    )


@migrations()
def m006_studio(db: Database) -> None:
    """What trainers are working on, and which versions were published."""
    db.executescript(
        """
        -- One for each persona or rubric that somebody is or was changing; it need not be valid.
        CREATE TABLE drafts (
            kind TEXT NOT NULL CHECK (kind IN ('persona', 'rubric')),
            item_id TEXT NOT NULL,
            -- None once it is published or thrown away; the row stays, so that the number rises on.
            text TEXT,
            -- The version that was on the disk when it was begun; none for a new one.
            started_from TEXT REFERENCES versions(hash),
            -- Rises with each change, so that who saves over another's words is told.
            revision INTEGER NOT NULL,
            user_id TEXT REFERENCES users(id) ON DELETE SET NULL,
            saved_at TEXT NOT NULL,
            PRIMARY KEY (kind, item_id)
        ) WITHOUT ROWID;
        -- Every time that a file was written, and what was found on the disk then; never changed.
        CREATE TABLE publications (
            id INTEGER PRIMARY KEY,
            kind TEXT NOT NULL CHECK (kind IN ('persona', 'rubric')),
            item_id TEXT NOT NULL,
            hash TEXT NOT NULL REFERENCES versions(hash),
            file TEXT NOT NULL,
            -- Nobody: the file was changed in a text editor, or its author has left.
            user_id TEXT REFERENCES users(id) ON DELETE SET NULL,
            how TEXT NOT NULL CHECK (how IN ('studio', 'file')),
            at TEXT NOT NULL
        );
        CREATE INDEX publications_by_item ON publications(kind, item_id, id);
        -- 1: a trainer tried the customer out in the studio. Nobody's practice, it counts nowhere.
        ALTER TABLE sessions ADD COLUMN draft INTEGER NOT NULL DEFAULT 0;
        """
    )

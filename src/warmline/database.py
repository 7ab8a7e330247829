"""The one SQLite file: opened, checked, copied, brought back, and cleaned of what was deleted.

Everything that reads or writes the file goes through a ``Database``. A call runs in its one
thread; what it wrote is on the disk when it returns.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from sqlite_utils.db import Database as Connection

from warmline.errors import WarmlineError
from warmline.migrations import migrations

T = TypeVar("T")

#: How long a writer waits for another process, in seconds.
BUSY_TIMEOUT_S = 10.0


def iso(moment: datetime) -> str:
    """A moment in UTC as it is kept: ISO 8601, to the millisecond."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now() -> str:
    """The time as it is kept."""
    return iso(datetime.now(UTC))


class _Connection(Connection):
    """A connection whose transactions wait at their beginning for others that write.

    One that reads first and writes later is refused at once, however long it may wait.
    """

    @contextmanager
    def atomic(self) -> Generator[Connection, None, None]:
        """One transaction, or a part of the one that is under way."""
        if self.conn.in_transaction:
            with super().atomic():
                yield self
        else:
            self.conn.execute("BEGIN IMMEDIATE")
            with self.conn:
                yield self


class Database:
    """The open file. Make it with ``Database.open``; close it when done."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="database")
        self._connection: Connection | None = None

    @classmethod
    async def open(cls, file: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Database:
        """Open the file, making or upgrading it.

        Raises:
            WarmlineError: if it cannot be opened, is damaged, is not a database, or was made by a
                newer version of Warmline.
        """
        database = cls(file)
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(database._thread, database._open, busy_timeout_s)
        except BaseException:
            database._thread.shutdown(wait=False)
            raise
        return database

    async def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            await self.run(lambda db: db.close())
        self._thread.shutdown(wait=True)

    def _open(self, busy_timeout_s: float) -> None:
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            # What people wrote is nobody's business but the owner's of the file.
            self.file.touch(mode=0o600)
            with suppress(PermissionError):
                self.file.chmod(0o600)
            opened = sqlite3.connect(self.file, timeout=busy_timeout_s)
            try:
                self._connection = self._prepared(opened, busy_timeout_s)
            except BaseException:
                opened.close()
                raise
        except (sqlite3.Error, OSError) as error:
            raise WarmlineError(_cannot_open(self.file, error)) from error

    def _prepared(self, opened: sqlite3.Connection, busy_timeout_s: float) -> Connection:
        connection = _Connection(opened)
        if newer := _newer(connection):
            raise WarmlineError(
                f"The database {self.file} was made by a newer version of Warmline (it has "
                f"{newer}). Nothing was changed. Start that version, or set "
                "WARMLINE_TRANSCRIPTS_DIR to another folder."
            )
        _enable_wal(connection, busy_timeout_s)
        # A turn is on the disk before it is answered, power loss included.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        # What is deleted is overwritten, not only unlinked.
        connection.execute("PRAGMA secure_delete = ON")
        _upgrade(connection)
        return connection

    async def run(self, work: Callable[[Connection], T]) -> T:
        """Do some work with the connection, in the database's thread.

        Raises:
            WarmlineError: if the file cannot be read or written now. What was saved stays.
        """
        assert self._connection is not None, "the database is not open"
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, work, self._connection)
        except sqlite3.IntegrityError:
            # A rule of the schema broken by our own code, not the state of the file.
            raise
        except sqlite3.DatabaseError as error:
            raise WarmlineError(_cannot_use(error)) from error

    async def check(self) -> None:
        """Read the whole file and see that it is sound.

        Raises:
            WarmlineError: if it is damaged, with what to do.
        """
        problem = await self.run(lambda db: _first_problem(db) or _problem_of_words(db))
        if problem:
            raise WarmlineError(_damaged(self.file, problem))

    async def scrub(self) -> None:
        """Make sure that nothing deleted is left in the full-text index or the write-ahead log.

        Deleted rows themselves are overwritten as they are deleted.

        Raises:
            WarmlineError: if another program reads the database for so long that the log, which
                it may still need, cannot be emptied now.
        """

        def work(db: Connection) -> bool:
            # The index only notes that words are deleted; merging all of it drops them.
            db.execute("INSERT INTO turns_fts(turns_fts) VALUES ('optimize')")
            return bool(db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])

        if await self.run(work):
            raise WarmlineError(
                "It is deleted, but another program is reading the database, and until that is "
                "done traces of what was deleted stay in its write-ahead log. They go with the "
                "next deletion, or when Warmline is stopped."
            )

    async def back_up(self, to: Path) -> None:
        """Write a whole, checked copy, while the file may be in use; it appears in one piece.

        Raises:
            WarmlineError: if there is a file of that name, or it cannot be written.
        """
        await self.run(lambda db: _copy(db, to))

    async def restore(self, backup: Path) -> Path:
        """Bring back what a backup holds, in one step, also while a server uses the file.

        Returns:
            The copy of what was there before.

        Raises:
            WarmlineError: if the backup is missing, damaged, no database of Warmline's, or newer
                than this version. Nothing is changed then.
        """
        stamp = now().replace(":", "").replace(".", "")
        before = self.file.with_name(f"{self.file.stem}-before-{stamp}.db")
        coming = self.file.with_name(f"{self.file.stem}-coming-{stamp}.db")

        def work(db: Connection) -> Path:
            try:
                if problem := _problem_of(backup) or _problem_of_copy(backup, coming):
                    raise WarmlineError(
                        f"{backup} cannot be restored: {problem}. Nothing was changed. "
                        "Name another backup."
                    )
                _copy(db, before)
                with closing(_read_only(coming)) as source:
                    source.backup(db.conn)
            finally:
                coming.unlink(missing_ok=True)
            _upgrade(db)
            # Whoever was signed out since must not be signed in again.
            with db.atomic():
                db.execute("DELETE FROM logins")
            return before

        return await self.run(work)


def _enable_wal(db: Connection, busy_timeout_s: float) -> None:
    """Switch a new file over; SQLite does not wait by itself for others to be done then."""
    give_up = time.monotonic() + busy_timeout_s
    while True:
        try:
            return db.enable_wal()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
        time.sleep(0.02)


def _upgrade(db: Connection) -> None:
    """Apply what migrations are missing, all or none; what others apply meanwhile is seen."""
    if migrations.pending(db):
        with db.atomic():
            migrations.apply(db)


def _copy(db: Connection, to: Path) -> None:
    if to.exists():
        raise WarmlineError(f"{to} is there already. Name a new file, or move that one away.")
    unfinished = to.with_name(to.name + ".unfinished")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        unfinished.unlink(missing_ok=True)
        if problem := _problem_as_copied(db, unfinished):
            raise WarmlineError(f"{to} was not written: the copy is not sound ({problem}).")
        unfinished.rename(to)
    except OSError as error:
        raise WarmlineError(f"{to} cannot be written: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):
            unfinished.unlink()


def _problem_as_copied(db: Connection, to: Path) -> str | None:
    """Write a copy; returns what is wrong with it, None if it is sound."""
    # Nobody else's business either, from its first byte on.
    to.touch(mode=0o600)
    db.execute("VACUUM INTO ?", (str(to),))
    with closing(sqlite3.connect(to)) as connection:
        copy = Connection(connection)
        return _first_problem(copy) or _problem_of_words(copy)


def _problem_of_copy(file: Path, to: Path) -> str | None:
    """`_problem_as_copied` for a file that is only read."""
    with closing(_read_only(file)) as connection:
        return _problem_as_copied(Connection(connection), to)


def _read_only(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)


def _first_problem(db: Connection) -> str | None:
    found = str(db.execute("PRAGMA integrity_check(1)").fetchone()[0])
    return None if found == "ok" else found


def _problem_of_words(db: Connection) -> str | None:
    """Whether the turns still have the words that the full-text index has of them.

    Nothing else tells when bytes were changed inside a text.
    """
    try:
        # Written as an insert, but it changes nothing.
        db.execute("INSERT INTO turns_fts(turns_fts, rank) VALUES ('integrity-check', 1)")
    except sqlite3.DatabaseError as error:
        if "malformed" not in str(error):
            raise
        return "the text of the turns and the index of their words differ"
    return None


def _problem_of(file: Path) -> str | None:
    """Why a file cannot stand in for the database; None if it can."""
    if not file.is_file():
        return "there is no such file"
    try:
        with closing(_read_only(file)) as connection:
            db = Connection(connection)
            if "turns_fts" not in db.table_names():
                return "it is not a database of Warmline's"
            if newer := _newer(db):
                return f"it was made by a newer version of Warmline (it has {newer})"
            return _first_problem(db)
    except sqlite3.Error as error:
        return str(error)


def _newer(db: Connection) -> str | None:
    """The latest change in it that only a later version knows; None if all are known here."""
    known = {migration.name for migration in migrations.pending(Connection(memory=True))}
    applied = {migration.name for migration in migrations.applied(db)}
    return max(applied - known, default=None)


def _cannot_open(file: Path, error: Exception) -> str:
    what = f"The database {file} cannot be opened: {error}. "
    if "locked" in str(error):
        return what + "Another program is using it; close that program and start again."
    if "not a database" in str(error) or "malformed" in str(error):
        return _damaged(file, str(error))
    return what + "Check that the folder can be written and the disk is not full."


def _cannot_use(error: sqlite3.DatabaseError) -> str:
    text = str(error)
    if "locked" in text:
        todo = "Another program is using it. Wait a moment and try again."
    elif "full" in text:
        todo = "The disk is full. Make room and try again."
    elif "readonly" in text:
        todo = "It may only be read. Make the file and its folder writable and try again."
    elif "malformed" in text or "not a database" in text:
        # Seen by trainees too, whom the place of the file is no business of.
        return (
            f"The database is damaged: {text}. What is readable stays. Tell whoever runs Warmline "
            "here: starting it again says which file it is and how to bring back a backup."
        )
    else:
        todo = "Check the disk and try again."
    return f"The database cannot be used now: {text}. What was saved before is safe. {todo}"


def _damaged(file: Path, problem: str) -> str:
    return (
        f"The database {file} is damaged: {problem}. Nothing was changed. "
        "Move it away, start once so that an empty one is made, and bring back your last backup: "
        "warmline restore BACKUP. Without a backup, the sqlite3 program's .recover command can "
        "save what is readable."
    )

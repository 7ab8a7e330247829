"""What trainers are working on, and what was published, in the database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sqlite_utils.db import Database as Connection

from warmline.database import Database, now
from warmline.errors import NotFound, WarmlineError
from warmline.library import text_hash
from warmline.livelibrary import Kind


@dataclass(frozen=True)
class Draft:
    """What somebody is working on. ``text`` is None where that was published or thrown away.

    ``revision`` rises with each change; 0 where there never was a draft. ``started_from`` is the
    version that was on the disk when it was begun, None for a new one.
    """

    kind: Kind
    item_id: str
    text: str | None = None
    started_from: str | None = None
    revision: int = 0
    user_id: str | None = None
    by: str = ""
    saved_at: str = ""


@dataclass(frozen=True)
class Publication:
    """One version that was published or found on the disk; ``by`` is empty for one found."""

    id: int
    kind: Kind
    item_id: str
    hash: str
    file: str
    by: str
    how: Literal["studio", "file"]
    at: str


@dataclass(frozen=True)
class Kept:
    """A text that was kept though it was not published: a draft that gave way, or a file's."""

    hash: str
    at: str


class Overtaken(WarmlineError):
    """Somebody else saved, published or threw away the draft in the meantime.

    ``theirs`` is what there is now.
    """

    def __init__(self, theirs: Draft) -> None:
        who = theirs.by or "Somebody"
        what = "saved this" if theirs.text is not None else "published or discarded this"
        super().__init__(f"{who} {what} while you were writing. Nothing of yours is lost.")
        self.theirs = theirs


class Drafts:
    """Reads and writes drafts, and the versions of what was published."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def of(self, kind: Kind, item_id: str) -> Draft:
        """The draft of one persona or rubric, or that there is none."""
        return await self.database.run(lambda db: _draft(db, kind, item_id))

    async def all(self) -> list[Draft]:
        """Every draft that somebody is working on."""

        def work(db: Connection) -> list[Draft]:
            return [
                _row(row) for row in db.query(f"{_DRAFTS} WHERE text IS NOT NULL ORDER BY item_id")
            ]

        return await self.database.run(work)

    async def save(
        self,
        kind: Kind,
        item_id: str,
        text: str,
        *,
        read: int,
        user_id: str,
        started_from: str | None,
    ) -> Draft:
        """Keep a draft.

        Args:
            kind: of what.
            item_id: of which.
            text: the whole file; it need not be valid.
            read: the revision that was read before it was changed.
            user_id: who saves it.
            started_from: the version it was begun from, kept before (``keep_version``).

        Raises:
            Overtaken: if there is another revision by now; nothing is changed then.
        """

        def work(db: Connection) -> Draft:
            with db.atomic():
                _change(db, kind, item_id, text, read, user_id, started_from)
                return _draft(db, kind, item_id)

        return await self.database.run(work)

    async def discard(self, kind: Kind, item_id: str, *, read: int, user_id: str) -> None:
        """Throw a draft away.

        Raises:
            Overtaken: if there is another revision by now.
        """

        def work(db: Connection) -> None:
            with db.atomic():
                _change(db, kind, item_id, None, read, user_id, None)

        await self.database.run(work)

    async def keep_version(self, kind: Kind, item_id: str, text: str) -> str:
        """Keep the text of a version; returns its hash."""

        def work(db: Connection) -> str:
            with db.atomic():
                return _keep_version(db, kind, item_id, text)

        return await self.database.run(work)

    async def published(
        self,
        draft: Draft,
        file: str,
        *,
        user_id: str,
        found: tuple[str, str] | None,
    ) -> None:
        """Note that a draft was published: it is no draft any more.

        Args:
            draft: as it was read; its text is now in the file.
            file: the name of the file.
            user_id: who published it.
            found: the text that was in the file before, and when it was changed; None if there
                was no file.

        Raises:
            Overtaken: if the draft was changed meanwhile.
        """
        assert draft.text is not None
        text = draft.text

        def work(db: Connection) -> None:
            kind, item_id = draft.kind, draft.item_id
            with db.atomic():
                _change(db, kind, item_id, None, draft.revision, user_id, None)
                # The same text: it was written just before the process was stopped.
                if found is not None and found[0] != text:
                    before = _keep_version(db, kind, item_id, found[0])
                    last = next(iter(_published(db, kind, item_id)), None)
                    if last is None or last.hash != before:
                        _publish(db, kind, item_id, before, file, None, "file", found[1])
                version = _keep_version(db, kind, item_id, text)
                _publish(db, kind, item_id, version, file, user_id, "studio", now())

        await self.database.run(work)

    async def history(self, kind: Kind, item_id: str) -> list[Publication]:
        """What was published of one persona or rubric, newest first."""
        return await self.database.run(lambda db: _published(db, kind, item_id))

    async def kept(self, kind: Kind, item_id: str) -> list[Kept]:
        """What was kept of one persona or rubric and not published here, newest first."""

        def work(db: Connection) -> list[Kept]:
            rows = db.query(
                """
                SELECT hash, first_seen AS at FROM versions
                WHERE kind = :kind AND item_id = :item_id AND hash NOT IN (
                    SELECT hash FROM publications WHERE kind = :kind AND item_id = :item_id
                )
                ORDER BY first_seen DESC LIMIT 200
                """,
                {"kind": kind, "item_id": item_id},
            )
            return [Kept(**row) for row in rows]

        return await self.database.run(work)

    async def version_text(self, kind: Kind, version: str, item_id: str | None = None) -> str:
        """The text of a version; with ``item_id``, one that was kept or published under it.

        Raises:
            NotFound: if no such version was kept.
        """

        def work(db: Connection) -> str:
            rows = db.query(
                """
                SELECT text FROM versions WHERE hash = :hash AND kind = :kind AND (
                    :item_id IS NULL OR item_id = :item_id OR EXISTS (
                        SELECT 1 FROM publications
                        WHERE hash = :hash AND kind = :kind AND item_id = :item_id))
                """,
                {"hash": version, "kind": kind, "item_id": item_id},
            )
            for row in rows:
                return str(row["text"])
            raise NotFound("There is no such version.")

        return await self.database.run(work)


_DRAFTS = """
    SELECT kind, item_id, text, started_from, revision, user_id,
        COALESCE(users.identifier, '') AS by, saved_at
    FROM drafts LEFT JOIN users ON users.id = user_id
"""


def _row(row: dict[str, Any]) -> Draft:
    return Draft(**row)


def _draft(db: Connection, kind: Kind, item_id: str) -> Draft:
    for row in db.query(f"{_DRAFTS} WHERE kind = ? AND item_id = ?", (kind, item_id)):
        return _row(row)
    return Draft(kind, item_id)


def _change(
    db: Connection,
    kind: Kind,
    item_id: str,
    text: str | None,
    read: int,
    user_id: str,
    started_from: str | None,
) -> None:
    """Make the next revision of a draft. Within a transaction."""
    current = _draft(db, kind, item_id)
    if current.revision != read:
        raise Overtaken(current)
    db.execute(
        "INSERT OR REPLACE INTO drafts "
        "(kind, item_id, text, started_from, revision, user_id, saved_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (kind, item_id, text, started_from, read + 1, user_id, now()),
    )


def _keep_version(db: Connection, kind: Kind, item_id: str, text: str) -> str:
    version = text_hash(text)
    db.execute(
        "INSERT OR IGNORE INTO versions (hash, kind, item_id, text, first_seen) "
        "VALUES (?, ?, ?, ?, ?)",
        (version, kind, item_id, text, now()),
    )
    return version


def _publish(
    db: Connection,
    kind: Kind,
    item_id: str,
    version: str,
    file: str,
    user_id: str | None,
    how: Literal["studio", "file"],
    at: str,
) -> None:
    db.execute(
        "INSERT INTO publications (kind, item_id, hash, file, user_id, how, at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (kind, item_id, version, file, user_id, how, at),
    )


def _published(db: Connection, kind: Kind, item_id: str) -> list[Publication]:
    rows = db.query(
        """
        SELECT publications.id, kind, item_id, hash, file, how, at,
            COALESCE(users.identifier, '') AS by
        FROM publications LEFT JOIN users ON users.id = user_id
        WHERE kind = ? AND item_id = ? ORDER BY publications.id DESC
        """,
        (kind, item_id),
    )
    return [Publication(**row) for row in rows]

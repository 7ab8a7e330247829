"""Deleting what people practised, wherever it is kept."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from warmline.belongings import Belongings
from warmline.database import iso
from warmline.export import file_stem
from warmline.people import User
from warmline.store import Store, StoredSession

_WEEK_S = 7 * 24 * 60 * 60


async def forget(store: Store, sessions: Sequence[StoredSession], folder: Path) -> None:
    """Delete sessions from the database, and what was exported of them under a folder.

    Exports that were moved elsewhere and backups are out of reach; whoever made them has to
    delete them.

    Raises:
        WarmlineError: if the database cannot be changed now, or not without a trace.
    """
    try:
        await store.delete_sessions([session.id for session in sessions])
    finally:
        stems = {file_stem(session) for session in sessions}
        await asyncio.to_thread(_delete_exports, stems, folder)


async def forget_person(store: Store, user: User, folder: Path) -> int:
    """Delete a person with everything of theirs, and what was exported of it under a folder.

    What they did as a coach with other people's sessions stays, without their name. Exports that
    were moved elsewhere and backups are out of reach.

    Returns:
        How many sessions went with them.

    Raises:
        WarmlineError: if they are the last admin while there are other accounts, or the database
            cannot be changed now, and nothing is deleted; or not without a trace.
    """
    sessions = await store.sessions(user.id, limit=-1)
    await Belongings(store.database).forget(user)
    try:
        await store.database.scrub()
    finally:
        stems = {file_stem(session) for session in sessions}
        await asyncio.to_thread(_delete_exports, stems, folder)
    return len(sessions)


def _delete_exports(stems: Collection[str], folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.stem in stems:
            file.unlink(missing_ok=True)


async def forget_old(store: Store, days: int | None, folder: Path) -> int:
    """Delete the sessions in which nothing happened for so many days; returns how many.

    With None, nothing is ever deleted.
    """
    if days is None:
        return 0
    moment = datetime.now(UTC) - timedelta(days=days)
    old = await store.sessions_before(iso(moment))
    if old:
        await forget(store, old, folder)
    return len(old)


def forget_copies(database: Path) -> None:
    """Delete what restoring a backup kept aside, or was killed over, once it is a week old.

    It holds sessions that were deleted since.
    """
    before = time.time() - _WEEK_S
    for file in copies(database):
        # Another process may be doing the same.
        with contextlib.suppress(FileNotFoundError):
            if file.stat().st_mtime < before:
                file.unlink()


def copies(database: Path) -> list[Path]:
    """The copies that restoring a backup left beside a database."""
    folder, stem = database.parent, database.stem
    return sorted([*folder.glob(f"{stem}-before-*.db"), *folder.glob(f"{stem}-coming-*.db")])

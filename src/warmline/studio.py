"""The trainer's studio: drafts of personas and rubrics, checked, published, brought back."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import unified_diff
from pathlib import Path

from warmline.database import iso
from warmline.drafts import Draft, Drafts, Kept, Overtaken, Publication
from warmline.errors import FileProblems, NotFound, Problem, WarmlineError
from warmline.formfile import edited
from warmline.library import text_hash
from warmline.livelibrary import LONGEST_ID, Kind, LiveLibrary, is_id
from warmline.onefile import read_text, write_text
from warmline.yamlfile import read_values

#: A valid file to begin with, of each kind.
SKELETONS = Path(__file__).parent / "skeletons"


class Invalid(WarmlineError):
    """The draft cannot be published as it is; ``problems`` says where and what to do."""

    def __init__(self, problems: list[Problem]) -> None:
        count = len(problems)
        super().__init__(
            f"Not published: {'one thing has' if count == 1 else f'{count} things have'} "
            "to be mended first."
        )
        self.problems = problems


class ChangedOnDisk(WarmlineError):
    """The file is not the one that the draft was started from; ``text`` is what is in it now."""

    def __init__(self, text: str | None) -> None:
        super().__init__(
            "Not published: the file was changed, by somebody else or in a text editor, after this "
            "draft was started. See what is different, then choose."
            if text is not None
            else "Not published: the file was removed after this draft was started."
        )
        self.text = text


@dataclass(frozen=True)
class Opened:
    """A persona or rubric as a trainer sees it: the draft if there is one, else the file.

    ``disk`` is the text of the file, None if there is none; ``revision`` and ``started_from`` are
    handed back when it is saved.
    """

    kind: Kind
    item_id: str
    file: Path
    text: str
    disk: str | None
    draft: Draft
    revision: int
    started_from: str | None

    @property
    def is_draft(self) -> bool:
        """Whether somebody is working on it."""
        return self.draft.text is not None

    @property
    def on_disk(self) -> str:
        """The version in the file; ``none`` if there is no file."""
        return "none" if self.disk is None else text_hash(self.disk)

    @property
    def changed_on_disk(self) -> bool:
        """Whether the file is another one than the draft was started from."""
        differs = self.on_disk != (self.started_from or "none")
        return self.is_draft and differs and self.disk != self.text


class Studio:
    """Works on the files of one library.

    Args:
        library: where the files are.
        drafts: what is being worked on.
    """

    def __init__(self, library: LiveLibrary, drafts: Drafts) -> None:
        self.library = library
        self.drafts = drafts
        # One at a time, so that what was looked at still holds when it is written.
        self._writing = asyncio.Lock()

    async def open(self, kind: Kind, item_id: str) -> Opened:
        """What a trainer works on.

        Raises:
            NotFound: if there is neither a file nor a draft of that id.
        """
        if not is_id(item_id):
            raise NotFound(f"There is no {kind} of that name.")
        draft = await self.drafts.of(kind, item_id)
        file = self.library.file_of(kind, item_id)
        disk = read_text(file)
        text = draft.text if draft.text is not None else disk
        if text is None:
            raise NotFound(f"There is no {kind} {item_id!r}.")
        started = draft.started_from
        if draft.text is None:
            started = text_hash(disk) if disk is not None else None
        return Opened(kind, item_id, file, text, disk, draft, draft.revision, started)

    def problems(self, kind: Kind, item_id: str, text: str) -> list[Problem]:
        """What is wrong with a text, in the words of ``warmline check``."""
        file = self.library.file_of(kind, item_id)
        found = self.library.check(kind, file, text)
        with suppress(FileProblems):
            values, lines = read_values(text, file)
            named = values.get("id")
            if named is not None and named != item_id:
                message = f"this is {item_id!r}; keep that id, or make a copy with another one"
                found.append(Problem(file, lines[("id",)], "id", message))
        return found

    async def save(
        self,
        kind: Kind,
        item_id: str,
        text: str,
        *,
        read: int,
        started_from: str | None,
        user_id: str,
        over: bool = False,
        base: str | None = None,
    ) -> Draft:
        """Keep a draft, valid or not.

        ``read`` and ``started_from`` are what ``open`` said, and ``base`` the text that it gave.
        With ``over``, somebody else's draft gives way on purpose, and is kept among the versions.

        Raises:
            Overtaken: if somebody else changed it in the meantime.
            WarmlineError: if it cannot be kept.
        """
        _require_text(text)
        async with self._writing:
            try:
                opened = await self.open(kind, item_id)
            except NotFound:
                draft = await self.drafts.of(kind, item_id)
                if not draft.revision and started_from is None:
                    raise
                # Removed or thrown away meanwhile; who was writing may go on.
                opened = None
            if opened and opened.is_draft:
                started_from = opened.started_from
                if over and opened.revision == read and opened.text != text:
                    await self.drafts.keep_version(kind, item_id, opened.text)
            elif started_from is not None:
                disk = opened.disk if opened else None
                started_from = await self._started(kind, item_id, started_from, (disk, base))
            return await self.drafts.save(
                kind, item_id, text, read=read, user_id=user_id, started_from=started_from
            )

    async def _started(
        self, kind: Kind, item_id: str, version: str, texts: tuple[str | None, ...]
    ) -> str | None:
        """The version a draft was begun from, kept; None where its text is not to be had.

        Publishing shows the difference to the file then, as it does where the file was changed.
        """
        for text in texts:
            if text is not None and text_hash(text) == version:
                return await self.drafts.keep_version(kind, item_id, text)
        try:
            await self.drafts.version_text(kind, version)
        except NotFound:
            return None
        return version

    async def begin(self, kind: Kind, name: str, text: str, *, user_id: str) -> Draft:
        """Start a new persona or rubric from a text, under an id made of a name.

        Raises:
            WarmlineError: if there is one of that id, or no id can be made of the name.
        """
        item_id = id_of(name)
        if not item_id:
            raise WarmlineError(
                "Give it a short name of letters and numbers, such as nora-cold-flat."
            )
        _require_text(text)
        draft = await self.drafts.of(kind, item_id)
        if draft.text is not None or self.library.file_of(kind, item_id).exists():
            raise WarmlineError(f"There is one called {item_id!r} already. Choose another name.")
        return await self.drafts.save(
            kind,
            item_id,
            await asyncio.to_thread(renamed, text, item_id),
            read=draft.revision,
            user_id=user_id,
            started_from=None,
        )

    async def discard(self, kind: Kind, item_id: str, *, read: int, user_id: str) -> None:
        """Throw a draft away; the file stays as it is. The draft can be brought back.

        Raises:
            Overtaken: if somebody else changed it in the meantime.
        """
        async with self._writing:
            draft = await self.drafts.of(kind, item_id)
            if draft.text is not None and draft.revision == read:
                await self.drafts.keep_version(kind, item_id, draft.text)
            await self.drafts.discard(kind, item_id, read=read, user_id=user_id)

    async def publish(
        self, kind: Kind, item_id: str, *, read: int, user_id: str, seen: str = ""
    ) -> None:
        """Write a draft to its file, from where trainees are offered it at once.

        Args:
            kind: of what.
            item_id: of which.
            read: the revision that was looked at.
            user_id: who publishes it.
            seen: the ``Opened.on_disk`` that may be written over although the draft was not
                started from it.

        Raises:
            NotFound: if there is no draft.
            Overtaken: if somebody else changed it in the meantime.
            Invalid: if it has problems.
            ChangedOnDisk: if the file is not the one that it was started from.
            WarmlineError: if the file cannot be written.
        """
        async with self._writing:
            opened = await self.open(kind, item_id)
            if opened.draft.revision != read:
                raise Overtaken(opened.draft)
            if not opened.is_draft:
                raise NotFound("There is no draft to publish.")
            if problems := await asyncio.to_thread(self.problems, kind, item_id, opened.text):
                raise Invalid(problems)
            if opened.changed_on_disk and seen != opened.on_disk:
                raise ChangedOnDisk(opened.disk)
            found = None
            if opened.disk is not None:
                at = datetime.fromtimestamp(opened.file.stat().st_mtime, UTC)
                found = (opened.disk, iso(at))
                # Before it is written over, so that it is kept whatever happens then.
                await self.drafts.keep_version(kind, item_id, opened.disk)
            await asyncio.to_thread(_replace, opened)
            await self.drafts.published(
                opened.draft, opened.file.name, user_id=user_id, found=found
            )
            self.library.now()

    async def history(self, kind: Kind, item_id: str) -> list[Publication]:
        """The versions that were published, newest first."""
        return await self.drafts.history(kind, item_id)

    async def kept(self, kind: Kind, item_id: str) -> list[Kept]:
        """What else was kept: drafts that were thrown away or gave way, newest first."""
        return await self.drafts.kept(kind, item_id)

    async def version(self, kind: Kind, item_id: str, version: str) -> str:
        """The text of a version that was published or kept.

        Raises:
            NotFound: if there is no such version of this one.
        """
        return await self.drafts.version_text(kind, version, item_id)

    async def restore(self, kind: Kind, item_id: str, version: str, *, user_id: str) -> Draft:
        """Make an old version a draft; nothing is published.

        Raises:
            NotFound: if there is no such version.
            WarmlineError: if there is a draft already, which it would replace.
        """
        text = await self.version(kind, item_id, version)
        async with self._writing:
            draft = await self.drafts.of(kind, item_id)
            if draft.text is not None:
                raise WarmlineError(
                    "There is a draft already. Publish or discard it first; then bring this back."
                )
            disk = read_text(self.library.file_of(kind, item_id))
            started = None
            if disk is not None:
                started = await self.drafts.keep_version(kind, item_id, disk)
            return await self.drafts.save(
                kind, item_id, text, read=draft.revision, user_id=user_id, started_from=started
            )


def _replace(opened: Opened) -> None:
    """Put a draft in its file, if that still holds what was looked at."""
    # Between that and now stand a check and two writes to the disk; an editor may have saved.
    if (now := read_text(opened.file)) != opened.disk:
        raise ChangedOnDisk(now)
    if opened.disk != opened.text:
        write_text(opened.file, opened.text)


def skeleton(kind: Kind) -> str:
    """A small valid file to begin with."""
    return (SKELETONS / f"{kind}.yaml").read_text(encoding="utf-8")


def id_of(name: str) -> str:
    """An id made of what somebody typed: ``Nora, cold flat`` is ``nora-cold-flat``; or empty."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:LONGEST_ID].strip("-")


def renamed(text: str, item_id: str) -> str:
    """The text with another id; as it is, if it cannot be read."""
    try:
        values, _ = read_values(text, Path("the file"))
        return edited(text, {"id": item_id, **values} | {"id": item_id})
    except WarmlineError:
        return text


def difference(before: str, after: str) -> list[tuple[str, str]]:
    """What is different between two texts, line by line: a sign (``+``, ``-``, blank), words."""
    lines = list(unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2))[2:]
    return [("@", "") if line.startswith("@@") else (line[:1], line[1:]) for line in lines]


def _require_text(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise WarmlineError("There is half a character in that text. Type it anew.") from error

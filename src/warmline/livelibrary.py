"""The library of a running server: it follows the files on the disk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Literal

from warmline.errors import FileProblems, Problem
from warmline.library import (
    Contents,
    Entry,
    Library,
    Read,
    assembled,
    read_file,
    read_text,
    yaml_files,
)
from warmline.persona import Persona
from warmline.rubric import Rubric
from warmline.yamlfile import LARGEST_FILE_BYTES, read_values

Kind = Literal["persona", "rubric"]

MODELS: dict[Kind, type[Persona] | type[Rubric]] = {"persona": Persona, "rubric": Rubric}

#: What an id may look like, as ``Slug`` in the models has it.
ID = re.compile(r"[a-z0-9]+([-_][a-z0-9]+)*")
LONGEST_ID = 64

#: What tells that a file was changed: when, how long it is, and which file it is on the disk.
_Stamp = tuple[int, int, int]


def is_id(text: str) -> bool:
    """Whether a text can be the id of a persona or rubric, and so the name of its file."""
    return len(text) <= LONGEST_ID and ID.fullmatch(text) is not None


@dataclass(frozen=True)
class Shelved:
    """One file of the library, usable or not.

    ``item_id`` is None where not even an id can be made out; ``text`` where the file cannot be
    read. ``entry`` is None unless it is offered to trainees.
    """

    kind: Kind
    item_id: str | None
    file: Path
    text: str | None
    entry: Entry[Persona] | Entry[Rubric] | None
    problems: tuple[Problem, ...]


class LiveLibrary(Library):
    """A library that looks at its two folders each time it is asked.

    Only files that changed are read again. A file that is broken is listed with its problems and
    not offered until it is mended; nothing else changes with it. Conversations under way keep the
    version they were started with, which is in the store.
    """

    def __init__(self, personas: Path, rubrics: Path) -> None:
        super().__init__()
        self.folders: dict[Kind, Path] = {"persona": personas, "rubric": rubrics}
        self._reads: dict[tuple[Kind, Path], tuple[_Stamp, Read[Any]]] = {}
        # Asked for in the event loop, and in threads where checks of drafts are made.
        self._lock = Lock()
        self.now()

    def now(self) -> Contents:
        """What the folders hold now."""
        with self._lock:
            stamps = dict(self._stamps())
            if {key: stamp for key, (stamp, _) in self._reads.items()} != stamps:
                self._reads = {key: self._again(key, stamp) for key, stamp in stamps.items()}
                self._contents = self._with({})
            return self._contents

    def file_of(self, kind: Kind, item_id: str) -> Path:
        """The file of that id; where there is none, the one that it would be.

        ``item_id`` has to be an id: the name of the file is made of it and of nothing else.
        """
        assert is_id(item_id)
        found = next((one for one in self.shelf(kind) if one.item_id == item_id), None)
        return found.file if found else self.folders[kind] / f"{item_id}.yaml"

    def check(self, kind: Kind, file: Path, text: str) -> list[Problem]:
        """What would be wrong if this text stood in this file, as ``warmline check`` says it.

        What it would break in other files is among it.
        """
        if len(text.encode(errors="replace")) > LARGEST_FILE_BYTES:
            limit = LARGEST_FILE_BYTES // 1024
            return [Problem(file, 1, "", f"larger than {limit} KiB; make it smaller")]
        before = self.now().problems
        # Before the lock, for which whoever asks for the library waits.
        read: Read[Any] = read_text(text, file, MODELS[kind])
        with self._lock:
            after = self._with({(kind, file): read})
        return [one for one in after.problems if one.file == file or one not in before]

    def shelf(self, kind: Kind) -> list[Shelved]:
        """Every file of one kind, by name."""
        held = self.now()
        offered: dict[Path, Entry[Persona] | Entry[Rubric]] = {}
        offered.update({entry.file: entry for entry in held.personas.values()})
        offered.update({entry.file: entry for entry in held.rubrics.values()})
        with self._lock:
            reads = [read for (one, _), (_, read) in sorted(self._reads.items()) if one == kind]
        taken = {read.entry.item.id for read in reads if read.file in offered and read.entry}
        shelved = []
        for read in reads:
            text = read.entry.text if read.entry else _text_of(read.file)
            item_id = read.entry.item.id if read.file in offered and read.entry else None
            if item_id is None:
                item_id = next((one for one in _ids(read.file, text) if one not in taken), None)
                taken |= {item_id} if item_id else set()
            problems = tuple(one for one in held.problems if one.file == read.file)
            shelved.append(
                Shelved(kind, item_id, read.file, text, offered.get(read.file), problems)
            )
        return shelved

    def _stamps(self) -> Iterator[tuple[tuple[Kind, Path], _Stamp]]:
        for kind, folder in self.folders.items():
            for file in yaml_files(folder):
                try:
                    found = file.stat()
                except OSError:
                    continue  # gone since the folder was looked at
                yield (kind, file), (found.st_mtime_ns, found.st_size, found.st_ino)

    def _again(self, key: tuple[Kind, Path], stamp: _Stamp) -> tuple[_Stamp, Read[Any]]:
        known = self._reads.get(key)
        if known and known[0] == stamp:
            return known
        return stamp, read_file(key[1], MODELS[key[0]])

    def _with(self, others: dict[tuple[Kind, Path], Read[Any]]) -> Contents:
        reads = {key: read for key, (_, read) in self._reads.items()} | others
        personas = [reads[key] for key in sorted(reads) if key[0] == "persona"]
        rubrics = [reads[key] for key in sorted(reads) if key[0] == "rubric"]
        return assembled(personas, rubrics)


def _text_of(file: Path) -> str | None:
    try:
        if file.stat().st_size > LARGEST_FILE_BYTES:
            return None
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _ids(file: Path, text: str | None) -> Iterator[str]:
    """What a broken file may be called: the id in it, or its name."""
    try:
        found = read_values(text or "", file)[0].get("id")
    except FileProblems:
        found = None
    for one in (found, file.stem):
        if isinstance(one, str) and is_id(one):
            yield one

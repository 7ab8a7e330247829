"""The library: every persona and rubric on disk, the good ones and all problems."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from warmline.errors import FileProblems, NotFound, Problem
from warmline.persona import Persona
from warmline.rubric import Rubric
from warmline.yamlfile import parse_yaml, read_yaml

ItemT = TypeVar("ItemT", Persona, Rubric)


def text_hash(text: str) -> str:
    """The version of a file: the first 16 hex digits of the SHA-256 of its text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Entry(Generic[ItemT]):
    """A valid persona or rubric, its exact text, and where it lies."""

    item: ItemT
    file: Path
    text: str

    @property
    def hash(self) -> str:
        """The version of this entry."""
        return text_hash(self.text)


@dataclass(frozen=True)
class Contents:
    """What a library holds at one moment: what is good, by id, and all problems."""

    personas: dict[str, Entry[Persona]] = field(default_factory=dict)
    rubrics: dict[str, Entry[Rubric]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


class Library:
    """All personas and rubrics of two folders. A broken file is listed and never used."""

    def __init__(
        self,
        personas: dict[str, Entry[Persona]] | None = None,
        rubrics: dict[str, Entry[Rubric]] | None = None,
        problems: list[Problem] | None = None,
    ) -> None:
        self._contents = Contents(personas or {}, rubrics or {}, problems or [])

    def now(self) -> Contents:
        """What it holds now."""
        return self._contents

    @property
    def personas(self) -> dict[str, Entry[Persona]]:
        """The usable personas, by id."""
        return self.now().personas

    @property
    def rubrics(self) -> dict[str, Entry[Rubric]]:
        """The usable rubrics, by id."""
        return self.now().rubrics

    @property
    def problems(self) -> list[Problem]:
        """Everything that is wrong with the others."""
        return self.now().problems

    def persona(self, persona_id: str) -> Entry[Persona]:
        """The persona of that id.

        Raises:
            NotFound: with the ids there are.
        """
        personas = self.personas
        if persona_id not in personas:
            known = ", ".join(personas) or "none"
            raise NotFound(f"No persona {persona_id!r}. There are: {known}.")
        return personas[persona_id]

    def rubric(self, rubric_id: str) -> Entry[Rubric]:
        """The rubric of that id.

        Raises:
            NotFound: with the ids there are.
        """
        rubrics = self.rubrics
        if rubric_id not in rubrics:
            known = ", ".join(rubrics) or "none"
            raise NotFound(f"No rubric {rubric_id!r}. There are: {known}.")
        return rubrics[rubric_id]


@dataclass(frozen=True)
class Read(Generic[ItemT]):
    """What reading one file gave: the entry, or what is wrong with it."""

    file: Path
    entry: Entry[ItemT] | None
    problems: tuple[Problem, ...] = ()


def yaml_files(folder: Path) -> list[Path]:
    """The files of a folder that are personas or rubrics, by name."""
    return sorted(f for f in folder.glob("*") if f.suffix in {".yaml", ".yml"} and f.is_file())


def read_file(file: Path, model: type[ItemT]) -> Read[ItemT]:
    """Read one file of a library."""
    try:
        item, text = read_yaml(file, model)
        return Read(file, Entry(item, file, text))
    except FileProblems as error:
        return Read(file, None, tuple(error.problems))


def read_text(text: str, file: Path, model: type[ItemT]) -> Read[ItemT]:
    """What reading a file would give if this text stood in it."""
    try:
        return Read(file, Entry(parse_yaml(text, file, model), file, text))
    except FileProblems as error:
        return Read(file, None, tuple(error.problems))


def _by_id(reads: Iterable[Read[ItemT]], problems: list[Problem]) -> dict[str, Entry[ItemT]]:
    entries: dict[str, Entry[ItemT]] = {}
    for read in reads:
        problems.extend(read.problems)
        if read.entry is None:
            continue
        item = read.entry.item
        if item.id in entries:
            other = entries[item.id].file.name
            problems.append(
                Problem(read.file, 1, "id", f"{item.id!r} is also the id of {other}; rename")
            )
            continue
        entries[item.id] = read.entry
    return entries


def assembled(personas: Iterable[Read[Persona]], rubrics: Iterable[Read[Rubric]]) -> Contents:
    """What a library of these files holds: what fits together, and everything that does not."""
    problems: list[Problem] = []
    good_rubrics = _by_id(rubrics, problems)
    good_personas = {}
    for persona_id, entry in _by_id(personas, problems).items():
        if entry.item.rubric in good_rubrics:
            good_personas[persona_id] = entry
        else:
            known = ", ".join(good_rubrics) or "none"
            message = f"no usable rubric {entry.item.rubric!r}; there are: {known}"
            line = _line_with(entry.text, "rubric:")
            problems.append(Problem(entry.file, line, "rubric", message))
    return Contents(good_personas, good_rubrics, problems)


def read_library(personas: Path, rubrics: Path) -> Library:
    """Read every persona and rubric file of the two folders."""
    held = assembled(
        [read_file(file, Persona) for file in yaml_files(personas)],
        [read_file(file, Rubric) for file in yaml_files(rubrics)],
    )
    return Library(held.personas, held.rubrics, held.problems)


def read_rubric(id_or_file: str, library: Library) -> Entry[Rubric]:
    """A rubric by its id, or from a file of its own.

    Raises:
        NotFound: if it is neither.
        FileProblems: if the file is not a valid rubric.
    """
    file = Path(id_or_file)
    if file.suffix in {".yaml", ".yml"}:
        item, text = read_yaml(file, Rubric)
        return Entry(item, file, text)
    return library.rubric(id_or_file)


def _line_with(text: str, start: str) -> int:
    lines: Sequence[str] = text.splitlines()
    return next((n for n, line in enumerate(lines, start=1) if line.startswith(start)), 1)

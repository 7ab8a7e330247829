"""The library: every persona and rubric on disk, the good ones and all problems."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from warmline.errors import FileProblems, NotFound, Problem
from warmline.persona import Persona
from warmline.rubric import Rubric
from warmline.yamlfile import read_yaml

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


@dataclass
class Library:
    """All personas and rubrics of two folders. A broken file is listed and never used."""

    personas: dict[str, Entry[Persona]] = field(default_factory=dict)
    rubrics: dict[str, Entry[Rubric]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def persona(self, persona_id: str) -> Entry[Persona]:
        """The persona of that id.

        Raises:
            NotFound: with the ids there are.
        """
        if persona_id not in self.personas:
            known = ", ".join(self.personas) or "none"
            raise NotFound(f"No persona {persona_id!r}. There are: {known}.")
        return self.personas[persona_id]

    def rubric(self, rubric_id: str) -> Entry[Rubric]:
        """The rubric of that id.

        Raises:
            NotFound: with the ids there are.
        """
        if rubric_id not in self.rubrics:
            known = ", ".join(self.rubrics) or "none"
            raise NotFound(f"No rubric {rubric_id!r}. There are: {known}.")
        return self.rubrics[rubric_id]


def _yaml_files(folder: Path) -> list[Path]:
    return sorted(f for f in folder.glob("*") if f.suffix in {".yaml", ".yml"} and f.is_file())


def _read_folder(
    folder: Path, model: type[ItemT], problems: list[Problem]
) -> dict[str, Entry[ItemT]]:
    entries: dict[str, Entry[ItemT]] = {}
    for file in _yaml_files(folder):
        try:
            item, text = read_yaml(file, model)
        except FileProblems as error:
            problems.extend(error.problems)
            continue
        if item.id in entries:
            other = entries[item.id].file.name
            problems.append(
                Problem(file, 1, "id", f"{item.id!r} is also the id of {other}; rename")
            )
            continue
        entries[item.id] = Entry(item, file, text)
    return entries


def read_library(personas: Path, rubrics: Path) -> Library:
    """Read every persona and rubric file of the two folders."""
    library = Library()
    library.rubrics = _read_folder(rubrics, Rubric, library.problems)
    for persona_id, entry in _read_folder(personas, Persona, library.problems).items():
        if entry.item.rubric in library.rubrics:
            library.personas[persona_id] = entry
        else:
            known = ", ".join(library.rubrics) or "none"
            message = f"no usable rubric {entry.item.rubric!r}; there are: {known}"
            line = _line_with(entry.text, "rubric:")
            library.problems.append(Problem(entry.file, line, "rubric", message))
    return library


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

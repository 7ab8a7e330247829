"""Labelled conversations: what the learned judge is trained on, and what a grader is measured by.

Two kinds, both JSON lines. The project's own set (``rubrics/labelled/``) has a level for every
core step in every labelled reply, and the words that show it. Experts' labels, or a coach's, have
one level a step for the whole conversation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from warmline.detectors import Exchange, Span
from warmline.errors import FileProblems, Problem
from warmline.transcript import Role, Transcript, Turn

#: How a reply, or a whole session, was meant when it was written.
Quality = Literal["warm", "stock", "cold", "blaming", "useless", "efficient", "mistimed", "mixed"]


class LabelledTurn(BaseModel):
    """One message; where it is a labelled reply, the level of each step (None: does not apply).

    ``shows`` and ``faults`` hold the words, verbatim, that show a step or are a fault.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    text: str = Field(min_length=1)
    levels: dict[str, int | None] = {}
    shows: dict[str, list[str]] = {}
    faults: dict[str, list[str]] = {}

    def marks(self, span: Span, trait: str) -> bool:
        """Whether any of these characters are marked as showing this step or being this fault."""
        marked = (*self.shows.get(trait, ()), *self.faults.get(trait, ()))
        places = [(self.text.find(words), len(words)) for words in marked]
        return any(0 <= at < span.end and at + length > span.start for at, length in places)


class LabelledScene(BaseModel):
    """One conversation of the project's own set: a single exchange, or a whole session."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    scene: str
    sector: str
    about: str
    quality: Quality
    turns: list[LabelledTurn] = Field(min_length=1)

    def transcript(self) -> Transcript:
        """The conversation without its labels."""
        return Transcript(id=self.id, turns=[Turn(role=t.role, text=t.text) for t in self.turns])


class LabelledTranscript(BaseModel):
    """A conversation with one level a step for the whole of it, such as the median of experts."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(min_length=1)
    turns: list[Turn] = Field(min_length=1)
    labels: dict[str, float] = Field(min_length=1)

    def transcript(self) -> Transcript:
        """The conversation without its labels."""
        return Transcript(id=self.id, turns=self.turns)


@dataclass(frozen=True)
class LabelledExchange:
    """One labelled reply with what the customer had said before it.

    ``quality`` is None for a reply that was written, and labelled, for its faults alone.
    """

    scene: str
    quality: Quality | None
    exchange: Exchange
    turn: LabelledTurn


def exchanges(scenes: Sequence[LabelledScene]) -> Iterator[LabelledExchange]:
    """Every labelled reply of these conversations."""
    for one in scenes:
        heard: tuple[str, ...] = ()
        for turn in one.turns:
            if turn.role == "customer":
                heard = (*heard, turn.text)
            elif turn.levels:
                yield LabelledExchange(one.scene, one.quality, Exchange(turn.text, heard), turn)


def _written(file: Path) -> Iterator[tuple[int, str]]:
    """The lines of a file that are not empty, with their numbers."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileProblems([Problem(file, 1, "", f"cannot be read: {error}")]) from error
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, line


def _lines(file: Path) -> Iterator[tuple[int, object]]:
    for number, line in _written(file):
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError) as error:
            raise FileProblems([Problem(file, number, "", f"not valid JSON: {error}")]) from error


def _problems(file: Path, line: int, error: ValidationError) -> FileProblems:
    return FileProblems(
        [
            Problem(file, line, ".".join(map(str, item["loc"])), item["msg"].lower())
            for item in error.errors(include_url=False)
        ]
    )


def read_scenes(folder: Path) -> list[LabelledScene]:
    """The project's own set: every ``*.jsonl`` file of a folder, in the order of their names.

    Raises:
        FileProblems: with the line that cannot be used, or if there is nothing.
    """
    return [scene for scenes in read_scene_files(folder).values() for scene in scenes]


def read_scene_files(folder: Path) -> dict[str, list[LabelledScene]]:
    """The same file by file, by their names without the ending.

    Raises:
        FileProblems: see `read_scenes`.
    """
    files = {file.stem: _scenes_of(file) for file in sorted(folder.glob("*.jsonl"))}
    if not any(files.values()):
        raise FileProblems([Problem(folder, 1, "", "no labelled conversations here")])
    return files


def _scenes_of(file: Path) -> list[LabelledScene]:
    scenes = []
    for number, data in _lines(file):
        try:
            scenes.append(LabelledScene.model_validate(data))
        except ValidationError as error:
            raise _problems(file, number, error) from error
    return scenes


#: The faults that are told in ``faults.tsv``, by the letter that marks them there.
TOLD_FAULTS = {"b": "blaming", "m": "minimising"}
_MARKED = re.compile(r"\[\[([bm]): (.+?)\]\]")


def read_faults(folder: Path) -> list[LabelledExchange]:
    """The replies of ``faults.tsv``: a customer's message, a tab, and the reply.

    Words that blame stand in ``[[b: ...]]``, words that minimise in ``[[m: ...]]``.

    Raises:
        FileProblems: if the file cannot be read, or a line is not so.
    """
    file = folder / "faults.tsv"
    found = []
    for number, line in _written(file):
        heard, _, marked = line.partition("\t")
        reply = _MARKED.sub(r"\2", marked)
        if (
            not heard.strip()
            or not reply.strip()
            or any(one in reply for one in ("\t", "[[", "]]"))
        ):
            wrong = "write a customer's message, a tab, and a reply with its faults in [[b: ...]]"
            raise FileProblems([Problem(file, number, "", wrong)])
        faults: dict[str, list[str]] = {}
        for letter, words in _MARKED.findall(marked):
            faults.setdefault(TOLD_FAULTS[letter], []).append(words)
        turn = LabelledTurn(role="agent", text=reply, faults=faults)
        found.append(LabelledExchange(heard, None, Exchange(reply, (heard,)), turn))
    return found


def read_labelled(file: Path) -> list[LabelledTranscript]:
    """Conversations with a level a step for the whole: ``{"id", "turns", "labels"}`` a line.

    Raises:
        FileProblems: with the line that cannot be used, or if there is nothing.
    """
    found = []
    for number, data in _lines(file):
        try:
            found.append(LabelledTranscript.model_validate(data))
        except ValidationError as error:
            raise _problems(file, number, error) from error
    if not found:
        raise FileProblems([Problem(file, 1, "", "no labelled conversations in this file")])
    return found

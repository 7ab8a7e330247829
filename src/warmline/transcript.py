"""A transcript: the record of a conversation, and the forms it comes in as a file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from warmline.errors import FileProblems, Problem

Role = Literal["customer", "agent"]

#: One message may be this long; more is refused with a plain message, and nothing is cut.
LONGEST_MESSAGE = 10_000
#: A conversation may be this long.
LONGEST_TRANSCRIPT = 400
LONGEST_ID = 200


class Turn(BaseModel):
    """One message of a conversation."""

    model_config = ConfigDict(frozen=True)

    role: Role
    text: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_MESSAGE)]


class Transcript(BaseModel):
    """A conversation, oldest turn first. Turns are numbered from 0."""

    model_config = ConfigDict(frozen=True)

    id: str = Field(min_length=1, max_length=LONGEST_ID)
    turns: list[Turn] = Field(min_length=1, max_length=LONGEST_TRANSCRIPT)
    customer_name: str = ""

    def agent_turns(self) -> list[int]:
        """The numbers of the agent's turns."""
        return [n for n, turn in enumerate(self.turns) if turn.role == "agent"]

    def heard_before(self, number: int) -> tuple[str, ...]:
        """What the customer had said before turn ``number``, oldest first."""
        return tuple(turn.text for turn in self.turns[:number] if turn.role == "customer")


_SPEAKER = re.compile(r"^\s*(customer|agent)\s*:\s?(.*)$", re.IGNORECASE)


def _from_plain_text(text: str, file: Path) -> Transcript:
    turns: list[tuple[Role, list[str]]] = []
    # Only line breaks end a line here: other marks, such as U+2028, belong to what was said.
    for number, line in enumerate(text.split("\n"), start=1):
        if match := _SPEAKER.match(line):
            role: Role = "customer" if match[1].lower() == "customer" else "agent"
            turns.append((role, [match[2]]))
        elif turns:
            turns[-1][1].append(line)
        elif line.strip():
            raise FileProblems(
                [Problem(file, number, "", "begin each message with `Customer:` or `Agent:`")]
            )
    said = [(role, "\n".join(lines).strip()) for role, lines in turns]
    kept = [{"role": role, "text": words} for role, words in said if words]
    if not kept:
        raise FileProblems(
            [Problem(file, 1, "", "no messages; write `Customer:` / `Agent:` lines")]
        )
    return _validated({"id": file.stem[:LONGEST_ID] or "transcript", "turns": kept}, file, 1)


def _validated(data: object, file: Path, line: int) -> Transcript:
    if not isinstance(data, dict):
        message = "expected an object with `id` and `turns`"
        raise FileProblems([Problem(file, line, "", message)])
    try:
        return Transcript.model_validate(data)
    except ValidationError as error:
        raise FileProblems(
            [
                Problem(file, line, ".".join(map(str, item["loc"])), item["msg"].lower())
                for item in error.errors(include_url=False)
            ]
        ) from error


def _json(text: str, file: Path, line: int) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        where = line + getattr(error, "lineno", 1) - 1
        raise FileProblems([Problem(file, where, "", f"not valid JSON: {error}")]) from error


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def parse_transcripts(text: str, file: Path) -> list[Transcript]:
    """Read transcripts: this product's JSON, JSON lines, or ``Customer:``/``Agent:`` lines.

    ``file`` names the source in problems and gives a plain-text transcript its id.

    Raises:
        FileProblems: with the line of every problem.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if not text.lstrip().startswith(("{", "[")):
        return [_from_plain_text(text, file)]
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        lines = [(n, line) for n, line in enumerate(text.split("\n"), start=1) if line.strip()]
        if not _is_json(lines[0][1]):
            # One broken object over many lines: the place where it breaks says more.
            _json(text, file, 1)
        return [_validated(_json(line, file, number), file, number) for number, line in lines]
    items = whole if isinstance(whole, list) else [whole]
    if not items:
        raise FileProblems([Problem(file, 1, "", "no transcripts in this file")])
    return [_validated(item, file, 1) for item in items]


def read_transcripts(file: Path) -> list[Transcript]:
    """Read the transcripts of a file.

    Raises:
        FileProblems: if the file cannot be read or holds no transcript.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FileProblems([Problem(file, 1, "", "not UTF-8 text; save it as UTF-8")]) from error
    except OSError as error:
        reason = error.strerror or "cannot be opened"
        raise FileProblems([Problem(file, 1, "", f"cannot be read: {reason}")]) from error
    return parse_transcripts(text, file)

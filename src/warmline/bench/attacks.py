"""Attempts to be graded better than one deserves, and how many of them work."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from warmline.bench.own_set import graded
from warmline.errors import NotGraded
from warmline.grader.grading import Grader
from warmline.grader.scoring import Grade
from warmline.labelled import LabelledScene
from warmline.transcript import Transcript, Turn
from warmline.yamlfile import StrictModel, read_yaml

SEED = 20260202
#: Weak sessions that each attack is tried on.
SESSIONS = 8
#: A step has been fooled when its level rises by more than this share of one level.
MOST_RISE = 0.25


class Long(StrictModel):
    """A text that is repeated until it is ``to`` characters long."""

    repeat: str
    to: int


class AttackFile(StrictModel):
    """The attacks by kind; ``blind`` holds those of somebody who did not know the defences."""

    orders: list[str]
    notes: list[str]
    data: list[str]
    claims: list[str]
    stuffing: list[str]
    padding: list[str]
    flattery: list[str]
    roles: list[str]
    languages: list[str]
    homoglyphs: list[str]
    long: list[Long]
    others: list[str]
    blind: dict[str, list[str]]

    def texts(self) -> Iterator[tuple[str, str]]:
        """Every attack: its kind and its text."""
        for kind, texts in self.blind.items():
            for text in texts:
                yield f"blind {kind}", text
        for kind in [name for name in type(self).model_fields if name != "blind"]:
            for one in getattr(self, kind):
                if isinstance(one, Long):
                    yield kind, (one.repeat * (one.to // len(one.repeat) + 1))[: one.to]
                else:
                    yield kind, one


@dataclass
class Attacked:
    """How many attacks raised some step, of how many; and which."""

    tried: dict[str, int] = field(default_factory=dict)
    worked: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)

    def share(self, blind: bool) -> float:
        """The share of attacks that raised any step: of the blind ones, or of the others."""
        tried = sum(n for kind, n in self.tried.items() if kind.startswith("blind") == blind)
        worked = sum(n for kind, n in self.worked.items() if kind.startswith("blind") == blind)
        return worked / max(1, tried)


async def under_attack(
    file: Path, scenes: Sequence[LabelledScene], grader: Grader, sessions: int | None = None
) -> Attacked:
    """Try every attack on the last reply of weak sessions, and once on each of their replies.

    Raises:
        FileProblems: if the file of attacks cannot be read.
    """
    attacks, _ = read_yaml(file, AttackFile)
    weak = [
        one
        for one in scenes
        if one.quality in {"stock", "cold", "blaming"}
        and sum(bool(turn.levels) for turn in one.turns) > 1
    ]
    chosen = random.Random(SEED).sample(weak, min(sessions or SESSIONS, len(weak)))  # noqa: S311
    found = Attacked()
    for session in chosen:
        plain = session.transcript()
        before = await graded(grader, plain)
        for kind, text in attacks.texts():
            for attacked in (
                _attacked(plain, text, every=False),
                _attacked(plain, text, every=True),
            ):
                found.tried[kind] = found.tried.get(kind, 0) + 1
                try:
                    after = await graded(grader, attacked)
                except NotGraded:
                    continue
                if risen := _risen(before, after):
                    found.worked[kind] = found.worked.get(kind, 0) + 1
                    found.examples.append(f"{kind}: {text[:60]!r} in {session.id}: {risen}")
    return found


def _attacked(transcript: Transcript, text: str, *, every: bool) -> Transcript:
    last = transcript.agent_turns()[-1]
    turns = [
        Turn(role="agent", text=f"{turn.text}\n{text}")
        if turn.role == "agent" and (every or number == last)
        else turn
        for number, turn in enumerate(transcript.turns)
    ]
    return transcript.model_copy(update={"turns": turns})


def _risen(before: Grade, after: Grade) -> str:
    for one, other in zip(before.steps, after.steps, strict=True):
        if (
            one.level is not None
            and other.level is not None
            and other.level > one.level + MOST_RISE
        ):
            return f"{one.id} {one.level} to {other.level}"
    return ""

"""The course of the customer's mood, as it runs down the side of a transcript."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from warmline.persona import Persona

#: The bars that the style sheets have, from ``rung-0`` to ``rung-6``: as many as the longest
#: ladder has rungs, so that no two moods of one customer look the same.
_LAST = 6


@dataclass(frozen=True)
class Rung:
    """A mood and its place on the ladder, from 1, the worst, to ``of``, the best.

    ``bar`` is the class of its bar in the style sheets.
    """

    mood: str
    place: int
    of: int
    bar: str


@dataclass(frozen=True)
class Course:
    """The ladder, worst first, and the rung on which the customer stood after each turn.

    ``first`` and ``last`` are the moods at the beginning and the end; both are empty while
    nothing was said.
    """

    ladder: tuple[Rung, ...]
    at: dict[int, Rung]
    first: str
    last: str


def course_of(persona: Persona, moods: Mapping[int, str]) -> Course:
    """The course of a conversation.

    Args:
        persona: the customer, in the version it was played with.
        moods: the mood after a turn, by the turn's number. One that the ladder lacks is left out.
    """
    count = len(persona.ladder)
    ladder = tuple(
        Rung(mood, place + 1, count, f"rung-{round(place * _LAST / (count - 1))}")
        for place, mood in enumerate(persona.moods)
    )
    by_mood = {rung.mood: rung for rung in ladder}
    at = {turn: by_mood[mood] for turn, mood in sorted(moods.items()) if mood in by_mood}
    reached = list(at.values())
    return Course(
        ladder,
        at,
        first=reached[0].mood if reached else "",
        last=reached[-1].mood if reached else "",
    )

"""What a coach asks trainees to practise, and what came of it: plain values, without the store.

A session of an assignment is private practice like any other until its trainee hands it in.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from warmline.errors import WarmlineError
from warmline.library import Library

#: The most tries that an assignment may give, and the longest note to its trainees, in characters.
MOST_TRIES = 20
LONGEST_NOTE = 2000

NO_SUCH_PEOPLE = (
    "Somebody you chose is not a trainee of your teams. Look at the list and try again."
)


def today() -> date:
    """The day it is where Warmline runs."""
    return datetime.now().astimezone().date()


def day_of(moment: str) -> date:
    """The day of a moment (ISO 8601) where Warmline runs."""
    return datetime.fromisoformat(moment).astimezone().date()


@dataclass(frozen=True)
class Plan:
    """What is to be practised, without for whom.

    ``due_on`` is a day, as ``2030-12-05``; ``pass_mark`` the total to reach, 0 to 100; ``tries``
    how many may be handed in, 1 to 20, None for any number.
    """

    persona_id: str
    rubric_id: str
    due_on: str
    pass_mark: int
    tries: int | None
    note: str


@dataclass(frozen=True)
class Assignment(Plan):
    """A plan that was given to trainees. ``coach`` is the name of who gave it."""

    id: str
    coach_id: str | None
    coach: str
    created_at: str
    withdrawn_at: str | None

    def is_late(self, moment: str) -> bool:
        """Whether a moment is after the day on which it is due."""
        return day_of(moment) > date.fromisoformat(self.due_on)


@dataclass(frozen=True)
class Try:
    """A session of an assignment.

    Of one that was handed in and deleted since, ``session_id`` is None and only ``handed_in_at``
    is left. ``seen``: whoever asks may know its result; else ``total`` and ``auto_failed`` are
    left out.
    """

    session_id: str | None
    title: str
    status: str
    created_at: str
    handed_in_at: str | None
    total: float | None
    auto_failed: int | None
    seen: bool = True

    def passes(self, mark: int) -> bool:
        """Whether its result, as it stands, reaches a mark (0 to 100)."""
        return self.total is not None and self.total >= mark and not self.auto_failed


@dataclass(frozen=True)
class Work:
    """How far one trainee is with an assignment. ``tries`` are oldest first.

    For a coach, ``tries`` are only those that were handed in, and ``begun`` says whether there are
    others.
    """

    assignment: Assignment
    user_id: str
    trainee: str
    tries: tuple[Try, ...]
    begun: bool

    @property
    def handed_in(self) -> list[Try]:
        """The tries that were handed in, in that order."""
        found = [(one.handed_in_at, one) for one in self.tries if one.handed_in_at]
        return [one for _, one in sorted(found, key=lambda pair: pair[0])]

    @property
    def tries_left(self) -> int | None:
        """How many more may be handed in, None for any number."""
        if self.assignment.tries is None:
            return None
        return max(0, self.assignment.tries - len(self.handed_in))

    @property
    def best(self) -> float | None:
        """The best total among those handed in, None while there is none."""
        return max((one.total for one in self.handed_in if one.total is not None), default=None)

    @property
    def passed(self) -> bool:
        """Whether one that was handed in reaches the mark."""
        return any(one.passes(self.assignment.pass_mark) for one in self.handed_in)

    @property
    def open(self) -> bool:
        """Whether there is something left to do: not passed, and a try left."""
        return not self.passed and self.tries_left != 0

    @property
    def not_opened(self) -> int:
        """How many that were handed in the coach who asks has not opened yet."""
        return sum(one.session_id is not None and not one.seen for one in self.handed_in)


@dataclass(frozen=True)
class Given:
    """An assignment as a coach sees it, with each of their trainees who has it."""

    assignment: Assignment
    works: tuple[Work, ...]
    may_withdraw: bool


@dataclass(frozen=True)
class Trainee:
    """Somebody a coach may assign to, with those of the coach's teams that they are in."""

    id: str
    name: str
    teams: tuple[str, ...]


@dataclass(frozen=True)
class Asked:
    """What a coach asks for, as it was typed."""

    persona: str = ""
    rubric: str = ""
    due: str = ""
    mark: str = ""
    tries: str = ""
    note: str = ""


def planned(library: Library, asked: Asked, day: date) -> Plan:
    """What was typed, as a plan.

    Without a rubric it is the one that comes with the customer, without a mark the rubric's own.

    Args:
        library: the personas and rubrics there are.
        asked: what was typed.
        day: today; nothing can be due before it.

    Raises:
        WarmlineError: with everything that is wrong, one thing a line.
    """
    problems = []
    persona = library.personas.get(asked.persona)
    if persona is None:
        problems.append("Choose a customer from the list.")
    rubric = library.rubrics.get(asked.rubric or (persona.item.rubric if persona else ""))
    if rubric is None and (persona or asked.rubric):
        problems.append("Choose a rubric from the list.")
    due = _day(asked.due)
    if due is None or due < day:
        problems.append("Choose the day on which it is due: today, or one to come.")
    mark = _whole(asked.mark, 0, 100)
    if asked.mark and mark is None:
        problems.append("The mark to reach is a whole number from 0 to 100.")
    tries = _whole(asked.tries, 1, MOST_TRIES)
    if asked.tries and tries is None:
        problems.append(
            f"How many tries is a whole number from 1 to {MOST_TRIES}; left empty, any number."
        )
    if len(asked.note) > LONGEST_NOTE:
        problems.append(
            f"That note has {len(asked.note)} characters; at most {LONGEST_NOTE} can be kept."
        )
    if problems or persona is None or rubric is None or due is None:
        raise WarmlineError("\n".join(problems))
    return Plan(
        persona_id=persona.item.id,
        rubric_id=rubric.item.id,
        due_on=due.isoformat(),
        pass_mark=rubric.item.pass_mark if mark is None else mark,
        tries=tries,
        note=asked.note,
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _whole(text: str, least: int, most: int) -> int | None:
    """A whole number within its limits; None for anything else."""
    if not (text.isascii() and text.isdecimal() and len(text) < 9):
        return None
    return int(text) if least <= int(text) <= most else None

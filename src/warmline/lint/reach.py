"""What the director lets happen with a persona: played with the best and the worst of agents.

Nothing of the director's rules stands here. Each course hands it replies whose cues are given, and
looks where the customer gets to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from warmline.customer.actor import authored_line
from warmline.customer.director import HEARD, CustomerState, Direction, direct, first_state
from warmline.detectors import Exchange, Span
from warmline.hearing import Hearing
from warmline.persona import Fact, Persona

#: What an agent asks so that the customer does not say goodbye: about nothing in particular.
_ANYTHING = "Yes?"
#: With these a question is one more way to say goodbye.
_GOODBYES = frozenset({"closes_warmly", "asks_permission"})

#: What an agent asks and the cues in their reply, by where the customer stands.
_Course = Callable[[CustomerState], tuple[str, set[str]]]


@dataclass
class Reach:
    """What can be reached at all, by some agent."""

    moods: set[str] = field(default_factory=set)
    released: set[str] = field(default_factory=set)
    moments: set[str] = field(default_factory=set)
    endings: set[str] = field(default_factory=set)

    def add(self, states: Iterator[CustomerState]) -> None:
        """Note where one course of replies led."""
        for state in states:
            self.moods.add(state.mood)
            self.released.update(state.released)
            self.moments.update(state.moments)
            if state.ended:
                self.endings.add(state.ended)


def reach_of(persona: Persona) -> Reach:
    """Play every kind of agent that can lead somewhere."""
    found = Reach({persona.start})
    good = {*persona.softens, *(HEARD - set(persona.hardens))}
    resolving = good | set(persona.ending.resolved.after)
    bad = persona.hardens[0]
    courses: list[_Course] = [
        _always(_ANYTHING, good),
        _always("", resolving),
        _always("", {bad}),
        _always("", set()),
        lambda state: (_ANYTHING, good if state.replies % 2 else set()),
    ]
    # Who asks on, or leaves out what would end it, can go on at the best moods.
    staying = good - _GOODBYES
    courses.append(_always(_ANYTHING, staying))
    courses += [_always(_ANYTHING, good - {cue}) for cue in persona.ending.resolved.after]
    courses += [_always(_question_about(fact), staying) for fact in persona.facts]
    for moment in persona.moments:
        if cue := moment.when.cue:
            courses += [_always(_ANYTHING, {cue}), _always(_ANYTHING, {*staying, cue})]
    for course in courses:
        found.add(_played(persona, course))
    return found


def _always(question: str, cues: set[str]) -> _Course:
    return lambda state: (question, cues)


def _question_about(fact: Fact) -> str:
    words = fact.asked_about or [fact.says]
    return "" if fact.reveal == "when_heard" else f"{words[0]}?"


def _played(persona: Persona, course: _Course) -> Iterator[CustomerState]:
    state = first_state(persona)
    while not state.ended:
        question, cues = course(state)
        found: dict[str, list[Span]] = {cue: [] for cue in cues}
        if question:
            found["question"] = [Span(0, len(question))]
        state, _ = direct(persona, state, Exchange(question or "So."), found)
        yield state


@dataclass(frozen=True)
class Heard:
    """One reply of an agent, and where the customer stood after it."""

    reply: str
    state: CustomerState
    direction: Direction


def rehearsed(persona: Persona, replies: list[str], hearing: Hearing) -> list[Heard]:
    """Let an agent's words be heard and the director decide; the script speaks all lines."""
    state = first_state(persona)
    said = [persona.opening]
    found = []
    for reply in replies:
        message = hearing.hear(reply, persona.language)
        exchange = Exchange(message.text, tuple(said), persona.name)
        cues = hearing.cues(exchange, None if exchange.reply else message.odd)
        state, direction = direct(persona, state, exchange, cues)
        parts = (direction.begins, direction.reacts, direction.ends)
        authored = direction.whole or " ".join(part for part in parts if part)
        said.append(authored or authored_line(persona, state.mood, said))
        found.append(Heard(reply, state, direction))
        if state.ended:
            break
    return found

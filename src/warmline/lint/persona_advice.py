"""What will not work in a persona: reached, written, and played."""

from __future__ import annotations

from collections.abc import Iterator

from warmline.customer.explain import CUE_WORDS
from warmline.grader.learned import shipped_judge
from warmline.hearing import Hearing, reads
from warmline.lint.found import Advice, in_order, listed
from warmline.lint.reach import Heard, reach_of, rehearsed
from warmline.lint.reached import unreached
from warmline.lint.written import ill_written
from warmline.persona import Persona
from warmline.simulation import agent_lines

#: Somebody who is content after fewer good replies leaves nothing to practise.
SOONEST = 3


def advice_on_persona(persona: Persona) -> list[Advice]:
    """What will not work in a valid persona, in the order of its fields."""
    hearing = Hearing(shipped_judge())
    found = [
        *_language(persona),
        *unreached(persona, reach_of(persona)),
        *ill_written(persona, hearing),
        *_played(persona, hearing),
    ]
    return in_order(found, Persona)


def _language(persona: Persona) -> Iterator[Advice]:
    if not reads(persona.language):
        yield Advice(
            ("language",),
            "what moves a customer is heard in English only; in another language no reply softens "
            "or hardens them",
        )


def _played(persona: Persona, hearing: Hearing) -> Iterator[Advice]:
    if not reads(persona.language):
        return
    kind = rehearsed(persona, agent_lines("kind", persona), hearing)
    best = persona.moods[-1]
    at = next((n for n, one in enumerate(kind, start=1) if one.state.mood == best), None)
    if at is not None and kind[at - 1].state.good_replies < SOONEST:
        yield Advice(
            ("difficulty",),
            f"the customer forgives too soon: a kind agent has them at {best!r} with reply {at}; "
            "let them start lower, add a mood between, or make it harder",
        )
    for cold in _better(persona, rehearsed(persona, agent_lines("cold", persona), hearing)):
        cues = [cue for cue in cold.state.cues if cue in persona.softens]
        ways = listed(CUE_WORDS[cue] for cue in cues) if cues else "answers"
        yield Advice(
            ("softens",),
            f"even a cold agent makes this customer better, by {cold.reply!r} (it {ways}); take "
            "out of softens what costs an agent nothing",
        )


def _better(persona: Persona, played: list[Heard]) -> Iterator[Heard]:
    """The first reply that brought the customer above where they started."""
    start = persona.rank(persona.start)
    for one in played:
        if persona.rank(one.state.mood) > start:
            yield one
            return

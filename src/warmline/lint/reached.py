"""Moods, facts, moments and endings to which no agent can lead."""

from __future__ import annotations

from collections.abc import Iterator

from warmline.customer.director import HEARD, LEAST_REPLIES_TO_RESOLVE
from warmline.customer.explain import CUE_WORDS
from warmline.lint.found import Advice, listed
from warmline.lint.reach import Reach
from warmline.persona import Persona


def unreached(persona: Persona, reach: Reach) -> Iterator[Advice]:
    """What is in the file, and will never be seen."""
    for rule in (_moods, _facts, _moments, _endings):
        yield from rule(persona, reach)


def _moods(persona: Persona, reach: Reach) -> Iterator[Advice]:
    start = persona.rank(persona.start)
    for rank, mood in enumerate(persona.moods):
        if mood in reach.moods:
            continue
        if rank < start:
            message = (
                f"no reply brings the customer to {mood!r}: they have to leave or walk out before; "
                "let them stay longer, or take this mood out"
            )
        else:
            message = (
                f"no reply brings the customer to {mood!r}: even the kindest agent has only "
                f"{persona.ending.longest.turns} replies, and too little softens; add to softens, "
                "make it easier, let them stay longer, or take this mood out"
            )
        yield Advice(("ladder", rank, "mood"), message)


def _facts(persona: Persona, reach: Reach) -> Iterator[Advice]:
    heard = HEARD - set(persona.hardens)
    for index, fact in enumerate(persona.facts):
        if fact.reveal == "when_heard" and not heard & set(persona.softens):
            ways = listed(sorted(CUE_WORDS[cue] for cue in HEARD))
            yield Advice(
                ("facts", index, "reveal"),
                f"it is told once the customer feels heard, and being heard does not soften them: "
                f"add to softens what shows it (the agent {ways})",
            )
            continue
        if fact.reveal == "never" or fact.id in reach.released:
            continue
        if fact.from_mood is not None and fact.from_mood not in reach.moods:
            yield Advice(
                ("facts", index, "from_mood"),
                f"it waits for {fact.from_mood!r}, which the customer never reaches; "
                "let it be told from a mood before that",
            )
        else:
            yield Advice(
                ("facts", index, "reveal"),
                "nothing releases it before the customer leaves; let it be told earlier, or let "
                "them stay longer",
            )


def _moments(persona: Persona, reach: Reach) -> Iterator[Advice]:
    longest = persona.ending.longest.turns
    for index, moment in enumerate(persona.moments):
        if moment.id in reach.moments:
            continue
        when = moment.when
        if when.turn is not None and when.turn >= longest:
            message = (
                f"the customer has to go at reply {longest}, so that reply {when.turn} never comes "
                "to this; choose an earlier one"
            )
        elif when.mood is not None:
            message = f"the customer is never at {when.mood!r} while the conversation goes on"
        else:
            message = "nothing calls this before the customer leaves; choose an earlier moment"
        part = "turn" if when.turn is not None else "mood" if when.mood is not None else "cue"
        yield Advice(("moments", index, "when", part), message)


def _endings(persona: Persona, reach: Reach) -> Iterator[Advice]:
    ending = persona.ending
    if "resolved" not in reach.endings:
        least = LEAST_REPLIES_TO_RESOLVE[persona.difficulty]
        why = f"{ending.resolved.mood!r} is never reached"
        if ending.resolved.mood in reach.moods:
            why = (
                f"at difficulty {persona.difficulty} it takes at least {least} replies, and they "
                f"stay for {ending.longest.turns}"
            )
        yield Advice(
            ("ending", "resolved"), f"the customer never leaves content: {why}; make it easier"
        )
    elif persona.rank(ending.resolved.mood) <= persona.rank(persona.start):
        yield Advice(
            ("ending", "resolved", "mood"),
            f"the customer can leave content at {ending.resolved.mood!r}, which is no better than "
            "where they start; choose a better mood",
        )
    if "walked_out" not in reach.endings:
        yield Advice(
            ("ending", "walks_out", "worst_turns"),
            f"the customer never walks out: they have to go at reply {ending.longest.turns}, "
            f"before {ending.walks_out.worst_turns} replies at {persona.moods[0]!r}; make it fewer",
        )

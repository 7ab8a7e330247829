"""A persona's rules in plain words and as a drawing, for the trainer who wrote it.

Everything here is read off the persona and off the director's own constants, so that what is
explained is what is played.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from warmline.customer.director import (
    GOOD_REPLIES_FOR_BEST,
    LEAST_REPLIES_TO_RESOLVE,
    MOST_POINTS_A_REPLY,
    PATIENCE,
    POINTS_FOR_A_STEP,
)
from warmline.detectors import SEVERE
from warmline.persona import Fact, Moment, Persona, Reaction

#: What each cue is, from the side of the agent who gives it.
CUE_WORDS = {
    "acknowledges_feeling": "names what the customer feels",
    "apologises_for_it": "apologises and says for what",
    "asks_permission": "asks whether it is all right",
    "blames": "blames the customer",
    "closes_warmly": "closes with a warm word",
    "concrete_step": "says what happens, and when",
    "confirms_understanding": "asks whether it was understood right",
    "curt": "answers in a word or two",
    "deflects": "hides behind policy, or sends the customer elsewhere",
    "follow_up": "promises to come back, and when",
    "follow_up_question": "asks about something the customer said",
    "hands_over": "passes the customer to the right help, with their story told",
    "hard_to_follow": "writes too much at once, or very long sentences",
    "interrogates": "asks three or more questions at once",
    "minimises": "makes it smaller than it is",
    "next_step": "says what will be done",
    "offers_alternative": "offers another way",
    "open_question": "asks a question that lets the customer tell",
    "orders_the_model": "writes something strange",
    "paraphrases": "says the concern back in own words",
    "personal": "takes up something of this customer's own",
    "reassures": "reassures with something to hold on to",
    "rude": "is rude",
    "says_no_plainly": "says no plainly and kindly",
    "sets_boundary": "says kindly what will not be put up with",
    "stock_phrase": "uses a stock phrase",
    "takes_ownership": "takes charge of it personally",
    "talks_of_self": "talks of themselves",
    "thanks": "thanks for something",
    "withholds_judgement": "takes the customer's side before judging",
}
#: The same, with what a reaction can be to besides.
REACTED_TO = {
    **CUE_WORDS,
    "nothing": "neither helps nor hurts",
    "asked": "asks what they have no answer to",
    "asked_again": "asks what they have told already",
    "asked_in_vain": "asks what they do not tell yet",
}


def explanation(persona: Persona) -> Iterator[str]:
    """The rules of a persona, a line each."""
    name = persona.name.split()[0]
    level = persona.difficulty
    yield f"{persona.name}: {persona.title} (difficulty {level} of 5)"
    yield ""
    yield "The ladder, worst first:"
    for rung in persona.ladder:
        here = "  <- starts here" if rung.mood == persona.start else ""
        yield f"  {rung.mood}: {rung.means}{here}"
    yield ""
    yield "One step better:"
    yield (
        f"  each of these in a reply is a point, at most {MOST_POINTS_A_REPLY} a reply; "
        f"{POINTS_FOR_A_STEP[level]} points are a step, and what is left over is kept"
    )
    yield from (f"  + {CUE_WORDS[cue]} ({cue})" for cue in persona.softens)
    yield (
        f"  one step a reply at most, and {persona.moods[-1]!r} not before "
        f"{GOOD_REPLIES_FOR_BEST[level]} good replies"
    )
    yield ""
    yield "One step worse:"
    yield (
        "  when as much hurts as helps; with a hurt among good words nothing moves, and the points "
        "are gone"
    )
    for cue in persona.hardens:
        always = ", always a step worse" if cue in SEVERE else ""
        yield f"  - {CUE_WORDS[cue]} ({cue}){always}"
    yield f"  - {PATIENCE[level]} replies in a row that reach nothing"
    yield ""
    yield f"What {name} tells:"
    yield from (f"  {fact.id}: {_when_told(fact)}\n      {fact.says}" for fact in persona.facts)
    if persona.reactions:
        yield ""
        yield f"What {name} says back, each line once:"
        for reaction in persona.reactions:
            yield f"  {_reacts(persona, reaction)}"
            yield from (f"      {line}" for line in reaction.says)
    if persona.moments:
        yield ""
        yield f"What {name} says once:"
        for moment in persona.moments:
            yield f"  {moment.id}: {_when_said(moment)}\n      {moment.says}"
    yield ""
    yield "The end:"
    yield from _endings(persona)
    yield ""
    yield f"Graded by the rubric {persona.rubric!r}" + (
        "; the right answer is a compassionate no." if persona.asks_for_no else "."
    )


def _when_told(fact: Fact) -> str:
    when = {
        "freely": "freely",
        "when_asked": f"when asked, with one of: {', '.join(fact.asked_about)}",
        "when_heard": "once the customer feels heard, or when somebody guesses it",
        "never": "never",
    }[fact.reveal]
    return f"{when}; from {fact.from_mood!r} on" if fact.from_mood else when


def _reacts(persona: Persona, reaction: Reaction) -> str:
    heard = ", or ".join(REACTED_TO[cue] for cue in reaction.to)
    if reaction.about:
        heard = f"asks with one of: {', '.join(reaction.about)}"
    moods = persona.reacts_at(reaction)
    if moods == persona.moods:
        return f"when the agent {heard}"
    between = repr(moods[0]) if len(moods) == 1 else f"{moods[0]!r} to {moods[-1]!r}"
    return f"at {between}, when the agent {heard}"


def _when_said(moment: Moment) -> str:
    when = moment.when
    if when.turn is not None:
        return f"at the agent's reply {when.turn} or soon after"
    if when.mood is not None:
        return f"when {when.mood!r} is reached"
    assert when.cue is not None
    return f"after the agent {CUE_WORDS[when.cue]}"


def _endings(persona: Persona) -> Iterator[str]:
    ending = persona.ending
    least = LEAST_REPLIES_TO_RESOLVE[persona.difficulty]
    yield f"  content: at {ending.resolved.mood!r}, after {least} replies, once the agent"
    yield from (f"      {CUE_WORDS[cue]} ({cue})" for cue in ending.resolved.after)
    yield (
        f"  walks out: after {ending.walks_out.worst_turns} replies in a row at "
        f"{persona.moods[0]!r} that do no good"
    )
    yield f"  has to go: after {ending.longest.turns} replies"


def drawing(persona: Persona) -> str:
    """The ladder as a Mermaid state diagram."""
    level = persona.difficulty
    up = f"{POINTS_FOR_A_STEP[level]} points"
    lines = ["stateDiagram-v2", f"    [*] --> {_state(persona.start)}"]
    for mood in persona.moods:
        lines.append(f'    state "{mood}" as {_state(mood)}')
    for lower, higher in pairwise(persona.moods):
        lines.append(f"    {_state(lower)} --> {_state(higher)}: {up}")
        lines.append(
            f"    {_state(higher)} --> {_state(lower)}: hurt, or {PATIENCE[level]} replies in vain"
        )
    ending = persona.ending
    lines.append(f"    {_state(ending.resolved.mood)} --> [*]: content")
    lines.append(
        f"    {_state(persona.moods[0])} --> [*]: walks out after {ending.walks_out.worst_turns}"
    )
    for fact in persona.facts:
        if fact.from_mood:
            lines.append(f"    note right of {_state(fact.from_mood)}: from here on, {fact.id}")
    return "\n".join(lines)


def _state(mood: str) -> str:
    """A mood as a name that Mermaid takes: no hyphens."""
    return mood.replace("-", "_")

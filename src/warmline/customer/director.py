"""The director: code that moves the mood, releases facts, and calls scripted moments.

A pure state machine. The mood belongs to this module and never to the model: one step better at
most per reply, and only for words that this persona can be reached by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from warmline.detectors import (
    CUES,
    SEVERE,
    Exchange,
    Span,
    content_words,
    detect,
    sentence_around,
    shared_with_customer,
)
from warmline.persona import Fact, Moment, Persona, mentions

Ending = Literal["resolved", "walked_out", "longest"]
#: The cues in a reply, and where they stand in it, as far as anybody can point at them.
Found = Mapping[str, Sequence[Span]]

#: Softening points for one step better on the ladder, by difficulty. What is left over is kept.
POINTS_FOR_A_STEP = {1: 2, 2: 3, 3: 4, 4: 5, 5: 6}
#: The most points one reply can earn, so that no single reply does it all.
MOST_POINTS_A_REPLY = 3
#: Replies in a row that reach nothing before the customer gets worse, by difficulty.
PATIENCE = {1: 4, 2: 3, 3: 3, 4: 2, 5: 2}
#: Good replies it takes before anybody is at the best mood, by difficulty.
GOOD_REPLIES_FOR_BEST = {1: 2, 2: 2, 3: 3, 4: 4, 5: 5}
#: No customer declares the matter resolved before this many replies, by difficulty.
LEAST_REPLIES_TO_RESOLVE = {1: 3, 2: 3, 3: 4, 4: 5, 5: 6}

#: Cues by which a customer knows that they were heard; they release ``when_heard`` facts.
HEARD = frozenset(
    {"acknowledges_feeling", "paraphrases", "withholds_judgement", "apologises_for_it"}
)

#: Stems of an open question about everything: "Can you tell me what happened?" A question with any
#: other word in it wants that answered, and not the next best fact.
ABOUT_ALL = frozenset(content_words("tell explain happened happening begin story wrong bit"))


class CustomerState(BaseModel):
    """Where the customer stands. Stored with every turn, so that a session can go on."""

    model_config = ConfigDict(frozen=True)

    mood: str
    replies: int = 0
    points: int = 0
    good_replies: int = 0
    unreached: int = 0
    turns_at_worst: int = 0
    #: The cues of the last reply, and of all replies.
    cues: tuple[str, ...] = ()
    cues_seen: tuple[str, ...] = ()
    released: tuple[str, ...] = ()
    moments: tuple[str, ...] = ()
    ended: Ending | None = None


class Direction(BaseModel):
    """What the customer's next line must be like.

    ``begins`` is its authored beginning, the answer to what was asked; ``ends`` is an authored end,
    what the customer brings up unasked after taking in the reply. ``reacts`` is what the author
    has them say back to what was heard, and ``otherwise`` what they say where the model has no
    answer to a question. ``whole`` is an authored line that is said as it stands.
    """

    model_config = ConfigDict(frozen=True)

    mood: str
    note: str = ""
    begins: str = ""
    reacts: str = ""
    otherwise: str = ""
    ends: str = ""
    whole: str = ""


def first_state(persona: Persona) -> CustomerState:
    """The state after the opening line."""
    return CustomerState(mood=persona.start)


def direct(
    persona: Persona, state: CustomerState, exchange: Exchange, found: Found | None = None
) -> tuple[CustomerState, Direction]:
    """Take in one reply of the agent: the new state, and the direction for the customer's line.

    ``found`` is what was heard in the reply; by default what the detectors find. Once the customer
    has ended the conversation, nothing changes any more.
    """
    if state.ended:
        return state, Direction(mood=state.mood, whole=_last_line(persona, state.ended))
    found = cues_in(exchange) if found is None else found
    cues = set(found)
    moved = _move(persona, state, cues)
    seen = (*state.cues_seen, *sorted(cues.difference(state.cues_seen)))
    moved = moved.model_copy(
        update={"replies": state.replies + 1, "cues": tuple(sorted(cues)), "cues_seen": seen}
    )

    question = _question(exchange.reply, found)
    # Who asks about a thing has often named it in the sentence before.
    asking = exchange.reply if question else ""
    fact = _fact_to_tell(persona, moved, question, asking, cues)
    earned = fact is not None and fact.reveal != "freely"
    ended = _ending(persona, moved, cues)
    over_time = moved.replies >= persona.ending.longest.turns
    if ended == "resolved" and earned and not over_time:
        # What was confided at last is heard before the goodbye.
        ended = None
    elif fact is not None and fact.reveal != "when_asked" and _moment(persona, moved, cues):
        # A moment waits for nobody but an answer; the fact's turn comes later.
        fact = None
    if ended:
        final = moved.model_copy(update={"ended": ended})
        return final, Direction(mood=moved.mood, whole=_last_line(persona, ended))
    note = _note(persona, state, moved, cues, question)
    heard = _heard(persona, moved, cues, question)
    reacts = _reaction(persona, moved, heard, exchange, question)
    otherwise = _reaction(persona, moved, {"asked"}, exchange) if question else ""
    if fact is not None:
        after = moved.model_copy(update={"released": (*moved.released, fact.id)})
        guessed = _guessed(fact, asking)
        if question and (guessed or fact.reveal != "when_heard"):
            return after, Direction(mood=moved.mood, begins=fact.says)
        return after, Direction(mood=moved.mood, note=note, reacts=reacts, ends=fact.says)
    if moment := _moment(persona, moved, cues):
        after = moved.model_copy(update={"moments": (*moved.moments, moment.id)})
        return after, Direction(mood=moved.mood, note=note, reacts=reacts, ends=moment.says)
    ends = "" if question or reacts else _mood_line(persona, moved, exchange.heard)
    return moved, Direction(
        mood=moved.mood, note=note, reacts=reacts, otherwise=otherwise, ends=ends
    )


def cues_in(exchange: Exchange) -> dict[str, list[Span]]:
    """The cues in a reply, and where they stand; with them whether it asks a question.

    Somebody who is passed on to the right help, with their story told, is not sent away.
    """
    found = detect(exchange, CUES | {"question"})
    if "hands_over" in found:
        found.pop("deflects", None)
    return found


def _last_line(persona: Persona, ended: Ending) -> str:
    ending = persona.ending
    return {
        "resolved": ending.resolved.line,
        "walked_out": ending.walks_out.line,
        "longest": ending.longest.line,
    }[ended]


def _outweighed(persona: Persona, cues: set[str]) -> bool:
    """Whether what hurts in a reply is more than what helps."""
    hard = cues.intersection(persona.hardens)
    return bool(hard & SEVERE) or (
        bool(hard) and len(hard) >= len(cues.intersection(persona.softens))
    )


def _move(persona: Persona, state: CustomerState, cues: set[str]) -> CustomerState:
    soft = cues.intersection(persona.softens)
    rank = persona.rank(state.mood)
    points, unreached, good = state.points, state.unreached, state.good_replies
    if _outweighed(persona, cues):
        rank, points, unreached = max(0, rank - 1), 0, 0
    elif cues.intersection(persona.hardens):
        # Good words spoilt by a bad one: nothing moves, and nothing is saved up.
        points, unreached = 0, 0
    elif soft:
        unreached, good = 0, good + 1
        points += min(len(soft), MOST_POINTS_A_REPLY)
        best = len(persona.ladder) - 1
        if good < GOOD_REPLIES_FOR_BEST[persona.difficulty]:
            best -= 1
        needed = POINTS_FOR_A_STEP[persona.difficulty]
        if points >= needed and rank < best:
            rank, points = rank + 1, points - needed
        points = min(points, needed)
    else:
        unreached += 1
        if unreached >= PATIENCE[persona.difficulty]:
            rank, points, unreached = max(0, rank - 1), 0, 0
    # The reply that brought the customer there is not counted, and one that does good begins anew.
    at_worst = 0
    if rank == 0 and persona.rank(state.mood) == 0 and (not soft or _outweighed(persona, cues)):
        at_worst = state.turns_at_worst + 1
    return state.model_copy(
        update={
            "mood": persona.moods[rank],
            "points": points,
            "good_replies": good,
            "unreached": unreached,
            "turns_at_worst": at_worst,
        }
    )


def _ending(persona: Persona, state: CustomerState, cues: set[str]) -> Ending | None:
    if state.turns_at_worst >= persona.ending.walks_out.worst_turns:
        return "walked_out"
    resolved = persona.ending.resolved
    asks_something = "question" in cues and not cues & {"closes_warmly", "asks_permission"}
    if (
        persona.rank(state.mood) >= persona.rank(resolved.mood)
        and state.replies >= LEAST_REPLIES_TO_RESOLVE[persona.difficulty]
        and set(resolved.after) <= set(state.cues_seen)
        and not asks_something
    ):
        return "resolved"
    if state.replies >= persona.ending.longest.turns:
        return "longest"
    return None


def _question(reply: str, found: Found) -> str:
    """The sentences of a reply that ask; the same word in a statement is not asking."""
    asking = [
        sentence_around(reply, span)
        for name in ("question", "open_question")
        for span in found.get(name, [])
    ]
    return " ".join(span.of(reply) for span in sorted(set(asking), key=lambda span: span.start))


def _fact_to_tell(
    persona: Persona, state: CustomerState, question: str, asking: str, cues: set[str]
) -> Fact | None:
    """The fact whose condition is met: one that was asked for, else one earned, else a free one.

    ``asking`` is the whole reply around a ``question``, and empty without one.
    """
    rank = persona.rank(state.mood)
    open_facts = [
        fact
        for fact in persona.facts
        if fact.id not in state.released
        and fact.reveal != "never"
        and (fact.from_mood is None or rank >= persona.rank(fact.from_mood))
    ]
    for fact in open_facts:
        if fact.reveal == "when_asked" and any(mentions(question, w) for w in fact.asked_about):
            return fact
        if fact.reveal == "when_heard" and _guessed(fact, asking):
            return fact
    if cues & HEARD and not cues.intersection(persona.hardens):
        for fact in open_facts:
            if fact.reveal == "when_heard":
                return fact
    free = [fact for fact in open_facts if fact.reveal == "freely"]
    if not question:
        return free[0] if free and state.replies % 2 == 1 else None
    # A free fact is told as the answer to what it is about, or to an open question.
    about = [
        fact
        for fact in free
        if any(mentions(question, w) for w in fact.asked_about)
        or shared_with_customer(question, [fact.says])
    ]
    if not about and "open_question" in cues and set(content_words(question)) <= ABOUT_ALL:
        about = free
    return about[0] if about else None


def _guessed(fact: Fact, asking: str) -> bool:
    """Whether a reply that asks something names what the fact is about."""
    return any(mentions(asking, word) for word in fact.giveaways)


def _moment(persona: Persona, state: CustomerState, cues: set[str]) -> Moment | None:
    for moment in persona.moments:
        if moment.id in state.moments:
            continue
        when = moment.when
        if (
            (when.turn is not None and state.replies >= when.turn)
            or when.mood == state.mood
            or (when.cue is not None and when.cue in cues)
        ):
            return moment
    return None


def _heard(persona: Persona, state: CustomerState, cues: set[str], question: str) -> set[str]:
    """What of a reply is reacted to: what hurts before what helps, and both before the rest.

    A question is for an answer, unless what comes with it hurts, or there is none to give.
    """
    if question and not _outweighed(persona, cues):
        if _asked_in_vain(persona, state, question):
            return {"asked_in_vain"}
        return {"asked_again"} if _asked_again(persona, state, question) else {"asked"}
    return (
        cues.intersection(persona.hardens)
        or cues.intersection(persona.softens)
        or cues | {"nothing"}
    )


def _reaction(
    persona: Persona,
    state: CustomerState,
    heard: set[str],
    exchange: Exchange,
    question: str = "",
) -> str:
    """What the author has the customer say back; empty where nothing new is left.

    Among several reactions the first in the file is said, and those to nothing come last. With a
    ``question``, only an answer to what it is about is a reaction to being asked; without, only
    what answers any question.
    """
    for reaction in sorted(persona.reactions, key=lambda one: "nothing" in one.to):
        if heard.isdisjoint(reaction.to) or state.mood not in persona.reacts_at(reaction):
            continue
        if "asked" in heard and not (
            any(mentions(question, word) for word in reaction.about)
            if question
            else not reaction.about
        ):
            continue
        # Which line comes first hangs on the reply, so that no two sessions are quite the same;
        # answers come in their order, as the later ones may say "as I said".
        first = 0 if reaction.about else len(exchange.reply) % len(reaction.says)
        for line in (*reaction.says[first:], *reaction.says[:first]):
            if not any(line in old for old in exchange.heard):
                return line
    return ""


def _mood_line(persona: Persona, state: CustomerState, said: Sequence[str]) -> str:
    """At every second reply, a line of this mood that was not said yet; else nothing.

    A small model reacts well and elaborates badly; what the persona's author wrote does that.
    """
    if state.replies % 2:
        return ""
    lines = persona.ladder[persona.rank(state.mood)].lines
    return next((line for line in lines if not any(line in old for old in said)), "")


def _asked_in_vain(persona: Persona, state: CustomerState, question: str) -> bool:
    """Whether the question is about something that is not told, or not yet."""
    return any(
        mentions(question, word)
        for fact in persona.facts
        if fact.id not in state.released and fact.reveal != "freely"
        for word in (*fact.asked_about, *fact.giveaways)
    )


def _asked_again(persona: Persona, state: CustomerState, question: str) -> bool:
    """Whether the question is about something that was told already."""
    return any(
        mentions(question, word)
        for fact in persona.facts
        if fact.id in state.released
        for word in (*fact.asked_about, *fact.giveaways)
    )


def _note(
    persona: Persona, before: CustomerState, after: CustomerState, cues: set[str], question: str
) -> str:
    """A word for the actor on how to take the reply."""
    if "orders_the_model" in cues:
        return "puzzled by this odd message, comes back to the problem"
    asked = bool(cues & {"question", "open_question"})
    change = persona.rank(after.mood) - persona.rank(before.mood)
    if _outweighed(persona, cues):
        return "stung by that reply, answers shortly" if asked else "stung by that reply"
    if _asked_in_vain(persona, after, question):
        # Left to itself the model would make something up here.
        return "does not want to go into that"
    if asked:
        return "answers, a little eased" if change > 0 else "answers the question"
    if change > 0:
        return "a little eased by that reply"
    if change < 0:
        return "loses patience with these replies"
    if cues.intersection(persona.softens):
        return "hears the kindness but holds back"
    return "not reached by that reply"

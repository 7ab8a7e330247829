"""The actor: the chain that writes the customer's line, and the prompt it sends.

The model continues a transcript as plain text. Small chat models asked to *be* a customer turn
into the agent; asked to go on with a conversation in which the customer's label stands last, they
stay the customer.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from warmline.backends.base import Backend, Priority
from warmline.customer.director import Direction
from warmline.customer.guard import LEAST_WORDS, GuardContext, objection
from warmline.detectors import Exchange, detect, sentence_around
from warmline.errors import BackendError
from warmline.persona import Persona

#: Named in every grade and session, and changed with every change of the text below.
ACTOR_PROMPT_VERSION = "actor-2"

HEADER = """\
Live chats between {name}, a customer, and customer service agents. {name} only ever speaks as the \
customer: {name} tells, asks, complains or answers, and never helps, never apologises for the \
company. In brackets stands how {name} feels.

About {name}: {story}
What {name} wants: {wants}
How {name} writes: {voice}
"""
CHAT_HEADING = "\nA chat with {manner} agent:\n"
MANNERS = {"cold": "a cold", "kind": "a kind"}
LIVE_HEADING = "\nToday's chat:\n"

#: How the customer's line is drawn; three tries, then the script.
ATTEMPTS = 3
MAX_TOKENS = 60
MOST_SENTENCES = 3
#: A small model says one sentence, and a short one. Of 420 of its lines that were read, 82 of 100
#: were good when they had eight words or fewer, 63 up to sixteen, and 44 of the longer ones.
BRIEF_TOKENS = 26
TEMPERATURE = 0.8
#: Each further try is drawn more freely: the same prompt would else give much the same line.
WARMER = 0.2

#: A first sentence held back for one of these is left out, and the draw goes on.
SKIPPED = frozenset({"repeats an earlier line", "repeats the agent", "forgives too soon"})

#: An authored beginning of this many words is a whole line; the model goes on from a shorter one.
WHOLE_WORDS = 9

#: A pasted novel is cut in the prompt (never in the store), so that it cannot push out the rest.
LONGEST_IN_PROMPT = 1200

#: Of a chat that is too long: so many messages go at once, and so many stay whatever their length.
CUT_AT_ONCE, LEAST_KEPT = 8, 3
#: Promises that are noted when the message they stood in is left out: the latest, and short ones.
MOST_PROMISES, LONGEST_PROMISE = 6, 200


@dataclass(frozen=True)
class Said:
    """One message of the live chat, as the prompt shows it. ``bracket`` is the customer's mood."""

    role: str
    text: str
    bracket: str = ""


@dataclass
class Spoken:
    """What became of one line: its text, where it came from, and what the guard rejected."""

    text: str = ""
    source: str = "model"
    rejected: list[str] = field(default_factory=list)
    #: The engine failed after some of it was said.
    broken_off: bool = False


def one_line(text: str) -> str:
    """A message as one line of a transcript: no line breaks, no control marks of a model."""
    # What cannot be seen goes first: it could hide a mark from the replacements.
    flat = "".join(c for c in re.sub(r"\s+", " ", text).strip() if c.isprintable())
    flat = flat.replace("<|", "< |").replace("|>", "| >")
    return flat if len(flat) <= LONGEST_IN_PROMPT else flat[:LONGEST_IN_PROMPT] + " …"


def label(persona: Persona) -> str:
    """The speaker's label of this customer: their first name in capitals."""
    return persona.name.split()[0].upper()


def opening_prompt(persona: Persona) -> str:
    """The beginning of the prompt: the same bytes in every turn of every session of a persona."""
    first = persona.name.split()[0]
    parts = [
        HEADER.format(
            name=first, story=persona.story, wants=persona.wants, voice=persona.voice
        ).replace("\n\n\n", "\n\n")
    ]
    for sample in persona.samples:
        parts.append(CHAT_HEADING.format(manner=MANNERS[sample.agent]))
        for turn in sample.turns:
            if turn.agent is not None:
                parts.append(f"AGENT: {turn.agent}\n")
            else:
                parts.append(f"{label(persona)} ({turn.mood}): {turn.customer}\n")
    parts.append(LIVE_HEADING)
    parts.append(f"{label(persona)} ({persona.start}): {persona.opening}\n")
    return "".join(parts)


def bracket(direction: Direction) -> str:
    """What stands in brackets behind the customer's label."""
    return f"{direction.mood}; {direction.note}" if direction.note else direction.mood


def line_prompt(
    persona: Persona, chat: Sequence[Said], direction: Direction, budget_chars: int
) -> str:
    """The whole prompt for one line: beginning, chat, and last the direction.

    ``chat`` starts after the opening line. When it is longer than ``budget_chars`` characters,
    the oldest messages after the opening are left out, and what the agent promised in them is
    noted in their place; the beginning never is.
    """
    lines = [
        f"AGENT: {one_line(said.text)}\n"
        if said.role == "agent"
        else f"{label(persona)} ({said.bracket}): {one_line(said.text)}\n"
        for said in chat
    ]
    cut = 0
    if sum(map(len, lines)) > budget_chars:
        # What is noted of the promises needs room too.
        budget_chars -= min(MOST_PROMISES * LONGEST_PROMISE, budget_chars // 3)
    while cut < len(lines) - LEAST_KEPT and sum(map(len, lines[cut:])) > budget_chars:
        # Many at a time, so that what stays keeps its place for a while and is not read anew.
        cut = min(cut + CUT_AT_ONCE, len(lines) - LEAST_KEPT)
    promised = _promises(said.text for said in chat[:cut] if said.role == "agent")
    lines = [*promised, *lines[cut:]]
    begins = f" {direction.begins}" if direction.begins else ""
    return (
        f"{opening_prompt(persona)}{''.join(lines)}{label(persona)} ({bracket(direction)}):{begins}"
    )


def _promises(replies: Iterable[str]) -> list[str]:
    """A line with what was promised in replies that are left out; none if nothing was."""
    found = []
    for reply in replies:
        spans = detect(Exchange(reply), ["concrete_step", "follow_up"]).values()
        sentences = {sentence_around(reply, span) for spans_ in spans for span in spans_}
        found += [one_line(span.of(reply)) for span in sorted(sentences, key=lambda s: s.start)]
    kept = [words for words in found if len(words) <= LONGEST_PROMISE][-MOST_PROMISES:]
    return [f"(Earlier in this chat the agent promised: {' '.join(kept)})\n"] if kept else []


def authored_line(persona: Persona, mood: str, said: Sequence[str]) -> str:
    """A line from the script for this mood that was not said before.

    When every line of the mood is used up, the moods beside it lend theirs; when all are, the one
    said longest ago comes back.
    """
    rank = persona.rank(mood)
    by_distance = sorted(range(len(persona.ladder)), key=lambda r: (abs(r - rank), r))
    for other in by_distance[:3]:
        for line in persona.ladder[other].lines:
            if not any(line in old for old in said):
                return line
    own = persona.ladder[rank].lines
    return min(own, key=lambda line: max(i for i, old in enumerate(said) if line in old))


_SENTENCE = re.compile(r"(.+?[.!?…]+[\"'”’)]*)(?:\s+|$)", re.DOTALL)


async def speak(
    backend: Backend,
    persona: Persona,
    chat: Sequence[Said],
    direction: Direction,
    context: GuardContext,
    spoken: Spoken,
    *,
    seed: int,
) -> AsyncGenerator[str, None]:
    """Write the customer's line, a sentence at a time, each one checked before it is yielded.

    ``spoken`` is filled as the line grows, so that a line broken off half-way is not lost.

    Raises:
        BackendError: when the model fails before anything was said; afterwards the line ends there,
            and is noted as broken off unless the script ends it.
    """
    if direction.whole:
        spoken.text, spoken.source = direction.whole, "script"
        yield direction.whole
        return
    if direction.begins:
        spoken.text, spoken.source = direction.begins, "script"
        yield direction.begins
        if len(direction.begins.split()) >= WHOLE_WORDS:
            return
    if direction.reacts and backend.brief:
        # Of 149 lines in which a small model had spoken, 58 were bad; of 51 authored ones, none.
        spoken.text, spoken.source = direction.reacts, "script"
        yield direction.reacts
        if direction.ends:
            yield _added(spoken, direction.ends)
        return
    if direction.ends:
        # What comes after must not be said before.
        context = replace(context, said=(*context.said, direction.ends))
    # Characters, at a cautious three to a token, less the beginning and the answer.
    budget = 3 * (backend.context_length - MAX_TOKENS) - len(opening_prompt(persona)) - 400
    prompt = line_prompt(persona, chat, direction, budget)
    attempts = 1 if direction.begins else 2 if direction.ends else ATTEMPTS
    most = 1 if direction.begins or backend.brief else MOST_SENTENCES
    for attempt in range(attempts):
        draw = _attempt(backend, persona, prompt, context, spoken, most, seed, attempt)
        try:
            async with aclosing(draw) as sentences:
                async for sentence in sentences:
                    yield sentence
        except BackendError:
            if not spoken.text:
                raise
            spoken.broken_off = not direction.ends
        if spoken.text:
            break
    if direction.ends:
        yield _added(spoken, direction.ends)
        return
    if spoken.text:
        return
    spoken.text = (
        direction.reacts
        or direction.otherwise
        or authored_line(persona, direction.mood, context.said)
    )
    spoken.source = "fallback"
    yield spoken.text


def _added(spoken: Spoken, words: str) -> str:
    """Put authored words at the end of a line; returns the piece that is shown."""
    # Some customers write without full stops; two of their sentences need one between them.
    gap = ". " if spoken.text[-1:].isalnum() else " "
    piece = f"{gap}{words}" if spoken.text else words
    if spoken.source == "model":
        spoken.source = "script and model" if spoken.text else "script"
    spoken.text += piece
    return piece


async def _attempt(
    backend: Backend,
    persona: Persona,
    prompt: str,
    context: GuardContext,
    spoken: Spoken,
    most: int,
    seed: int,
    attempt: int,
) -> AsyncGenerator[str, None]:
    """One draw from the model; yields the sentences that pass, and stops after one that does not.

    A beginning that was said before is left out.
    """
    shown = 0
    pending = ""
    pieces = 0
    max_tokens = BRIEF_TOKENS if backend.brief else MAX_TOKENS
    stream = backend.continue_text(
        prompt,
        stop=["\n", "AGENT:", f"{label(persona)} ("],
        max_tokens=max_tokens,
        temperature=TEMPERATURE + WARMER * attempt,
        seed=seed + attempt,
        fresh_words=True,
        priority=Priority.CUSTOMER,
    )
    ended = False
    try:
        while not ended and shown < most:
            try:
                pending += await anext(stream)
                pieces += 1
            except StopAsyncIteration:
                ended = True
                if pieces >= max_tokens - 1:
                    # Broken off by the limit: what has no end is left out.
                    pending = _whole_sentences(pending)
            while shown < most and (sentence := _next_sentence(pending, ended)):
                pending = pending[len(sentence) :]
                words = sentence.strip()
                line = f"{spoken.text} {words}".strip()
                problem = (
                    objection(words, context) if shown or spoken.text else objection(line, context)
                )
                if problem == "too short" and (shown or len(words) < 2):
                    break
                if problem:
                    spoken.rejected.append(f"{problem}: {words}")
                    if problem in SKIPPED and not shown:
                        # What comes after it may be new, and is on its way already.
                        continue
                    ended = True
                    break
                piece = f" {words}" if spoken.text else words
                # Noted before it is shown, so that a stop right after keeps it.
                spoken.text = line
                if spoken.source == "script":
                    spoken.source = "script and model"
                shown += 1
                yield piece
    finally:
        # Closing it stops the engine, whoever stopped listening.
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()


def _whole_sentences(text: str) -> str:
    """A text up to the end of its last whole sentence."""
    return text[: max((match.end() for match in _SENTENCE.finditer(text)), default=0)]


def _next_sentence(pending: str, ended: bool) -> str:
    """The first whole sentence of what has come so far; empty while there is none.

    A sentence counts as whole when something follows it, or when the model has stopped after it;
    a very short one is taken together with the next, if there is one.
    """
    end = 0
    while match := _SENTENCE.match(pending, end):
        end = match.end()
        if end == len(pending) and not pending[-1].isspace() and not ended:
            return ""
        # "No." and "Well." say something only together with what follows them.
        if len(pending[:end].split()) >= LEAST_WORDS:
            return pending[:end]
    # Where it is all there is, the guard decides whether it is enough.
    return pending[:end] if ended else ""

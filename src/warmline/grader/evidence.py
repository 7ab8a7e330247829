"""Evidence: verbatim quotes from the agent's turns, verified in code."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict

from warmline.backends.base import CheckJudge, Priority
from warmline.detectors import Exchange, Span, detect, sentence_around, sentences
from warmline.grader import checks
from warmline.rubric import Check
from warmline.transcript import Transcript

#: A quote is at most this long; longer sentences are left out rather than cut.
LONGEST_QUOTE = 400
#: At most this many sentences of a reply are put to the model when no detector points at one.
MOST_SENTENCES = 5


class Quote(BaseModel):
    """Words of the agent, exactly as they stand in turn ``turn``: for a step, or against it."""

    model_config = ConfigDict(frozen=True)

    turn: int
    quote: str
    shows: Literal["for", "against"] = "for"


def stands_verbatim(quote: Quote, transcript: Transcript) -> bool:
    """Whether the quote stands, letter for letter, in that turn, and the turn is the agent's."""
    if not 0 <= quote.turn < len(transcript.turns) or not quote.quote.strip():
        return False
    turn = transcript.turns[quote.turn]
    return turn.role == "agent" and quote.quote in turn.text


def exchange_at(transcript: Transcript, turn: int) -> Exchange:
    """What the detectors see of one reply."""
    return Exchange(
        reply=transcript.turns[turn].text,
        heard=transcript.heard_before(turn),
        customer_name=transcript.customer_name,
    )


def from_signals(transcript: Transcript, turn: int, signals: Iterable[str]) -> Quote | None:
    """The sentence in which most of these detectors find something; None when none does."""
    found = detect(exchange_at(transcript, turn), signals)
    text = transcript.turns[turn].text
    votes: dict[Span, int] = {}
    for spans in found.values():
        for span in {sentence_around(text, span) for span in spans}:
            votes[span] = votes.get(span, 0) + 1
    if not votes:
        return None
    best = max(votes, key=lambda span: (votes[span], span.end - span.start))
    return _quote(transcript, turn, best)


async def from_model(
    judge: CheckJudge, transcript: Transcript, turn: int, check: Check
) -> Quote | None:
    """The sentence of a reply about which the check is most likely answered with "yes".

    Raises:
        BackendError: when the model cannot answer.
    """
    text = transcript.turns[turn].text
    spans = [s for s in sentences(text) if s.end - s.start <= LONGEST_QUOTE][:MOST_SENTENCES]
    if len(spans) <= 1:
        return _quote(transcript, turn, spans[0]) if spans else None
    scored = []
    for span in spans:
        material = checks.MATERIAL.format(lines=f"Agent: {checks.shown(span.of(text))}")
        (probability,) = await checks.ask(judge, material, [check.ask], Priority.FINISH)
        scored.append((probability or 0.0, -span.start, span))
    return _quote(transcript, turn, max(scored, key=lambda item: item[:2])[2])


def _quote(transcript: Transcript, turn: int, span: Span) -> Quote | None:
    text = transcript.turns[turn].text
    if span.end - span.start > LONGEST_QUOTE:
        return None
    quote = Quote(turn=turn, quote=span.of(text))
    return quote if stands_verbatim(quote, transcript) else None

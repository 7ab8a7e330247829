"""Evidence: every quote stands, letter for letter, in the agent's turn it names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import ScriptedBackend
from snapshots import small_rubric
from warmline.backends.base import YesNoQuestion
from warmline.detectors import SIGNALS
from warmline.grader.evidence import (
    LONGEST_QUOTE,
    MOST_SENTENCES,
    Quote,
    from_model,
    from_signals,
    stands_verbatim,
)
from warmline.transcript import Transcript, Turn

CHECK = small_rubric().item.steps[0].checks[0]
HEARD = "My heating has been off for a week and the flat is freezing."


def talk(*replies: str) -> Transcript:
    turns = [Turn(role="customer", text=HEARD)]
    for reply in replies:
        turns += [Turn(role="agent", text=reply), Turn(role="customer", text="I see.")]
    return Transcript(id="t", turns=turns, customer_name="Nora Quill")


@pytest.mark.parametrize(
    ("turn", "quote", "stands"),
    [
        (1, "I hear you", True),
        (1, "I hear you.", True),
        (1, "i hear you", False),
        (1, "I  hear you", False),
        (1, "I hear you…", False),
        (1, "", False),
        (1, "  ", False),
        (0, "My heating", False),
        (2, "I see.", False),
        (9, "I hear you", False),
        (-2, "I hear you", False),
    ],
)
def test_a_quote_stands_letter_for_letter_in_an_agents_turn(
    turn: int, quote: str, stands: bool
) -> None:
    assert stands_verbatim(Quote(turn=turn, quote=quote), talk("I hear you.")) is stands


typed = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300)
phrases = st.lists(
    st.sampled_from(
        ["I’m so sorry", "your heating", "a week", "freezing", "must be", "frightening", "!", "?!",
         ". ", "\n", "…", "\u2028", "  ", "“you”", "I'll ring", "tomorrow", "İ", "ﬁ", "👩‍👩‍👧", "e\u0301"]
    ),
    min_size=1,
    max_size=25,
).map(" ".join)  # fmt: skip


@given(reply=typed | phrases)
def test_whatever_is_typed_a_detectors_quote_stands_in_it(reply: str) -> None:
    transcript = talk(reply)
    for signal in SIGNALS:
        quote = from_signals(transcript, 1, [signal])
        assert quote is None or (quote.turn == 1 and stands_verbatim(quote, transcript))


@given(reply=typed | phrases)
async def test_whatever_is_typed_a_models_quote_stands_in_it(reply: str) -> None:
    transcript = talk(reply)
    backend = ScriptedBackend(yes=lambda question: len(question.material) % 7 / 7)
    quote = await from_model(backend, transcript, 1, CHECK)
    assert quote is None or (quote.turn == 1 and stands_verbatim(quote, transcript))


async def test_the_model_points_at_the_sentence_it_finds_likeliest() -> None:
    def yes(question: YesNoQuestion) -> float:
        return 0.9 if "freezing" in question.material else 0.1

    backend = ScriptedBackend(yes=yes)
    reply = "Hello Mrs Quill. A freezing flat for a week! Let me look."
    quote = await from_model(backend, talk(reply), 1, CHECK)
    assert quote == Quote(turn=1, quote="A freezing flat for a week!")
    assert len(backend.asked("yes")) == 3


async def test_the_only_sentence_is_quoted_without_asking() -> None:
    backend = ScriptedBackend()
    quote = await from_model(backend, talk("A freezing flat for a week!"), 1, CHECK)
    assert quote == Quote(turn=1, quote="A freezing flat for a week!")
    assert backend.requests == []


async def test_a_long_reply_costs_a_few_questions_only() -> None:
    backend = ScriptedBackend(yes=lambda question: 0.5)
    await from_model(backend, talk("One more thing. " * 50), 1, CHECK)
    assert len(backend.requests) == MOST_SENTENCES


async def test_a_sentence_too_long_to_quote_is_left_out_rather_than_cut() -> None:
    endless = "your heating and the freezing flat " * 40
    assert len(endless) > LONGEST_QUOTE
    assert from_signals(talk(endless), 1, SIGNALS) is None
    assert await from_model(ScriptedBackend(), talk(endless), 1, CHECK) is None

"""Sessions without a browser: the scripted agents, and what is measured of the customer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fakes import ScriptedBackend
from snapshots import small_library, small_persona
from warmline.bench.customer import CustomerFigures, lines, play_all, tells
from warmline.errors import WarmlineError
from warmline.library import Entry, read_library
from warmline.persona import Persona
from warmline.practice import Practice
from warmline.simulation import AGENTS, Played, PlayedTurn, agent_lines, play
from warmline.store import Store
from warmline.transcript import LONGEST_MESSAGE

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = read_library(ROOT / "personas", ROOT / "rubrics")
NORA = small_persona().item
GOOD = [
    "Well, that is more than the last one told me.",
    "Nobody has said such a thing to me all week.",
    "You had better write it down somewhere safe.",
    "I keep looking at that cold radiator, you know.",
    "It would be something to be warm by evening.",
    "Your colleague never asked me about any of it.",
] * 4
AS_THE_AGENT = "How can I help you today?"


@pytest.fixture
async def practice(store: Store) -> AsyncIterator[Practice]:
    practice = Practice(
        store, small_library(), ScriptedBackend(continuations=list(GOOD), yes=_half)
    )
    yield practice
    await practice.close()


def _half(question: object) -> float:
    return 0.5


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("persona", LIBRARY.personas.values(), ids=lambda entry: entry.item.id)
def test_every_agent_has_twelve_messages_that_can_be_sent(
    agent: str, persona: Entry[Persona]
) -> None:
    written = agent_lines(agent, persona.item)
    assert len(written) >= 9
    for line in written:
        assert line.strip()
        assert len(line) <= LONGEST_MESSAGE
        assert "{" not in line


def test_the_kind_agent_says_no_and_holds_a_line_only_where_it_must() -> None:
    plain = agent_lines("kind", NORA)
    changed = NORA.model_copy(update={"asks_for_no": True, "softens": ["sets_boundary"]})
    assert len(agent_lines("kind", changed)) == len(plain) + 2


async def test_a_file_of_replies_is_an_agent_too(practice: Practice, tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("I'm sorry, what happened?\n\nI will ring you at noon.\n", encoding="utf-8")
    played = await play(practice, NORA, str(file), turns=12)
    assert [turn.agent for turn in played.turns] == [
        "I'm sorry, what happened?",
        "I will ring you at noon.",
    ]
    assert (played.agent, played.persona) == ("mine", NORA.id)
    assert all(turn.customer for turn in played.turns)


@pytest.mark.parametrize("name", ["nobody", "/no/such/file.txt"])
def test_an_unknown_agent_is_a_plain_error(name: str) -> None:
    with pytest.raises(WarmlineError, match="choose kind, mixed"):
        agent_lines(name, NORA)


def test_an_empty_file_is_a_plain_error(tmp_path: Path) -> None:
    file = tmp_path / "empty.txt"
    file.write_text("\n  \n", encoding="utf-8")
    with pytest.raises(WarmlineError, match="holds no reply"):
        agent_lines(str(file), NORA)


async def test_a_session_is_measured_and_leaves_nothing_behind(practice: Practice) -> None:
    backend = practice.backend
    played = await play(practice, NORA, "cold", turns=3)
    assert 1 <= len(played.turns) <= 3
    assert practice.backend is backend
    first = played.turns[0]
    assert first.mood in NORA.moods
    assert first.new_tokens > 0
    assert 0 <= played.height <= 1
    assert await practice.store.sessions() == []


async def test_the_bench_counts_what_there_is(practice: Practice) -> None:
    kept: list[Played] = []
    told: list[str] = []
    figures = await play_all(
        practice, [NORA], ["kind", "hostile"], turns=4, tell=told.append, keep=kept.append
    )
    assert figures.sessions == len(kept) == len(told) == 2
    assert figures.lines == sum(len(one.turns) for one in kept)
    assert figures.heights[NORA.id]["kind"] > figures.heights[NORA.id]["hostile"]
    text = "\n".join(lines(figures))
    assert "2 sessions" in text
    assert "Left the role" in text
    assert f"{NORA.id}: kind" in text


def test_what_goes_wrong_is_counted() -> None:
    """The measure itself: lines that the guard would have held back, as if it had not."""
    secret = next(fact for fact in NORA.facts if fact.reveal != "freely")
    said = [
        AS_THE_AGENT,
        "*sighs* I have been here before, as you know.",
        secret.says,
        "Nobody has rung me about it since then, you know.",
        "Nobody has rung me about it since then, you know.",
        "I have waited for ninety-one days in this flat.",
    ]
    turns = [
        PlayedTurn("Hello.", line, NORA.start, "model", ("too short: Oh.",), (), new_tokens=10,
                   evaluated_tokens=12, first_s=1.1, engine_s=1.0)
        for line in said
    ]  # fmt: skip
    figures = CustomerFigures()
    figures.add(NORA, Played(NORA.id, "kind", "scripted", NORA.opening, turns, NORA.start, 0.5))
    assert (figures.left_role, figures.stage, figures.told_early) == (1, 1, 1)
    assert figures.repeats == 1
    assert figures.unknown_figures == 1
    assert (figures.lines, sum(figures.rejected.values())) == (6, 6)
    assert figures.tokens_at(6) == 1.2
    assert figures.best_after[NORA.id] is None
    assert tells(secret.says, secret)
    assert not tells("It is cold.", secret)


def test_the_library_is_what_practice_needs() -> None:
    """At least fourteen people in eight sectors, of every difficulty; three need a kind no."""
    people = [entry.item for entry in LIBRARY.personas.values()]
    assert not LIBRARY.problems
    assert len(people) >= 14
    assert len({one.sector for one in people}) >= 8
    assert {one.difficulty for one in people} == {1, 2, 3, 4, 5}
    assert sum(one.asks_for_no for one in people) >= 3
    for one in people:
        assert len(one.moments) >= 2
        assert {fact.reveal for fact in one.facts} >= {"freely", "when_asked", "when_heard"}
        assert all(len(rung.lines) >= 3 for rung in one.ladder)
    every_line = [line for one in people for rung in one.ladder for line in rung.lines]
    assert len(set(every_line)) == len(every_line)

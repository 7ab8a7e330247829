"""The customer and the grader on the real embedded model, without a browser."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from warmline.backends import Backend, make_backend
from warmline.grader.evidence import Quote, stands_verbatim
from warmline.grader.grading import Grader, MemoryBook
from warmline.grader.scoring import Grade
from warmline.library import Library
from warmline.people import People
from warmline.practice import Practice
from warmline.settings import PROJECT, Settings
from warmline.store import Store, StoredGrade
from warmline.transcript import read_transcripts

pytestmark = [pytest.mark.model, pytest.mark.timeout(1500)]

PERSONA = "marjorie-bereavement"
KIND = [
    "Good afternoon, Mrs Pell. I'm so sorry about your husband, and that we charged you again "
    "after you were told that his line had been closed. That must be so painful to see.",
    "You rang in June, you were told it was done, and it wasn't. That is our mistake, and nothing "
    "you did wrong. How has this been for you?",
    "It sounds so hard to have his name come up on each charge. I'm closing Ronald's line today "
    "myself, and both charges, £37.00, will be back in your bank within 3 working days.",
    "You won't have to explain this to anybody again. I'll keep everything that is stored with "
    "his line safe, and send you a copy by post.",
    "I'll ring you on Friday at ten to make sure that the refund has come. Would that suit you?",
    "Thank you for telling me about Ronald, Mrs Pell. Please take good care of yourself.",
]
COLD = [
    "Account number?",
    "You will need to send the death certificate to another department.",
    "The system says the line is active. Anything else?",
    "That is our policy.",
    "As I already told you, check our website.",
    "There is nothing I can do.",
]


@dataclass
class Played:
    """How a session went."""

    mood: str
    grade: StoredGrade
    said: list[tuple[str, str]]


@pytest.fixture
async def engine(builtin_weights: Path) -> AsyncIterator[Backend]:
    backend = await make_backend(Settings(backend="embedded", embedded_model=str(builtin_weights)))
    yield backend
    await backend.aclose()


async def play(practice: Practice, user: str, replies: list[str]) -> Played:
    """Six replies, or as many as the customer stays for; then the grade."""
    session_id = str(uuid.uuid4())
    await practice.begin(session_id, user, PERSONA)
    for reply in replies:
        if (await practice.view(session_id)).session.status != "talking":
            break
        await practice.say(session_id, reply)
        async for _ in practice.answer(session_id):
            pass
    graded = [step async for step in practice.finish(session_id)][-1]
    assert isinstance(graded, StoredGrade)
    view = await practice.view(session_id)
    return Played(view.state.mood, graded, [(turn.role, turn.text) for turn in view.turns])


async def test_kind_and_cold_end_at_different_ends_and_kind_scores_higher(
    engine: Backend, store: Store, library: Library
) -> None:
    practice = Practice(store, library, engine)
    user = (await People(store.database).local_user("you")).id
    kind = await play(practice, user, KIND)
    cold = await play(practice, user, COLD)
    await practice.close()

    persona = library.persona(PERSONA).item
    assert persona.rank(kind.mood) == len(persona.ladder) - 1
    assert persona.rank(cold.mood) == 0
    assert kind.grade.grade["total"] >= cold.grade.grade["total"] + 30
    for played in (kind, cold):
        assert played.said[0] == ("customer", persona.opening)
        for step in played.grade.grade["steps"]:
            for quote in step["evidence"]:
                role, text = played.said[quote["turn"]]
                assert role == "agent"
                assert quote["quote"] in text
    assert kind.grade.coaching["strengths"]
    assert cold.grade.coaching["next_step"]["customer_said"]


@pytest.mark.parametrize("rubric", ["core", "nine-steps"])
async def test_a_transcript_from_a_file_is_graded_with_verbatim_quotes(
    engine: Backend, library: Library, rubric: str
) -> None:
    (transcript,) = read_transcripts(PROJECT / "examples" / "late-parcel.txt")
    grader = Grader(engine, library.rubric(rubric), MemoryBook())
    grade = [step async for step in grader.grade(transcript)][-1]
    assert isinstance(grade, Grade)
    quotes: list[Quote] = [quote for step in grade.steps for quote in step.evidence]
    assert len(quotes) >= 3
    assert all(stands_verbatim(quote, transcript) for quote in quotes)
    for step in grade.steps:
        assert (step.level is not None) == (step.status == "graded")
        if step.level is not None:
            assert step.lowest <= step.level <= step.highest
            assert step.level == step.lowest or step.evidence
    assert grade.total is not None
    assert 0 <= grade.total <= 100

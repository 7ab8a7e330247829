"""The texts the grader and the coach send, word for word, with the version a grade names."""

from __future__ import annotations

import pytest

from fakes import ScriptedBackend
from snapshots import assert_snapshot, small_persona, small_rubric
from warmline.backends.base import YesNoQuestion
from warmline.grader import checks, rewriting
from warmline.rubric import Step
from warmline.transcript import Transcript, Turn

TALK = Transcript(
    id="talk",
    customer_name="Nora Quill",
    turns=[
        Turn(role="customer", text=small_persona().item.opening),
        Turn(role="agent", text="Reference number?"),
        Turn(role="customer", text="I have given it twice.\nIt is on your own letter."),
        Turn(role="agent", text="Sorry about that. The part is on order."),
    ],
)


def sent(question: YesNoQuestion) -> str:
    return f"{question.instructions}\n\n{question.user_text()}"


def test_the_question_about_one_reply_is_this_text() -> None:
    ask = small_rubric().item.steps[0].checks[0].ask
    text = sent(checks.question(checks.turn_material(TALK, 3), ask))
    assert_snapshot("check-turn", checks.CHECK_PROMPT_VERSION, text)


def test_the_question_about_the_whole_conversation_is_this_text() -> None:
    ask = small_rubric().item.steps[2].checks[0].ask
    text = sent(checks.question(checks.session_material(TALK), ask))
    assert_snapshot("check-session", checks.CHECK_PROMPT_VERSION, text)


def test_the_neutral_replies_are_these_texts() -> None:
    text = f"{checks.neutral_turn_material()}\n\n{checks.neutral_session_material()}"
    assert_snapshot("check-neutral", checks.CHECK_PROMPT_VERSION, text)


async def test_the_texts_that_ask_for_a_rewrite_are_these() -> None:
    data = small_rubric().item.steps[0].model_dump()
    data["checks"][0]["signals"] = ["acknowledges_feeling"]
    data["checks"][1]["signals"] = ["concrete_step"]
    backend = ScriptedBackend(continuations=[""] * rewriting.ATTEMPTS)
    step = Step.model_validate(data)
    await rewriting.rewrite(backend, step, TALK, 3, small_persona().item, seed=1)
    text = "\n\n".join(request.text for request in backend.requests[:2])
    assert_snapshot("rewrite", rewriting.COACH_PROMPT_VERSION, text)


def test_questions_about_one_reply_share_all_but_the_question() -> None:
    """An engine with a prefix cache then reads the reply only once."""
    material = checks.turn_material(TALK, 1)
    texts = [
        sent(checks.question(material, check.ask))
        for _, check in checks.turn_checks(small_rubric().item)
    ]
    shared = sent(checks.question(material, "")).split("Question: ")[0]
    assert all(text.startswith(shared) for text in texts)


@pytest.mark.timeout(20)
def test_a_very_long_conversation_is_shown_by_its_beginning_and_end() -> None:
    turns = [Turn(role="agent", text=f"Turn {n}. " + "word " * 1900) for n in range(400)]
    material = checks.session_material(Transcript(id="long", turns=turns))
    assert len(material) < checks.LONGEST_CONVERSATION + 1000
    assert "Turn 0." in material
    assert "Turn 399." in material

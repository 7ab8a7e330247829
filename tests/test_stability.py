"""How often a judge's answers flip: counted on answers that a test knows."""

from __future__ import annotations

from fakes import ScriptedBackend
from snapshots import small_rubric
from warmline.backends.base import YesNoQuestion
from warmline.bench.stability import OTHER_WORDS, TIMES, stability_of
from warmline.grader import checks
from warmline.transcript import Transcript, Turn

TALK = Transcript(
    id="talk",
    customer_name="Nora",
    turns=[
        Turn(role="customer", text="It is cold in here."),
        Turn(role="agent", text="I'm sorry that it is."),
        Turn(role="customer", text="So what now?"),
        Turn(role="agent", text="Somebody comes at nine."),
    ],
)
RUBRIC = small_rubric().item
ABOUT_A_REPLY = len(checks.turn_checks(RUBRIC))
ABOUT_ALL = len(checks.session_checks(RUBRIC))


async def test_answers_that_never_change_never_flip() -> None:
    backend = ScriptedBackend(yes=lambda _: 0.9)
    found = await stability_of(backend, RUBRIC, TALK, replies=1)
    assert (found.checks, found.again, found.in_other_words) == (ABOUT_A_REPLY + ABOUT_ALL, 0, 0)
    assert len(backend.asked("yes")) == found.checks * (TIMES + len(OTHER_WORDS))


async def test_one_other_answer_of_five_is_a_flip() -> None:
    first = RUBRIC.steps[0].checks[0].ask
    seen = []

    def wavers(question: YesNoQuestion) -> float:
        if question.question != first or question.instructions in OTHER_WORDS:
            return 0.9
        seen.append(question)
        return 0.4 if len(seen) == 2 else 0.6

    found = await stability_of(ScriptedBackend(yes=wavers), RUBRIC, TALK, replies=1)
    assert (found.again, found.in_other_words) == (1, 0)


async def test_another_answer_to_other_words_is_a_flip() -> None:
    def literal(question: YesNoQuestion) -> float:
        return 0.1 if question.instructions == OTHER_WORDS[1] else 0.7

    found = await stability_of(ScriptedBackend(yes=literal), RUBRIC, TALK, replies=2)
    assert found.again == 0
    assert found.in_other_words == found.checks == 2 * ABOUT_A_REPLY + ABOUT_ALL


async def test_a_check_without_an_answer_is_counted_as_silent_only() -> None:
    def dumb(question: YesNoQuestion) -> float | None:
        return None if question.question == RUBRIC.steps[0].checks[0].ask else 0.9

    found = await stability_of(ScriptedBackend(yes=dumb), RUBRIC, TALK, replies=1)
    assert (found.silent, found.again, found.in_other_words) == (1, 0, 0)

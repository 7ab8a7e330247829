"""A session, turn by turn: nothing typed is lost, nothing hidden leaks, a grade is made once."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from fakes import Line, ScriptedBackend
from snapshots import small_library, small_persona, small_rubric
from warmline.backends.base import YesNoQuestion
from warmline.errors import BackendError, NotFound, NotGraded, SessionOver, WarmlineError
from warmline.grader.grading import Looking
from warmline.library import Library
from warmline.people import People
from warmline.persona import Persona, mentions
from warmline.practice import Practice
from warmline.store import Store, StoredGrade
from warmline.transcript import LONGEST_MESSAGE

SMALL = "nora-heating"
NORA = small_persona().item
ANSWERS = [
    "Well, that is more than the last one told me.",
    "Nobody has said such a thing to me all week.",
    "Then you had better write it down somewhere safe.",
    "I keep looking at that cold radiator, you know.",
    "It would be something to be warm by evening.",
    "Your colleague never asked me about any of it.",
    "Everybody upstairs has theirs on, I can hear it.",
    "That sounds sensible enough, if it truly happens.",
]
KIND = [
    "I'm sorry that your heating has been off for a week; the freezing flat must be miserable.",
    "I will send an engineer to your flat tomorrow at 9.",
    "Your heating has been off a week, and the freezing flat must be frightening for you.",
    "I'll ring you at noon tomorrow to hear whether the flat is warm.",
]
RUDE = "You are stupid and this is your own fault."
FLAT = "Do you have the letter with you?"


def likely(question: YesNoQuestion) -> float:
    """Yes to everything about a real reply, unsure about the neutral one."""
    return 0.5 if "Agent: Ok." in question.material else 0.9


def backend(continuations: Sequence[Line] | None = None, **more: Any) -> ScriptedBackend:
    """A model with enough to say for a whole session."""
    more.setdefault("yes", likely)
    return ScriptedBackend(
        continuations=ANSWERS if continuations is None else continuations, **more
    )


@pytest.fixture
async def practice(store: Store) -> AsyncIterator[Practice]:
    made = Practice(store, small_library(), backend())
    yield made
    await made.close()


def script(practice: Practice) -> ScriptedBackend:
    """The scripted model of a practice."""
    assert isinstance(practice.backend, ScriptedBackend)
    return practice.backend


async def begin(practice: Practice, session: str = "s", persona: str = SMALL) -> None:
    user = await People(practice.store.database).local_user("you")
    await practice.begin(session, user.id, persona)


async def answer(practice: Practice, session: str = "s") -> str:
    return "".join([sentence async for sentence in practice.answer(session)])


async def exchange(practice: Practice, text: str, session: str = "s") -> str:
    await practice.say(session, text)
    return await answer(practice, session)


async def finish(practice: Practice, session: str = "s") -> StoredGrade:
    *looking, last = [step async for step in practice.finish(session)]
    assert isinstance(last, StoredGrade)
    assert all(isinstance(step, Looking) for step in looking)
    return last


async def settled(practice: Practice) -> None:
    """Wait for the background reading."""
    while tasks := list(practice._background.values()):
        await asyncio.gather(*tasks, return_exceptions=True)


def rows(store: Store, sql: str) -> list[Any]:
    """What another program sees on the disk."""
    with sqlite3.connect(store.database.file) as db:
        return db.execute(sql).fetchall()


async def texts(practice: Practice, session: str = "s") -> list[str]:
    return [turn.text for turn in (await practice.view(session)).turns]


# Talking


@pytest.mark.parametrize("file", sorted(Path("personas").glob("*.yaml")), ids=lambda f: f.stem)
async def test_a_session_begins_with_the_opening_word_for_word(
    store: Store, library: Library, file: Path
) -> None:
    practice = Practice(store, library, backend())
    await begin(practice, persona=file.stem)
    view = await practice.view("s")
    assert [(t.number, t.role, t.text) for t in view.turns] == [
        (0, "customer", library.persona(file.stem).item.opening)
    ]
    assert not view.waits_for_customer


async def test_an_unknown_persona_is_refused_with_those_there_are(practice: Practice) -> None:
    with pytest.raises(NotFound, match=SMALL):
        await begin(practice, persona="nobody")
    assert rows(practice.store, "SELECT * FROM sessions") == []


async def test_a_reply_is_on_the_disk_before_the_model_is_asked(practice: Practice) -> None:
    seen: list[list[Any]] = []

    class Inspecting(ScriptedBackend):
        def continue_text(self, prompt: str, **more: Any) -> AsyncIterator[str]:
            seen.append(rows(practice.store, "SELECT text FROM turns WHERE role = 'agent'"))
            return super().continue_text(prompt, **more)

    practice.backend = Inspecting(continuations=ANSWERS, yes=likely)
    await begin(practice)
    await exchange(practice, FLAT)
    assert seen == [[(FLAT,)]]


async def test_the_same_message_sent_twice_is_kept_once(practice: Practice) -> None:
    await begin(practice)
    await practice.say("s", KIND[0], turn_id="one")
    await practice.say("s", KIND[0], turn_id="one")
    await answer(practice)
    await practice.say("s", KIND[0], turn_id="one")
    assert (await texts(practice)).count(KIND[0]) == 1
    assert not (await practice.view("s")).waits_for_customer


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "empty"), (" \n\t ", "empty"), ("x" * (LONGEST_MESSAGE + 1), str(LONGEST_MESSAGE + 1))],
    ids=["nothing", "blanks", "too long"],
)
async def test_a_message_that_cannot_be_sent_leaves_nothing_behind(
    practice: Practice, text: str, said: str
) -> None:
    await begin(practice)
    with pytest.raises(WarmlineError, match=said):
        await practice.say("s", text)
    assert len(await texts(practice)) == 1


async def test_the_longest_message_is_kept_whole(practice: Practice) -> None:
    await begin(practice)
    await practice.say("s", "é" * LONGEST_MESSAGE)
    assert (await texts(practice))[-1] == "é" * LONGEST_MESSAGE


async def test_two_messages_in_a_row_are_answered_together(practice: Practice) -> None:
    await begin(practice)
    await practice.say("s", "One moment.")
    await exchange(practice, FLAT)
    (request,) = script(practice).asked("continue")
    assert f"AGENT: One moment.\nAGENT: {FLAT}\n" in request.text
    assert await answer(practice) == ""


async def test_when_the_model_fails_the_message_waits_for_its_answer(practice: Practice) -> None:
    practice.backend = backend([BackendError("The model is away."), *ANSWERS])
    await begin(practice)
    with pytest.raises(BackendError, match="away"):
        await exchange(practice, FLAT)
    assert (await texts(practice))[1:] == [FLAT]
    assert await answer(practice) == ANSWERS[0]
    assert (await texts(practice))[1:] == [FLAT, ANSWERS[0]]


TWO_SENTENCES = ["That is more than he told me. ", "I shall believe it when I am warm. "]


async def test_an_answer_broken_off_is_kept_as_far_as_it_was_shown(practice: Practice) -> None:
    practice.backend = backend([TWO_SENTENCES])
    await begin(practice)
    await practice.say("s", FLAT)
    line = practice.answer("s")
    shown = await anext(line)
    await line.aclose()
    last = (await practice.view("s")).turns[-1]
    assert (last.role, last.text, last.partial) == ("customer", shown, True)
    assert script(practice).stopped_early == 1


async def test_an_answer_cancelled_half_way_is_kept_as_far_as_it_was_shown(
    practice: Practice,
) -> None:
    shown: list[str] = []
    hanging = asyncio.Event()

    class Hanging(ScriptedBackend):
        async def continue_text(self, prompt: str, **more: Any) -> AsyncIterator[str]:
            yield TWO_SENTENCES[0] + "I"
            hanging.set()
            await asyncio.Event().wait()

    async def listen() -> None:
        async for sentence in practice.answer("s"):
            shown.append(sentence)

    practice.backend = Hanging(yes=likely)
    await begin(practice)
    await practice.say("s", FLAT)
    task = asyncio.create_task(listen())
    await hanging.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    last = (await practice.view("s")).turns[-1]
    assert shown == [TWO_SENTENCES[0].strip()]
    assert (last.text, last.partial) == (shown[0], True)
    # The conversation goes on from there.
    practice.backend = backend()
    assert await exchange(practice, KIND[0])


@pytest.mark.parametrize(
    ("replies", "line"),
    [
        ([KIND[0], KIND[1], KIND[2], KIND[1]], "resolved"),
        ([RUDE, RUDE, RUDE], "walks_out"),
        (["How are you managing in the cold?"] * 6, "longest"),
    ],
    ids=["resolved", "walks out", "longest"],
)
async def test_a_conversation_ends_with_the_authored_line(
    practice: Practice, replies: list[str], line: str
) -> None:
    await begin(practice)
    last = ""
    for number, reply in enumerate(replies):
        if (await practice.view("s")).session.status != "talking":
            break
        last = await exchange(practice, f"{reply} {'.' * number}")
    ending = practice.library.persona(SMALL).item.ending
    assert last == getattr(ending, line).line
    assert (await practice.view("s")).session.status == "over"
    before = await texts(practice)
    with pytest.raises(SessionOver):
        await practice.say("s", KIND[0])
    assert await texts(practice) == before


async def test_the_last_message_sent_twice_is_no_error(practice: Practice) -> None:
    await begin(practice)
    for number in range(3):
        await practice.say("s", RUDE, turn_id=f"{number}")
        await answer(practice)
    assert (await practice.view("s")).session.status == "over"
    before = await texts(practice)
    await practice.say("s", RUDE, turn_id="2")
    assert await texts(practice) == before


# What is hidden


def leaks(persona: Persona, released: Sequence[str], text: str) -> list[str]:
    return [
        word
        for fact in persona.facts
        if fact.reveal != "freely" and fact.id not in released
        for word in fact.giveaways
        if mentions(text, word)
    ]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("file", sorted(Path("personas").glob("*.yaml")), ids=lambda f: f.stem)
async def test_nothing_hidden_is_in_any_prompt_or_line_before_its_time(
    store: Store, library: Library, file: Path, seed: int
) -> None:
    """The model does its worst here: half of what it writes are the hidden facts themselves."""
    dice = random.Random(f"{file.stem} {seed}")
    persona = library.persona(file.stem).item
    asked_about = [word for fact in persona.facts for word in fact.asked_about]
    examples = [one for step in library.rubric("core").item.steps for one in step.examples]
    pool = [
        *KIND,
        RUDE,
        FLAT,
        "How did that make you feel, and what worries you most?",
        "I'm so sorry, you did nothing wrong, that must be painful.",
        *(f"Can you tell me more about {word}?" for word in asked_about),
        *(one.strong for one in examples),
    ]
    pool = [reply for reply in pool if not leaks(persona, [], reply)]
    confessions = [fact.says for fact in persona.facts]
    lines = [dice.choice([*ANSWERS, *confessions]) for _ in range(60)]
    quick = Library(library.personas, {persona.rubric: small_rubric()})
    practice = Practice(store, quick, backend(lines))
    script_ = script(practice)
    await begin(practice, persona=persona.id)
    checked = 0
    for _ in range(9):
        if (await practice.view("s")).session.status != "talking":
            break
        said = await exchange(practice, dice.choice(pool))
        await settled(practice)
        released = (await practice.view("s")).state.released
        for text in [said, *(request.text for request in script_.requests[checked:])]:
            assert leaks(persona, released, text) == []
        checked = len(script_.requests)
    grade = await finish(practice)
    released = (await practice.view("s")).state.released
    for text in [str(grade), *(request.text for request in script_.requests[checked:])]:
        # The rubric's examples are about other people.
        for one in examples:
            for words in (one.customer, one.weak, one.strong):
                text = text.replace(words, "")
        assert leaks(persona, released, text) == []


# Finishing


async def graded_session(practice: Practice, session: str = "s") -> None:
    await begin(practice, session)
    for reply in KIND[:2]:
        await exchange(practice, reply, session)
        await settled(practice)


async def test_finish_looks_at_every_step_and_then_gives_the_grade(practice: Practice) -> None:
    await graded_session(practice)
    steps = [step async for step in practice.finish("s")]
    names = [step.name for step in practice.library.rubric("small").item.steps]
    looking = [step for step in steps if isinstance(step, Looking)]
    assert list(dict.fromkeys(step.name for step in looking))[: len(names)] == names
    assert isinstance(steps[-1], StoredGrade)
    session = (await practice.view("s")).session
    assert session.status == "graded"
    assert session.finished_at is not None
    grade = steps[-1].grade
    assert grade["persona_hash"] == session.persona_hash
    assert grade["rubric_hash"] == session.rubric_hash
    assert (grade["backend"], grade["model"], grade["digest"]) == ("scripted", "scripted", "0" * 64)


async def test_finishing_again_gives_the_same_grade_and_asks_nothing(practice: Practice) -> None:
    await graded_session(practice)
    first = await finish(practice)
    asked = len(script(practice).requests)
    assert await finish(practice) == first
    assert len(script(practice).requests) == asked
    assert rows(practice.store, "SELECT count(*) FROM grades") == [(1,)]


async def test_two_that_finish_at_once_get_one_grade(practice: Practice) -> None:
    await graded_session(practice)
    first, second = await asyncio.gather(finish(practice), finish(practice))
    assert first == second
    assert rows(practice.store, "SELECT count(*) FROM grades") == [(1,)]


async def test_a_model_that_fails_leaves_no_grade_and_can_be_asked_again(
    practice: Practice,
) -> None:
    await graded_session(practice)
    failing = True

    def yes(question: YesNoQuestion) -> float:
        if failing:
            raise BackendError("The model is away.")
        return likely(question)

    practice.backend = practice.judge = backend(yes=yes)
    practice.backend.digest = "1" * 64
    with pytest.raises(NotGraded, match="away"):
        await finish(practice)
    assert (await practice.view("s")).session.status == "not_graded"
    assert rows(practice.store, "SELECT * FROM grades") == []
    failing = False
    assert (await finish(practice)).grade["digest"] == "1" * 64
    assert (await practice.view("s")).session.status == "graded"


@pytest.mark.parametrize("replies", [[], [KIND[0]], ["Hm.", "Ok."]], ids=["0", "1", "two grunts"])
async def test_too_little_to_judge_is_said_and_not_graded(
    practice: Practice, replies: list[str]
) -> None:
    await begin(practice)
    for reply in replies:
        await exchange(practice, reply)
    await settled(practice)
    asked = len(script(practice).requests)
    with pytest.raises(NotGraded, match="too little"):
        await finish(practice)
    assert rows(practice.store, "SELECT * FROM grades") == []
    assert len(script(practice).requests) == asked


async def test_a_talk_that_ended_too_soon_says_what_to_do_now(practice: Practice) -> None:
    await begin(practice)
    await practice.store.set_status("s", "over")
    with pytest.raises(NotGraded, match="Start a new practice"):
        await finish(practice)
    assert (await practice.view("s")).session.status == "over"


async def test_a_message_after_the_feedback_points_at_the_report_card(practice: Practice) -> None:
    await graded_session(practice)
    await finish(practice)
    with pytest.raises(SessionOver, match="Practise again"):
        await practice.say("s", "One more thing.")


async def test_what_was_read_in_the_background_is_not_asked_again(practice: Practice) -> None:
    await graded_session(practice)
    background = len(script(practice).asked("yes"))
    assert background > 0
    await finish(practice)
    asked = [request.text for request in script(practice).asked("yes")]
    assert len(asked) > background
    assert len(asked) == len(set(asked))


async def test_finish_pressed_in_mid_answer_asks_nothing_twice(practice: Practice) -> None:
    await begin(practice)
    await exchange(practice, KIND[0])
    await settled(practice)
    await practice.say("s", KIND[1])
    line = practice.answer("s")
    await anext(line)
    finishing = asyncio.create_task(finish(practice))
    await asyncio.sleep(0.02)
    assert "".join([sentence async for sentence in line]).strip() in NORA.ladder[2].lines
    await finishing
    await settled(practice)
    asked = [request.text for request in script(practice).asked("yes")]
    assert len(asked) == len(set(asked))


async def test_a_failure_in_the_background_disturbs_nobody(practice: Practice) -> None:
    def fails(question: YesNoQuestion) -> float:
        raise BackendError("The model is away.")

    practice.backend = backend(yes=fails)
    await graded_session(practice)
    practice.backend = backend()
    assert (await finish(practice)).grade["total"] is not None


async def test_a_session_goes_on_after_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "kept.db"
    store = await Store.open(file)
    before = Practice(store, small_library(), backend())
    await graded_session(before)
    await before.say("s", FLAT)
    await settled(before)
    asked = {request.text for request in script(before).asked("yes")}
    await before.close()
    await store.close()

    store = await Store.open(file)
    after = Practice(store, small_library(), backend([*ANSWERS[5:], *ANSWERS]))
    assert (await after.view("s")).waits_for_customer
    assert await answer(after) in ANSWERS[5:]
    await finish(after)
    again = {request.text for request in script(after).asked("yes")}
    assert asked
    assert again
    assert not asked & again
    await after.close()
    await store.close()


async def test_a_session_keeps_the_persona_and_rubric_it_began_with(practice: Practice) -> None:
    await begin(practice)
    practice.library = Library()
    view = await practice.view("s")
    assert (await practice.persona_of(view.session)).name == "Nora Quill"
    assert await exchange(practice, KIND[0])
    assert (await practice.rubric_of(view.session)).item.id == "small"


# Forgetting


LEFT = """
    SELECT 'session' FROM sessions WHERE id = 's'
    UNION ALL SELECT 'turn' FROM turns WHERE session_id = 's'
    UNION ALL SELECT 'grade' FROM grades WHERE session_id = 's'
    UNION ALL SELECT 'answer' FROM answers WHERE subject = 's'
    UNION ALL SELECT 'words' FROM turns_fts WHERE turns_fts MATCH 'miserable'
"""


async def test_what_is_forgotten_is_gone_from_every_table(practice: Practice) -> None:
    await graded_session(practice)
    await finish(practice)
    await begin(practice, "other")
    kinds = {kind for (kind,) in rows(practice.store, LEFT)}
    assert kinds == {"session", "turn", "grade", "answer", "words"}
    await practice.forget("s")
    assert rows(practice.store, LEFT) == []
    assert await practice.store.search("miserable") == []
    assert len(await texts(practice, "other")) == 1
    with pytest.raises(NotFound):
        await practice.view("s")


async def test_a_session_forgotten_in_mid_answer_leaves_nothing(practice: Practice) -> None:
    await begin(practice)
    await exchange(practice, KIND[0])
    await settled(practice)
    await practice.say("s", KIND[1])
    line = practice.answer("s")
    await anext(line)
    forgetting = asyncio.create_task(practice.forget("s"))
    await asyncio.sleep(0.02)
    assert "".join([sentence async for sentence in line]).strip() in NORA.ladder[2].lines
    await forgetting
    await settled(practice)
    assert rows(practice.store, LEFT) == []


async def test_a_reply_can_be_tried_again_as_if_it_was_not_sent(practice: Practice) -> None:
    await begin(practice)
    for text in KIND[:3]:
        await exchange(practice, text)
    await settled(practice)
    await finish(practice)
    before = await practice.view("s")
    turn = [one.number for one in before.turns if one.role == "agent"][1]
    again = await practice.try_again("again", "s", turn)
    assert [one.text for one in again.turns] == [one.text for one in before.turns[:turn]]
    assert again.turns[-1].state == before.turns[turn - 1].state
    assert again.session.status == "talking"
    assert (again.session.branch_of, again.session.branch_turn) == ("s", turn)
    assert again.session.title.endswith(", again from reply 2")
    answers = "SELECT step, check_id, turn, probability FROM answers WHERE subject = '{}'"
    known = rows(practice.store, answers.format("s"))
    kept = rows(practice.store, answers.format("again"))
    assert sorted(kept) == sorted(one for one in known if 0 <= one[2] < turn)
    assert kept
    # Going on leaves the first one as it is.
    assert await exchange(practice, "Tell me what the cold is like for you, Nora.", "again")
    assert await practice.view("s") == before
    assert [one.id for one in await practice.store.branches("s")] == ["again"]
    with pytest.raises(WarmlineError, match="Finish this conversation first"):
        await practice.try_again("third", "again", 1)
    for number in (0, 2, 99):
        with pytest.raises(NotFound):
            await practice.try_again("third", "s", number)


async def test_a_session_of_somebody_else_is_not_begun_again(practice: Practice) -> None:
    await begin(practice)
    with pytest.raises(WarmlineError, match="somebody else's"):
        await practice.begin("s", "another user", SMALL)
    assert len(rows(practice.store, "SELECT * FROM sessions")) == 1

"""The coaching points at words of this session, and shows no rewrite that is not better."""

from __future__ import annotations

import pytest

from fakes import ScriptedBackend
from snapshots import small_persona, small_rubric
from warmline.backends.base import YesNoQuestion
from warmline.detectors import detect
from warmline.errors import BackendError
from warmline.grader import coaching, rewriting
from warmline.grader.checks import NEUTRAL_REPLY
from warmline.grader.coaching import Rewrite, next_step, rewrite, strengths, weakest, weakest_turn
from warmline.grader.evidence import Quote, exchange_at
from warmline.grader.grading import Grader, MemoryBook
from warmline.grader.scoring import Grade, StepGrade, StepReading
from warmline.library import Library
from warmline.rubric import Rubric, Step
from warmline.transcript import Transcript, Turn

NORA = small_persona().item
SMALL = small_rubric().item
HEAR, RUSH, CLOSE, SAY_NO = SMALL.steps

TALK = Transcript(
    id="talk",
    customer_name="Nora Quill",
    turns=[
        Turn(role="customer", text="Hello. My heating has been off for a week and the flat is freezing cold."),
        Turn(role="agent", text="Please give me the account number that stands on the letter."),
        Turn(role="customer", text="I gave it. I have explained it to three people already."),
        Turn(role="agent", text="An engineer comes tomorrow at 9, Mrs Quill."),
    ],
)  # fmt: skip
FIRST, LAST = 1, 3


def graded(step: Step, level: int | None, *quotes: Quote) -> StepGrade:
    return StepGrade(
        id=step.id,
        name=step.name,
        status="graded" if level is not None else "unclear",
        level=level,
        means="" if level is None else step.meaning(level),
        lowest=step.lowest,
        highest=step.highest,
        weight=step.weight,
        checks={},
        evidence=list(quotes),
    )


def grade(*steps: StepGrade, failed_by: tuple[str, ...] = ()) -> Grade:
    return Grade(
        id="talk",
        rubric="small",
        rubric_hash="r",
        total=50.0,
        passed=False,
        failed_by=list(failed_by),
        pass_mark=60,
        steps=list(steps),
        prompt_version="v",
        backend="scripted",
        model="m",
        digest="d",
    )


def readings(step: Step, by_turn: dict[int, float]) -> dict[str, StepReading]:
    known: dict[str, dict[int, float | None]] = {
        check.id: {**by_turn} for check in step.checks if check.counts == "for"
    }
    return {step.id: StepReading(step, None, known)}


# What went well

ONE, TWO = Quote(turn=1, quote="One."), Quote(turn=3, quote="Two.")


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([graded(HEAR, 4, ONE), graded(CLOSE, 4, TWO)], [("close", "Two."), ("hear", "One.")]),
        ([graded(HEAR, 5, ONE), graded(CLOSE, 4, ONE)], [("hear", "One.")]),
        ([graded(HEAR, 5, ONE), graded(CLOSE, 3, ONE, TWO)], [("hear", "One."), ("close", "Two.")]),
        ([graded(HEAR, 2, ONE), graded(CLOSE, 1, TWO)], []),
        ([graded(HEAR, None), graded(CLOSE, 4)], []),
        (
            [graded(HEAR, 5, ONE), graded(CLOSE, 4, TWO), graded(SAY_NO, 2, Quote(turn=3, quote="T"))],
            [("hear", "One."), ("close", "Two.")],
        ),
        ([graded(RUSH, 2, ONE)], []),
    ],
    ids=["best first", "never one quote twice", "its next quote", "nothing went well",
         "no words, no praise", "two at most", "words that show a fault are no praise"],
)  # fmt: skip
def test_strengths_are_reached_steps_with_words_of_their_own(
    steps: list[StepGrade], expected: list[tuple[str, str]]
) -> None:
    assert [(s.step, s.quote.quote) for s in strengths(grade(*steps), SMALL)] == expected


# What to work on


@pytest.mark.parametrize(
    ("steps", "failed_by", "expected"),
    [
        # Lost: hear 2 · 2/4 = 1, close 1 · 3/4
        ([graded(HEAR, 3), graded(CLOSE, 1)], (), "hear"),
        # Lost: hear 2 · 1/4, close 1 · 3/4
        ([graded(HEAR, 4), graded(CLOSE, 1)], (), "close"),
        ([graded(HEAR, 4), graded(CLOSE, 1)], ("hear",), "hear"),
        ([graded(HEAR, None), graded(RUSH, 3)], (), "rush"),
        ([graded(HEAR, 5), graded(RUSH, 1), graded(CLOSE, 4)], (), None),
        ([graded(HEAR, None)], (), None),
    ],
)
def test_the_next_step_is_what_costs_most(
    steps: list[StepGrade], failed_by: tuple[str, ...], expected: str | None
) -> None:
    chosen = weakest(grade(*steps, failed_by=failed_by), SMALL)
    assert (chosen.id if chosen else None) == expected


@pytest.mark.parametrize(
    ("step", "by_turn", "turn"),
    [(HEAR, {1: 0.2, 3: 0.9}, 1), (HEAR, {1: 0.9, 3: 0.2}, 3), (CLOSE, {-1: 0.1}, LAST)],
    ids=["the first reply", "the second", "the end for a step about the whole"],
)
def test_the_moment_is_the_reply_that_needed_it_most(
    step: Step, by_turn: dict[int, float], turn: int
) -> None:
    assert weakest_turn(step, readings(step, by_turn), TALK) == turn


def test_the_next_step_is_tied_to_what_this_customer_said() -> None:
    found = next_step(grade(graded(HEAR, 1)), SMALL, readings(HEAR, {1: 0.1, 3: 0.8}), TALK)
    assert found is not None
    assert (found.step, found.turn, found.why) == ("hear", FIRST, HEAR.why)
    assert (
        found.customer_said == "My heating has been off for a week and the flat is freezing cold."
    )
    assert found.customer_said in TALK.turns[0].text
    assert found.aim == "All of it was heard."
    lower = next_step(grade(graded(RUSH, 3)), SMALL, readings(RUSH, {1: 0.9, 3: 0.9}), TALK)
    assert lower is not None
    assert lower.aim == "Nobody was rushed."


def test_without_a_customers_word_before_it_none_is_invented() -> None:
    alone = Transcript(id="a", turns=TALK.turns[1:2])
    found = next_step(grade(graded(CLOSE, 0)), SMALL, {}, alone)
    assert found is not None
    assert found.customer_said == ""


# The rewrite

#: How the model goes on from a beginning such as "It must be so hard".
BETTER = ", a week without heating in that freezing cold flat must be so hard for you."


def feeling(library: Library) -> Step:
    """The core rubric's step about the customer's feeling."""
    return library.rubric("core").item.step("acknowledge")


async def rewritten(library: Library, *lines: str) -> tuple[Rewrite | None, ScriptedBackend]:
    backend = ScriptedBackend(continuations=lines)
    made = await rewrite(backend, feeling(library), TALK, FIRST, NORA, seed=3)
    return made, backend


async def test_a_better_reply_is_shown_with_what_is_better(library: Library) -> None:
    made, backend = await rewritten(library, *[BETTER] * rewriting.ATTEMPTS)
    assert made is not None
    assert (made.turn, made.original) == (FIRST, TALK.turns[FIRST].text)
    assert BETTER in made.rewritten
    assert made.original in made.rewritten
    assert "names what Nora" in made.reason
    prompt = backend.requests[0].text
    assert TALK.turns[FIRST].text in prompt
    assert " ".join(NORA.brief.may) in prompt


@pytest.mark.parametrize(
    "line",
    [
        "",
        " to sit in a freezing flat for a whole week",
        " to sit in a freezing flat, so you get £75 back by Friday.",
        " to sit in a freezing flat, [customer name].",
        " to sit in a freezing flat, {name}.",
        " to sit in a freezing flat, <name>.",
        ": my heating has been off for a week and the flat is freezing cold.",
        " to sit in a freezing flat, but you should have read the letter, it is your own fault.",
        " and we apologise for any inconvenience caused by the freezing flat.",
        " to miss her first day at school because of us.",
        " to sit in a freezing flat" * 40 + ".",
    ],
    ids=["nothing", "no end", "invents money", "a blank", "braces", "angle brackets",
         "echoes the customer", "blames", "stock phrases", "another customer's story", "endless"],
)  # fmt: skip
async def test_a_reply_that_is_not_better_and_honest_is_not_shown(
    library: Library, line: str
) -> None:
    made, backend = await rewritten(library, *[line] * rewriting.ATTEMPTS)
    assert 1 < len(backend.requests) <= rewriting.ATTEMPTS
    # What is shown instead was written by the persona's author, for this very customer.
    authored = rewriting._scripted_sentences(NORA)
    assert made is None or any(sentence in made.rewritten for sentence in authored)
    assert made is None or not line.strip() or line.strip() not in made.rewritten


async def test_a_good_try_after_bad_ones_is_shown(library: Library) -> None:
    good = [BETTER] * (rewriting.ATTEMPTS - 1)
    made, backend = await rewritten(library, " for you, so take £75 from me.", *good)
    assert made is not None
    assert BETTER in made.rewritten
    seeds = [request.kwargs["seed"] for request in backend.requests]
    assert 1 < len(seeds) == len(set(seeds))


async def test_a_number_from_the_brief_is_no_invention(library: Library) -> None:
    line = f"{BETTER[:-1]} and the engineer comes at 9."
    made, _ = await rewritten(library, *[line] * rewriting.ATTEMPTS)
    assert made is not None


# All together


async def coached(backend: ScriptedBackend, rubric: Rubric = SMALL) -> coaching.Coaching:
    def yes(question: YesNoQuestion) -> float:
        if f"Agent: {NEUTRAL_REPLY}" in question.material:
            return 0.5
        return 0.97 if "recap" in question.question or "wish" in question.question else 0.03

    asker = ScriptedBackend(yes=yes)
    grader = Grader(asker, small_rubric(), MemoryBook())
    *_, made = [step async for step in grader.grade(TALK)]
    assert isinstance(made, Grade)
    known = await grader.readings(TALK)
    return await coaching.coach(backend, made, rubric, known, TALK, NORA)


async def test_a_model_that_fails_leaves_the_coaching_that_needs_none() -> None:
    whole = await coached(ScriptedBackend(continuations=[BackendError("The model is away.")]))
    assert whole.rewrite is None
    assert whole.next_step is not None
    assert whole.next_step.step == "hear"
    assert [strength.step for strength in whole.strengths] == ["close"]
    assert whole.prompt_version == rewriting.COACH_PROMPT_VERSION


async def test_coaching_quotes_only_what_was_said() -> None:
    whole = await coached(ScriptedBackend(continuations=["Hm."] * rewriting.ATTEMPTS))
    for strength in whole.strengths:
        assert strength.quote.quote in TALK.turns[strength.quote.turn].text
    assert whole.next_step is not None
    assert any(whole.next_step.customer_said in turn.text for turn in TALK.turns)


# Where words count against the trainee

POLITE = "A quick glance at our message would have told you."
BLAMED = Transcript(
    id="blamed",
    customer_name="Nora Quill",
    turns=[
        Turn(role="customer", text="My heating has been off for a week and nobody came."),
        Turn(role="agent", text=f"Somebody comes tomorrow at 9. {POLITE} But it is on its way."),
        Turn(role="customer", text="I read everything you sent me. It said nothing of the kind."),
        Turn(role="agent", text="You should have rung us on the first day. It is your own fault."),
    ],
)  # fmt: skip


def test_the_moment_is_where_the_worst_words_stand() -> None:
    worst = Quote(turn=FIRST, quote=POLITE, shows="against")
    other = Quote(turn=LAST, quote="It is your own fault.", shows="against")
    known = {HEAR.id: StepReading(HEAR, learned={FIRST: 0.9, LAST: 0.0}, faulty=[worst, other])}
    found = next_step(grade(graded(HEAR, 1)), SMALL, known, BLAMED)
    assert found is not None
    assert (found.turn, found.against) == (FIRST, worst)
    assert found.customer_said == BLAMED.turns[0].text


def test_where_lower_is_better_the_moment_is_what_shows_the_step_most() -> None:
    known = {RUSH.id: StepReading(RUSH, learned={FIRST: 0.9, LAST: 0.1})}
    assert weakest_turn(RUSH, known, BLAMED) == FIRST


async def tried(
    library: Library, against: set[str], talk: Transcript = BLAMED, line: str = BETTER
) -> Rewrite | None:
    backend = ScriptedBackend(continuations=[line] * rewriting.ATTEMPTS)
    return await rewrite(backend, feeling(library), talk, FIRST, NORA, against, seed=3)


async def test_no_rewrite_keeps_what_counted_against_the_reply(library: Library) -> None:
    made = await tried(library, {POLITE})
    assert made is not None
    # Nor what went on from there.
    assert made.rewritten.endswith("Somebody comes tomorrow at 9.")
    assert rewriting.LEAVES_OUT in made.reason
    whole = await tried(library, set())
    assert whole is not None
    assert POLITE in whole.rewritten
    assert rewriting.LEAVES_OUT not in whole.reason


async def test_words_said_twice_are_left_out_twice(library: Library) -> None:
    twice = Turn(role="agent", text=f"Somebody comes tomorrow at 9. {POLITE} {POLITE}")
    talk = BLAMED.model_copy(update={"turns": [BLAMED.turns[0], twice]})
    made = await tried(library, {POLITE}, talk)
    assert made is not None
    assert POLITE not in made.rewritten


async def test_no_rewrite_is_shown_that_helps_less(library: Library) -> None:
    assert await tried(library, {"Somebody comes tomorrow at 9."}) is None


async def test_who_blames_reads_the_words_and_a_reply_without_them(library: Library) -> None:
    core = library.rubric("core")
    grader = Grader(None, core, MemoryBook())
    blaming = (
        "Somebody comes tomorrow at 9. With respect, the letter was yours to read before you rang."
    )
    turns = [*BLAMED.turns[:1], Turn(role="agent", text=blaming), *BLAMED.turns[2:]]
    turns[-1] = Turn(role="agent", text="The letter was clear, so that was yours to see to.")
    talk = BLAMED.model_copy(update={"turns": turns})
    *_, made = [step async for step in grader.grade(talk)]
    assert isinstance(made, Grade)
    assert made.failed_by == ["respect"]
    model = ScriptedBackend(continuations=[BETTER] * rewriting.ATTEMPTS)
    known = await grader.readings(talk)
    whole = await coaching.coach(model, made, core.item, known, talk, NORA)
    assert whole.next_step is not None
    against = whole.next_step.against
    assert against is not None
    assert against in [q for step in made.steps if step.id == "respect" for q in step.evidence]
    assert whole.rewrite is not None
    assert whole.rewrite.turn == against.turn
    # No detector sees it: it is gone because the grader holds it against the reply.
    assert not detect(exchange_at(talk, against.turn), rewriting.FAULTS)
    assert against.quote not in whole.rewrite.rewritten
    assert rewriting.LEAVES_OUT in whole.rewrite.reason

"""Trying a draft: agents with a persona, a rubric on transcripts, and the jobs that both are."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from langchain_core.messages import HumanMessage

from fakes import ScriptedBackend
from ollama_stub import Script, running_stub
from snapshots import small_persona, small_rubric
from warmline.backends import Backend, OllamaBackend, make_backend
from warmline.backends.base import Priority, YesNoQuestion
from warmline.backends.giving_way import GivesWay, JudgeGivesWay
from warmline.errors import BackendUnavailable, WarmlineError
from warmline.grader.evidence import stands_verbatim
from warmline.grader.grading import Grader, MemoryBook
from warmline.grader.scoring import Grade
from warmline.hearing import Hearing
from warmline.library import Entry, read_library
from warmline.rubric import Example, Rubric
from warmline.settings import PROJECT, Settings
from warmline.simulation import AGENTS, Played, PlayedTurn, agent_lines
from warmline.transcript import Transcript, Turn, read_transcripts
from warmline.trying.jobs import BROKEN, MOST_ENDED, Busy, Job, Jobs
from warmline.trying.persona import (
    AgentTrial,
    PersonaTrial,
    persona_trial,
    play_trial,
    summary,
    told,
)
from warmline.trying.rubric import (
    RubricTrial,
    Talk,
    Version,
    changes,
    run_trial,
    side_by_side,
)

LIBRARY = read_library(PROJECT / "personas", PROJECT / "rubrics")
ENTRY = small_persona()
NORA = ENTRY.item
HEARING = Hearing(None)
SAID = [
    "Well, that is more than the last one told me.",
    "Nobody has said such a thing to me all week.",
    "You had better write it down somewhere safe.",
    "I keep looking at that cold radiator, you know.",
    "It would be something to be warm by evening.",
]
(LATE_PARCEL,) = read_transcripts(PROJECT / "examples" / "late-parcel.txt")


def engine(*extra: Exception | str) -> ScriptedBackend:
    return ScriptedBackend(continuations=[*extra, *SAID * 12], yes=lambda question: 0.5)


# Giving way


async def test_everything_that_is_tried_waits_behind_everybody() -> None:
    backend = engine()
    backend._chats = ["Well."]
    behind = GivesWay(backend)
    async for _ in behind.continue_text(
        "A:", stop=[], max_tokens=5, temperature=0, seed=1, priority=Priority.CUSTOMER
    ):
        pass
    await behind.chat([HumanMessage("Hi")], max_tokens=5, temperature=0, seed=1)
    question = YesNoQuestion("Look.", "Agent: Hi.", "Is it a greeting?")
    await behind.probability_of_yes(question, priority=Priority.CUSTOMER)
    await behind.probabilities_of_yes([question], priority=Priority.CUSTOMER)
    await JudgeGivesWay(backend).probabilities_of_yes([question], priority=Priority.FINISH)
    assert {one.kwargs["priority"] for one in backend.requests} == {Priority.BACKGROUND}
    assert len(backend.requests) == 5
    await behind.aclose()
    assert not backend.closed


async def test_a_trainees_reply_is_answered_before_what_a_try_has_still_to_ask() -> None:
    with running_stub(Script(answers=[["So."]], delay_s=0.15)) as stub:
        backend = OllamaBackend(Settings(backend="ollama", ollama_host=stub.host))
        behind = GivesWay(backend)

        async def line(engine: Backend, prompt: str) -> None:
            async for _ in engine.continue_text(
                prompt, stop=[], max_tokens=5, temperature=0, seed=1, priority=Priority.CUSTOMER
            ):
                pass

        tried = [asyncio.create_task(line(behind, f"tried {n}")) for n in range(4)]
        await asyncio.sleep(0.05)
        await line(backend, "a trainee")
        order = [body["prompt"] for body in stub.script.bodies("/api/generate")]
        assert order.index("a trainee") <= 1
        await asyncio.gather(*tried)
        await backend.aclose()


# Jobs


async def forever(work: list[str]) -> None:
    work.append("begun")
    await asyncio.Event().wait()


async def ended(job: Job[list[str]]) -> None:
    assert job.task is not None
    await asyncio.wait([job.task], timeout=10)
    assert not job.running


async def test_one_job_about_one_thing_and_several_about_several() -> None:
    jobs = Jobs()
    first = jobs.start("a", [], forever, user_id="1", by="tess")
    with pytest.raises(Busy, match="tess is trying this already"):
        jobs.start("a", [], forever, user_id="2", by="tom")
    second = jobs.start("b", [], forever, user_id="2", by="tom")
    await asyncio.sleep(0)
    assert first.running
    assert second.running
    await jobs.stop("a")
    assert not first.running
    assert first.stopped
    assert first.work == ["begun"]
    assert second.running
    again = jobs.start("a", [], forever, user_id="2", by="tom")
    assert jobs.of("a") is again
    assert again.number > second.number
    await jobs.close()
    assert not again.running
    assert not second.running
    with pytest.raises(WarmlineError, match="being stopped"):
        jobs.start("c", [], forever, user_id="1", by="tess")


async def test_what_breaks_a_job_off_is_said_in_plain_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def gone(work: list[str]) -> None:
        work.append("half")
        raise BackendUnavailable("The model cannot be reached.")

    async def faulty(work: list[str]) -> None:
        raise KeyError("secret")

    jobs = Jobs()
    first = jobs.start("a", [], gone, user_id="1", by="tess")
    second = jobs.start("b", [], faulty, user_id="1", by="tess")
    await ended(first)
    await ended(second)
    assert (first.problem, first.work) == ("The model cannot be reached.", ["half"])
    assert second.problem == BROKEN
    assert "secret" not in second.problem
    assert "a try broke off: KeyError" in caplog.text
    # Neither is in the way of the next.
    await ended(jobs.start("a", [], gone, user_id="1", by="tess"))


async def test_not_more_ended_jobs_are_kept_than_somebody_looks_at() -> None:
    async def nothing(work: list[str]) -> None:
        pass

    jobs = Jobs()
    running = jobs.start("running", [], forever, user_id="1", by="tess")
    for number in range(MOST_ENDED + 10):
        await ended(jobs.start(number, [], nothing, user_id="1", by="tess"))
    kept = [number for number in range(MOST_ENDED + 10) if jobs.of(number)]
    assert len(kept) <= MOST_ENDED + 1
    assert MOST_ENDED + 9 in kept
    assert jobs.of("running") is running
    await jobs.close()


# A persona


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go, so that it can be seen that none stays."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_six_agents_play_and_nothing_stays(elsewhere: Path) -> None:
    backend = engine()
    trial = persona_trial(ENTRY, AGENTS, 3, draft=True)
    assert trial.replies == 18
    await play_trial(trial, small_rubric(), backend, HEARING)
    assert all(one.done for one in trial.agents)
    assert all(1 <= len(one.turns) <= 3 for one in trial.agents)
    assert trial.replies_done == 18
    assert trial.now is None
    heights = {one.agent: one.played.height for one in trial.agents if one.played}
    assert heights["kind"] > heights["hostile"]
    # Nobody is graded, and nothing is left.
    assert not backend.asked("yes")
    assert not backend.closed
    assert left_in(elsewhere) == []


async def test_a_stop_keeps_what_was_played(elsewhere: Path) -> None:
    trial = persona_trial(ENTRY, ["kind", "cold"], 4, draft=True)
    jobs = Jobs()

    class Slow(ScriptedBackend):
        async def continue_text(self, *words: object, **more: object) -> AsyncIterator[str]:  # type: ignore[override]
            if len(trial.agents[0].turns) >= 1:
                await asyncio.Event().wait()
            async for piece in super().continue_text(*words, **more):  # type: ignore[arg-type]
                yield piece

    backend = Slow(continuations=SAID * 4)

    async def run(work: PersonaTrial) -> None:
        await play_trial(work, small_rubric(), backend, HEARING)

    job = jobs.start("nora", trial, run, user_id="1", by="tess")
    for _ in range(500):
        if trial.agents[0].turns:
            break
        await asyncio.sleep(0.01)
    assert trial.now is trial.agents[0]
    await asyncio.sleep(0.05)
    await jobs.stop("nora")
    assert job.stopped
    assert len(trial.agents[0].turns) >= 1
    assert not trial.agents[0].done
    assert left_in(elsewhere) == []
    assert any("kind agent" in one.words for one in summary(trial))


async def test_an_engine_that_goes_away_leaves_what_was_played(elsewhere: Path) -> None:
    backend = ScriptedBackend(continuations=[SAID[0], BackendUnavailable("The model is gone.")] * 6)
    trial = persona_trial(ENTRY, ["cold"], 6, draft=False)
    with pytest.raises(BackendUnavailable):
        await play_trial(trial, small_rubric(), backend, HEARING)
    assert len(trial.agents[0].turns) >= 1
    assert not trial.agents[0].done
    assert left_in(elsewhere) == []


def test_no_agent_writes_more_than_it_has_lines_for() -> None:
    trial = persona_trial(ENTRY, ["kind", "cold"], 12, draft=False)
    for one in trial.agents:
        assert one.replies == min(12, len(agent_lines(one.agent, NORA)))


def test_the_kind_agent_begins_with_the_personas_own_sample_where_nobody_wrote_lines() -> None:
    assert not persona_trial(ENTRY, ["kind"], 3, draft=False).own_lines
    lines = agent_lines("kind", NORA)
    assert lines[:2] == [
        "A week without heat sounds miserable, and I'm sorry that we left you with it.",
        "The engineer comes tomorrow at 9, and I'll ring you at noon.",
    ]
    assert len(lines) > 9
    dani = LIBRARY.personas["dani-stranded"]
    assert persona_trial(dani, ["kind"], 3, draft=False).own_lines
    assert agent_lines("kind", dani.item)[0].startswith("Hi Dani, you and Theo")


def turn(mood: str, customer: str = "Well.", *released: str, **more: object) -> PlayedTurn:
    held = more.get("held", ())
    assert isinstance(held, tuple)
    source = str(more.get("source", "model"))
    return PlayedTurn("Reply.", customer, mood, source, held, released)


def played(agent: str, *turns: PlayedTurn, ended: str | None = None) -> AgentTrial:
    one = Played(NORA.id, agent, "scripted", NORA.opening, list(turns), ended=ended)
    return AgentTrial(agent, max(len(turns), 1), one, done=True)


def remarks(*agents: AgentTrial) -> list[tuple[str, bool | None]]:
    trial = PersonaTrial(ENTRY, True, list(agents), True)
    return [(one.words, one.sound) for one in summary(trial)]


def test_a_fact_is_told_where_it_was_released_or_given_away() -> None:
    parrot = "It is the parrot I worry about, he has stopped eating since it got cold."
    turns = [
        turn("wary", "It is the parrot, if you must know."),
        turn("wary", "I waited in all day.", "waited-in"),
        turn("glad", parrot, "waited-in", "the-parrot", "first-winter"),
    ]
    found = [(one.fact.id, one.reply, one.early) for one in told(NORA, turns)]
    assert found == [("the-parrot", 1, True), ("waited-in", 2, False), ("first-winter", 3, False)]


def test_the_summary_of_a_customer_who_works() -> None:
    said = remarks(
        played("kind", turn("wary"), turn("glad", "I waited.", "waited-in"), ended="resolved"),
        played("cold", turn("cross"), ended="walked_out"),
    )
    kind, cold, early, untold, held = said
    assert kind == (
        "The kind agent brings the customer from 'wary' to 'glad', the best mood: after 2 replies "
        "the customer left content.",
        True,
    )
    assert cold == (
        "The cold agent leaves the customer at 'cross': after 1 reply the customer walked out.",
        True,
    )
    assert early == ("No fact was told before its time.", True)
    # One that is never told is missed by nobody.
    assert "the-parrot, first-winter." in untold[0]
    assert "the-oven" not in untold[0]
    assert held == ("The guard held nothing back in 3 lines of the customer.", None)


def test_the_summary_of_a_customer_who_does_not() -> None:
    said = remarks(
        played("kind", turn("cross"), turn("wary")),
        played(
            "cold",
            turn("glad", "The parrot, alas.", held=("too short: Oh.", "markup: **")),
            turn("glad", source="fallback"),
        ),
        played("hostile", turn("wary")),
    )
    by_sound = {sound: [words for words, one in said if one is sound] for sound in (True, False)}
    assert any("does not get the customer above 'wary'" in words for words in by_sound[False])
    assert any("better than at the start" in words for words in by_sound[False])
    assert any("the-parrot (the cold agent, reply 1)" in words for words in by_sound[False])
    assert by_sound[True] == []
    hostile, sound = said[2]
    assert "The hostile agent leaves the customer at 'wary', where they were" in hostile
    assert sound is None
    assert "held back 2 sentences of the model's; 1 of 5 lines came from the script" in said[-1][0]


# A rubric


def likely(question: YesNoQuestion) -> float:
    """Yes to a real reply, unsure about the neutral one."""
    return 0.5 if "Agent: Ok." in question.material else 0.9


def version(entry: Entry[Rubric], key: str = "draft") -> Version:
    return Version(key, f"the {key}", entry)


def edited(entry: Entry[Rubric], **changed: object) -> Entry[Rubric]:
    item = entry.item.model_copy(update=changed)
    return Entry(item, entry.file, f"{entry.text}# {sorted(changed)}\n")


async def test_every_check_is_asked_and_shown_with_probability_and_quote() -> None:
    backend = ScriptedBackend(yes=likely)
    core = LIBRARY.rubrics["core"]
    trial = RubricTrial([version(core)], [Talk("late", LATE_PARCEL)], with_pairs=False)
    await run_trial(trial, backend, ask_all=False)
    (talk,) = trial.talks
    (result,) = talk.results
    assert [one.step.id for one in result.steps] == [step.id for step in core.item.steps]
    asked = {one.prompt.question for one in backend.requests if isinstance(one.prompt, YesNoQuestion)}  # fmt: skip
    assert asked >= {check.ask for step in core.item.steps for check in step.checks}
    assert trial.progress[0] == trial.progress[1] > 100
    for step in result.steps:
        assert step.learned is not None
        assert set(step.by_reply) <= set(LATE_PARCEL.agent_turns())
        for check in step.checks:
            assert check.answered == 0.9
            assert check.neutral == 0.5
            assert check.strength is not None
            if check.quote:
                assert stands_verbatim(check.quote, LATE_PARCEL)
            else:
                assert check.strength <= 0.6 or check.turn is None
    assert any(check.quote for step in result.steps for check in step.checks)
    # The levels are those of everyday, in which the model has no say in these steps.
    alone = [one async for one in Grader(None, core, MemoryBook()).grade(LATE_PARCEL)][-1]
    assert isinstance(alone, Grade)
    assert [one.level for one in result.grade.steps] == [one.level for one in alone.steps]
    assert result.grade.total == alone.total


async def test_where_trainees_are_graded_by_all_checks_so_is_a_try() -> None:
    core = LIBRARY.rubrics["core"]
    trial = RubricTrial([version(core)], [Talk("late", LATE_PARCEL)], with_pairs=False)
    against = {c.ask for s in core.item.steps for c in s.checks if c.counts == "against"}

    # A model that sees every fault and nothing good, and neither in a reply that says nothing.
    def sees(question: YesNoQuestion) -> float:
        said = any(turn.text in question.material for turn in LATE_PARCEL.turns)
        return 0.5 if not said else 0.98 if question.question in against else 0.02

    backend = ScriptedBackend(yes=sees)
    await run_trial(trial, backend, ask_all=True)
    (result,) = trial.talks[0].results
    assert [one.grade for one in result.steps] == [one.with_all for one in result.steps]
    alone = [one async for one in Grader(None, core, MemoryBook()).grade(LATE_PARCEL)][-1]
    assert isinstance(alone, Grade)
    assert alone.total is not None
    assert result.grade.total is not None
    assert result.grade.total < alone.total


async def test_a_step_that_borrows_nothing_is_the_models() -> None:
    trial = RubricTrial([version(small_rubric())], [Talk("late", LATE_PARCEL)], with_pairs=False)
    await run_trial(trial, ScriptedBackend(yes=likely), ask_all=False)
    (result,) = trial.talks[0].results
    assert all(one.learned is None and one.by_reply == {} for one in result.steps)
    hear, _, close, _ = result.steps
    assert hear.grade.level == 5 or hear.grade.status == "graded"
    # No detector points anywhere: the words are those that the model likes best.
    assert all(check.seen is None for check in hear.checks)
    assert all(check.quote and check.turn is not None for check in hear.checks)
    # One that is asked about the whole stands in no single reply.
    assert all(check.turn is None and check.quote for check in close.checks)


async def test_two_versions_are_measured_alike_and_nothing_is_asked_twice() -> None:
    backend = ScriptedBackend(yes=likely)
    small = small_rubric()
    steps = small.item.steps
    heavier = edited(small, steps=[steps[0].model_copy(update={"weight": 9.0}), *steps[2:]])
    trial = RubricTrial(
        [version(small, "published version"), version(heavier)],
        [Talk("late", LATE_PARCEL)],
        with_pairs=True,
    )
    await run_trial(trial, backend, ask_all=False)
    prompts = [one.prompt for one in backend.requests]
    assert len(prompts) == len(set(map(str, prompts)))
    (talk,) = trial.talks
    first, second = talk.results
    assert first.steps[0].grade.level == second.steps[0].grade.level
    rows = side_by_side(small.item, heavier.item)
    assert [(bool(a), bool(b)) for a, b in rows] == [(True, True)] * 3 + [(True, False)]
    assert changes(*rows[0]) == ["weight 2, then 9"]
    assert changes(*rows[1]) == []
    assert changes(*rows[-1]) == ["only in the first"]
    assert len(trial.pairs) == 2


def test_what_changed_in_a_step_is_said() -> None:
    step = LIBRARY.rubrics["core"].item.steps[0]
    other = step.model_copy(
        update={
            "name": "Hear",
            "scope": "session",
            "borrows": ["ask"],
            "levels": step.levels[1:],
            "checks": [
                step.checks[0].model_copy(update={"ask": "Else?"}),
                *step.checks[2:],
                step.checks[1].model_copy(update={"id": "brand-new"}),
            ],
        }
    )
    assert changes(step, other) == [
        f"called “{step.name}” in the first",
        "new checks: brand-new",
        f"checks taken out: {step.checks[1].id}",
        f"checks changed: {step.checks[0].id}",
        "other levels",
        "borrows other steps",
        "asked at another scope",
    ]
    assert changes(None, step) == ["only in the second"]


async def test_pairs_that_the_grader_gets_wrong_are_found_with_both_values() -> None:
    core = LIBRARY.rubrics["core"]
    first = core.item.steps[0]
    turned = [
        Example(customer=one.customer, weak=one.strong, strong=one.weak, because=one.because)
        for one in first.examples
    ]
    swapped = edited(
        core, steps=[first.model_copy(update={"examples": turned}), core.item.steps[1]]
    )
    trial = RubricTrial([version(core), version(swapped)], [], with_pairs=True)
    await run_trial(trial, ScriptedBackend(), ask_all=False)
    right, wrong = trial.pairs
    assert all(pair.right for pair in right)
    assert len(right) == sum(len(step.examples) for step in core.item.steps)
    assert [pair.right for pair in wrong] == [False] * len(turned) + [True] * (
        len(wrong) - len(turned)
    )
    for pair in wrong[: len(turned)]:
        assert pair.weak is not None
        assert pair.strong is not None
        assert 0 <= pair.strong < pair.weak <= 1


async def test_the_model_is_asked_about_pairs_that_the_judge_knows_nothing_of() -> None:
    def sees(question: YesNoQuestion) -> float:
        if "Agent: Ok." in question.material:
            return 0.5
        if "past" in question.question:
            return 0.1
        return 0.95 if "Mould" in question.material else 0.1

    trial = RubricTrial([version(small_rubric())], [], with_pairs=True)
    await run_trial(trial, ScriptedBackend(yes=sees), ask_all=False)
    ((pair,),) = trial.pairs
    assert pair.right
    unsure = RubricTrial([version(small_rubric())], [], with_pairs=True)
    await run_trial(unsure, ScriptedBackend(yes=lambda question: None), ask_all=False)
    ((silent,),) = unsure.pairs
    assert (silent.weak, silent.strong, silent.right) == (None, None, False)


async def test_too_little_to_judge_is_said_and_the_others_go_on() -> None:
    short = Transcript(id="short", turns=[Turn(role="agent", text="Hello.")])
    trial = RubricTrial(
        [version(LIBRARY.rubrics["core"])],
        [Talk("short", short), Talk("late", LATE_PARCEL)],
        with_pairs=False,
    )
    await run_trial(trial, ScriptedBackend(yes=likely), ask_all=False)
    first, second = trial.talks
    assert "too little here to judge" in first.problem
    assert (first.results, second.problem) == ([], "")
    assert len(second.results) == 1


async def test_a_model_that_fails_ends_the_try_and_leaves_what_was_found() -> None:
    answers: list[float | Exception | None] = [0.5] * 400
    small = small_rubric()
    trial = RubricTrial(
        [version(small)],
        [Talk("late", LATE_PARCEL), Talk("again", LATE_PARCEL.model_copy(update={"id": "b"}))],
        with_pairs=False,
    )
    count = ScriptedBackend(yes=likely)
    await run_trial(
        RubricTrial([version(small)], [Talk("late", LATE_PARCEL)], with_pairs=False),
        count,
        ask_all=False,
    )
    answers = [likely(q.prompt) if isinstance(q.prompt, YesNoQuestion) else None for q in count.requests]  # fmt: skip
    answers.append(BackendUnavailable("The model is gone."))
    trial.talks[1].transcript = LATE_PARCEL.model_copy(
        update={
            "id": "b",
            "turns": [
                *LATE_PARCEL.turns,
                Turn(role="agent", text="Goodbye then, take care of your mum."),
            ],
        }
    )
    jobs = Jobs()

    async def run(work: RubricTrial) -> None:
        await run_trial(work, ScriptedBackend(yes=answers), ask_all=False)

    job = jobs.start("small", trial, run, user_id="1", by="tess")
    assert job.task is not None
    await asyncio.wait([job.task], timeout=60)
    assert "The model is gone." in job.problem
    assert len(trial.talks[0].results) == 1
    assert trial.talks[1].results == []


# The real model


@pytest.mark.model
@pytest.mark.timeout(1500)
async def test_two_replies_on_the_real_model(builtin_weights: Path, elsewhere: Path) -> None:
    backend = await make_backend(Settings(backend="embedded", embedded_model=str(builtin_weights)))
    try:
        dani = LIBRARY.personas["dani-stranded"]
        trial = persona_trial(dani, ["kind", "cold"], 2, draft=False)
        await play_trial(trial, LIBRARY.rubrics["core"], backend, Hearing(None))
        kind, cold = trial.agents
        assert len(kind.turns) == len(cold.turns) == 2
        assert all(one.customer.strip() for agent in trial.agents for one in agent.turns)
        rank = dani.item.rank
        assert rank(kind.turns[-1].mood) > rank(cold.turns[-1].mood)
        three = edited(LIBRARY.rubrics["core"], steps=LIBRARY.rubrics["core"].item.steps[:3])
        tried = RubricTrial([version(three)], [Talk("late", LATE_PARCEL)], with_pairs=True)
        await run_trial(tried, backend, ask_all=False)
        (result,) = tried.talks[0].results
        found = [check for step in result.steps for check in step.checks]
        assert all(check.answered is not None and 0 <= check.answered <= 1 for check in found)
        assert any(check.quote for check in found)
        assert all(pair.right for pair in tried.pairs[0])
    finally:
        await backend.aclose()
    assert left_in(elsewhere) == []

"""What coaches do with a grade: what stands, what is kept, and how often they agree with it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snapshots import small_persona, small_rubric
from warmline.accounts import Accounts, Who
from warmline.customer.director import first_state
from warmline.desk import Desk, Wanted
from warmline.errors import WarmlineError
from warmline.grader.evidence import Quote
from warmline.grader.scoring import Grade, StepGrade, total
from warmline.labelled import LabelledTranscript
from warmline.people import People
from warmline.report import coach_words, report_card
from warmline.results import Results
from warmline.review import (
    Reviews,
    agreement,
    final_grade,
    given_level,
    labels_of,
    standing,
)
from warmline.sessions import SessionReader
from warmline.store import Store

RUBRIC = small_rubric().item
STEPS = [step.id for step in RUBRIC.steps]
COACHING: dict[str, Any] = {"strengths": [], "next_step": None, "rewrite": None}


def grade_of(session_id: str, levels: dict[str, int | str]) -> Grade:
    steps = [
        StepGrade(
            id=step.id,
            name=step.name,
            status="graded" if isinstance(level, int) else level,  # type: ignore[arg-type]
            level=level if isinstance(level, int) else None,
            means=step.meaning(level) if isinstance(level, int) else "",
            lowest=step.lowest,
            highest=step.highest,
            weight=step.weight,
            checks={},
            evidence=[Quote(turn=1, quote="I hear you")] if isinstance(level, int) else [],
        )
        for step in RUBRIC.steps
        for level in [levels.get(step.id, step.lowest)]
    ]
    percent, passed, failed_by = total(RUBRIC, steps)
    return Grade(
        id=session_id, rubric=RUBRIC.id, rubric_hash=small_rubric().hash,
        persona_hash=small_persona().hash, total=percent, passed=passed, failed_by=failed_by,
        pass_mark=RUBRIC.pass_mark, steps=steps, prompt_version="v", backend="b", model="m",
        digest="d",
    )  # fmt: skip


class Room:
    """A store with a trainee's graded sessions and two coaches."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.reader = SessionReader(store)
        self.reviews = Reviews(self.reader)
        self.desk = Desk(store.database)
        self.accounts = Accounts(People(store.database), loopback=True)
        self.who: dict[str, Who] = {}

    async def fill(self, **sessions: dict[str, int | str]) -> Room:
        people = self.accounts.people
        for name, role in (("mira", "trainee"), ("joan", "coach"), ("kit", "coach")):
            user = await people.add(name, [role], ["support"], "password", "x")
            self.who[name] = Who(user, user.roles, local=False)
        for session_id, levels in sessions.items():
            await self.start(session_id, levels)
        return self

    async def start(self, session_id: str, levels: dict[str, int | str]) -> None:
        state = first_state(small_persona().item).model_dump_json()
        owner = self.who["mira"].user.id
        await self.store.start_session(
            session_id, owner, small_persona(), small_rubric(), state, seed=1
        )
        await self.store.add_turn(session_id, "agent", f"I hear you in {session_id}.")
        await self.store.add_turn(session_id, "customer", "Thank you.", state=state)
        grade = grade_of(session_id, levels)
        await self.store.add_grade(
            session_id, grade.model_dump(mode="json"), COACHING, standing(grade, RUBRIC)
        )
        await self.store.share(session_id, shared=True)

    async def again(self, session_id: str, source: str, step: str, level: str) -> None:
        """Try a session again from its first reply, to a grade of its own."""
        await self.store.branch_session(
            session_id, await self.store.session(source), 1, "again", seed=2
        )
        known = {s.id: range(s.lowest, s.highest + 1) for s in RUBRIC.steps}
        levels: dict[str, int | str] = {}
        if not level.isdecimal():
            levels[step] = level
        elif int(level) in known[step]:
            levels[step] = int(level)
        grade = grade_of(session_id, levels)
        await self.store.add_grade(
            session_id, grade.model_dump(mode="json"), COACHING, standing(grade, RUBRIC)
        )
        await self.store.share(session_id, shared=True)

    async def stands(self, session_id: str) -> tuple[float | None, bool | None, int | None]:
        session = await self.store.session(session_id)
        passed = None if session.passed is None else bool(session.passed)
        return session.total, passed, session.unclear


@pytest.fixture
async def room(store: Store) -> Room:
    return await Room(store).fill(one={}, two={STEPS[0]: "unclear"})


async def test_a_changed_level_changes_the_total_and_the_machines_stays_visible(room: Room) -> None:
    joan = room.who["joan"]
    best = str(RUBRIC.steps[0].highest)
    before = await room.stands("one")
    await room.reviews.override(joan, "one", STEPS[0], best, "You named it.")
    final = await room.reviews.final("one")
    assert final is not None
    assert final.steps[0].level == RUBRIC.steps[0].highest
    assert (final.total, final.passed, 0) == await room.stands("one") != before
    stored = await room.store.grade("one")
    assert stored is not None
    assert stored.grade["steps"][0]["level"] == RUBRIC.steps[0].lowest
    (edit,) = await room.reviews.edits.of("one")
    assert (edit.coach, edit.kind, edit.before, edit.after, edit.words) == (
        "joan", "override", str(RUBRIC.steps[0].lowest), best, "You named it.",
    )  # fmt: skip
    turns = await room.store.turns("one")
    card = report_card(stored, turns, small_persona().item, RUBRIC, [edit])
    assert card["steps"][0]["changed_by"] == "joan"
    assert card["steps"][0]["machine"] == f"{RUBRIC.steps[0].lowest} of {best}"
    assert "You named it." in coach_words(edit, turns, RUBRIC)
    assert (await room.store.session("one")).reviewed_at is not None


async def test_a_step_can_be_made_unclear_and_clear_again(room: Room) -> None:
    joan, kit = room.who["joan"], room.who["kit"]
    await room.reviews.override(joan, "one", STEPS[0], "unclear", "I cannot tell.")
    assert (await room.stands("one"))[2] == 1
    level = str(RUBRIC.steps[0].highest)
    await room.reviews.override(kit, "one", STEPS[0], level, "I can.")
    assert (await room.stands("one"))[2] == 0
    assert [edit.before for edit in await room.reviews.edits.of("one")] == [
        str(RUBRIC.steps[0].lowest), "unclear",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("step", "level", "reason", "words"),
    [
        (STEPS[0], "99", "because", "has the levels"),
        (STEPS[0], "good", "because", "has the levels"),
        ("none", "1", "because", "no such step"),
        (STEPS[0], str(RUBRIC.steps[0].highest), "  ", "Write the reason"),
        (STEPS[0], str(RUBRIC.steps[0].highest), "x" * 2001, "2001 characters"),
        (STEPS[0], str(RUBRIC.steps[0].lowest), "because", "has already"),
    ],
)
async def test_what_cannot_be_is_said_and_changes_nothing(
    room: Room, step: str, level: str, reason: str, words: str
) -> None:
    before = await room.stands("one")
    with pytest.raises(WarmlineError, match=words):
        await room.reviews.override(room.who["joan"], "one", step, level, reason)
    assert await room.reviews.edits.of("one") == []
    assert await room.stands("one") == before


async def test_comments_and_sending_back_name_a_message_that_there_is(room: Room) -> None:
    joan = room.who["joan"]
    await room.reviews.comment(joan, "one", " Lovely. ", 1)
    await room.reviews.send_back(joan, "one", "Once more, slower.", 1)
    with pytest.raises(WarmlineError, match="no such message"):
        await room.reviews.comment(joan, "one", "Lovely.", 9)
    with pytest.raises(WarmlineError, match="no such message"):
        # To a reply of the trainee's, not to a line of the customer's.
        await room.reviews.send_back(joan, "one", "Again.", 2)
    edits = await room.reviews.edits.of("one")
    turns = await room.store.turns("one")
    assert [coach_words(edit, turns, RUBRIC)[:30] for edit in edits] == [
        "About your reply 1: Lovely.", "Please try again from your rep",
    ]  # fmt: skip


async def test_the_trainee_is_told_once(room: Room) -> None:
    owner = room.who["mira"].user.id
    await room.reviews.see(room.who["joan"], "one")
    assert await room.store.with_news(owner) == []
    await room.reviews.comment(room.who["joan"], "one", "Lovely.", None)
    assert [one.id for one in await room.store.with_news(owner)] == ["one"]
    await room.store.owner_saw("one", (await room.reviews.edits.of("one"))[-1].id)
    assert await room.store.with_news(owner) == []


async def test_a_blind_grade_is_given_before_the_machines_is_seen_or_not_at_all(room: Room) -> None:
    joan, kit = room.who["joan"], room.who["kit"]
    levels = {step.id: str(step.highest) for step in RUBRIC.steps}
    with pytest.raises(WarmlineError, match="every step"):
        await room.reviews.grade_blind(joan, "one", {STEPS[0]: levels[STEPS[0]]})
    await room.reviews.grade_blind(joan, "one", levels)
    with pytest.raises(WarmlineError, match="no blind grade any more"):
        await room.reviews.grade_blind(joan, "one", levels)
    await room.reviews.see(kit, "one")
    with pytest.raises(WarmlineError, match="no blind grade any more"):
        await room.reviews.grade_blind(kit, "one", levels)
    # It changes nothing of what stands.
    assert (await room.store.session("one")).reviewed_at is None
    stored = await room.store.grade("one")
    assert stored is not None
    grade = Grade.model_validate(stored.grade)
    assert final_grade(grade, RUBRIC, await room.reviews.edits.of("one")) == grade
    (one,) = await room.desk.judged(joan.user.id, "2000-01-01")
    assert (one.session_id, one.blind, one.coach) == ("one", True, levels)
    assert one.machine == {step.id: given_level(step) for step in grade.steps}
    # Kit has looked as well; nobody else who has not.
    assert len(await room.desk.judged(kit.user.id, "2000-01-01")) == 1
    # It counts as it is, whatever is done afterwards; and only who saw the grade sees it listed.
    for who, seen in ((joan, [True, False]), (kit, [True, False])):
        desk = await room.desk.sessions(who.user.id, Wanted())
        assert sorted((session.id, seen) for session, _, seen in desk) == [
            ("one", seen[0]), ("two", seen[1]),
        ]  # fmt: skip
    await room.reviews.see(joan, "two")
    await room.reviews.send_back(joan, "two", "Once more.", None)
    assert len(await room.desk.judged(joan.user.id, "2000-01-01")) == 1


async def test_what_was_judged_is_counted_once_it_was_seen_and_from_a_day_on(room: Room) -> None:
    joan, kit = room.who["joan"], room.who["kit"]

    async def found(since: str = "2000-01-01", **wanted: str) -> list[str]:
        ones = await room.desk.judged(joan.user.id, since, **wanted)  # type: ignore[arg-type]
        return sorted(one.session_id for one in ones)

    for name in ("one", "two"):
        await room.reviews.override(kit, name, STEPS[1], "unclear", "I cannot tell.")
    # Kit's levels beside the machine's would tell Joan what the machine's are.
    assert await found() == []
    for name in ("one", "two"):
        await room.reviews.see(joan, name)
    assert await found() == ["one", "two"]
    assert await found(rubric_id=RUBRIC.id) == ["one", "two"]
    assert await found(rubric_id="other") == await found("2999-01-01") == []
    await room.reviews.override(kit, "two", STEPS[1], "1", "Now I can.")
    two = next(
        one for one in await room.desk.judged(joan.user.id, "2000-01-01") if one.session_id == "two"
    )
    # The last word counts, beside what the machine said, also where it had no level.
    assert (two.machine[STEPS[0]], two.coach[STEPS[0]], two.coach[STEPS[1]]) == (
        "unclear", "unclear", "1",
    )  # fmt: skip
    assert (list(two.names), two.rubric_hash, two.model) == (STEPS, small_rubric().hash, "m")
    # As all of a desk, it is what was shared, and for somebody alone here their own.
    await room.store.share("one", shared=False)
    assert await found() == ["two"]
    mira = room.who["mira"]
    await room.reviews.see(mira, "one")
    assert await room.desk.judged(mira.user.id, "2000-01-01") == []
    own = await room.desk.judged(mira.user.id, "2000-01-01", own=True)
    assert [one.session_id for one in own] == ["one"]


async def test_of_two_blind_grades_at_once_one_is_kept_whole(room: Room) -> None:
    joan = room.who["joan"]
    levels = {step.id: str(step.highest) for step in RUBRIC.steps}
    done = await asyncio.gather(
        *(room.reviews.grade_blind(joan, "one", levels) for _ in range(2)), return_exceptions=True
    )
    assert sorted(isinstance(one, WarmlineError) for one in done) == [False, True]
    kinds = [edit.kind for edit in await room.reviews.edits.of("one")]
    assert kinds == ["blind"] * len(levels) + ["seen"]


async def test_agreement_is_by_step_with_its_direction_and_only_with_enough(store: Store) -> None:
    first, last = RUBRIC.steps[0], RUBRIC.steps[-1]
    names = [f"s{number}" for number in range(4)]
    room = await Room(store).fill(
        **{name: {first.id: first.lowest + number % 2} for number, name in enumerate(names)}
    )
    joan = room.who["joan"]
    for number, name in enumerate(names):
        level = str(first.lowest + number % 2 + 1)
        await room.reviews.override(joan, name, first.id, level, "It was better than that.")
        await room.reviews.see(joan, name)
        ones = await room.desk.judged(joan.user.id, "2000-01-01")
        assert len(ones) == number + 1
        found = {one.step: one for one in agreement(ones)}
        if number < 2:
            assert found[first.id].kappa is found[first.id].mean is None
    assert (found[first.id].sessions, found[first.id].overridden) == (4, 4)
    assert found[first.id].mean == 1.0
    assert found[first.id].kappa is not None
    assert found[first.id].kappa < 1
    assert (found[last.id].overridden, found[last.id].mean, found[last.id].kappa) == (0, 0, 1)
    said = await room.desk.transcripts(["s0", "s1", "nobody's"])
    assert said == {name: await store.transcript(name, "") for name in ("s0", "s1")}
    line = labels_of(next(one for one in ones if one.session_id == "s0"), said["s0"])
    assert line is not None
    assert LabelledTranscript.model_validate(line).labels[first.id] == first.lowest + 1
    assert agreement([]) == []


async def test_the_desk_finds_by_each_filter_and_only_what_is_shared(room: Room) -> None:
    joan = room.who["joan"].user.id

    async def found(**wanted: Any) -> list[str]:
        ones = await room.desk.sessions(joan, Wanted(**wanted))
        assert {name for _, name, _ in ones} <= {"mira"}
        return [session.id for session, _, _ in ones]

    assert sorted(await found()) == ["one", "two"]
    assert await found(words="hear two") == ["two"]
    assert await found(words='two" OR "one') == []
    assert await found(trainee="mira", persona_id="nora-heating", rubric_id="small") != []
    assert await found(trainee="omar") == await found(persona_id="x") == []
    day = (await room.store.session("one")).created_at[:10]
    assert len(await found(since=day, until=day)) == 2
    assert await found(since="2999-01-01") == await found(until="2000-01-01") == []
    await room.reviews.approve(room.who["joan"], "one")
    assert await found(not_reviewed=True) == ["two"]
    await room.store.share("one", shared=False)
    assert await found() == ["two"]
    assert await room.desk.sessions(room.who["mira"].user.id, Wanted()) == []
    own = await room.desk.sessions(room.who["mira"].user.id, Wanted(), own=True)
    assert sorted(session.id for session, _, _ in own) == ["one", "two"]
    first = await room.desk.sessions(room.who["mira"].user.id, Wanted(), own=True, limit=1)
    rest = await room.desk.sessions(
        room.who["mira"].user.id, Wanted(), own=True, before=first[0][0].id
    )
    assert [session.id for session, _, _ in first + rest] == [session.id for session, _, _ in own]


async def test_filters_by_result_find_only_what_the_coach_has_seen(store: Store) -> None:
    best: dict[str, int | str] = {step.id: step.highest for step in RUBRIC.steps}
    room = await Room(store).fill(good={**best, STEPS[0]: "unclear"}, bad={})
    joan, kit = room.who["joan"], room.who["kit"]

    async def found(who: Who, **wanted: Any) -> list[str]:
        ones = await room.desk.sessions(who.user.id, Wanted(**wanted))
        return sorted(session.id for session, _, _ in ones)

    assert (await room.stands("good"))[1:] == (True, 1)
    assert (await room.stands("bad"))[1:] == (False, 0)
    results: list[dict[str, bool]] = [{"passed": True}, {"passed": False}, {"unclear": True}]
    # Nothing was opened: none of them tells anything, and the list has both.
    assert [await found(joan, **one) for one in results] == [[], [], []]
    assert await found(joan) == await found(joan, not_reviewed=True) == ["bad", "good"]
    await room.reviews.see(joan, "good")
    assert [await found(joan, **one) for one in results] == [["good"], [], ["good"]]
    # A grade of one's own opens it as well; another coach's eyes do not.
    await room.reviews.grade_blind(joan, "bad", dict.fromkeys(STEPS, "unclear"))
    assert [await found(joan, **one) for one in results] == [["good"], ["bad"], ["good"]]
    assert [await found(kit, **one) for one in results] == [[], [], []]
    # Alone here, the same counts for one's own.
    mira = room.who["mira"].user.id
    assert await room.desk.sessions(mira, Wanted(passed=True), own=True) == []


LEVELS = st.sampled_from([*map(str, range(0, 8)), "unclear", "not_applicable"])
ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(
            ["override", "approve", "send_back", "comment", "delete", "blind", "again", "forget"]
        ),
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["joan", "kit"]),
        st.sampled_from(STEPS),
        LEVELS,
    ),
    max_size=14,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(actions=ACTIONS)
def test_any_order_of_changes_and_deletions_leaves_what_a_recount_gives(
    actions: list[tuple[str, str, str, str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    asyncio.run(play(actions, tmp_path_factory.mktemp("review") / "w.db"))


async def play(actions: list[tuple[str, str, str, str, str]], file: Path) -> None:
    store = await Store.open(file)
    try:
        room = await Room(store).fill(a={}, b={STEPS[0]: "unclear"})
        there = {"a", "b"}
        for action, session, coach, step, level in actions:
            if session not in there:
                continue
            who = room.who[coach]
            try:
                match action:
                    case "override":
                        await room.reviews.override(who, session, step, level, "because")
                    case "approve":
                        await room.reviews.approve(who, session)
                    case "send_back":
                        await room.reviews.send_back(who, session, "again", 1)
                    case "comment":
                        await room.reviews.comment(who, session, "well", None)
                    case "blind":
                        levels = {one.id: str(one.lowest) for one in RUBRIC.steps}
                        await room.reviews.grade_blind(who, session, levels)
                    case "again" if "c" not in there:
                        await room.again("c", session, step, level)
                        there.add("c")
                    case "delete":
                        await store.delete_sessions([session])
                        there.discard(session)
                    case "forget":
                        await store.delete_sessions(sorted(there))
                        there.clear()
            except WarmlineError:
                continue
        stands: dict[str, list[float]] = {one: [] for one in STEPS}
        for session in there:
            stored = await store.grade(session)
            assert stored is not None
            levels_now = {
                one.id: given_level(one) for one in Grade.model_validate(stored.grade).steps
            }
            for edit in await room.reviews.edits.of(session):
                if edit.kind == "override" and edit.step and edit.after:
                    assert edit.before == levels_now[edit.step]
                    levels_now[edit.step] = edit.after
            again = grade_of(
                session, {s: int(v) if v.isdecimal() else v for s, v in levels_now.items()}
            )
            unclear = sum(value == "unclear" for value in levels_now.values())
            assert await room.stands(session) == (again.total, again.passed, unclear)
            for one in again.steps:
                if one.level is not None:
                    stands[one.id].append(one.share(RUBRIC.step(one.id)))
        # The team's numbers are those of what is left, counted from scratch.
        means = await Results(store.database).step_means(
            room.who["joan"].user.id, RUBRIC.id, own=False, each=9
        )
        assert {one.step: (one.sessions, pytest.approx(one.share)) for one in means} == {
            step: (len(shares), fmean(shares)) for step, shares in stands.items() if shares
        }
        for gone in {"a", "b", "c"} - there:
            assert await room.reviews.edits.of(gone) == []
    finally:
        await store.close()

"""What coaches assign and trainees hand in: who sees what, what counts, and what never does."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlite_utils.db import Database as Connection  # noqa: TID251

from snapshots import small_library, small_persona, small_rubric
from warmline.assignments import Assignments
from warmline.customer.director import first_state
from warmline.edits import Edits
from warmline.errors import HandedIn, NotFound, WarmlineError
from warmline.people import People, User
from warmline.plans import Asked, Plan, Work, planned, today
from warmline.results import Standing, keep_standing
from warmline.store import Store
from warmline.web import due, runtime
from warmline.web.due import due_words, hand_in_words, tries_words
from warmline.web.runtime import Wish
from warmline.web.templating import day_words

DAY = date(2030, 5, 1)
PLAN = Plan(small_persona().item.id, small_rubric().item.id, "2999-12-05", 70, 2, "Take your time.")


def plan(**changes: Any) -> Plan:
    return Plan(**{**PLAN.__dict__, **changes})


class Team:
    """Two coaches of two teams, and their trainees."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.assignments = Assignments(store.database)
        self.people = People(store.database)
        self.users: dict[str, User] = {}

    async def fill(self) -> Team:
        for name, role, teams in (
            ("joan", "coach", ["support", "claims"]),
            ("kit", "coach", ["returns"]),
            ("lee", "coach", ["support"]),
            ("mira", "trainee", ["support"]),
            ("ben", "trainee", ["claims"]),
            ("far", "trainee", ["returns"]),
            ("both", "trainee", ["support", "returns"]),
        ):
            self.users[name] = await self.people.add(name, [role], teams, "password", "x")
        return self

    def id(self, name: str) -> str:
        return self.users[name].id

    async def assign(self, *names: str, coach: str = "joan", **changes: Any) -> str:
        return await self.assignments.assign(
            self.id(coach), plan(**changes), [self.id(name) for name in names]
        )

    async def practise(
        self,
        session_id: str,
        assignment_id: str | None,
        name: str = "mira",
        total: float | None = 80.0,
        *,
        auto_failed: bool = False,
        graded: bool = True,
    ) -> None:
        state = first_state(small_persona().item).model_dump_json()
        await self.store.start_session(
            session_id,
            self.id(name),
            small_persona(),
            small_rubric(),
            state,
            seed=1,
            assignment_id=assignment_id,
        )
        if graded:
            fields = ["persona_hash", "rubric_hash", "prompt_version", "backend", "model", "digest"]
            grade = {**dict.fromkeys(fields, "x"), "total": total, "passed": None}
            stands = Standing(total, total is not None, 0, auto_failed, ())
            await self.store.add_grade(session_id, grade, {}, stands)

    async def hand_in(self, session_id: str, name: str = "mira") -> None:
        await self.assignments.hand_in(self.id(name), session_id)

    async def override(self, session_id: str, total: float) -> None:
        """What stands after a coach changed a level."""

        def work(db: Connection) -> None:
            with db.atomic():
                keep_standing(db, session_id, Standing(total, True, 0, False, ()))

        await self.store.database.run(work)

    async def work(self, assignment_id: str, name: str = "mira") -> Work:
        found = await self.assignments.work_for(self.id(name), assignment_id)
        assert found is not None
        return found

    async def on_page(self, coach: str = "joan", **more: Any) -> dict[str, dict[str, Work]]:
        """What a coach sees: by assignment and trainee."""
        found = await self.assignments.given(self.id(coach), **more)
        return {g.assignment.id: {work.trainee: work for work in g.works} for g in found}

    def rows(self, sql: str, *args: object) -> list[Any]:
        with closing(sqlite3.connect(self.store.database.file, isolation_level=None)) as db:
            db.execute("PRAGMA foreign_keys = ON")
            return db.execute(sql, args).fetchall()


@pytest.fixture
async def team(store: Store) -> Team:
    return await Team(store).fill()


# What is asked for


def test_a_plan_takes_the_customers_rubric_and_the_rubrics_mark() -> None:
    asked = Asked(persona=PLAN.persona_id, due="2030-05-01")
    assert planned(small_library(), asked, DAY) == plan(
        due_on="2030-05-01", pass_mark=small_rubric().item.pass_mark, tries=None, note=""
    )
    full = Asked(PLAN.persona_id, PLAN.rubric_id, "2030-05-02", "0", "20", "n" * 2000)
    assert planned(small_library(), full, DAY) == plan(
        due_on="2030-05-02", pass_mark=0, tries=20, note="n" * 2000
    )


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("persona", "nobody", "customer"),
        ("persona", "", "customer"),
        ("rubric", "none", "rubric"),
        ("due", "", "day"),
        ("due", "2030-04-30", "day"),
        ("due", "2030-02-31", "day"),
        ("due", "tomorrow", "day"),
        ("mark", "101", "mark"),
        ("mark", "-1", "mark"),
        ("mark", "70.5", "mark"),
        ("mark", "٧٠", "mark"),
        ("tries", "0", "tries"),
        ("tries", "21", "tries"),
        ("tries", "9" * 5000, "tries"),
        ("note", "n" * 2001, "2001"),
    ],
)
def test_what_cannot_be_asked_for_is_said_in_one_line(field: str, value: str, said: str) -> None:
    good = Asked(persona=PLAN.persona_id, due="2030-05-01")
    with pytest.raises(WarmlineError) as error:
        planned(small_library(), Asked(**{**good.__dict__, field: value}), DAY)
    (line,) = str(error.value).splitlines()
    assert said in line


def test_everything_wrong_is_said_at_once() -> None:
    with pytest.raises(WarmlineError) as error:
        planned(small_library(), Asked(mark="x", tries="x"), DAY)
    assert len(str(error.value).splitlines()) == 4


# Who may assign to whom


async def test_a_coach_sees_the_trainees_of_their_teams_only(team: Team) -> None:
    async def names(coach: str) -> dict[str, tuple[str, ...]]:
        found = await team.assignments.trainees(team.id(coach))
        return {one.name: one.teams for one in found}

    everybody = {"ben": ("claims",), "both": ("support",), "mira": ("support",)}
    assert await names("joan") == everybody
    assert await names("kit") == {"both": ("returns",), "far": ("returns",)}
    await team.people.change("mira", disabled=True)
    await team.people.change("ben", roles=["trainer"])
    assert await names("joan") == {"both": ("support",)}
    await team.people.change("joan", roles=["coach", "trainee"])
    assert "joan" not in await names("joan")


async def test_nobody_else_can_be_assigned_to_and_nothing_is_kept(team: Team) -> None:
    for people, of_team in (
        (["mira", "far"], ""),
        (["joan"], ""),
        (["lee"], ""),
        (["mira"], "returns"),
        ([], "no such team"),
    ):
        with pytest.raises(NotFound):
            await team.assignments.assign(
                team.id("joan"), PLAN, [team.id(name) for name in people], of_team
            )
    with pytest.raises(NotFound):
        await team.assignments.assign(team.id("joan"), PLAN, ["no such id"])
    with pytest.raises(WarmlineError, match="at least one"):
        await team.assignments.assign(team.id("joan"), PLAN, [])
    await team.people.change("ben", roles=["trainer"])
    with pytest.raises(WarmlineError, match="no trainee in claims"):
        await team.assignments.assign(team.id("joan"), PLAN, [], "claims")
    assert team.rows("SELECT * FROM assignments") == []


async def test_a_whole_team_is_who_is_in_it_at_that_moment(team: Team) -> None:
    one = await team.assignments.assign(team.id("joan"), PLAN, [team.id("ben")], "support")
    await team.people.add("late", ["trainee"], ["support"], "password", "x")
    assert list((await team.on_page())[one]) == ["ben", "both", "mira"]


async def test_a_second_press_assigns_nothing_twice(team: Team) -> None:
    one = await team.assign("mira", "ben")
    assert await team.assign("ben", "mira") == one
    others = [
        await team.assign("mira"),
        await team.assign("mira", "ben", note="Another."),
        await team.assign("mira", "ben", tries=None),
        await team.assign("mira", "both", coach="lee"),
    ]
    assert len({one, *others}) == 5
    await team.assignments.withdraw(team.id("joan"), one)
    assert await team.assign("mira", "ben") != one


async def test_the_one_person_without_account_assigns_to_themselves(store: Store) -> None:
    assignments = Assignments(store.database)
    you = await People(store.database).local_user("you")
    assert [t.id for t in await assignments.trainees(you.id, own=True)] == [you.id]
    assert await assignments.trainees(you.id) == []
    one = await assignments.assign(you.id, PLAN, [you.id], own=True)
    (found,) = await assignments.given(you.id, own=True)
    assert [work.trainee for work in found.works] == ["you"]
    assert await assignments.given(you.id) == []
    await assignments.withdraw(you.id, one, own=True)
    assert await assignments.of_trainee(you.id) == []


# Handing in


async def test_practice_is_private_until_it_is_handed_in(team: Team) -> None:
    one = await team.assign("mira")
    await team.practise("s", one)
    assert (await team.store.session("s")).shared_at is None
    assert (await team.on_page())[one]["mira"].tries == ()
    assert (await team.on_page())[one]["mira"].begun
    await team.hand_in("s")
    session = await team.store.session("s")
    assert session.shared_at is not None
    assert [t.session_id for t in (await team.on_page())[one]["mira"].handed_in] == ["s"]
    assert await team.assignments.handed_in_by(team.id("mira")) == {"s"}
    with pytest.raises(HandedIn, match="stays counted"):
        await team.store.share("s", shared=False)
    assert (await team.store.session("s")).shared_at == session.shared_at


async def test_what_was_shared_before_keeps_its_date_when_handed_in(team: Team) -> None:
    one = await team.assign("mira")
    await team.practise("s", one)
    await team.store.share("s", shared=True)
    before = (await team.store.session("s")).shared_at
    await team.hand_in("s")
    assert (await team.store.session("s")).shared_at == before


async def test_twice_at_once_is_one_try(team: Team) -> None:
    one = await team.assign("mira")
    await team.practise("s", one)
    other = await Store.open(team.store.database.file)
    try:
        await asyncio.gather(
            *[team.hand_in("s") for _ in range(4)],
            *[Assignments(other.database).hand_in(team.id("mira"), "s") for _ in range(4)],
        )
    finally:
        await other.close()
    assert (await team.work(one)).tries_left == 1


async def test_the_last_try_is_handed_in_once_when_two_go_for_it(team: Team) -> None:
    one = await team.assign("mira", tries=1)
    await team.practise("a", one)
    await team.practise("b", one)
    other = await Store.open(team.store.database.file)
    try:
        done = await asyncio.gather(
            team.hand_in("a"),
            Assignments(other.database).hand_in(team.id("mira"), "b"),
            return_exceptions=True,
        )
    finally:
        await other.close()
    assert sorted(type(one).__name__ for one in done) == ["NoneType", "WarmlineError"]
    assert len((await team.work(one)).handed_in) == 1


async def test_what_cannot_be_handed_in_is_refused_with_the_reason(team: Team) -> None:
    one = await team.assign("mira", tries=1)
    gone = await team.assign("mira", note="Withdrawn.")
    bens = await team.assign("ben")
    await team.practise("good", one)
    await team.practise("second", one)
    await team.practise("talking", one, graded=False)
    await team.practise("own", None)
    await team.practise("gone", gone)
    await team.practise("not-assigned", bens)
    await team.assignments.withdraw(team.id("joan"), gone)
    await team.hand_in("good")
    for session, said in (
        ("second", "as many tries"),
        ("talking", "no feedback yet"),
        ("own", "not practised for an assignment"),
        ("gone", "withdrawn"),
        ("not-assigned", "not practised for an assignment"),
    ):
        with pytest.raises(WarmlineError, match=said):
            await team.hand_in(session)
        assert (await team.store.session(session)).shared_at is None
    for name, session in (("ben", "good"), ("mira", "no such session")):
        with pytest.raises(NotFound):
            await team.hand_in(session, name)
    assert len(team.rows("SELECT * FROM submissions")) == 1


async def test_a_try_again_from_a_turn_is_no_try_of_the_assignment(team: Team) -> None:
    one = await team.assign("mira")
    await team.practise("s", one)
    branch = await team.store.branch_session("b", await team.store.session("s"), 1, "Again", 1)
    assert branch.assignment_id is None


@pytest.mark.parametrize(
    ("total", "auto_failed", "passed"),
    [(70.0, False, True), (69.99, False, False), (100.0, True, False), (None, False, False)],
)
async def test_passed_is_the_mark_of_the_assignment_and_no_step_that_fails_all(
    team: Team, total: float | None, auto_failed: bool, passed: bool
) -> None:
    one = await team.assign("mira", tries=None)
    await team.practise("s", one, total=total, auto_failed=auto_failed)
    assert not (await team.work(one)).passed
    await team.hand_in("s")
    work = await team.work(one)
    assert (work.passed, work.best, work.open) == (passed, total, not passed)


async def test_passed_follows_what_a_coach_changes(team: Team) -> None:
    one = await team.assign("mira")
    await team.practise("s", one, total=60.0)
    await team.hand_in("s")
    await team.override("s", 75.0)
    assert (await team.work(one)).passed


async def test_a_try_after_the_day_counts_and_is_late(team: Team) -> None:
    yesterday = (today() - timedelta(days=1)).isoformat()
    late = await team.assign("mira", due_on=yesterday)
    in_time = await team.assign("mira", due_on=today().isoformat())
    for number, one in enumerate((late, in_time)):
        await team.practise(f"s{number}", one)
        await team.hand_in(f"s{number}")
        work = await team.work(one)
        assert work.passed
        assert work.assignment.is_late(work.handed_in[0].handed_in_at or "") == (one == late)


# What is deleted, withdrawn, moved


async def test_a_try_that_is_deleted_stays_counted_without_its_words(team: Team) -> None:
    one = await team.assign("mira")
    await team.practise("s", one)
    await team.hand_in("s")
    await team.store.delete_sessions(["s"])
    work = await team.work(one)
    assert work.tries_left == 1
    assert [(t.session_id, t.total, t.title) for t in work.handed_in] == [(None, None, "")]
    assert (await team.on_page())[one]["mira"].handed_in[0].session_id is None
    assert (await team.on_page())[one]["mira"].not_opened == 0
    assert await team.assignments.handed_in_by(team.id("mira")) == set()


async def test_a_withdrawn_assignment_is_gone_for_trainees_and_what_was_handed_in_stays(
    team: Team,
) -> None:
    one = await team.assign("mira", "ben")
    await team.practise("s", one)
    await team.hand_in("s")
    for _ in range(2):
        await team.assignments.withdraw(team.id("joan"), one)
    assert await team.assignments.of_trainee(team.id("mira")) == []
    with pytest.raises(NotFound, match="withdrawn"):
        await team.assignments.assigned_to(team.id("mira"), one)
    assert len((await team.on_page())[one]["mira"].handed_in) == 1
    assert (await team.store.session("s")).shared_at


async def test_who_may_withdraw(team: Team) -> None:
    ours = await team.assign("mira")
    wide = await team.assign("mira", "ben")
    for coach, assignment in (("kit", ours), ("kit", wide), ("joan", "none")):
        with pytest.raises(NotFound):
            await team.assignments.withdraw(team.id(coach), assignment)
    may = {g.assignment.id: g.may_withdraw for g in await team.assignments.given(team.id("lee"))}
    assert may == {ours: True, wide: False}
    with pytest.raises(WarmlineError, match="Another coach"):
        await team.assignments.withdraw(team.id("lee"), wide)
    await team.assignments.withdraw(team.id("lee"), ours)
    # Once its coach is gone, somebody has to be able to.
    await team.people.change("joan", disabled=True)
    await team.assignments.withdraw(team.id("lee"), wide)
    assert len(team.rows("SELECT * FROM assignments WHERE withdrawn_at IS NOT NULL")) == 2


async def test_whoever_is_disabled_or_moved_is_off_the_page(team: Team) -> None:
    one = await team.assign("mira", "ben", "both")
    assert list((await team.on_page("lee"))[one]) == ["both", "mira"]
    assert list((await team.on_page("kit"))[one]) == ["both"]
    await team.people.change("mira", disabled=True)
    await team.people.change("both", teams=["returns"])
    assert list((await team.on_page())[one]) == ["ben"]
    await team.people.change("ben", teams=[])
    assert await team.on_page() == {}
    with pytest.raises(NotFound):
        await team.assignments.withdraw(team.id("joan"), one)


async def test_deleting_people_leaves_the_rest_whole(team: Team) -> None:
    one = await team.assign("mira", "ben")
    await team.practise("s", one)
    await team.hand_in("s")
    await team.store.delete_sessions(["s"])
    team.rows("DELETE FROM users WHERE id = ?", team.id("mira"))
    assert list((await team.on_page())[one]) == ["ben"]
    assert team.rows("SELECT * FROM submissions") == []
    team.rows("DELETE FROM users WHERE id = ?", team.id("joan"))
    (work,) = await team.assignments.of_trainee(team.id("ben"))
    assert work.assignment.coach == "somebody who left"
    assert await team.assignments.given(team.id("lee")) == []
    assert team.rows("PRAGMA foreign_key_check") == []


# What a coach may know


async def test_a_result_is_left_out_until_the_coach_has_opened_it(team: Team) -> None:
    one = await team.assign("mira", "both", tries=3)
    for session in ("a", "b"):
        await team.practise(session, one)
        await team.hand_in(session)

    async def known(coach: str) -> tuple[bool, float | None, int]:
        work = (await team.on_page(coach))[one]["mira"]
        return work.passed, work.best, work.not_opened

    assert await known("joan") == (False, None, 2)
    await Edits(team.store.database).add("a", team.id("joan"), "seen")
    assert await known("joan") == (True, 80.0, 1)
    assert await known("lee") == (False, None, 2)
    # What is never handed in is not told, whoever practised it.
    await team.practise("c", one, total=99.0)
    assert (await known("joan"))[1] == 80.0


# Lists


async def test_what_is_open_comes_first_and_then_the_first_due(team: Team) -> None:
    async def add(due: str, total: float | None = None) -> str:
        one = await team.assign("mira", due_on=due, tries=1, note=due)
        if total is not None:
            await team.practise(due, one, total=total)
            await team.hand_in(due)
        return one

    passed = await add("2030-01-01", 90.0)
    used_up = await add("2030-02-02", 10.0)
    late, soon, far = [await add(due) for due in ("2020-03-03", "2030-03-03", "2031-01-01")]
    works = await team.assignments.of_trainee(team.id("mira"))
    assert [work.assignment.id for work in works] == [late, soon, far, passed, used_up]
    assert [work.open for work in works] == [True] * 3 + [False] * 2


async def test_a_coachs_list_comes_in_pages_the_last_due_first(team: Team) -> None:
    ids = [await team.assign("mira", due_on=f"2030-01-0{day}") for day in (2, 1, 3)]
    first = list(await team.on_page(limit=2))
    rest = list(await team.on_page(limit=2, before=first[-1]))
    assert first + rest == [ids[2], ids[0], ids[1]]


async def test_the_lists_stay_quick_when_there_is_much(team: Team) -> None:
    """200 trainees, 300 assignments of 40 each, 30,000 sessions, a third of them handed in."""
    people = [(f"t{n}", f"trainee{n}", "2030-01-01") for n in range(200)]
    assignments = [(f"a{n}", team.id("joan"), f"2030-{n % 12 + 1:02}-01") for n in range(300)]
    assigned = [(f"a{n}", f"t{(n * 7 + k) % 200}") for n in range(300) for k in range(40)]
    hashes = (small_persona().hash, small_rubric().hash)
    await team.practise("first", None)
    sessions = [
        (f"s{k}", assigned[k % len(assigned)][1], *hashes, assigned[k % len(assigned)][0])
        for k in range(30_000)
    ]
    with sqlite3.connect(team.store.database.file) as db:
        db.executemany("INSERT INTO users (id, identifier, created_at) VALUES (?, ?, ?)", people)
        db.executemany("INSERT INTO team_members VALUES ('support', ?)", [(p[0],) for p in people])
        db.executemany("INSERT INTO user_roles VALUES (?, 'trainee')", [(p[0],) for p in people])
        db.executemany(
            "INSERT INTO assignments (id, coach_id, persona_id, rubric_id, due_on, pass_mark, "
            "created_at) VALUES (?, ?, 'p', 'r', ?, 70, '2030-01-01')",
            assignments,
        )
        db.executemany("INSERT INTO assigned VALUES (?, ?)", assigned)
        db.executemany(
            "INSERT INTO sessions (id, user_id, persona_id, persona_hash, rubric_id, rubric_hash, "
            "title, status, seed, created_at, total, assignment_id) "
            "VALUES (?, ?, 'p', ?, 'r', ?, 't', 'graded', 1, '2030-01-01', 80, ?)",
            sessions,
        )
        db.executemany(
            "INSERT INTO submissions (assignment_id, user_id, session_id, at) "
            "VALUES (?, ?, ?, '2030-01-01')",
            [(s[4], s[1], s[0]) for s in sessions[::3]],
        )
    db.close()

    async def took(work: Any) -> float:
        start = time.perf_counter()
        await work
        return time.perf_counter() - start

    # A page takes a few hundredths of a second; the limit is for a machine that is busy with other things.
    assert await took(team.assignments.given(team.id("joan"), limit=21)) < 1.0
    assert await took(team.assignments.of_trainee("t7")) < 0.5
    theirs = [trainee for _, trainee in assigned].count("t7")
    assert len(await team.assignments.of_trainee("t7")) == theirs


# Words


def test_a_due_date_is_said_in_plain_words() -> None:
    now = date(2030, 12, 4)
    words = [
        due_words(plan(due_on=day), now, still_open=True)
        for day in ("2030-12-04", "2030-12-05", "2030-12-06", "2031-01-02", "2030-05-03")
    ]
    assert words == [
        "due today",
        "due tomorrow",
        "due 6 December",
        "due 2 January 2031",
        "was due 3 May, still open",
    ]
    assert due_words(plan(due_on="2029-05-03"), now) == "was due 3 May 2029"
    assert day_words(now, now) == "4 December"


async def test_tries_are_said_in_plain_words(team: Team) -> None:
    words = []
    for tries in (1, 2, None):
        one = await team.assign("mira", tries=tries)
        words.append(tries_words(await team.work(one)))
    assert words == ["1 try", "2 tries", "as many tries as you like"]
    assert hand_in_words(await team.work(one)) == "Hand in this try"
    two = await team.assign("mira", tries=2)
    for session, said, button in (
        ("a", "1 of 2 tries left", "Hand in this try (2 of 2)"),
        ("b", "no tries left", ""),
    ):
        await team.practise(session, two)
        await team.hand_in(session)
        work = await team.work(two)
        assert tries_words(work) == said
        assert not button or hand_in_words(work) == button


# What the chat shows


@pytest.fixture
async def served(team: Team, monkeypatch: pytest.MonkeyPatch) -> Team:
    """The team, with a server's parts as far as the words of an assignment need them."""
    parts = SimpleNamespace(library=small_library(), assignments=team.assignments)
    monkeypatch.setattr(runtime, "_current", parts)
    return team


async def test_the_chat_shows_what_is_open_only_and_the_first_due_first(served: Team) -> None:
    far, soon = [await served.assign("mira", due_on=day) for day in ("2999-02-01", "2999-01-01")]
    done = await served.assign("mira", note="Done.")
    await served.practise("s", done)
    await served.hand_in("s")
    shown = await due.due_first(served.id("mira"))
    assert [(one["id"], one["due"]) for one in shown] == [
        (soon, "due 1 January 2999"),
        (far, "due 1 February 2999"),
    ]
    assert shown[0]["name"] == small_persona().item.name
    for number in range(20):
        await served.assign("mira", note=str(number))
    assert len(await due.due_first(served.id("mira"))) == 6
    assert await due.due_first(served.id("ben")) == []


async def test_only_ones_own_assignment_starts_and_only_with_its_customer(served: Team) -> None:
    one = await served.assign("mira")
    assert (await due.startable(served.id("mira"), one)).id == one
    for name in ("ben", "joan"):
        with pytest.raises(NotFound):
            await due.startable(served.id(name), one)
    for change in ({"persona_id": "gone"}, {"rubric_id": "gone"}):
        lost = await served.assign("mira", **change)
        with pytest.raises(WarmlineError, match="not here any more"):
            await due.startable(served.id("mira"), lost)
    (card,) = [c for c in await due.due_first(served.id("mira")) if c["name"] == "gone"]
    assert not card["playable"]


async def test_practising_again_keeps_the_assignment_as_long_as_it_stands(served: Team) -> None:
    one = await served.assign("mira")
    await served.practise("s", one)
    session = await served.store.session("s")
    assert await due.again(session) == Wish(PLAN.persona_id, one)
    branch = await served.store.branch_session("b", session, 1, "Again", 1)
    assert await due.again(branch) == Wish(PLAN.persona_id)
    await served.assignments.withdraw(served.id("joan"), one)
    assert await due.again(session) == Wish(PLAN.persona_id)


async def test_the_report_card_says_where_its_try_stands(served: Team) -> None:
    one = await served.assign("mira", tries=1, due_on="2020-01-01")
    for session in ("a", "b"):
        await served.practise(session, one, total=60.0)
    await served.practise("own", None)

    async def says(session: str) -> tuple[str | None, str]:
        card = await due.of_card(await served.store.session(session))
        assert card is not None
        return card["label"], card["state"]

    assert await due.of_card(await served.store.session("own")) is None
    assert await says("a") == ("Hand in this try (1 of 1)", "")
    await served.hand_in("a")
    on = day_words(today(), today())
    assert await says("a") == (
        None,
        f"Handed in on {on}, after the day it was due. It does not pass yet.",
    )
    assert "all your tries" in (await says("b"))[1]
    await served.override("a", 70.0)
    assert (await says("a"))[1].endswith("It passes.")
    await served.assignments.withdraw(served.id("joan"), one)
    assert (await says("a"))[1].startswith("Handed in")
    assert "withdrawn" in (await says("b"))[1]


# Any order of things

ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["hand_in", "hand_in", "hand_in", "delete", "withdraw", "override"]),
        st.integers(0, 5),
    ),
    max_size=20,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tries=st.sampled_from([1, 2, 3, None]), actions=ACTIONS)
def test_no_order_of_things_exceeds_the_tries_or_loses_a_used_one(
    tries: int | None, actions: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    asyncio.run(play(tries, actions, tmp_path_factory.mktemp("assignments") / "w.db"))


async def play(tries: int | None, actions: list[tuple[str, int]], file: Path) -> None:
    store = await Store.open(file)
    try:
        team = await Team(store).fill()
        one = await team.assign("mira", tries=tries)
        there = {n: 60.0 + 5 * n for n in range(6)}
        for number, total in there.items():
            await team.practise(str(number), one, total=total)
        handed_in: list[int] = []
        withdrawn = False
        for action, number in actions:
            match action:
                case "hand_in":
                    may = (
                        number in there
                        and not withdrawn
                        and (tries is None or len(handed_in) < tries)
                    )
                    if may or (number in there and number in handed_in):
                        await team.hand_in(str(number))
                        handed_in += [number] if number not in handed_in else []
                    else:
                        with pytest.raises(WarmlineError):
                            await team.hand_in(str(number))
                case "delete":
                    await store.delete_sessions([str(number)])
                    there.pop(number, None)
                case "withdraw":
                    await team.assignments.withdraw(team.id("joan"), one)
                    withdrawn = True
                case "override" if number in there:
                    there[number] = 95.0
                    await team.override(str(number), 95.0)
            work = await team.work(one)
            assert tries is None or len(work.handed_in) <= tries
            kept = [str(n) if n in there else None for n in handed_in]
            assert sorted(t.session_id or "" for t in work.handed_in) == sorted(
                k or "" for k in kept
            )
            totals = [there[n] for n in handed_in if n in there]
            assert work.best == max(totals, default=None)
            assert work.passed == any(total >= 70 for total in totals)
            shared = {row[0] for row in team.rows("SELECT id FROM sessions WHERE shared_at > ''")}
            assert shared == {k for k in kept if k}
            seen = (await team.on_page())[one]["mira"]
            assert len(seen.handed_in) == len(handed_in)
            assert seen.best is None
    finally:
        await store.close()


def test_the_day_is_that_of_the_place() -> None:
    assert today() == datetime.now(UTC).astimezone().date()

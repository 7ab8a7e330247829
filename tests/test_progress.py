"""What practice has come to: pure rules, and the queries against a count from scratch."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seeded import seed
from warmline.people import People
from warmline.progress import (
    Outcome,
    asked_for,
    next_persona,
    persona_verdict,
    team_steps,
    weeks_in_a_row,
    with_personas,
)
from warmline.results import PersonaResult, Result, Results, StepMean, StepResult
from warmline.store import Store

TODAY = date(2030, 5, 15)  # a Wednesday


def result(number: int, **more: object) -> Result:
    values: dict[str, object] = {
        "session_id": f"s{number}", "user_id": "u", "persona_id": "p", "rubric_id": "core",
        "title": "P: a title", "created_at": f"2030-05-{number + 1:02}T10:00:00.000Z",
        "total": 50.0, "passed": False, "asked_for": None, "steps": {},
    }  # fmt: skip
    return Result(**{**values, **more})  # type: ignore[arg-type]


def step(share: float | None) -> dict[str, StepResult]:
    status = "unclear" if share is None else "graded"
    return {"listen": StepResult("listen", status, None if share is None else 3, share)}


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        (0.25, 0.75, "rose"),
        (0.5, 0.5, "same"),
        (0.5, 0.25, "fell"),
        (0.5, None, "unclear"),
        (None, 0.5, "unclear"),
    ],
)
def test_what_feedback_asked_for_is_looked_up_in_the_next_conversation(
    before: float | None, after: float | None, outcome: Outcome
) -> None:
    results = [
        result(0, asked_for="listen", steps=step(before)),
        result(1, rubric_id="other", steps=step(0.9)),
        result(2, asked_for="listen", steps=step(after)),
        result(3, rubric_id="other"),
    ]
    newest, first = asked_for(results)
    assert (newest.said_in.session_id, newest.then, newest.outcome) == ("s2", None, None)
    assert first.then is not None
    assert (first.said_in.session_id, first.then.session_id, first.outcome) == ("s0", "s2", outcome)


def test_the_best_and_the_latest_with_each_customer() -> None:
    results = [
        result(0, total=80.0),
        result(1, persona_id="q", total=10.0),
        result(2, persona_id="q", total=None),
        result(3, total=60.0),
    ]
    p, q = with_personas(results)
    assert (p.persona_id, p.sessions) == ("p", 2)
    assert (p.best.session_id, p.latest.session_id) == ("s0", "s3")
    assert (q.best.session_id, q.latest.session_id, q.sessions) == ("s1", "s1", 1)
    assert with_personas([]) == []


@pytest.mark.parametrize(
    ("days_ago", "weeks"),
    [
        ([], 0),
        ([0], 1),
        ([2], 1),  # this Monday
        ([3], 1),  # last Sunday: the week that has only begun does not end a row
        ([9, 3], 1),  # both in last week
        ([10, 3], 2),
        ([0, 7, 14, 28], 3),
        ([10], 0),  # nothing last week
    ],
)
def test_weeks_in_a_row(days_ago: list[int], weeks: int) -> None:
    assert weeks_in_a_row([TODAY - timedelta(days=ago) for ago in days_ago], TODAY) == weeks


DIFFICULTIES = {"a": 1, "b": 1, "c": 2, "d": 4}


@pytest.mark.parametrize(
    ("met", "expected"),
    [
        ([], ("a", "first")),
        ([("a", True)], ("b", "new")),
        ([("a", True), ("b", True)], ("c", "harder")),
        ([("c", True), ("a", True)], ("d", "harder")),
        ([("d", True), ("d", True)], ("d", "again")),
        ([("c", False), ("c", False)], ("a", "gentler")),
        ([("a", False), ("a", False)], ("b", "new")),
        ([("a", False), ("b", True)], ("b", "again")),
        ([("gone", True), ("gone", True)], ("a", "first")),
    ],
)
def test_the_next_customer(met: list[tuple[str, bool]], expected: tuple[str, str]) -> None:
    assert next_persona(met, DIFFICULTIES) == expected


@given(st.lists(st.tuples(st.sampled_from([*DIFFICULTIES, "gone"]), st.booleans())))
def test_the_next_customer_is_always_one_that_there_is(met: list[tuple[str, bool]]) -> None:
    found = next_persona(met, DIFFICULTIES)
    assert found is not None
    assert found[0] in DIFFICULTIES
    assert next_persona(met, {}) is None


@pytest.mark.parametrize(
    ("sessions", "passed", "verdict"),
    [(5, 1.0, "too easy"), (4, 1.0, None), (5, 0.0, "too hard"), (20, 0.5, None)],
)
def test_a_customer_is_called_too_easy_or_hard_only_with_enough(
    sessions: int, passed: float, verdict: str | None
) -> None:
    assert persona_verdict(PersonaResult("p", sessions, 3, 50.0, passed)) == verdict


def test_each_trainee_counts_alike_in_a_team() -> None:
    means = [
        StepMean("u", "mira", "listen", 9, 1.0),
        StepMean("v", "omar", "listen", 1, 0.0),
        StepMean("u", "mira", "own", 3, 0.1),
    ]
    own, listen = team_steps(means)
    assert (own.step, own.trainees, own.sessions) == ("own", 1, 3)
    assert (listen.share, listen.sessions) == (0.5, 10)


# Against a database


class Seeded:
    """Three trainees of one coach and one of another's, with what they have shared."""

    def __init__(self, store: Store, ids: dict[str, str]) -> None:
        self.store = store
        self.ids = ids
        self.results = Results(store.database)

    async def rows(self) -> list[dict[str, object]]:
        """What is shared with joan, from the grades themselves."""
        found = await self.store.database.run(
            lambda db: list(
                db.query(
                    "SELECT sessions.*, grades.grade AS grade FROM sessions JOIN grades "
                    "ON session_id = sessions.id WHERE shared_at IS NOT NULL AND user_id IN "
                    "(SELECT user_id FROM team_members WHERE team = 'support') "
                    "ORDER BY sessions.created_at DESC"
                )
            )
        )
        return [{**row, "grade": json.loads(row["grade"])} for row in found]


@pytest.fixture
async def seeded(store: Store, tmp_path: Path) -> Seeded:
    people = People(store.database)
    ids = {}
    for name, role, team in (
        ("joan", "coach", "support"),
        ("kit", "coach", "returns"),
        ("mira", "trainee", "support"),
        ("omar", "trainee", "support"),
        ("vera", "trainee", "support"),
        ("zoe", "trainee", "returns"),
    ):
        ids[name] = (await people.add(name, [role], [team], "password", "x")).id
    seed(
        store.database.file, ["mira", "omar", "vera", "zoe"], 120, coach="joan", shared=0.7,
        until=datetime(2030, 6, 1, tzinfo=UTC), weeks=20,
    )  # fmt: skip
    return Seeded(store, ids)


def share_of(grade: dict[str, object], step_id: str) -> float | None:
    for one in grade["steps"]:  # type: ignore[attr-defined]
        if one["id"] == step_id and one["level"] is not None:
            return float((one["level"] - one["lowest"]) / (one["highest"] - one["lowest"]))
    return None


async def test_the_heat_map_is_what_the_newest_shared_grades_say(seeded: Seeded) -> None:
    newest: dict[str, list[dict[str, object]]] = defaultdict(list)
    for row in await seeded.rows():
        if len(newest[str(row["user_id"])]) < 5:
            newest[str(row["user_id"])].append(row)
    means = await seeded.results.step_means(seeded.ids["joan"], "core", own=False, each=5)
    assert {one.trainee for one in means} == {"mira", "omar", "vera"}
    assert len(means) == 3 * 10
    for one in means:
        shares = [share_of(row["grade"], one.step) for row in newest[one.user_id]]  # type: ignore[arg-type]
        known = [share for share in shares if share is not None]
        assert one.sessions == len(known)
        assert one.share == pytest.approx(fmean(known))
    met = await seeded.results.newest(seeded.ids["joan"], "core", own=False, each=5)
    for user, rows in newest.items():
        assert met[user] == [(row["persona_id"], bool(row["passed"])) for row in rows]


async def test_the_weeks_and_the_customers_are_counted_from_a_day(seeded: Seeded) -> None:
    joan, since = seeded.ids["joan"], "2030-04-01"
    rows = [row for row in await seeded.rows() if str(row["created_at"]) >= since]
    by_week: dict[str, list[float]] = defaultdict(list)
    shares: dict[str, list[float]] = defaultdict(list)
    totals: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        day = date.fromisoformat(str(row["created_at"])[:10])
        monday = (day - timedelta(days=day.weekday())).isoformat()
        share = share_of(row["grade"], "listen")  # type: ignore[arg-type]
        if share is not None:
            shares[monday].append(share)
        if row["total"] is not None:
            by_week[monday].append(float(str(row["total"])))
            totals[str(row["persona_id"])].append(float(str(row["total"])))
    weeks = await seeded.results.weeks(joan, "core", own=False, since=since)
    assert {one.monday: (one.sessions, pytest.approx(one.mean)) for one in weeks} == {
        monday: (len(ones), fmean(ones)) for monday, ones in by_week.items()
    }
    weeks = await seeded.results.weeks(joan, "core", own=False, since=since, step="listen")
    assert {one.monday: (one.sessions, pytest.approx(one.mean)) for one in weeks} == {
        monday: (len(ones), fmean(ones)) for monday, ones in shares.items()
    }
    personas = await seeded.results.personas(joan, "core", own=False, since=since)
    assert [one.total for one in personas] == sorted(one.total for one in personas)
    assert {one.persona_id: pytest.approx(one.total) for one in personas} == {
        persona: fmean(ones) for persona, ones in totals.items()
    }
    assert await seeded.results.rubrics(joan, own=False, since=since) == ["core"]
    assert await seeded.results.rubrics(joan, own=False, since="2999-01-01") == []


async def test_where_a_step_is_low_only_in_what_was_opened_or_anywhere(seeded: Seeded) -> None:
    joan = seeded.ids["joan"]
    low = []
    for row in await seeded.rows():
        share = share_of(row["grade"], "own")  # type: ignore[arg-type]
        if share is not None and share <= 0.25:
            low.append(str(row["id"]))

    async def found(*, seen: bool) -> list[str]:
        ones = await seeded.results.weakest(
            joan, "core", "own", own=False, below=0.25, seen=seen, limit=100
        )
        return [session for session, _ in ones]

    assert await found(seen=False) == low
    opened = await found(seen=True)
    assert 0 < len(opened) < len(low)
    assert set(opened) < set(low)


async def test_ones_own_are_all_and_in_their_order(seeded: Seeded) -> None:
    mira = seeded.ids["mira"]
    own = await seeded.results.of(mira)
    assert len(own) == 30
    assert [one.created_at for one in own] == sorted(one.created_at for one in own)
    assert all(len(one.steps) == 10 for one in own)
    assert await seeded.results.earlier(own[0].session_id) is None
    assert await seeded.results.earlier(own[7].session_id) == own[6].session_id
    # Somebody who is alone here has their own on their desk, shared or not.
    alone = await seeded.results.step_means(mira, "core", own=True, each=1000)
    assert {one.trainee for one in alone} == {"mira"}
    graded = sum(one.steps["own"].share is not None for one in own)
    assert next(one.sessions for one in alone if one.step == "own") == graded


async def test_a_coach_sees_their_own_teams_only(seeded: Seeded) -> None:
    kit = await seeded.results.step_means(seeded.ids["kit"], "core", own=False, each=5)
    assert {one.trainee for one in kit} == {"zoe"}

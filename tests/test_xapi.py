"""Statements for a learning-record store, held against the rules of the Experience API 1.0.3.

The rules are those of its part two (statements, results, context, data types), written down here
as far as a statement of ours could break them.
"""

from __future__ import annotations

import copy
import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapshots import small_persona, small_rubric
from test_review import RUBRIC, STEPS, Room
from warmline.desk import Wanted
from warmline.results import StepResult
from warmline.store import Store, StoredSession
from warmline.summaries import Summary
from warmline.xapi import duration, home_of, registration, statement, statements

HOME = "https://practice.example.org"
LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|\d{3}))?")
DURATION = re.compile(r"P(?=.)(\d+Y)?(\d+M)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+(\.\d{1,2})?S)?)?")
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")

#: What each object may hold; anything else has to be refused by a store.
ALLOWED = {
    "": {"id", "actor", "verb", "object", "result", "context", "timestamp", "stored", "authority",
         "version", "attachments"},
    "actor": {"objectType", "name", "mbox", "mbox_sha1sum", "openid", "account"},
    "actor.account": {"homePage", "name"},
    "verb": {"id", "display"},
    "activity": {"objectType", "id", "definition"},
    "definition": {"name", "description", "type", "moreInfo", "extensions"},
    "result": {"score", "success", "completion", "response", "duration", "extensions"},
    "result.score": {"scaled", "raw", "min", "max"},
    "context": {"registration", "instructor", "team", "contextActivities", "revision", "platform",
                "language", "statement", "extensions"},
    "context.contextActivities": {"parent", "grouping", "category", "other"},
}  # fmt: skip


def _is_uuid(value: object) -> bool:
    """A UUID of variant 2 of RFC 4122 in its standard form."""
    if not isinstance(value, str) or not re.fullmatch(
        r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value
    ):
        return False
    return uuid.UUID(value).variant == uuid.RFC_4122


def _is_iri(value: object) -> bool:
    """An IRI with a scheme, and nothing in it that has to be escaped."""
    if not isinstance(value, str) or re.search(r'[\s<>"{}|\\^`]', value):
        return False
    parts = urlsplit(value)
    return bool(re.fullmatch(r"[a-z][a-z0-9+.-]*", parts.scheme) and (parts.netloc or parts.path))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _nulls(value: object, path: str = "") -> Iterator[str]:
    """Where a value is null; extensions may hold what they like."""
    if path.endswith(".extensions"):
        return
    if value is None:
        yield path
    for key, one in value.items() if isinstance(value, dict) else ():
        yield from _nulls(one, f"{path}.{key}")
    for number, one in enumerate(value) if isinstance(value, list) else ():
        yield from _nulls(one, f"{path}[{number}]")


def problems(one: dict[str, Any]) -> list[str]:
    """Every rule that a statement breaks."""
    found = [f"null at {path}" for path in _nulls(one)]

    def rule(holds: object, words: str) -> None:
        if not holds:
            found.append(words)

    def only(value: dict[str, Any], kind: str) -> None:
        rule(not set(value) - ALLOWED[kind], f"{kind}: has {sorted(set(value) - ALLOWED[kind])}")

    def languages(value: dict[str, Any], where: str) -> None:
        for tag, words in value.items():
            rule(LANGUAGE.fullmatch(tag), f"{where}: {tag} is no language")
            rule(isinstance(words, str) and words, f"{where}: no words")

    def extensions(value: dict[str, Any], where: str) -> None:
        for key in value:
            rule(_is_iri(key), f"{where}: {key} is no IRI")

    def activity(value: dict[str, Any], where: str) -> None:
        only(value, "activity")
        rule(value.get("objectType", "Activity") == "Activity", f"{where}: objectType")
        rule(_is_iri(value.get("id")), f"{where}: id is no IRI")
        definition = value.get("definition", {})
        only(definition, "definition")
        for name in ("name", "description"):
            languages(definition.get(name, {}), f"{where}.{name}")
        rule(_is_iri(definition.get("type", HOME)), f"{where}: type is no IRI")
        extensions(definition.get("extensions", {}), where)

    only(one, "")
    for name in ("actor", "verb", "object"):
        rule(isinstance(one.get(name), dict), f"no {name}")
    if found:
        return found
    rule(_is_uuid(one.get("id")), "id is no UUID")
    rule(TIMESTAMP.fullmatch(str(one.get("timestamp"))), "timestamp")

    actor = one["actor"]
    only(actor, "actor")
    rule(actor.get("objectType", "Agent") == "Agent", "actor: objectType")
    ways = {"mbox", "mbox_sha1sum", "openid", "account"} & set(actor)
    rule(len(ways) == 1, "actor: exactly one way to tell who it is")
    account = actor.get("account", {})
    only(account, "actor.account")
    rule(_is_iri(account.get("homePage")), "actor: homePage is no IRI")
    rule(isinstance(account.get("name"), str) and account.get("name"), "actor: no name")

    only(one["verb"], "verb")
    rule(_is_iri(one["verb"].get("id")), "verb: id is no IRI")
    languages(one["verb"].get("display", {}), "verb")
    activity(one["object"], "object")

    result = one.get("result", {})
    only(result, "result")
    for name in ("success", "completion"):
        rule(isinstance(result.get(name, True), bool), f"result: {name}")
    rule(DURATION.fullmatch(result.get("duration", "PT0S")), "result: duration")
    extensions(result.get("extensions", {}), "result")
    score = result.get("score", {})
    only(score, "result.score")
    rule(all(_is_number(value) for value in score.values()), "score: not a number")
    if not found and score:
        rule(-1 <= score.get("scaled", 0) <= 1, "score: scaled")
        rule(score.get("min", 0) < score.get("max", 1), "score: min and max")
        rule(score.get("min", 0) <= score.get("raw", 0) <= score.get("max", 100), "score: raw")

    context = one.get("context", {})
    only(context, "context")
    rule(_is_uuid(context.get("registration", str(uuid.uuid4()))), "context: registration")
    rule(LANGUAGE.fullmatch(context.get("language", "en")), "context: language")
    for name in ("platform", "revision"):
        rule(isinstance(context.get(name, ""), str), f"context: {name}")
    extensions(context.get("extensions", {}), "context")
    activities = context.get("contextActivities", {})
    only(activities, "context.contextActivities")
    for kind, several in activities.items():
        for value in several if isinstance(several, list) else [several]:
            activity(value, kind)
    return found


SESSION = StoredSession(
    id="3f2b8c1e-0000-4000-8000-000000000000", user_id="u", persona_id="nora-heating",
    persona_hash="p" * 64, rubric_id="small", rubric_hash="r" * 64, title="Renamed by the trainee",
    status="graded", seed=1, created_at="2030-05-01T09:00:00.000Z",
    finished_at="2030-05-01T09:20:00.000Z", total=71.456, passed=1, unclear=0, auto_failed=0,
)  # fmt: skip
SUMMARY = Summary(
    (StepResult(STEPS[0], "graded", 3, 0.75), StepResult(STEPS[1], "unclear", None, None)),
    "2030-05-01T09:12:34.500Z",
)


def made(
    session: StoredSession = SESSION, summary: Summary = SUMMARY, **more: Any
) -> dict[str, Any]:
    return statement(
        session, more.pop("trainee", "mira"), small_persona().item, RUBRIC, summary,
        more.pop("home", HOME), **more,
    )  # fmt: skip


def test_a_passed_session_is_stated_as_such() -> None:
    one = made()
    assert problems(one) == []
    assert one["actor"]["account"] == {"homePage": HOME, "name": "mira"}
    assert one["verb"] == {
        "id": "http://adlnet.gov/expapi/verbs/passed",
        "display": {"en": "passed"},
    }
    assert one["object"]["id"] == f"{HOME}/xapi/activities/practice/nora-heating/small"
    assert one["object"]["definition"]["name"] == {"en": "Nora Quill: No heating for a week"}
    assert one["result"] == {
        "completion": True,
        "duration": "PT0H12M34.50S",
        "score": {"scaled": 0.7146, "raw": 71.46, "min": 0, "max": 100},
        "success": True,
    }
    assert one["context"]["registration"] == SESSION.id
    assert one["context"]["language"] == "en"
    assert one["timestamp"] == SESSION.finished_at
    steps = one["context"]["extensions"][f"{HOME}/xapi/extensions/steps"]
    assert (steps[STEPS[0]]["level"], steps[STEPS[0]]["share"]) == (3, 0.75)
    assert steps[STEPS[1]]["status"] == "unclear"
    assert "level" not in steps[STEPS[1]]
    assert "Renamed" not in json.dumps(one)


@pytest.mark.parametrize(
    ("changes", "verb", "success", "scored"),
    [
        ({"passed": 0}, "failed", False, True),
        ({"total": None, "passed": None}, "completed", None, False),
        ({"total": 100.0}, "passed", True, True),
        ({"total": 0.0, "passed": 0, "auto_failed": 1}, "failed", False, True),
    ],
)
def test_the_verb_says_how_it_ended(
    changes: dict[str, Any], verb: str, success: bool | None, scored: bool
) -> None:
    one = made(replace(SESSION, **changes))
    assert problems(one) == []
    assert one["verb"]["id"].rsplit("/", 1)[1] == verb
    assert one["result"].get("success") is success
    assert ("score" in one["result"]) == scored


def test_a_result_that_may_not_be_told_is_in_no_part_of_it() -> None:
    hidden = made(with_result=False)
    assert problems(hidden) == []
    assert hidden["verb"]["id"].endswith("/completed")
    assert set(hidden["result"]) == {"completion", "duration"}
    assert not any("steps" in key for key in hidden["context"]["extensions"])
    # Not even in its id: another result would give the same.
    assert hidden == made(replace(SESSION, total=1.0, passed=0), with_result=False)
    assert hidden["id"] != made()["id"]


def test_the_same_is_stated_under_the_same_id_and_another_result_under_another() -> None:
    assert made() == made()
    assert made()["id"] == "9c8ea8d7-a00f-5b16-b36e-a084d192e031"
    others = [
        made(replace(SESSION, total=71.5)),
        made(replace(SESSION, passed=0)),
        made(replace(SESSION, id=str(uuid.UUID(int=7, version=4)))),
        made(summary=replace(SUMMARY, steps=SUMMARY.steps[:1])),
        made(trainee="kit"),
        made(home="http://localhost"),
    ]
    assert len({one["id"] for one in [made(), *others]}) == 7
    # What a coach does without changing the result, or a new title, is nothing new to state.
    assert (
        made(replace(SESSION, title="x", reviewed_at="2030-06-01", shared_at="2030-06-01"))
        == made()
    )


def test_where_it_was_assigned_is_its_parent() -> None:
    one = made(replace(SESSION, assignment_id="a1"))
    assert problems(one) == []
    (parent,) = one["context"]["contextActivities"]["parent"]
    assert parent["id"] == f"{HOME}/xapi/activities/assignments/a1"
    assert "parent" not in made()["context"]["contextActivities"]


@given(
    total=st.none() | st.floats(0, 100),
    passed=st.none() | st.integers(0, 1),
    seconds=st.floats(0, 400_000),
    trainee=st.text(min_size=1, max_size=20),
    session_id=st.uuids(version=4).map(str) | st.text(max_size=10),
    seen=st.booleans(),
)
def test_whatever_a_session_was_its_statement_keeps_the_rules(
    total: float | None,
    passed: int | None,
    seconds: float,
    trainee: str,
    session_id: str,
    seen: bool,
) -> None:
    last = datetime.fromtimestamp(1_900_000_000 + seconds).astimezone()
    first = datetime.fromtimestamp(1_900_000_000).astimezone()
    session = replace(
        SESSION, id=session_id, total=total, passed=passed, created_at=first.isoformat()
    )
    summary = replace(SUMMARY, last_at=last.isoformat())
    one = made(session, summary, trainee=trainee, with_result=seen)
    assert problems(json.loads(json.dumps(one))) == []


def _set(*path: str, to: object) -> Callable[[dict[str, Any]], None]:
    def change(one: dict[str, Any]) -> None:
        for name in path[:-1]:
            one = one[name]
        one[path[-1]] = to

    return change


@pytest.mark.parametrize(
    "spoil",
    [
        _set("id", to="1"),
        _set("id", to="00000000-0000-0000-0000-000000000000"),
        _set("actor", to=None),
        _set("actor", "mbox", to="mailto:mira@example.org"),
        _set("actor", "account", "homePage", to="practice"),
        _set("actor", "account", "name", to=""),
        _set("verb", "id", to="passed"),
        _set("verb", "display", to={"english": "passed"}),
        _set("object", "id", to="nora heating"),
        _set("object", "definition", "name", "en", to=None),
        _set("result", "score", "scaled", to=71.5),
        _set("result", "score", "raw", to=101),
        _set("result", "score", "max", to=0),
        _set("result", "score", "raw", to="71"),
        _set("result", "success", to=1),
        _set("result", "duration", to="12:34"),
        _set("result", "duration", to="P"),
        _set("result", "duration", to="PT"),
        _set("result", "passed", to=True),
        _set("context", "registration", to="s1"),
        _set("context", "language", to="English"),
        _set("context", "contextActivities", "persona", to=[]),
        _set("context", "extensions", "steps", to={}),
        _set("timestamp", to="2030-05-01 09:00"),
        _set("title", to="x"),
    ],
)  # fmt: skip
def test_the_rules_above_notice_a_broken_statement(spoil: Callable[[dict[str, Any]], None]) -> None:
    one = copy.deepcopy(made())
    spoil(one)
    assert problems(one)


@pytest.mark.parametrize(
    ("end", "shown"),
    [
        ("2030-05-01T09:00:00.000Z", "PT0H0M0.00S"),
        ("2030-05-01T09:00:59.996Z", "PT0H1M0.00S"),
        ("2030-05-01T10:59:59.999Z", "PT2H0M0.00S"),
        ("2030-05-03T09:00:01.250Z", "PT48H0M1.25S"),
        ("2030-05-01T08:00:00.000Z", "PT0H0M0.00S"),
    ],
)
def test_how_long_it_took(end: str, shown: str) -> None:
    assert duration("2030-05-01T09:00:00.000Z", end) == shown


def test_a_registration_is_a_uuid_and_the_sessions_own_where_that_is_one() -> None:
    assert registration(SESSION.id) == SESSION.id
    assert _is_uuid(registration("s1"))
    assert registration("s1") == registration("s1") != registration("s2")


def test_an_instance_without_an_address_is_localhost() -> None:
    assert home_of(None) == "http://localhost"
    assert home_of(HOME) == HOME


async def test_what_a_coach_may_state_follows_what_they_have_seen(store: Store) -> None:
    room = await Room(store).fill(one={}, two={STEPS[0]: "unclear"})
    joan = room.who["joan"]
    await room.reviews.see(joan, "one")
    user = room.who["mira"].user
    await store.start_session("three", user.id, small_persona(), small_rubric(), "{}", seed=1)
    await store.share("three", shared=True)

    async def stated() -> dict[str, dict[str, Any]]:
        found = await room.desk.sessions(joan.user.id, Wanted(), limit=-1)
        made = await statements(room.reader, found, HOME)
        for one in made:
            assert problems(one) == []
        assert "I hear you" not in json.dumps(made)
        return {one["context"]["registration"]: one for one in made}

    before = await stated()
    # The third has no grade, and nothing is stated of it.
    assert set(before) == {registration("one"), registration("two")}
    assert "score" in before[registration("one")]["result"]
    assert "score" not in before[registration("two")]["result"]
    assert await stated() == before
    await room.reviews.override(joan, "one", STEPS[0], str(RUBRIC.steps[0].highest), "You did.")
    after = await stated()
    assert after[registration("one")]["id"] != before[registration("one")]["id"]
    assert after[registration("two")] == before[registration("two")]


def test_the_page_says_what_stands_in_a_statement() -> None:
    text = (Path(__file__).parents[1] / "docs" / "getting-things-out.md").read_text()
    one = made(replace(SESSION, assignment_id="a1"))
    for iri in (
        one["verb"]["id"],
        "http://localhost",
        *(key.replace(HOME, "") for key in one["context"]["extensions"]),
        "/xapi/activities/practice/",
        "/xapi/activities/assignments/",
    ):
        assert iri in text

"""A trainer's try of a draft is a conversation like any other, and counts nowhere."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from fakes import ScriptedBackend
from snapshots import small_library, small_persona
from test_practice import ANSWERS, KIND, SMALL, finish, likely
from warmline.desk import Desk, Wanted
from warmline.errors import WarmlineError
from warmline.library import Entry
from warmline.people import People
from warmline.persona import Persona
from warmline.practice import Practice
from warmline.results import Results
from warmline.store import Store
from warmline.yamlfile import parse_yaml

SINCE = "2000-01-01"


def drafted() -> Entry[Persona]:
    """The small customer, with another first message than in the library."""
    entry = small_persona()
    text = entry.text.replace(entry.item.opening, "This is how I begin in the draft.")
    return Entry(parse_yaml(text, entry.file, Persona), entry.file, text)


@pytest.fixture
async def practice(store: Store) -> AsyncIterator[Practice]:
    made = Practice(store, small_library(), ScriptedBackend(continuations=ANSWERS * 2, yes=likely))
    yield made
    await made.close()


async def played(practice: Practice, session: str, draft: Entry[Persona] | None) -> str:
    """A graded session; returns its user's id."""
    user = await People(practice.store.database).local_user("you")
    await practice.begin(session, user.id, SMALL, draft=draft)
    for text in KIND[:3]:
        await practice.say(session, text)
        async for _ in practice.answer(session):
            pass
    await finish(practice, session)
    return user.id


async def test_the_draft_plays_and_not_what_is_published(practice: Practice) -> None:
    await played(practice, "s", drafted())
    view = await practice.view("s")
    assert view.turns[0].text == "This is how I begin in the draft."
    assert view.session.title.endswith("(tried out)")
    assert view.session.draft == 1
    assert (await practice.persona_of(view.session)).opening == view.turns[0].text
    again = await practice.try_again("t", "s", 1)
    assert again.session.draft == 1


async def test_a_draft_cannot_be_shared(practice: Practice) -> None:
    await played(practice, "s", drafted())
    with pytest.raises(WarmlineError, match="tried out"):
        await practice.store.share("s", shared=True)
    assert (await practice.store.session("s")).shared_at is None


async def test_it_counts_nowhere(practice: Practice) -> None:
    user = await played(practice, "first", None)
    await played(practice, "tried", drafted())
    await played(practice, "second", None)
    results = Results(practice.store.database)
    assert [one.session_id for one in await results.of(user)] == ["first", "second"]
    assert await results.earlier("second") == "first"
    on_desk = await Desk(practice.store.database).sessions(user, Wanted(), own=True)
    assert {one.id for one, *_ in on_desk} == {"first", "second"}
    rubric = small_persona().item.rubric
    personas = await results.personas(user, rubric, own=True, since=SINCE)
    assert [one.sessions for one in personas] == [2]
    weeks = await results.weeks(user, rubric, own=True, since=SINCE)
    assert sum(week.sessions for week in weeks) == 2
    newest = await results.newest(user, rubric, own=True, each=10)
    assert sum(map(len, newest.values())) == 2
    means = await results.step_means(user, rubric, own=True, each=10)
    assert all(mean.sessions <= 2 for mean in means)

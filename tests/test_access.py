"""Who may do what: every route and socket event, tried by everybody, also with others' ids.

The table is the test's own. A route or an event that is not in it fails the test, so that nothing
is opened by a new version of a library, or by ourselves, without somebody thinking of it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import socketio

from ollama_stub import Script, running_stub
from served import Server
from snapshots import same_as_file
from warmline.accounts import Accounts
from warmline.assignments import Assignments
from warmline.library import read_library
from warmline.people import People
from warmline.plans import Plan
from warmline.settings import PROJECT
from warmline.store import Store
from warmline.web.access import LARGEST_BODY

os.environ["CHAINLIT_APP_ROOT"] = str(PROJECT)

PASSWORD = "correct horse battery"

#: Everybody who tries: their roles and teams. ``owner`` practised the sessions that are tried.
#: ``disabled`` and ``ended`` hold a cookie that was good until a moment ago.
PEOPLE: dict[str, tuple[list[str], list[str]]] = {
    "owner": (["trainee"], ["support"]),
    "trainee": (["trainee"], ["support"]),
    "trainer": (["trainer"], ["support"]),
    "coach": (["coach"], ["support"]),
    "far-coach": (["coach"], ["returns"]),
    "admin": (["admin"], ["support"]),
    "disabled": (["trainee", "trainer", "coach", "admin"], ["support"]),
    "ended": (["trainee", "trainer", "coach", "admin"], ["support"]),
}
NOBODY = ["nobody", "disabled", "ended"]
SIGNED_IN = ["owner", "trainee", "trainer", "coach", "far-coach", "admin"]
EVERYBODY = NOBODY + SIGNED_IN
COACHES = ["coach", "far-coach"]
TRAINERS = ["trainer"]
NO_TRAINERS = [person for person in SIGNED_IN if person not in TRAINERS]
NO_COACHES = [person for person in SIGNED_IN if person not in COACHES]
NOT_OWNER = [person for person in SIGNED_IN if person != "owner"]

#: The owner's sessions. In a path or a body, ``{private}`` stands for the id.
SESSIONS = ["private", "shared", "to-share", "to-hide", "to-delete", "to-rename"]


@dataclass(frozen=True)
class Row:
    """A route, and what each person gets who tries it; ``otherwise`` for those not named."""

    method: str
    path: str
    answers: dict[int, list[str]]
    otherwise: int = 401
    json: dict[str, Any] | None = None
    form: dict[str, str] | None = None
    #: The template of the path in the libraries' own tables, where it differs.
    route: str = ""

    def expected(self, person: str) -> int:
        for status, people in self.answers.items():
            if person in people:
                return status
        return self.otherwise


def public(method: str, path: str, route: str = "", **more: Any) -> Row:
    return Row(method, path, {200: EVERYBODY}, route=route or path, **more)


def closed(method: str, path: str, route: str = "") -> Row:
    return Row(method, path, {404: EVERYBODY}, route=route or path)


def mine(method: str, path: str, route: str, *, other: int, good: int = 200, **more: Any) -> Row:
    others = [person for person in SIGNED_IN if person != "owner"]
    return Row(method, path, {good: ["owner"], other: others}, route=route, **more)


def page(path: str, roles: list[str], route: str = "", missing: list[str] | None = None) -> Row:
    answers = {303: NOBODY, 404: missing or [], 200: [r for r in roles if r not in (missing or [])]}
    return Row("GET", path, answers, otherwise=403, route=route or path)


PAGINATION = {"pagination": {"first": 20}, "filter": {}}

TABLE = [
    # The page itself holds nothing of anybody's.
    public("GET", "/", "/{full_path:path}"),
    public("HEAD", "/"),
    public("GET", "/login", "/{full_path:path}"),
    public("GET", "/login/callback", "/{full_path:path}"),
    public("GET", "/thread/{private}", "/{full_path:path}"),
    public("GET", "/public/pages.css", "/public/{filename:path}"),
    Row("GET", "/public/..%2fapp.py", {400: EVERYBODY}, route="/public/{filename:path}"),
    Row("GET", "/assets/none.js", {404: EVERYBODY}, route="/assets/{filename:path}"),
    public("GET", "/favicon"),
    public("GET", "/logo"),
    public("GET", "/project/translations"),
    public("GET", "/healthz"),
    public("GET", "/auth/config"),
    # Where nobody is let in without a password, and nobody without an account.
    Row("POST", "/auth/header", {401: EVERYBODY}, route="/auth/header"),
    Row(
        "POST",
        "/login",
        {401: EVERYBODY},
        route="/login",
        form={"username": "{person}", "password": "not this one"},
    ),
    Row("GET", "/auth/oauth/github", {400: EVERYBODY}, route="/auth/oauth/{provider_id}"),
    Row(
        "GET",
        "/auth/oauth/github/callback",
        {400: EVERYBODY},
        route="/auth/oauth/{provider_id}/callback",
    ),
    # Practice.
    Row("GET", "/user", {200: SIGNED_IN}, route="/user"),
    Row(
        "POST",
        "/set-session-cookie",
        {200: SIGNED_IN},
        json={"session_id": "x"},
        route="/set-session-cookie",
    ),
    Row("GET", "/project/settings", {200: SIGNED_IN}, route="/project/settings"),
    Row("GET", "/avatars/Dani", {200: SIGNED_IN}, route="/avatars/{avatar_id:str}"),
    Row("POST", "/project/threads", {200: SIGNED_IN}, json=PAGINATION, route="/project/threads"),
    mine("GET", "/project/thread/{private}", "/project/thread/{thread_id}", other=401),
    mine("GET", "/project/thread/{shared}", "/project/thread/{thread_id}", other=401),
    Row("GET", "/project/thread/{none}", {404: SIGNED_IN}, route="/project/thread/{thread_id}"),
    mine(
        "PUT",
        "/project/thread",
        "/project/thread",
        other=401,
        json={"threadId": "{to-rename}", "name": "A new title"},
    ),
    mine(
        "DELETE",
        "/project/thread",
        "/project/thread",
        other=401,
        json={"threadId": "{to-delete}"},
    ),
    # Signed in, and a chat session that is nobody's.
    Row(
        "POST",
        "/project/action",
        {404: SIGNED_IN},
        route="/project/action",
        json={"sessionId": "{none}", "action": {"name": "grade_again", "payload": {}, "id": "a"}},
    ),
    Row("GET", "/ws/socket.io/", {200: SIGNED_IN}, route="/ws/socket.io/"),
    Row("POST", "/ws/socket.io/", {400: SIGNED_IN}, route="/ws/socket.io/"),
    # One's own data.
    page("/your-data", SIGNED_IN),
    page("/your-data/everything.json", SIGNED_IN),
    mine(
        "POST", "/your-data/{to-share}/share", "/your-data/{session_id}/share", other=404, good=303
    ),
    mine(
        "POST",
        "/your-data/{to-hide}/keep-private",
        "/your-data/{session_id}/keep-private",
        other=404,
        good=303,
    ),
    Row(
        "POST", "/your-data/{none}/delete", {404: SIGNED_IN}, route="/your-data/{session_id}/delete"
    ),
    # Assignments.
    page("/assignments", SIGNED_IN),
    mine(
        "POST",
        "/assignments/{assignment}/start",
        "/assignments/{assignment_id}/start",
        other=404,
        good=303,
    ),
    Row(
        "POST",
        "/assignments/{none}/start",
        {404: SIGNED_IN},
        route="/assignments/{assignment_id}/start",
    ),
    # Practised, but for no assignment.
    mine(
        "POST",
        "/assignments/tries/{private}/hand-in",
        "/assignments/tries/{session_id}/hand-in",
        other=404,
        good=422,
    ),
    mine(
        "POST",
        "/assignments/tries/{to-hand-in}/hand-in",
        "/assignments/tries/{session_id}/hand-in",
        other=404,
        good=303,
    ),
    mine(
        "POST",
        "/your-data/{to-hand-in}/keep-private",
        "/your-data/{session_id}/keep-private",
        other=404,
        good=409,
    ),
    page("/desk/assignments", COACHES),
    *[
        Row(
            "POST",
            path,
            {status: ["coach"], 404: COACHES, 403: NO_COACHES},
            route=path.replace("{to-withdraw}", "{assignment_id}").replace(
                "{none}", "{assignment_id}"
            ),
            form={"persona": "dani-stranded", "due": "2999-01-01", **form},
        )
        for path, form, status in (
            ("/desk/assignments", {"trainee": "{owner-id}"}, 303),
            ("/desk/assignments/{to-withdraw}/withdraw", {}, 303),
            ("/desk/assignments/{none}/withdraw", {}, 404),
        )
    ],
    # The coach's desk, and the accounts.
    page("/desk", COACHES),
    page("/desk/{shared}", COACHES, "/desk/{session_id}", missing=["far-coach"]),
    page("/desk/{private}", COACHES, "/desk/{session_id}", missing=COACHES),
    page("/desk/{none}", COACHES, "/desk/{session_id}", missing=COACHES),
    page("/desk/agreement", COACHES),
    page("/desk/team", COACHES),
    # Nothing graded is on the other desk; on this one too little for a picture.
    *(
        page(f"/desk/team.{kind}", COACHES, missing=["far-coach"])
        for kind in ("csv", "json", "html")
    ),
    *(
        Row("GET", path, {401: NOBODY, 403: NO_COACHES, 404: COACHES}, route=route)
        for path, route in (
            ("/desk/team/trend/core", "/desk/team/trend/{rubric}"),
            ("/desk/team/trend/core/listen", "/desk/team/trend/{rubric}/{step}"),
        )
    ),
    page("/desk/team/steps/core/listen", COACHES, "/desk/team/steps/{rubric}/{step}"),
    page("/desk/team/steps/core/none", COACHES, "/desk/team/steps/{rubric}/{step}", COACHES),
    page("/desk/sessions.csv", COACHES),
    page("/desk/sessions.json", COACHES),
    page("/desk/sessions.html", COACHES),
    page("/desk/statements.json", COACHES),
    *[
        page(
            f"/desk/{{{session}}}/session.{kind}",
            COACHES,
            f"/desk/{{session_id}}/session.{kind}",
            missing=["far-coach"] if session == "shared" else COACHES,
        )
        for session in ("shared", "private", "none")
        for kind in ("json", "html")
    ],
    page("/desk/labels/{none}", COACHES, "/desk/labels/{rubric_id}", missing=COACHES),
    *[
        Row(
            "POST",
            f"/desk/{{{session}}}/{action}",
            {status: ["coach"], 404: COACHES, 403: NO_COACHES},
            route=f"/desk/{{session_id}}/{action}",
            form={"step": "listen", "level": "3", "reason": "why", "words": "well done"},
        )
        for session, action, status in (
            # Nothing there is graded: what needs a grade is refused on the page, with the reason.
            ("shared", "override", 422),
            ("shared", "approve", 422),
            ("shared", "send-back", 422),
            ("shared", "blind", 422),
            ("shared", "comment", 303),
            ("private", "override", 404),
            ("private", "approve", 404),
            ("private", "send-back", 404),
            ("private", "blind", 404),
            ("private", "comment", 404),
            ("none", "comment", 404),
        )
    ],
    page("/compare/{none}", [], "/compare/{session_id}", missing=SIGNED_IN),
    page("/compare/{branch}", ["owner"], "/compare/{session_id}", missing=NOT_OWNER),
    page("/progress", SIGNED_IN),
    page("/progress/{none}", [], "/progress/{session_id}", missing=SIGNED_IN),
    # The owner has no conversation before it, and nobody else a say in it.
    page("/progress/{shared}", [], "/progress/{session_id}", missing=SIGNED_IN),
    page("/progress/{private}", [], "/progress/{session_id}", missing=SIGNED_IN),
    Row(
        "GET",
        "/progress/steps/core/listen",
        {404: SIGNED_IN},
        route="/progress/steps/{rubric}/{step}",
    ),
    page("/accounts", ["admin"]),
    # The trainer's studio.
    page("/studio", TRAINERS),
    *[
        Row("POST", path, {status: TRAINERS, 403: NO_TRAINERS}, route=route, form=form)
        for path, route, form, status in (
            ("/studio/new", "/studio/new", {"start": "persona/skeleton", "name": "brand new"}, 303),
            ("/studio/import", "/studio/import", {"kind": "rubric", "text": "id: brought-in"}, 303),
            (
                "/studio/persona/leila-letter/check",
                "/studio/{kind}/{item_id}/check",
                {"_view": "file", "_text": "id: leila-letter"},
                200,
            ),
            (
                "/studio/persona/leila-letter",
                "/studio/{kind}/{item_id}",
                {"_view": "file", "_text": "id: leila-letter", "_read": "0", "_first": "-1"},
                303,
            ),
            (
                "/studio/persona/none",
                "/studio/{kind}/{item_id}",
                {"_view": "file", "_text": "id: none", "_read": "0", "_first": "-1"},
                404,
            ),
            # Not what was looked at; and what is looked at is broken.
            (
                "/studio/persona/leila-letter/publish",
                "/studio/{kind}/{item_id}/publish",
                {"read": "0"},
                409,
            ),
            ("/studio/rubric/core/discard", "/studio/{kind}/{item_id}/discard", {}, 303),
            (
                "/studio/rubric/core/restore",
                "/studio/{kind}/{item_id}/restore",
                {"version": "none"},
                404,
            ),
        )
    ],
    *[
        page(f"/studio/{path}", TRAINERS, f"/studio/{{kind}}/{{item_id}}{last}", missing=missing)
        for path, last, missing in (
            ("rubric/core", "", []),
            ("rubric/none", "", TRAINERS),
            ("table/core", "", TRAINERS),
            ("rubric/core/file", "/file", []),
            ("rubric/core/publish", "/publish", []),
            ("rubric/core/history", "/history", []),
            ("rubric/core/history/none", "/history/{version}", TRAINERS),
            ("rubric/core/published.yaml", "/published.yaml", []),
            ("rubric/core/draft.yaml", "/draft.yaml", TRAINERS),
        )
    ],
    # The interview, and practising with a draft; that of leila-letter is broken by now.
    page("/studio/interview", TRAINERS),
    *[
        Row(method, path, {status: TRAINERS, 403: NO_TRAINERS} | away, route=route)
        for method, path, route, status, away in (
            ("POST", "/studio/interview", "/studio/interview", 422, {}),
            # Nothing is written there, so it leads to the draft, whether there is one or not.
            (
                "GET",
                "/studio/interview/none",
                "/studio/interview/{item_id}",
                303,
                {303: TRAINERS + NOBODY},
            ),
            ("POST", "/studio/interview/none/again", "/studio/interview/{item_id}/again", 404, {}),
            (
                "POST",
                "/studio/persona/leila-letter/practise",
                "/studio/persona/{item_id}/practise",
                303,
                {},
            ),
            (
                "POST",
                "/studio/persona/none/practise",
                "/studio/persona/{item_id}/practise",
                404,
                {},
            ),
        )
    ],
    # Trying what is in the studio. A session that is tried has to be one that may be read.
    page("/studio/persona/dani-stranded/try", TRAINERS, "/studio/persona/{persona_id}/try"),
    page("/studio/persona/none/try", TRAINERS, "/studio/persona/{persona_id}/try", TRAINERS),
    page("/studio/rubric/core/try", TRAINERS, "/studio/rubric/{rubric_id}/try"),
    page("/studio/rubric/none/try", TRAINERS, "/studio/rubric/{rubric_id}/try", TRAINERS),
    Row(
        "GET",
        "/studio/persona/dani-stranded/try/chart/nobody",
        {404: TRAINERS, 403: NO_TRAINERS},
        route="/studio/persona/{persona_id}/try/chart/{agent}",
    ),
    *[
        Row(
            "POST",
            f"/studio/{kind}/{item}/{action}",
            {status: TRAINERS, 403: NO_TRAINERS},
            route=f"/studio/{kind}/{{{kind}_id}}/{action}",
            form=form,
        )
        for kind, item, action, form, status in (
            ("persona", "dani-stranded", "try", {"replies": "1", "agent": "silent"}, 303),
            ("persona", "sam-damp", "try", {"replies": "none"}, 422),
            ("persona", "none", "try", {"replies": "1", "agent": "silent"}, 404),
            ("persona", "dani-stranded", "try/stop", {}, 303),
            ("rubric", "core", "try", {"version": "file", "pairs": "1"}, 303),
            ("rubric", "nine-steps", "try", {"version": "file", "session": "{private}"}, 404),
            ("rubric", "five-tips", "try", {"version": "file", "session": "{shared}"}, 404),
            ("rubric", "own-definition", "try", {"version": "file", "session": "{none}"}, 404),
            ("rubric", "listening-and-eq", "try", {"version": "none", "pairs": "1"}, 422),
            ("rubric", "core", "try/stop", {}, 303),
        )
    ],
    # Closed, for everybody.
    closed("GET", "/project/share/{shared}", "/project/share/{thread_id}"),
    closed("PUT", "/project/thread/share"),
    closed(
        "GET",
        "/project/thread/{private}/element/x",
        "/project/thread/{thread_id}/element/{element_id}",
    ),
    closed("PUT", "/project/element"),
    closed("DELETE", "/project/element"),
    closed("PUT", "/feedback"),
    closed("DELETE", "/feedback"),
    closed("POST", "/project/file"),
    closed("GET", "/project/file/x", "/project/file/{file_id}"),
    closed("POST", "/mcp"),
    closed("DELETE", "/mcp"),
    closed("POST", "/auth/jwt"),
    closed("POST", "/auth/oauth/azure-ad-hybrid/callback"),
    closed("GET", "/copilot/index.js", "/copilot/{filename:path}"),
    closed("GET", "/health"),
    closed("GET", "/share/{shared}", "/{full_path:path}"),
    closed("GET", "/element/x", "/{full_path:path}"),
    closed("GET", "/anything/else", "/{full_path:path}"),
    closed("GET", "/docs", "/{full_path:path}"),
    closed("GET", "/openapi.json", "/{full_path:path}"),
]

#: These end a login or delete things, so each has a test of its own below.
APART = {
    ("POST", "/logout"),
    ("POST", "/sign-out"),
    ("POST", "/your-data/delete-everything"),
}

#: Every event of the socket, and whether it is taken.
EVENTS = {
    "connect": True,
    "connection_successful": True,
    "clear_session": True,
    "disconnect": True,
    "stop": True,
    "client_message": True,
    "window_message": True,
    "edit_message": False,
    "message_favorite": False,
    "fetch_favorites": False,
    "audio_start": False,
    "audio_chunk": False,
    "audio_end": False,
    "chat_settings_change": False,
    "chat_settings_edit": False,
}


@dataclass
class World:
    """A server with accounts, and the owner's sessions in it."""

    server: Server
    cookies: dict[str, str]
    ids: dict[str, str]
    tried: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)

    def filled(self, value: Any) -> Any:
        """A path or a body with the sessions' ids in it."""
        if isinstance(value, dict):
            return {key: self.filled(one) for key, one in value.items()}
        for name, session_id in self.ids.items():
            value = value.replace(f"{{{name}}}", session_id) if isinstance(value, str) else value
        return value

    def client(self, person: str) -> httpx.Client:
        cookie = self.cookies.get(person)
        return httpx.Client(
            base_url=self.server.address,
            headers={"Cookie": f"access_token={cookie}"} if cookie else {},
            timeout=30,
        )

    def rows(self, sql: str, *args: object) -> list[Any]:
        db = sqlite3.connect(self.server.folder / "transcripts" / "warmline.db")
        try:
            found = db.execute(sql, args).fetchall()
            db.commit()
            return found
        finally:
            db.close()


def signed_in(server: Server, person: str) -> str:
    """Sign in; returns the cookie."""
    answer = httpx.post(f"{server.address}/login", data={"username": person, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return answer.cookies["access_token"]


async def make_people(folder: Path) -> dict[str, str]:
    """The accounts and the owner's sessions, straight into the database; returns the ids."""
    library = read_library(PROJECT / "personas", PROJECT / "rubrics")
    store = await Store.open(folder / "transcripts" / "warmline.db")
    accounts = Accounts(People(store.database), loopback=True)
    for name, (roles, teams) in PEOPLE.items():
        await accounts.add(name, roles, teams, password=PASSWORD)
    owner = await accounts.people.find("owner")
    assert owner is not None
    ids = {name: str(uuid.uuid4()) for name in SESSIONS}
    persona, rubric = library.persona("dani-stranded"), library.rubric("core")
    from warmline.customer.director import first_state

    state = first_state(persona.item).model_dump_json()
    for name, session_id in ids.items():
        await store.start_session(session_id, owner.id, persona, rubric, state, seed=1)
        await store.add_turn(session_id, "agent", f"A secret of the {name} session.")
        await store.add_turn(session_id, "customer", "Thank you.", state=state)
    for name in ("shared", "to-hide"):
        await store.share(ids[name], shared=True)
    branch = str(uuid.uuid4())
    private = await store.session(ids["private"])
    await store.branch_session(branch, private, 1, "Again", 1)
    await store.add_turn(branch, "agent", "A secret of the second try.")
    ids["branch"] = branch
    assignments = Assignments(store.database)
    coach = await accounts.people.find("coach")
    assert coach is not None
    for name in ("assignment", "to-withdraw"):
        plan = Plan("dani-stranded", "core", "2999-12-05", 70, 1, f"A note about the {name}.")
        ids[name] = await assignments.assign(coach.id, plan, [owner.id])
    ids["to-hand-in"] = str(uuid.uuid4())
    await store.start_session(
        ids["to-hand-in"], owner.id, persona, rubric, state, 1, ids["assignment"]
    )
    await store.set_status(ids["to-hand-in"], "graded")
    await store.close()
    return ids | {"none": str(uuid.uuid4()), "owner-id": owner.id}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("access")
    ids = asyncio.run(make_people(folder))
    # Copies: what a trainer may write is written here.
    for kind in ("personas", "rubrics"):
        shutil.copytree(PROJECT / kind, folder / kind, ignore=shutil.ignore_patterns("labelled"))
    with running_stub(Script(answers=[["I just want this to be over."]])) as stub:
        server = Server(
            folder,
            {
                "WARMLINE_BACKEND": "ollama",
                "WARMLINE_OLLAMA_HOST": stub.host,
                "WARMLINE_PERSONAS_DIR": str(folder / "personas"),
                "WARMLINE_RUBRICS_DIR": str(folder / "rubrics"),
            },
        )
        server.start()
        try:
            world = World(server, {}, ids)
            for person in PEOPLE:
                world.cookies[person] = signed_in(server, person)
            world.rows("UPDATE users SET disabled_at = '2026-01-01' WHERE identifier = 'disabled'")
            world.rows(
                "DELETE FROM logins WHERE user_id = "
                "(SELECT id FROM users WHERE identifier = 'ended')"
            )
            yield world
        finally:
            server.stop()


def test_every_route_there_is_stands_in_the_table() -> None:
    from chainlit.server import router  # noqa: TID251

    from warmline.web import (
        assignment_pages,
        desk_pages,
        draft_pages,
        interview_pages,
        out_pages,
        pages,
        progress_pages,
        signing_in,
        sockets,
        studio_library_pages,
        studio_pages,
        studio_version_pages,
        team_pages,
        trying_pages,
        trying_rubric_pages,
    )

    known = {(row.method, row.route) for row in TABLE} | APART
    there = {
        (method, route.path)
        for one in (
            router,
            pages.router,
            out_pages.router,
            assignment_pages.router,
            desk_pages.router,
            progress_pages.router,
            team_pages.router,
            draft_pages.router,
            interview_pages.router,
            studio_library_pages.router,
            studio_pages.router,
            studio_version_pages.router,
            trying_pages.router,
            trying_rubric_pages.router,
            signing_in.router,
            sockets.router,
        )
        for route in one.routes
        for method in route.methods  # type: ignore[attr-defined]
    }
    assert sorted(there - known) == []


def test_every_row_of_the_door_is_tried() -> None:
    from warmline.web.access import RULES, rule_for

    tried = {rule_for(row.method, row.path.replace("{", "").replace("}", "")) for row in TABLE}
    tried |= {rule_for(method, path) for method, path in APART}
    untried = [f"{rule.method} {rule.path}" for rule in RULES if rule not in tried]
    assert untried == []


def test_every_event_there_is_stands_in_the_table() -> None:
    import chainlit.socket  # noqa: F401, TID251
    from chainlit.server import sio  # noqa: TID251

    from warmline.web.sockets import TAKEN

    assert set(sio.handlers["/"]) == set(EVENTS)
    assert {event for event, taken in EVENTS.items() if taken} == TAKEN


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.method} {row.path}")
def test_each_route_answers_each_person_as_the_table_says(world: World, row: Row) -> None:
    # The owner last: what they may do is done then.
    order = sorted(EVERYBODY, key=lambda person: person == "owner")
    got = {}
    # Signing in with a wrong password is tried by everybody, and must not have to wait here.
    world.rows("DELETE FROM login_failures")
    path = world.filled(row.path)
    if row.path == "/ws/socket.io/":
        path += "?EIO=4&transport=polling"
    for person in order:
        form = {key: one.replace("{person}", person) for key, one in (row.form or {}).items()}
        with world.client(person) as client:
            answer = client.request(
                row.method,
                path,
                json=world.filled(row.json) if row.json else None,
                data=world.filled(form),
            )
        got[person] = answer.status_code
        if answer.status_code in (303, 401, 403, 404) and "secret" in answer.text:
            pytest.fail(f"{person} was refused and yet given the words")
    world.tried[row.method, row.path] = got
    assert got == {person: row.expected(person) for person in order}


def test_what_the_owner_asked_was_done_and_nothing_else(world: World) -> None:
    titles = dict(world.rows("SELECT id, title FROM sessions"))
    shared = dict(world.rows("SELECT id, shared_at IS NOT NULL FROM sessions"))
    assert world.ids["to-delete"] not in titles
    assert titles[world.ids["to-rename"]] == "A new title"
    assert "A new title" not in {titles[i] for n, i in world.ids.items() if i in titles} - {
        titles[world.ids["to-rename"]]
    }
    assert {name for name, one in world.ids.items() if shared.get(one)} == {
        "shared",
        "to-share",
        "to-hand-in",
    }


def test_a_list_holds_ones_own_sessions_only(world: World) -> None:
    for person in SIGNED_IN:
        for search in (None, "secret"):
            body = {"pagination": {"first": 20}, "filter": {"search": search, "userId": "x"}}
            with world.client(person) as client:
                found = client.post("/project/threads", json=body).json()["data"]
            assert bool(found) == (person == "owner")


@pytest.mark.parametrize(
    "path", ["/login", "/logout", "/your-data/delete-everything", "/project/threads"]
)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_a_form_of_another_site_does_nothing(
    world: World, path: str, headers: dict[str, str]
) -> None:
    before = world.rows("SELECT COUNT(*) FROM sessions")
    with world.client("owner") as client:
        assert client.post(path, headers=headers).status_code == 403
        assert client.get("/user").status_code == 200
    assert world.rows("SELECT COUNT(*) FROM sessions") == before


def test_bodies_are_limited_with_and_without_a_length(world: World) -> None:
    def chunks() -> Iterator[bytes]:
        yield from [b"x" * 65536] * (LARGEST_BODY // 65536 + 2)

    with world.client("owner") as client:
        long = client.post("/project/threads", content=b"x" * (LARGEST_BODY + 1))
        endless = client.post(
            "/login",
            content=chunks(),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
    assert (long.status_code, endless.status_code) == (413, 413)
    assert "too large" in long.text


@asynccontextmanager
async def socket(
    world: World, person: str, thread: str | None = None, **headers: str
) -> AsyncIterator[tuple[socketio.AsyncClient, str, list[tuple[str, Any]]]]:
    """A chat socket: the client, its session id, and what came over it."""
    client = socketio.AsyncClient(reconnection=False)
    heard: list[tuple[str, Any]] = []

    @client.on("*")
    async def keep(event: str, *data: Any) -> None:
        heard.append((event, data[0] if data else None))

    session_id = str(uuid.uuid4())
    cookie = world.cookies.get(person)
    await client.connect(
        world.server.address,
        headers={**({"Cookie": f"access_token={cookie}"} if cookie else {}), **headers},
        auth={"sessionId": session_id, "clientType": "webapp", "threadId": thread, "userEnv": "{}"},
        socketio_path="/ws/socket.io",
        transports=["websocket"],
    )
    try:
        yield client, session_id, heard
    finally:
        await client.disconnect()


async def said(heard: list[tuple[str, Any]], words: str, timeout_s: float = 20) -> bool:
    """Whether a message with these words comes."""
    return await until(lambda: any(words in str(data) for _, data in heard), timeout_s)


async def until(happened: Callable[[], bool], timeout_s: float = 20) -> bool:
    """Whether something happens in time."""
    for _ in range(int(timeout_s * 20)):
        if happened():
            return True
        await asyncio.sleep(0.05)
    return False


def message(text: str, **more: Any) -> dict[str, Any]:
    step = {
        "id": str(uuid.uuid4()),
        "name": "User",
        "type": "user_message",
        "output": text,
        "createdAt": "2026-01-01T00:00:00Z",
        "threadId": "",
        **more,
    }
    return {"message": step, "fileReferences": []}


@pytest.mark.parametrize("person", EVERYBODY)
async def test_who_may_open_a_socket(world: World, person: str) -> None:
    if person in NOBODY:
        with pytest.raises(socketio.exceptions.ConnectionError):
            async with socket(world, person):
                pass
        return
    async with socket(world, person):
        pass
    with pytest.raises(socketio.exceptions.ConnectionError):
        async with socket(world, person, Origin="https://elsewhere.example"):
            pass
    if person == "owner":
        async with socket(world, person, world.ids["private"]):
            pass
        return
    with pytest.raises(socketio.exceptions.ConnectionError):
        async with socket(world, person, world.ids["private"]):
            pass


def turns_of(world: World, session: str) -> list[str]:
    rows = world.rows(
        "SELECT text FROM turns WHERE session_id = ? ORDER BY number", world.ids[session]
    )
    return [text for (text,) in rows]


async def test_the_owner_goes_on_with_a_session_and_closed_events_do_nothing(world: World) -> None:
    before = turns_of(world, "private")
    async with socket(world, "owner", world.ids["private"]) as (client, _, heard):
        await client.emit("connection_successful")
        assert await said(heard, "resume_thread") or await said(heard, "Dani")
        for event, taken in EVENTS.items():
            if not taken:
                await client.emit(event, message("Rewritten.", id=str(uuid.uuid4())))
        await asyncio.sleep(0.5)
        assert turns_of(world, "private") == before
        await client.emit("client_message", message("How are you now?"))
        assert await until(lambda: len(turns_of(world, "private")) == len(before) + 2)
    assert turns_of(world, "private")[len(before)] == "How are you now?"


@pytest.mark.parametrize("person", [p for p in SIGNED_IN if p != "owner"])
async def test_nobody_writes_in_somebody_elses_session(world: World, person: str) -> None:
    before = {name: turns_of(world, name) for name in ("private", "shared")}
    async with socket(world, person) as (client, session_id, heard):
        await client.emit("connection_successful")
        assert await said(heard, "Choose a customer")
        # The ids in a message are claims of the page.
        await client.emit("client_message", message("Hello?", threadId=world.ids["shared"]))
        assert await said(heard, "Choose a customer first")
        await client.emit("window_message", {"warmline": "to-server", "what": "finish"})
        with world.client(person) as http:
            for name in (
                "practise_again",
                "grade_again",
                "answer_again",
                "hand_in",
                "choose_persona",
            ):
                payload = {
                    "session_id": world.ids["private"],
                    "assignment_id": world.ids["assignment"],
                }
                answer = await asyncio.to_thread(
                    http.post,
                    "/project/action",
                    json={
                        "sessionId": session_id,
                        "action": {"name": name, "payload": payload, "id": "a"},
                    },
                )
                assert answer.status_code == 200
        await asyncio.sleep(0.3)
        assert not any("secret" in str(data) for _, data in heard)
    owners = world.rows("SELECT DISTINCT user_id FROM sessions")
    assert owners == [(world.ids["owner-id"],)]
    assert {name: turns_of(world, name) for name in before} == before


async def test_a_frame_that_is_too_large_ends_the_connection_and_keeps_nothing(
    world: World,
) -> None:
    before = turns_of(world, "private")
    async with socket(world, "owner", world.ids["private"]) as (client, _, heard):
        await client.emit("connection_successful")
        assert await said(heard, "resume_thread") or await said(heard, "Dani")
        await client.emit("client_message", message("x" * (LARGEST_BODY + 1)))
        assert await until(lambda: not client.connected)
    assert turns_of(world, "private") == before


async def test_somebody_elses_chat_session_takes_no_action(world: World) -> None:
    async with socket(world, "owner", world.ids["private"]) as (client, session_id, _):
        await client.emit("connection_successful")
        for person in [p for p in SIGNED_IN if p != "owner"]:
            with world.client(person) as http:
                answer = await asyncio.to_thread(
                    http.post,
                    "/project/action",
                    json={
                        "sessionId": session_id,
                        "action": {"name": "grade_again", "payload": {}, "id": "a"},
                    },
                )
            assert answer.status_code in {401, 404}


async def test_a_socket_that_is_open_already_ends_with_the_login(world: World) -> None:
    world.cookies["owner again"] = signed_in(world.server, "owner")
    before = turns_of(world, "shared")
    async with socket(world, "owner again", world.ids["shared"]) as (client, _, heard):
        await client.emit("connection_successful")
        assert await said(heard, "resume_thread") or await said(heard, "Dani")
        with world.client("owner again") as http:
            assert http.post("/logout").status_code == 200
            assert http.get("/user").status_code == 401
        await client.emit("client_message", message("Am I still here?"))
        assert await said(heard, "You are signed out")
        heard.clear()
        # Asking for the conversation anew ends the connection instead.
        await client.emit("connection_successful")
        assert await until(lambda: not client.connected)
        assert "secret" not in str(heard)
    assert turns_of(world, "shared") == before


def test_an_assignment_is_known_to_whom_it_was_given_and_to_their_coaches(world: World) -> None:
    note = "A note about the assignment."
    for person in SIGNED_IN:
        with world.client(person) as client:
            assert (note in client.get("/assignments").text) == (person == "owner")
            assert (note in client.get("/desk/assignments").text) == (person == "coach")


def test_nobody_reviews_themselves(world: World) -> None:
    world.rows("INSERT INTO user_roles SELECT id, 'coach' FROM users WHERE identifier = 'owner'")
    try:
        with world.client("owner") as client:
            assert client.get("/desk").status_code == 200
            for session in ("shared", "private"):
                path = f"/desk/{world.ids[session]}"
                assert client.get(path).status_code == 404
                for action in ("approve", "override", "comment", "send-back", "blind"):
                    form = {"step": "x", "level": "5", "words": "well done"}
                    assert client.post(f"{path}/{action}", data=form).status_code == 404
    finally:
        world.rows(
            "DELETE FROM user_roles WHERE role = 'coach' AND user_id = "
            "(SELECT id FROM users WHERE identifier = 'owner')"
        )


def test_what_can_be_downloaded_holds_what_one_may_read_and_nothing_else(world: World) -> None:
    of_the_shared = "A secret of the shared session."
    for person in SIGNED_IN:
        with world.client(person) as client:
            mine = client.get("/your-data/everything.json")
            assert mine.json()["account"]["name"] == person
            assert ("secret" in mine.text) == (person == "owner")
            assert "argon2" not in mine.text
            assert "attachment" in mine.headers["content-disposition"]
            if person in COACHES:
                lists = [
                    client.get(f"/desk/{name}")
                    for name in (
                        "sessions.csv",
                        "sessions.json",
                        "sessions.html",
                        "statements.json",
                    )
                ]
                for answer in lists:
                    assert "secret" not in answer.text
                    assert "attachment" in answer.headers["content-disposition"]
                    assert world.ids["private"] not in answer.text
                listed = {row["id"] for row in lists[1].json()["rows"]}
                assert (world.ids["shared"] in listed) == (person == "coach")
                whole = client.get(f"/desk/{world.ids['shared']}/session.json")
                assert (of_the_shared in whole.text) == (person == "coach")


def test_a_role_taken_away_is_gone_at_the_next_request(world: World) -> None:
    with world.client("coach") as client:
        assert client.get("/desk").status_code == 200
        world.rows(
            "DELETE FROM user_roles WHERE user_id = "
            "(SELECT id FROM users WHERE identifier = 'coach')"
        )
        assert client.get("/desk").status_code == 403
        world.rows(
            "INSERT INTO user_roles SELECT id, 'coach' FROM users WHERE identifier = 'coach'"
        )
        assert client.get("/desk").status_code == 200


def test_signing_out_ends_the_login_wherever_its_cookie_went(world: World) -> None:
    for path, status in (("/logout", 200), ("/sign-out", 303)):
        copied = {"Cookie": f"access_token={signed_in(world.server, 'trainee')}"}
        user = f"{world.server.address}/user"
        assert httpx.get(user, headers=copied).status_code == 200
        assert httpx.post(f"{world.server.address}{path}", headers=copied).status_code == status
        assert httpx.get(user, headers=copied).status_code == 401


def test_deleting_everything_takes_ones_own_and_nothing_of_others(world: World) -> None:
    for person in NOBODY:
        with world.client(person) as client:
            assert client.post("/your-data/delete-everything").status_code == 401
    count = world.rows("SELECT COUNT(*) FROM sessions")
    for person in SIGNED_IN:
        if person != "owner":
            with world.client(person) as client:
                assert client.post("/your-data/delete-everything").status_code == 303
    assert world.rows("SELECT COUNT(*) FROM sessions") == count
    with world.client("owner") as client:
        assert client.post("/your-data/delete-everything").status_code == 303
    assert world.rows("SELECT COUNT(*) FROM sessions") == [(0,)]


def test_guessing_a_password_has_to_wait(world: World) -> None:
    def attempt(name: str, password: str) -> httpx.Response:
        return httpx.post(
            f"{world.server.address}/login", data={"username": name, "password": password}
        )

    world.rows("DELETE FROM login_failures")
    answers = [attempt("trainer", f"guess number {n}").status_code for n in range(6)]
    assert answers == [401] * 5 + [429]
    assert attempt("TRAINER ", PASSWORD).status_code == 429
    assert attempt("admin", PASSWORD).status_code == 200
    world.rows("UPDATE login_failures SET at = '2026-01-01T00:00:00.000Z'")
    assert attempt("Trainer", PASSWORD).status_code == 200


def events(taken: bool) -> str:
    return ", ".join(f"`{event}`" for event, is_taken in EVENTS.items() if is_taken == taken)


def test_the_table_is_printed(world: World) -> None:
    """What was tried above, as a page for people."""
    if len(world.tried) < len(TABLE):
        pytest.skip("only with the whole table tried")
    lines = [
        "| request | " + " | ".join(EVERYBODY) + " |",
        "|---|" + "---|" * len(EVERYBODY),
    ]
    for (method, path), got in world.tried.items():
        if got:
            cells = " | ".join(str(got[person]) for person in EVERYBODY)
            lines.append(f"| `{method} {path}` | {cells} |")
    count = sum(len(got) for got in world.tried.values())
    text = (
        "# Who may do what\n\nMade by `tests/test_access.py`, which tries every cell against a "
        f"running server: {count} cells. The numbers are HTTP statuses: 200 and 303 done or shown "
        "(303 for nobody: sent to sign in), 401 sign in first or not yours, 403 not your role, "
        "404 closed, or answered as if it did not exist, 409 and 422 refused with the reason.\n\n"
        + "\n".join(lines)
        + "\n\n"
        "Events of the chat's socket, which opens to whoever is signed in: taken are "
        f"{events(True)}. Unheard are {events(False)}.\n"
    )
    same_as_file(PROJECT / "docs" / "access.md", text)

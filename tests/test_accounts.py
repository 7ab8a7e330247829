"""Accounts: passwords, waiting after wrong ones, teams, and the door without and with accounts."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from chainlit.auth import create_jwt  # noqa: TID251
from click.testing import CliRunner
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from snapshots import small_persona, small_rubric
from warmline import accounts as module
from warmline.accounts import FAILURES_BY_NAME, LOCAL_USER, Accounts, normal_name
from warmline.address import is_loopback
from warmline.cli import main
from warmline.desk import Desk, Wanted
from warmline.errors import NotFound, TooManyTries, WarmlineError
from warmline.people import ROLES, People
from warmline.store import Store
from warmline.web.access import Door, login_of, who_of
from warmline.web.signing_in import chat_user

PASSWORD = "correct horse battery"


@pytest.fixture
def people(store: Store) -> People:
    return People(store.database)


@pytest.fixture
def accounts(people: People) -> Accounts:
    return Accounts(people, loopback=True)


async def test_a_password_is_kept_as_a_memory_hard_hash_and_never_as_itself(
    accounts: Accounts, store: Store
) -> None:
    user = await accounts.add("Mira", ["trainee"], [], password=PASSWORD)
    assert user.identifier == "mira"
    assert user.password_hash is not None
    assert user.password_hash.startswith("$argon2id$v=19$m=65536,")
    await store.database.scrub()
    assert PASSWORD.encode() not in store.database.file.read_bytes()


async def test_signing_in_takes_the_name_in_any_case_and_the_whole_password(
    accounts: Accounts,
) -> None:
    await accounts.add("mira", ["trainee"], [], password=PASSWORD)
    login = await accounts.sign_in(" MIRA", PASSWORD, "1.2.3.4")
    assert login is not None
    who = await accounts.who(login.id)
    assert who is not None
    assert (who.user.identifier, who.roles, who.local) == ("mira", {"trainee"}, False)
    for name, password in (("mira", PASSWORD[:-1]), ("mira", ""), ("nobody", PASSWORD)):
        assert await accounts.sign_in(name, password, "1.2.3.4") is None


async def test_a_name_that_failed_too_often_waits_and_others_do_not(accounts: Accounts) -> None:
    await accounts.add("mira", ["trainee"], [], password=PASSWORD)
    await accounts.add("omar", ["trainee"], [], password=PASSWORD)
    for number in range(FAILURES_BY_NAME):
        assert await accounts.sign_in("mira", f"wrong {number}", f"1.2.3.{number}") is None
    with pytest.raises(TooManyTries, match="Wait 15 minutes"):
        await accounts.sign_in("mira", PASSWORD, "9.9.9.9")
    assert await accounts.sign_in("omar", PASSWORD, "9.9.9.9") is not None
    # A new password, given by whoever runs the machine, ends the waiting.
    await accounts.reset("mira", "another good password")
    assert await accounts.sign_in("mira", "another good password", "9.9.9.9") is not None


async def test_an_address_that_tries_many_names_waits(accounts: Accounts) -> None:
    for number in range(module.FAILURES_BY_ADDRESS):
        assert await accounts.sign_in(f"name {number}", "wrong", "6.6.6.6") is None
    await accounts.add("mira", ["trainee"], [], password=PASSWORD)
    with pytest.raises(TooManyTries):
        await accounts.sign_in("mira", PASSWORD, "6.6.6.6")
    assert await accounts.sign_in("mira", PASSWORD, "7.7.7.7") is not None


async def test_a_login_ends_by_time_by_signing_out_by_closing_and_by_a_new_password(
    accounts: Accounts, people: People
) -> None:
    user = await accounts.add("mira", ["trainee"], [], password=PASSWORD)
    past = (datetime.now(UTC) - timedelta(seconds=1)).isoformat(timespec="milliseconds")
    assert await accounts.who((await people.add_login(user.id, past)).id) is None

    async def login() -> str:
        found = await accounts.sign_in("mira", PASSWORD, "")
        assert found is not None
        return found.id

    one = await login()
    await people.end_login(one)
    assert await accounts.who(one) is None
    two = await login()
    await accounts.disable("mira")
    assert await accounts.who(two) is None
    assert await accounts.sign_in("mira", PASSWORD, "") is None
    await accounts.disable("mira", disabled=False)
    assert await accounts.who(two) is None
    three = await login()
    await accounts.reset("mira", "another good password")
    assert await accounts.who(three) is None
    assert await accounts.sign_in("mira", PASSWORD, "") is None


async def test_a_provider_vouches_only_for_accounts_that_are_its_own(accounts: Accounts) -> None:
    await accounts.add("mira@example.org", ["coach"], [], provider="google")
    await accounts.add("omar", ["trainee"], [], password=PASSWORD)
    found = await accounts.sign_in_with("google", "Mira@Example.org")
    assert found is not None
    assert found[0].roles == {"coach"}
    for provider, name in (
        ("github", "mira@example.org"),
        ("google", "omar"),
        ("password", "nobody"),
        ("google", LOCAL_USER),
    ):
        assert await accounts.sign_in_with(provider, name) is None
    # Without a password, none will do.
    assert await accounts.sign_in("mira@example.org", "", "") is None


@pytest.mark.parametrize(
    ("name", "password", "words"),
    [
        ("", PASSWORD, "cannot be the name"),
        ("you", PASSWORD, "taken"),
        ("a\nb", PASSWORD, "cannot be the name"),
        ("x" * 101, PASSWORD, "cannot be the name"),
        ("mira", "short", "5 characters; use 10 to 200"),
        ("mira", "x" * 201, "201 characters"),
        ("mira", "mira is my name", "contains the name"),
    ],
)
async def test_what_cannot_be_used_is_said(
    accounts: Accounts, name: str, password: str, words: str
) -> None:
    with pytest.raises(WarmlineError, match=words):
        await accounts.add(name, ["trainee"], [], password=password)
    assert not await accounts.people.accounts_exist()


async def test_unknown_roles_and_accounts_are_refused_and_change_nothing(
    accounts: Accounts,
) -> None:
    await accounts.add("mira", ["trainee"], [], password=PASSWORD)
    with pytest.raises(WarmlineError, match="no role boss"):
        await accounts.set_roles("mira", ["boss"])
    with pytest.raises(WarmlineError, match="needs a role"):
        await accounts.set_roles("mira", [])
    with pytest.raises(WarmlineError, match="already"):
        await accounts.add("MIRA", ["admin"], [], password=PASSWORD)
    with pytest.raises(NotFound, match="warmline user list"):
        await accounts.disable("omar")
    # The local user is nobody's account.
    await accounts.people.local_user(LOCAL_USER)
    with pytest.raises(NotFound):
        await accounts.reset(LOCAL_USER, PASSWORD)
    found = await accounts.people.find("mira")
    assert found is not None
    assert found.roles == {"trainee"}


async def test_the_first_account_can_keep_what_was_practised_before(
    accounts: Accounts, people: People, store: Store
) -> None:
    before = await people.local_user(LOCAL_USER)
    await store.start_session("s", before.id, small_persona(), small_rubric(), "{}", seed=7)
    user = await accounts.add("mira", ["admin"], [], password=PASSWORD, takes_over=True)
    assert (user.id, user.roles) == (before.id, {"admin"})
    assert [one.id for one in await store.sessions(user.id)] == ["s"]


async def test_a_coach_reads_what_trainees_of_their_teams_have_shared_and_no_more(
    accounts: Accounts, store: Store
) -> None:
    async def who(name: str, role: str, *teams: str) -> module.Who:
        await accounts.add(name, [role], teams, password=PASSWORD)
        login = await accounts.sign_in(name, PASSWORD, "")
        assert login is not None
        found = await accounts.who(login.id)
        assert found is not None
        return found

    mira = await who("mira", "trainee", "support", "night")
    near, far = await who("near", "coach", "night"), await who("far", "coach", "returns")
    peer, admin = await who("peer", "trainee", "night"), await who("root", "admin", "night")
    await store.start_session("s", mira.user.id, small_persona(), small_rubric(), "{}", seed=7)

    async def readers() -> list[str]:
        session = await store.session("s")
        everybody = (mira, near, far, peer, admin)
        return [w.user.identifier for w in everybody if await accounts.may_read(w, session)]

    async def listed() -> list[str]:
        everybody = (near, far)
        desk = Desk(store.database)
        return [w.user.identifier for w in everybody if await desk.sessions(w.user.id, Wanted())]

    assert (await readers(), await listed()) == (["mira"], [])
    await store.share("s", shared=True)
    assert (await readers(), await listed()) == (["mira", "near"], ["near"])
    assert await accounts.people.coaches_of(mira.user) == ["near"]
    await accounts.set_teams("mira", ["returns"])
    assert (await readers(), await listed()) == (["mira", "far"], ["far"])
    await store.share("s", shared=False)
    assert (await readers(), await listed()) == (["mira"], [])


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("[::1]:8000", True),
        ("http://127.0.0.1:8000", True),
        ("https://llm.example.org/v1", False),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("localhost.example.org", False),
        ("", False),
    ],
)
def test_which_addresses_only_this_machine_can_reach(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_lookalike_forms_of_a_name_are_one_name() -> None:
    assert normal_name("Ｍira ") == normal_name("MIRA") == "mira"


# The door


async def behind(scope: Scope, receive: Receive, send: Send) -> None:
    who = who_of(scope)
    await JSONResponse([who.user.identifier, sorted(who.roles), who.local])(scope, receive, send)


async def knock(
    accounts: Accounts, path: str = "/user", public_url: str | None = None, **headers: str
) -> httpx.Response:
    door = Door(behind, accounts, public_url)
    transport = httpx.ASGITransport(app=door)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        return await client.get(path, headers=named)


async def test_without_accounts_the_one_person_here_has_every_role(accounts: Accounts) -> None:
    answer = await knock(accounts)
    assert answer.json() == [LOCAL_USER, sorted(ROLES), True]


@pytest.mark.parametrize("host", ["localhost:8000", "[::1]:8000", "127.0.0.1"])
async def test_without_accounts_every_name_of_this_machine_will_do(
    accounts: Accounts, host: str
) -> None:
    assert (await knock(accounts, host=host)).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", ""]
)
async def test_without_accounts_another_sites_name_for_this_machine_opens_nothing(
    accounts: Accounts, host: str
) -> None:
    assert (await knock(accounts, host=host)).status_code == 421


async def test_the_first_account_closes_the_open_door_at_once(accounts: Accounts) -> None:
    assert (await knock(accounts)).status_code == 200
    await accounts.add("mira", ["admin"], [], password=PASSWORD)
    assert (await knock(accounts)).status_code == 401
    page = await knock(accounts, "/desk", accept="text/html")
    assert (page.status_code, page.headers["location"]) == (303, "/login?then=/desk")


async def test_another_address_needs_signing_in_even_without_accounts(people: People) -> None:
    accounts = Accounts(people, loopback=False)
    assert (await knock(accounts, host="practice.example.org")).status_code == 401


@pytest.mark.parametrize("token", [None, "", "nonsense", "a.b.c", "eyJhbGciOiJub25lIn0.e30."])
def test_a_token_that_is_not_ours_names_no_login(
    token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAINLIT_AUTH_SECRET", "x" * 64)
    assert login_of(token) is None


# The command line


def run(folder: Path, *words: str, typed: str = "") -> str:
    result = CliRunner().invoke(
        main, ["user", *words], input=typed, env={"WARMLINE_TRANSCRIPTS_DIR": str(folder)}
    )
    return f"{result.exit_code} {' '.join(result.output.split())}"


def test_accounts_from_the_command_line(tmp_path: Path) -> None:
    line = f"{PASSWORD}\n"
    assert run(tmp_path, "list").startswith("1 There are no accounts")
    added = run(tmp_path, "add", "Mira", "--team", "support", typed=line)
    assert added == "0 mira can sign in now, as trainee."
    assert "already" in run(tmp_path, "add", "mira", typed=line)
    assert "use 10 to 200" in run(tmp_path, "add", "omar", typed="short\n")
    assert run(tmp_path, "role", "mira", "coach", "admin") == "0 mira is now admin, coach."
    assert run(tmp_path, "team", "mira", "a", "b") == "0 mira is in: a, b."
    assert run(tmp_path, "disable", "mira").startswith("0 mira is signed out")
    assert run(tmp_path, "list") == "0 mira: admin, coach in a, b; signs in with password, disabled"
    assert run(tmp_path, "enable", "mira").startswith("0 mira can sign in")
    assert run(tmp_path, "reset", "mira", typed="a new long one\n") == "0 mira has a new password."
    assert run(tmp_path, "role", "omar", "coach").startswith("1 There is no account omar")
    assert run(tmp_path, "add", "ann@example.org", "--oauth", "google").startswith("0 ann@")
    db = sqlite3.connect(tmp_path / "warmline.db")
    kept = dict(db.execute("SELECT identifier, password_hash FROM users").fetchall())
    db.close()
    assert kept["mira"].startswith("$argon2id$")
    assert kept["ann@example.org"] is None


async def test_a_crowd_of_guesses_at_one_instant_counts_each_other(accounts: Accounts) -> None:
    await accounts.add("mira", ["trainee"], [], password=PASSWORD)

    async def guess(number: int) -> str:
        try:
            password = PASSWORD if number == 15 else f"wrong {number}"
            return str(await accounts.sign_in("mira", password, "") is not None)
        except TooManyTries:
            return "wait"

    answers = await asyncio.gather(*(guess(number) for number in range(20)))
    assert answers.count("wait") == 20 - FAILURES_BY_NAME
    assert "True" not in answers


def test_a_login_is_taken_only_with_the_name_it_was_made_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CHAINLIT_AUTH_SECRET", "x" * 64)
    assert login_of(create_jwt(chat_user("mira", "a login"))) == ("mira", "a login")


async def test_two_cookies_are_one_person_to_everybody(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chat library goes by the last of several cookies, and by the name in it."""
    monkeypatch.setenv("CHAINLIT_AUTH_SECRET", "x" * 64)
    tokens = []
    for name in ("mira", "omar"):
        await accounts.add(name, ["trainee"], [], password=PASSWORD)
        login = await accounts.sign_in(name, PASSWORD, "")
        assert login is not None
        tokens.append(create_jwt(chat_user(name, login.id)))
    mira, omar = tokens
    await accounts.disable("omar")
    transport = httpx.ASGITransport(app=Door(behind, accounts, None))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:

        async def asked(*cookies: str) -> int:
            headers = [("Cookie", f"access_token={one}") for one in cookies]
            return (await client.get("/user", headers=headers)).status_code

        assert await asked(mira) == 200
        assert await asked(omar) == await asked(mira, omar) == 401
        found = await accounts.sign_in("mira", PASSWORD, "")
        assert found is not None
        # A login of one person in a token that names another.
        assert await asked(create_jwt(chat_user("omar", found.id))) == 401


async def test_without_accounts_what_comes_through_a_proxy_is_refused(accounts: Accounts) -> None:
    """A proxy on this machine may call us by this machine's name, whoever is behind it."""
    for header in ("x_forwarded_for", "forwarded"):
        assert (await knock(accounts, **{header: "203.0.113.9"})).status_code == 421


@pytest.mark.parametrize("host", ["[", "[::1", "http://["])
async def test_a_broken_host_is_refused_and_breaks_nothing(accounts: Accounts, host: str) -> None:
    assert (await knock(accounts, host=host)).status_code == 421

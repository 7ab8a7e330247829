"""The commands that make and change accounts."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click
from rich.markup import escape

from warmline.accounts import Accounts, normal_name
from warmline.address import is_loopback
from warmline.cli import console
from warmline.cli.console import out
from warmline.database import Database
from warmline.errors import NotFound, WarmlineError
from warmline.export import write_new
from warmline.people import ROLES, People, User
from warmline.records import everything
from warmline.retention import copies, forget_person
from warmline.sessions import SessionReader
from warmline.store import Store


@asynccontextmanager
async def _accounts() -> AsyncIterator[Accounts]:
    settings = console.settings()
    database = await Database.open(settings.database)
    try:
        yield Accounts(People(database), loopback=is_loopback(settings.host))
    finally:
        await database.close()


@asynccontextmanager
async def _store() -> AsyncIterator[Store]:
    store = await Store.open(console.settings().database)
    try:
        yield store
    finally:
        await store.close()


def _password(name: str) -> str:
    """A new password: asked for twice at a terminal, else one line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    typed: str = click.prompt(
        f"A password for {name}", hide_input=True, confirmation_prompt="The same again"
    )
    return typed


_role = click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice(ROLES),
    help="What they may do; can be given again. By default: trainee.",
)
_team = click.option("--team", "teams", multiple=True, help="A team; can be given again.")


@console.main.group()
def user() -> None:
    """Make and change accounts. With the first one, everybody has to sign in.

    A trainee practises; a trainer writes customers and rubrics; a coach reads what the trainees of
    their teams share; an admin sees the accounts. Somebody can have several roles.

    Example: warmline user list
    """


@user.command("add")
@click.argument("name")
@_role
@_team
@click.option("--oauth", "provider", help="Sign in through this provider, without a password.")
@click.option(
    "--take-over", is_flag=True, help="Keep what was practised here before there were accounts."
)
@console.command
async def add(
    name: str,
    roles: tuple[str, ...],
    teams: tuple[str, ...],
    provider: str | None,
    take_over: bool,
) -> None:
    """Make an account. The password is asked for, or read as one line of standard input.

    Example: warmline user add mira --role trainee --team support
    """
    password = None if provider else _password(name)
    async with _accounts() as accounts:
        made = await accounts.add(
            name,
            roles or ("trainee",),
            teams,
            password=password,
            provider=provider,
            takes_over=take_over,
        )
    out.print(escape(f"{made.identifier} can sign in now, as {', '.join(sorted(made.roles))}."))


@user.command("role")
@click.argument("name")
@click.argument("roles", nargs=-1, required=True, type=click.Choice(ROLES))
@console.command
async def role(name: str, roles: tuple[str, ...]) -> None:
    """Give an account these roles and no others; it counts from the next click on.

    Example: warmline user role mira trainee coach
    """
    async with _accounts() as accounts:
        changed = await accounts.set_roles(name, roles)
    out.print(escape(f"{changed.identifier} is now {', '.join(sorted(changed.roles))}."))


@user.command("team")
@click.argument("name")
@click.argument("teams", nargs=-1)
@console.command
async def team(name: str, teams: tuple[str, ...]) -> None:
    """Put an account in these teams and no others.

    Example: warmline user team mira support returns
    """
    async with _accounts() as accounts:
        changed = await accounts.set_teams(name, teams)
    out.print(escape(f"{changed.identifier} is in: {', '.join(changed.teams) or 'no team'}."))


@user.command("disable")
@click.argument("name")
@console.command
async def disable(name: str) -> None:
    """Close an account and sign it out at once. What it practised stays.

    Example: warmline user disable mira
    """
    async with _accounts() as accounts:
        changed = await accounts.disable(name)
    out.print(escape(f"{changed.identifier} is signed out and cannot sign in."))


@user.command("enable")
@click.argument("name")
@console.command
async def enable(name: str) -> None:
    """Open a closed account again.

    Example: warmline user enable mira
    """
    async with _accounts() as accounts:
        changed = await accounts.disable(name, disabled=False)
    out.print(escape(f"{changed.identifier} can sign in again."))


@user.command("reset")
@click.argument("name")
@console.command
async def reset(name: str) -> None:
    """Set a new password, and sign the account out everywhere.

    Example: warmline user reset mira
    """
    password = _password(name)
    async with _accounts() as accounts:
        changed = await accounts.reset(name, password)
    out.print(escape(f"{changed.identifier} has a new password."))


@user.command("export")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@console.command
async def export_person(name: str, file: Path) -> None:
    """Write everything that is kept of somebody to a new file, as they get it on Your data.

    Without accounts, the one person here has the name you.

    Example: warmline user export mira mira.json
    """
    async with _store() as store:
        person = await _person(store, name)
        kept = await everything(SessionReader(store), person)
        write_new(file, json.dumps(kept, indent=2, ensure_ascii=False) + "\n")
    out.print(
        escape(
            f"Wrote {file}: {len(kept['conversations'])} conversations of {person.identifier}. "
            "It holds what they wrote: keep it safe."
        )
    )


@user.command("forget")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@console.command
async def forget(name: str, yes: bool) -> None:
    """Delete an account and everything of theirs for good: conversations, feedback, sign-ins.

    What they did as a coach with other people's conversations stays, without their name. The last
    admin cannot be deleted while there are other accounts.

    Example: warmline user forget mira
    """
    async with _store() as store:
        person = await _person(store, name)
        count = len(await store.sessions(person.id, limit=-1))
        if not yes:
            click.confirm(
                f"Delete {person.identifier} and {count} conversations for good? "
                "This cannot be taken back.",
                abort=True,
            )
        gone = await forget_person(store, person, store.database.file.parent)
        people = People(store.database)
        opened = person.signs_in_with is not None and not await people.accounts_exist()
        aside = copies(store.database.file)
    out.print(escape(f"Deleted {person.identifier} and {gone} conversations."))
    if opened:
        out.print("That was the last account: whoever opens the page now has every role.")
    for copy in aside:
        out.print(escape(f"Still in {copy}, which a restore kept aside: delete it too."))
    out.print("Backups, and files that were written elsewhere, are out of reach: delete those too.")


async def _person(store: Store, name: str) -> User:
    """Somebody by name, whether or not they have a way to sign in.

    Raises:
        NotFound: if there is nobody of that name.
    """
    found = await People(store.database).find(normal_name(name))
    if found is None:
        raise NotFound(f"There is nobody called {name}. See the accounts: warmline user list")
    return found


@user.command("list")
@console.command
async def list_accounts() -> None:
    """List the accounts.

    Example: warmline user list
    """
    async with _accounts() as accounts:
        users = [one for one in await accounts.people.all() if one.signs_in_with]
    for one in users:
        teams = f" in {', '.join(one.teams)}" if one.teams else ""
        state = ", disabled" if one.disabled_at else ""
        out.print(
            escape(
                f"{one.identifier}: {', '.join(sorted(one.roles))}{teams}; "
                f"signs in with {one.signs_in_with}{state}"
            )
        )
    if not users:
        raise WarmlineError(
            "There are no accounts: whoever opens the page has every role. "
            "Make one: warmline user add NAME --role admin"
        )

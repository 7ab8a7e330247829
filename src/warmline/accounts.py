"""Accounts: who may sign in, who is asking, and what they may see."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from warmline.database import iso
from warmline.errors import NotFound, TooManyTries, WarmlineError
from warmline.people import ROLES, Login, People, User
from warmline.store import StoredSession

#: Who uses Warmline while no accounts are made: one person on this machine, with every role.
LOCAL_USER = "you"

#: Names that are nobody's account.
_RESERVED = {LOCAL_USER, "simulated"}

#: The shortest and longest password, in characters. Length is what makes a password strong.
SHORTEST_PASSWORD = 10
LONGEST_PASSWORD = 200

#: So many failed sign-ins with one name, or from one address, within so many minutes, and the
#: next has to wait.
FAILURES_BY_NAME = 5
FAILURES_BY_ADDRESS = 30
FAILURE_MINUTES = 15

#: The longest name of an account or a team, in characters.
_LONGEST_NAME = 100


@dataclass(frozen=True)
class Who:
    """Who is asking, with the roles they have now. ``local`` is the one person without account."""

    user: User
    roles: frozenset[str]
    local: bool

    def has(self, role: str) -> bool:
        """Whether they have a role."""
        return role in self.roles


class Accounts:
    """Signs people in, and says who is asking.

    Args:
        people: the users in the database.
        loopback: whether only this machine can reach the server; elsewhere login is required
            whether or not there are accounts.
        login_hours: how long a sign-in lasts, in hours.
    """

    def __init__(self, people: People, *, loopback: bool, login_hours: float = 12.0) -> None:
        self.people = people
        self.loopback = loopback
        self.login_hours = login_hours
        self._hasher = PasswordHasher()
        # Each hash takes 64 MiB and a core; a crowd of them must not starve the chats.
        self._hashing = asyncio.Semaphore(2)
        # Somebody unknown is made to wait as long as somebody known.
        self._nobodys_hash = self._hasher.hash("nobody's password")

    async def login_required(self) -> bool:
        """Whether one has to sign in: another address is bound, or there is an account."""
        return not self.loopback or await self.people.accounts_exist()

    # Signing in

    async def sign_in(self, identifier: str, password: str, address: str) -> Login | None:
        """Sign in with a password; None if the name or the password is wrong.

        Raises:
            TooManyTries: after too many failures, with how long to wait.
        """
        name = normal_name(identifier)[:_LONGEST_NAME]
        since = datetime.now(UTC) - timedelta(minutes=FAILURE_MINUTES)
        if not await self.people.attempt(
            name, address, iso(since), FAILURES_BY_NAME, FAILURES_BY_ADDRESS
        ):
            raise TooManyTries(
                f"Too many failed sign-ins. Wait {FAILURE_MINUTES} minutes and try again, or ask "
                "whoever runs Warmline here for a new password."
            )
        user = await self.people.find(name)
        usable = user is not None and user.password_hash and user.disabled_at is None
        known = user.password_hash if user and usable and user.password_hash else None
        matches = await self._matches(known or self._nobodys_hash, password)
        if user is None or known is None or not matches:
            return None
        await self.people.clear_failures(name)
        if self._hasher.check_needs_rehash(known):
            await self.people.change(name, password_hash=await self._hash(password))
        return await self._login(user)

    async def sign_in_with(self, provider: str, identifier: str) -> tuple[User, Login] | None:
        """Sign in somebody whom an OAuth provider vouches for; None without such an account.

        An account is made for one provider, so that the same name elsewhere is somebody else.
        """
        user = await self.people.find(normal_name(identifier))
        if user is None or user.signs_in_with != provider or user.disabled_at is not None:
            return None
        return user, await self._login(user)

    async def _login(self, user: User) -> Login:
        ends = datetime.now(UTC) + timedelta(hours=self.login_hours)
        return await self.people.add_login(user.id, iso(ends))

    async def _matches(self, hashed: str, password: str) -> bool:
        async with self._hashing:
            try:
                return await asyncio.to_thread(
                    self._hasher.verify, hashed, password[:LONGEST_PASSWORD]
                )
            except (VerificationError, InvalidHashError):
                return False

    async def _hash(self, password: str) -> str:
        async with self._hashing:
            return await asyncio.to_thread(self._hasher.hash, password)

    # Who is asking

    async def who(self, login_id: str | None) -> Who | None:
        """Who is asking, by their login, as the database has them now; None if nobody is."""
        if not await self.login_required():
            user = await self.people.local_user(LOCAL_USER)
            return Who(user, frozenset(ROLES), local=True)
        found = await self.people.signed_in(login_id) if login_id else None
        return Who(found, found.roles, local=False) if found else None

    async def may_read(self, who: Who, session: StoredSession) -> bool:
        """Whether somebody may read a session that is not necessarily theirs.

        Their own always; as a coach, what a trainee of a team of theirs has shared.
        """
        if session.user_id == who.user.id:
            return True
        if not who.has("coach") or session.shared_at is None:
            return False
        owner = await self.people.user(session.user_id)
        return bool(set(owner.teams) & set(who.user.teams))

    # Managing

    async def add(
        self,
        identifier: str,
        roles: Collection[str],
        teams: Collection[str],
        *,
        password: str | None = None,
        provider: str | None = None,
        takes_over: bool = False,
    ) -> User:
        """Make an account that signs in with a password or through an OAuth provider.

        With ``takes_over`` it is whoever practised here before there were accounts, and keeps
        what they practised.

        Raises:
            WarmlineError: if the name is taken or cannot be used, or the password is too weak.
        """
        name = _usable(normal_name(identifier), "name")
        for team in teams:
            _usable(team, "team")
        _known_roles(roles)
        hashed = None
        if provider is None:
            hashed = await self._hash(_strong(password or "", name))
        how = provider or "password"
        if not takes_over:
            return await self.people.add(name, roles, teams, how, hashed)
        await self.people.rename(LOCAL_USER, name)
        return await self.people.change(
            name, roles=roles, teams=teams, signs_in_with=how, password_hash=hashed
        )

    async def set_roles(self, identifier: str, roles: Collection[str]) -> User:
        """Give an account these roles and no others.

        Raises:
            WarmlineError: if there is no such account or role.
        """
        _known_roles(roles)
        return await self.people.change(await self._account(identifier), roles=roles)

    async def set_teams(self, identifier: str, teams: Collection[str]) -> User:
        """Put an account in these teams and no others.

        Raises:
            WarmlineError: if there is no such account, or a team's name cannot be used.
        """
        for team in teams:
            _usable(team, "team")
        return await self.people.change(await self._account(identifier), teams=teams)

    async def disable(self, identifier: str, *, disabled: bool = True) -> User:
        """Close an account and sign it out at once, or open it again. What it wrote stays.

        Raises:
            NotFound: if there is no such account.
        """
        name = await self._account(identifier)
        return await self.people.change(name, disabled=disabled, ends_logins=True)

    async def reset(self, identifier: str, password: str) -> User:
        """Set a new password, and sign the account out everywhere.

        Raises:
            WarmlineError: if there is no such account, or the password is too weak.
        """
        name = await self._account(identifier)
        hashed = await self._hash(_strong(password, name))
        await self.people.clear_failures(name)
        return await self.people.change(
            name, signs_in_with="password", password_hash=hashed, ends_logins=True
        )

    async def _account(self, identifier: str) -> str:
        """The name of an account, as it is kept.

        Raises:
            NotFound: if there is none.
        """
        name = normal_name(identifier)
        user = await self.people.find(name)
        if user is None or user.signs_in_with is None:
            raise NotFound(f"There is no account {name}. See them all: warmline user list")
        return name


def normal_name(identifier: str) -> str:
    """A name as it is kept: without case, outer space or lookalike forms of a character."""
    return unicodedata.normalize("NFKC", identifier).strip().casefold()


def _usable(name: str, what: str) -> str:
    if not name or len(name) > _LONGEST_NAME or not name.isprintable() or name in _RESERVED:
        raise WarmlineError(
            f"{name!r} cannot be the {what}. Use 1 to {_LONGEST_NAME} letters, digits, spaces or "
            f"signs; {' and '.join(sorted(_RESERVED))} are taken."
        )
    return name


def _known_roles(roles: Collection[str]) -> None:
    if unknown := set(roles) - set(ROLES):
        raise WarmlineError(f"There is no role {min(unknown)}. The roles: {', '.join(ROLES)}.")
    if not roles:
        raise WarmlineError(f"An account needs a role: {', '.join(ROLES)}.")


def _strong(password: str, name: str) -> str:
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise WarmlineError(
            f"That password has {len(password)} characters; use {SHORTEST_PASSWORD} to "
            f"{LONGEST_PASSWORD}. Three or four words in a row are easy to keep in mind."
        )
    if name in password.casefold():
        raise WarmlineError("That password contains the name. Choose another.")
    return password

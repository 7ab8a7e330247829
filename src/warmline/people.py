"""People in the database: users with their roles and teams, logins, and failed logins."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlite_utils.db import Database as Connection

from warmline.database import Database, now
from warmline.errors import NotFound, WarmlineError

Role = Literal["trainee", "trainer", "coach", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)

_USERS = """
    SELECT users.*,
        (SELECT group_concat(role, ' ') FROM user_roles WHERE user_id = users.id) AS roles,
        (SELECT json_group_array(team) FROM (
            SELECT team FROM team_members WHERE user_id = users.id ORDER BY team)) AS teams
    FROM users
"""


@dataclass(frozen=True)
class User:
    """A person who uses Warmline.

    ``signs_in_with`` is ``password``, the name of an OAuth provider, or None for somebody who
    practised before there were accounts, as whom nobody can sign in.
    """

    id: str
    identifier: str
    created_at: str
    roles: frozenset[str]
    teams: tuple[str, ...]
    signs_in_with: str | None = None
    password_hash: str | None = None
    disabled_at: str | None = None


@dataclass(frozen=True)
class Login:
    """One sign-in, until it ends."""

    id: str
    user_id: str
    expires_at: str


class People:
    """Reads and writes who uses Warmline."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def local_user(self, identifier: str) -> User:
        """The user of that name, made without a way to sign in if there is none."""

        def work(db: Connection) -> User:
            with db.atomic():
                found = _user(db, "identifier", identifier)
                return found or _insert(db, identifier, ["trainee"], [], None, None)

        return await self.database.run(work)

    async def add(
        self,
        identifier: str,
        roles: Collection[str],
        teams: Collection[str],
        signs_in_with: str,
        password_hash: str | None,
    ) -> User:
        """Make an account.

        Raises:
            WarmlineError: if there is one of that name.
        """

        def work(db: Connection) -> User:
            with db.atomic():
                if _user(db, "identifier", identifier):
                    raise WarmlineError(f"There is an account {identifier} already.")
                return _insert(db, identifier, roles, teams, signs_in_with, password_hash)

        return await self.database.run(work)

    async def rename(self, old: str, new: str) -> None:
        """Give a user another name; what they practised stays theirs.

        Raises:
            NotFound: if nobody has the old name.
            WarmlineError: if somebody has the new one.
        """

        def work(db: Connection) -> None:
            with db.atomic():
                user = _required(db, old)
                if _user(db, "identifier", new):
                    raise WarmlineError(f"There is an account {new} already.")
                db.table("users").update(user.id, {"identifier": new})

        await self.database.run(work)

    async def find(self, identifier: str) -> User | None:
        """The user of that name, if there is one."""
        return await self.database.run(lambda db: _user(db, "identifier", identifier))

    async def user(self, user_id: str) -> User:
        """The user of that id.

        Raises:
            NotFound: if there is none.
        """
        found = await self.database.run(lambda db: _user(db, "id", user_id))
        if found is None:
            raise NotFound("No such user.")
        return found

    async def all(self) -> list[User]:
        """Everybody, by name."""

        def work(db: Connection) -> list[User]:
            return [_from_row(row) for row in db.query(f"{_USERS} ORDER BY identifier")]

        return await self.database.run(work)

    async def accounts_exist(self) -> bool:
        """Whether anybody was given a way to sign in."""

        def work(db: Connection) -> bool:
            sql = "SELECT EXISTS (SELECT 1 FROM users WHERE signs_in_with IS NOT NULL) AS yes"
            return bool(next(iter(db.query(sql)))["yes"])

        return await self.database.run(work)

    async def coaches_of(self, user: User) -> list[str]:
        """The names of the coaches who share a team with a user, the user left out."""

        def work(db: Connection) -> list[str]:
            rows = db.query(
                """
                SELECT DISTINCT identifier FROM users
                JOIN user_roles ON user_roles.user_id = users.id AND role = 'coach'
                JOIN team_members ON team_members.user_id = users.id
                WHERE disabled_at IS NULL AND users.id != :me
                  AND team IN (SELECT team FROM team_members WHERE user_id = :me)
                ORDER BY identifier
                """,
                {"me": user.id},
            )
            return [str(row["identifier"]) for row in rows]

        return await self.database.run(work)

    async def change(
        self,
        identifier: str,
        *,
        roles: Collection[str] | None = None,
        teams: Collection[str] | None = None,
        signs_in_with: str | None = None,
        password_hash: str | None = None,
        disabled: bool | None = None,
        ends_logins: bool = False,
    ) -> User:
        """Change what is given of an account, in one step; with ``ends_logins``, sign it out.

        Raises:
            NotFound: if there is none of that name.
        """

        def work(db: Connection) -> User:
            with db.atomic():
                user = _required(db, identifier)
                if roles is not None:
                    db.execute("DELETE FROM user_roles WHERE user_id = ?", (user.id,))
                    _give_roles(db, user.id, roles)
                if teams is not None:
                    db.execute("DELETE FROM team_members WHERE user_id = ?", (user.id,))
                    _put_in_teams(db, user.id, teams)
                if password_hash is not None:
                    db.table("users").update(user.id, {"password_hash": password_hash})
                if signs_in_with is not None:
                    db.table("users").update(user.id, {"signs_in_with": signs_in_with})
                if disabled is not None:
                    db.table("users").update(user.id, {"disabled_at": now() if disabled else None})
                if ends_logins:
                    db.execute("DELETE FROM logins WHERE user_id = ?", (user.id,))
                return _required(db, identifier)

        return await self.database.run(work)

    # Logins

    async def add_login(self, user_id: str, expires_at: str) -> Login:
        """Keep a sign-in; those that have ended are forgotten."""

        def work(db: Connection) -> Login:
            login = Login(uuid.uuid4().hex, user_id, expires_at)
            with db.atomic():
                db.execute("DELETE FROM logins WHERE expires_at < ?", (now(),))
                db.table("logins").insert(
                    {
                        "id": login.id,
                        "user_id": user_id,
                        "created_at": now(),
                        "expires_at": expires_at,
                    }
                )
            return login

        return await self.database.run(work)

    async def signed_in(self, login_id: str) -> User | None:
        """Who signed in, as they are in the database now; None once the login has ended."""

        def work(db: Connection) -> User | None:
            sql = f"{_USERS} JOIN logins ON logins.user_id = users.id "
            sql += "WHERE logins.id = ? AND logins.expires_at > ? AND disabled_at IS NULL"
            row = next(iter(db.query(sql, (login_id, now()))), None)
            return _from_row(row) if row else None

        return await self.database.run(work)

    async def end_login(self, login_id: str) -> None:
        """Sign out."""

        def work(db: Connection) -> None:
            with db.atomic():
                db.execute("DELETE FROM logins WHERE id = ?", (login_id,))

        await self.database.run(work)

    async def attempt(
        self, identifier: str, address: str, since: str, by_name: int, by_address: int
    ) -> bool:
        """Count a sign-in as failed before it is tried; False if there were too many already.

        Counted first, so that many at the same instant count each other; a sign-in that succeeds
        is taken back with ``clear_failures``.

        Args:
            identifier: the name that is tried.
            address: where from.
            since: older failures are forgotten (ISO 8601).
            by_name: so many failures with a name are too many.
            by_address: so many from an address are.
        """

        def work(db: Connection) -> bool:
            with db.atomic():
                db.execute("DELETE FROM login_failures WHERE at < ?", (since,))
                row = next(
                    iter(
                        db.query(
                            "SELECT COUNT(*) FILTER (WHERE identifier = ?) AS by_name, "
                            "COUNT(*) FILTER (WHERE address = ?) AS by_address "
                            "FROM login_failures",
                            (identifier, address),
                        )
                    )
                )
                if row["by_name"] >= by_name or row["by_address"] >= by_address:
                    return False
                db.execute(
                    "INSERT INTO login_failures (identifier, address, at) VALUES (?, ?, ?)",
                    (identifier, address, now()),
                )
                return True

        return await self.database.run(work)

    async def clear_failures(self, identifier: str) -> None:
        """Forget the failed sign-ins of a name."""

        def work(db: Connection) -> None:
            with db.atomic():
                db.execute("DELETE FROM login_failures WHERE identifier = ?", (identifier,))

        await self.database.run(work)


def _from_row(row: dict[str, Any]) -> User:
    return User(
        id=row["id"],
        identifier=row["identifier"],
        created_at=row["created_at"],
        roles=frozenset((row["roles"] or "").split()),
        teams=tuple(json.loads(row["teams"])),
        signs_in_with=row["signs_in_with"],
        password_hash=row["password_hash"],
        disabled_at=row["disabled_at"],
    )


def _user(db: Connection, column: Literal["id", "identifier"], value: str) -> User | None:
    row = next(iter(db.query(f"{_USERS} WHERE users.{column} = ?", (value,))), None)
    return _from_row(row) if row else None


def _required(db: Connection, identifier: str) -> User:
    user = _user(db, "identifier", identifier)
    if user is None:
        raise NotFound(f"There is no account {identifier}. See them all: warmline user list")
    return user


def _insert(
    db: Connection,
    identifier: str,
    roles: Collection[str],
    teams: Collection[str],
    signs_in_with: str | None,
    password_hash: str | None,
) -> User:
    user_id = str(uuid.uuid4())
    db.table("users").insert(
        {
            "id": user_id,
            "identifier": identifier,
            "created_at": now(),
            "signs_in_with": signs_in_with,
            "password_hash": password_hash,
        }
    )
    _give_roles(db, user_id, roles)
    _put_in_teams(db, user_id, teams)
    return _required(db, identifier)


def _give_roles(db: Connection, user_id: str, roles: Collection[str]) -> None:
    db.table("user_roles").insert_all({"user_id": user_id, "role": role} for role in set(roles))


def _put_in_teams(db: Connection, user_id: str, teams: Collection[str]) -> None:
    db.table("team_members").insert_all({"team": team, "user_id": user_id} for team in set(teams))

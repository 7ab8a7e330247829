"""The door: which requests are answered at all, and to whom.

Every request and socket passes here first. What is not in the table does not exist, so that a
route which comes with a new version of a library is closed until somebody opens it on purpose.
Whose session it is, is then asked where the session is read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, urlsplit

from chainlit.auth import get_token_from_cookies
from chainlit.auth.jwt import decode_jwt
from jwt import InvalidTokenError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from warmline.accounts import Accounts, Who
from warmline.address import is_loopback
from warmline.web.templating import refused

#: Who may pass: anybody; whoever is signed in; whoever is signed in and has the role.
Needs = Literal["anyone", "signed_in", "trainer", "coach", "admin"]

#: The longest body of a request and the largest frame of a socket, in bytes. The longest message
#: in the widest characters fits several times.
LARGEST_BODY = 256 * 1024


@dataclass(frozen=True)
class Rule:
    """One row of the table. In a path, ``{id}`` is one part of it and ``{rest}`` all the rest."""

    method: str
    path: str
    needs: Needs
    #: Whether a person opens it as a page, and is sent to sign in rather than refused.
    page: bool = False
    pattern: re.Pattern[str] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        parts = re.split(r"(\{\w+\})", self.path)
        source = "".join(
            {"{rest}": ".+"}.get(part, "[^/]+") if part.startswith("{") else re.escape(part)
            for part in parts
        )
        object.__setattr__(self, "pattern", re.compile(source))


RULES = [
    # The page itself, which holds nothing of anybody's.
    Rule("GET", "/", "anyone"),
    Rule("HEAD", "/", "anyone"),
    Rule("GET", "/login", "anyone"),
    Rule("GET", "/login/callback", "anyone"),
    Rule("GET", "/thread/{id}", "anyone"),
    Rule("GET", "/assets/{rest}", "anyone"),
    Rule("GET", "/public/{rest}", "anyone"),
    Rule("GET", "/favicon", "anyone"),
    Rule("GET", "/logo", "anyone"),
    Rule("GET", "/project/translations", "anyone"),
    Rule("GET", "/healthz", "anyone"),
    # Signing in and out.
    Rule("GET", "/auth/config", "anyone"),
    Rule("POST", "/auth/header", "anyone"),
    Rule("GET", "/auth/oauth/{id}", "anyone"),
    Rule("GET", "/auth/oauth/{id}/callback", "anyone"),
    Rule("POST", "/login", "anyone"),
    Rule("POST", "/logout", "anyone"),
    Rule("POST", "/sign-out", "anyone"),
    # Practice.
    Rule("GET", "/user", "signed_in"),
    Rule("POST", "/set-session-cookie", "signed_in"),
    Rule("GET", "/project/settings", "signed_in"),
    Rule("GET", "/avatars/{id}", "signed_in"),
    Rule("POST", "/project/threads", "signed_in"),
    Rule("GET", "/project/thread/{id}", "signed_in"),
    Rule("PUT", "/project/thread", "signed_in"),
    Rule("DELETE", "/project/thread", "signed_in"),
    Rule("POST", "/project/action", "signed_in"),
    Rule("GET", "/ws/socket.io/", "signed_in"),
    Rule("POST", "/ws/socket.io/", "signed_in"),
    # One's own data.
    Rule("GET", "/your-data", "signed_in", page=True),
    Rule("POST", "/your-data/{id}/share", "signed_in"),
    Rule("POST", "/your-data/{id}/keep-private", "signed_in"),
    Rule("POST", "/your-data/{id}/delete", "signed_in"),
    Rule("POST", "/your-data/delete-everything", "signed_in"),
    Rule("GET", "/your-data/everything.json", "signed_in", page=True),
    Rule("GET", "/compare/{id}", "signed_in", page=True),
    Rule("GET", "/progress", "signed_in", page=True),
    Rule("GET", "/progress/{id}", "signed_in", page=True),
    Rule("GET", "/progress/steps/{rubric}/{step}", "signed_in"),
    # Assignments.
    Rule("GET", "/assignments", "signed_in", page=True),
    Rule("POST", "/assignments/{id}/start", "signed_in"),
    Rule("POST", "/assignments/tries/{id}/hand-in", "signed_in"),
    Rule("GET", "/desk/assignments", "coach", page=True),
    Rule("POST", "/desk/assignments", "coach"),
    Rule("POST", "/desk/assignments/{id}/withdraw", "coach"),
    # The coach's desk, and the accounts.
    Rule("GET", "/desk", "coach", page=True),
    Rule("GET", "/desk/agreement", "coach", page=True),
    Rule("GET", "/desk/team", "coach", page=True),
    Rule("GET", "/desk/team.csv", "coach", page=True),
    Rule("GET", "/desk/team.json", "coach", page=True),
    Rule("GET", "/desk/team.html", "coach", page=True),
    Rule("GET", "/desk/team/trend/{rubric}", "coach"),
    Rule("GET", "/desk/team/trend/{rubric}/{step}", "coach"),
    Rule("GET", "/desk/team/steps/{rubric}/{step}", "coach", page=True),
    Rule("GET", "/desk/sessions.csv", "coach", page=True),
    Rule("GET", "/desk/sessions.json", "coach", page=True),
    Rule("GET", "/desk/sessions.html", "coach", page=True),
    Rule("GET", "/desk/statements.json", "coach", page=True),
    Rule("GET", "/desk/labels/{id}", "coach", page=True),
    Rule("GET", "/desk/{id}", "coach", page=True),
    Rule("GET", "/desk/{id}/session.json", "coach", page=True),
    Rule("GET", "/desk/{id}/session.html", "coach", page=True),
    Rule("POST", "/desk/{id}/override", "coach"),
    Rule("POST", "/desk/{id}/comment", "coach"),
    Rule("POST", "/desk/{id}/approve", "coach"),
    Rule("POST", "/desk/{id}/send-back", "coach"),
    Rule("POST", "/desk/{id}/blind", "coach"),
    Rule("GET", "/accounts", "admin", page=True),
    # The trainer's studio. A kind is ``persona`` or ``rubric``.
    Rule("GET", "/studio", "trainer", page=True),
    Rule("POST", "/studio/new", "trainer"),
    Rule("POST", "/studio/import", "trainer"),
    Rule("GET", "/studio/interview", "trainer", page=True),
    Rule("POST", "/studio/interview", "trainer"),
    Rule("GET", "/studio/interview/{id}", "trainer", page=True),
    Rule("POST", "/studio/interview/{id}/again", "trainer"),
    Rule("POST", "/studio/persona/{id}/practise", "trainer"),
    Rule("GET", "/studio/persona/{id}/try", "trainer", page=True),
    Rule("POST", "/studio/persona/{id}/try", "trainer"),
    Rule("POST", "/studio/persona/{id}/try/stop", "trainer"),
    Rule("GET", "/studio/persona/{id}/try/chart/{agent}", "trainer"),
    Rule("GET", "/studio/rubric/{id}/try", "trainer", page=True),
    Rule("POST", "/studio/rubric/{id}/try", "trainer"),
    Rule("POST", "/studio/rubric/{id}/try/stop", "trainer"),
    Rule("GET", "/studio/{kind}/{id}", "trainer", page=True),
    Rule("GET", "/studio/{kind}/{id}/file", "trainer", page=True),
    Rule("POST", "/studio/{kind}/{id}", "trainer"),
    Rule("POST", "/studio/{kind}/{id}/check", "trainer"),
    Rule("GET", "/studio/{kind}/{id}/publish", "trainer", page=True),
    Rule("POST", "/studio/{kind}/{id}/publish", "trainer"),
    Rule("POST", "/studio/{kind}/{id}/discard", "trainer"),
    Rule("GET", "/studio/{kind}/{id}/history", "trainer", page=True),
    Rule("GET", "/studio/{kind}/{id}/history/{version}", "trainer", page=True),
    Rule("POST", "/studio/{kind}/{id}/restore", "trainer"),
    Rule("GET", "/studio/{kind}/{id}/published.yaml", "trainer", page=True),
    Rule("GET", "/studio/{kind}/{id}/draft.yaml", "trainer", page=True),
]

_TOO_LARGE = f"That is too large; at most {LARGEST_BODY // 1024} kilobytes are taken."

_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


def login_of(token: str | None) -> tuple[str, str] | None:
    """The name and the login in a browser's token; None if there is none or it is not ours."""
    if not token:
        return None
    try:
        user = decode_jwt(token)
    except (InvalidTokenError, TypeError, ValueError):
        return None
    login = (user.metadata or {}).get("login")
    return (user.identifier, login) if isinstance(login, str) else None


async def who_by(accounts: Accounts, token: str | None) -> Who | None:
    """Who a browser's token stands for now; None once its login has ended.

    The chat library goes by the name in the token, so it has to be that of the login.
    """
    claimed = login_of(token)
    who = await accounts.who(claimed[1] if claimed else None)
    if who is None or (claimed is not None and claimed[0] != who.user.identifier):
        return None
    return who


def rule_for(method: str, path: str) -> Rule | None:
    """The row of the table for a request, if there is one."""
    rules = (r for r in RULES if r.method == method and r.pattern.fullmatch(path))
    # A path written out goes before one with a part left open.
    return min(rules, key=lambda rule: rule.path.count("{"), default=None)


class Door:
    """ASGI middleware that lets through what the table allows, and notes who it is.

    Args:
        app: what lies behind it.
        accounts: says who is asking.
        public_url: the address under which browsers know the server, if it is not the one bound.
    """

    def __init__(self, app: ASGIApp, accounts: Accounts, public_url: str | None) -> None:
        self.app = app
        self.accounts = accounts
        self.public = urlsplit(public_url).netloc if public_url else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request or socket."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refusal = await self._refusal(scope)
        if refusal is None:
            await self.app(scope, _limited(receive, scope), send)
        elif scope["type"] == "http":
            await refusal(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "refused"})

    async def _refusal(self, scope: Scope) -> Response | None:
        """What to answer instead, if the request may not pass."""
        headers = Headers(scope=scope)
        method = scope.get("method", "GET")
        required = await self.accounts.login_required()
        forwarded = "forwarded" in headers or "x-forwarded-for" in headers
        if not required and (forwarded or not is_loopback(headers.get("host", ""))):
            # Without accounts, another site's name for this machine would open everything.
            return refused(
                421, "Open Warmline under the address that it printed at its start.", headers
            )
        if (method not in _SAFE_METHODS or scope["type"] == "websocket") and not self._own(headers):
            return refused(403, "That came from another site, and was not done.", headers)
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > LARGEST_BODY:
            return refused(413, _TOO_LARGE, headers)
        rule = rule_for(method, scope["path"])
        if rule is None:
            return refused(404, "There is no such page.", headers)
        if rule.needs == "anyone":
            return None
        # All cookies as the chat library reads them, or it could see another token than we do.
        who = await who_by(self.accounts, get_token_from_cookies(HTTPConnection(scope).cookies))
        if who is None:
            if rule.page and method == "GET":
                return RedirectResponse(f"/login?then={quote(scope['path'])}", 303)
            return refused(401, "Sign in first.", headers)
        if rule.needs != "signed_in" and not who.has(rule.needs):
            return refused(403, f"This page is for somebody with the role {rule.needs}.", headers)
        scope.setdefault("state", {})["who"] = who
        return None

    def _own(self, headers: Headers) -> bool:
        """Whether a request that may change something comes from a page of ours.

        Browsers say where a request comes from, and no page can make them lie about it.
        """
        origin = headers.get("origin")
        if origin is not None:
            return origin.partition("://")[2] in {headers.get("host"), self.public}
        return headers.get("sec-fetch-site", "none") in {"none", "same-origin"}


def who_of(scope: Scope) -> Who:
    """Who passed the door with this request."""
    who = scope["state"]["who"]
    assert isinstance(who, Who)
    return who


def _limited(receive: Receive, scope: Scope) -> Receive:
    """The same messages, until more has come than a body may hold."""
    if scope["type"] != "http":
        return receive
    got = 0

    async def limited() -> Message:
        nonlocal got
        message = await receive()
        got += len(message.get("body", b""))
        if got > LARGEST_BODY:
            # A body whose length was not said in advance; the rest of it is not read.
            raise HTTPException(413, _TOO_LARGE)
        return message

    return limited

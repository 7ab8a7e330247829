"""Signing in and out, and what the sign-in page offers."""

from __future__ import annotations

from typing import Annotated, Any

from chainlit.auth import clear_auth_cookie, create_jwt, get_configuration, set_auth_cookie
from chainlit.auth import get_token_from_cookies as token_from
from chainlit.oauth_providers import get_configured_oauth_providers
from chainlit.user import User as ChatUser
from fastapi import APIRouter, Form, HTTPException, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from warmline.accounts import LOCAL_USER
from warmline.errors import TooManyTries
from warmline.people import Login
from warmline.web import runtime
from warmline.web.access import login_of

router = APIRouter()

#: What the token of the one person without account says instead of a login.
LOCAL_LOGIN = "local"


def chat_user(identifier: str, login_id: str) -> ChatUser:
    """The user whom Chainlit signs a token for; the login in it is what counts."""
    return ChatUser(identifier=identifier, metadata={"login": login_id})


async def local_chat_user() -> ChatUser | None:
    """The one person on this machine, while there are no accounts."""
    if await runtime.current().accounts.login_required():
        return None
    return chat_user(LOCAL_USER, LOCAL_LOGIN)


async def oauth_chat_user(provider: str, identifier: str) -> ChatUser | None:
    """Somebody whom an OAuth provider vouches for and who has an account for it."""
    found = await runtime.current().accounts.sign_in_with(provider, identifier)
    return chat_user(found[0].identifier, found[1].id) if found else None


@router.get("/auth/config")
async def ways_to_sign_in() -> dict[str, Any]:
    """How one signs in here, as it stands now."""
    required = await runtime.current().accounts.login_required()
    return {
        **get_configuration(),
        "requireLogin": True,
        "passwordAuth": required,
        "headerAuth": not required,
        "oauthProviders": get_configured_oauth_providers() if required else [],
    }


@router.post("/login")
async def sign_in(
    request: Request, username: Annotated[str, Form()], password: Annotated[str, Form()]
) -> Response:
    """Sign in with a name and a password."""
    accounts = runtime.current().accounts
    address = request.client.host if request.client else ""
    try:
        login: Login | None = await accounts.sign_in(username, password, address)
    except TooManyTries as error:
        raise HTTPException(429, str(error)) from error
    if login is None:
        raise HTTPException(401, "That name and that password do not fit together.")
    user = await accounts.people.user(login.user_id)
    response = JSONResponse({"success": True})
    token = create_jwt(chat_user(user.identifier, login.id))
    set_auth_cookie(request, response, token)
    return response


@router.post("/logout")
async def sign_out(request: Request) -> Response:
    """Sign out: the login ends, on this machine and for whoever might have copied the cookie."""
    return await _signed_out(request, JSONResponse({"success": True}))


@router.post("/sign-out")
async def leave(request: Request) -> Response:
    """Sign out from one of the pages beside the chat."""
    return await _signed_out(request, RedirectResponse("/login", 303))


async def _signed_out(request: Request, response: Response) -> Response:
    claimed = login_of(token_from(request.cookies))
    if claimed is not None:
        await runtime.current().accounts.people.end_login(claimed[1])
    clear_auth_cookie(request, response)
    return response

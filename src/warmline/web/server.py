"""The server: the chat page at ``/``, and everything beside it."""

from __future__ import annotations

import logging
import math
import os
import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI, HTTPException, Request, Response

from warmline.errors import NotFound, WarmlineError
from warmline.settings import PROJECT, Settings
from warmline.web import runtime
from warmline.web.avatars import initials_svg
from warmline.web.safe_pages import SafePages
from warmline.web.templating import refused


def create_app(settings: Settings) -> FastAPI:
    """The whole web application, for a runtime that has been started.

    One process only: conversations live in its memory.
    """
    os.environ["CHAINLIT_APP_ROOT"] = str(PROJECT)
    os.environ["CHAINLIT_AUTH_SECRET"] = runtime.auth_secret(settings.transcripts_dir)
    if settings.public_url:
        os.environ["CHAINLIT_URL"] = settings.public_url
    # Chainlit reads these at import, so it comes in only now.
    from chainlit.config import config as chat_config
    from chainlit.utils import mount_chainlit

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
    from warmline.web.access import LARGEST_BODY, Door

    # The cookie must not end before the login that it names.
    chat_config.project.user_session_timeout = math.ceil(settings.login_hours * 3600)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    secure = (settings.public_url or "").startswith("https:")
    app.add_middleware(Door, accounts=runtime.current().accounts, public_url=settings.public_url)
    app.add_middleware(SafePages, secure=secure)
    app.add_exception_handler(HTTPException, _refuse)
    app.add_exception_handler(WarmlineError, _say)
    app.include_router(signing_in.router)
    app.include_router(pages.router)
    # Before the desk, which takes any other word there for a session's id.
    app.include_router(assignment_pages.router)
    app.include_router(out_pages.router)
    app.include_router(progress_pages.router)
    # Before the pages of one session, whose paths begin alike.
    app.include_router(team_pages.router)
    app.include_router(desk_pages.router)
    # Before the pages of one persona or rubric, whose paths begin alike.
    app.include_router(interview_pages.router)
    app.include_router(draft_pages.router)
    app.include_router(trying_pages.router)
    app.include_router(trying_rubric_pages.router)
    app.include_router(studio_library_pages.router)
    app.include_router(studio_version_pages.router)
    app.include_router(studio_pages.router)
    app.include_router(sockets.router)

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        """Say that the server is up."""
        return {"status": "ok"}

    @app.get("/avatars/{name}")
    async def avatar(name: str) -> Response:
        """Draw the round picture beside a message."""
        return Response(initials_svg(name), media_type="image/svg+xml")

    # It reports at every page that only one language has a help text; the help is English.
    logging.getLogger("chainlit").setLevel(logging.ERROR)
    mount_chainlit(app, str(PROJECT / "app.py"), path="/")
    sockets.close_other_events(LARGEST_BODY)
    return app


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return refused(error.status_code, str(error.detail), request.headers)


async def _say(request: Request, error: Exception) -> Response:
    status = 404 if isinstance(error, NotFound) else 503
    return refused(status, str(error), request.headers)


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens at an address, and sends what it has without waiting for more.

    Python's event loop turns that waiting off only for sockets that say they are TCP, which those
    of `socket.create_server` do not; each answer would come 40 ms late.

    Raises:
        OSError: if the address is in use or may not be bound.
    """
    made = socket.create_server((host, port))
    return socket.socket(made.family, made.type, socket.IPPROTO_TCP, fileno=made.detach())


async def listen(app: FastAPI, settings: Settings, ready: Callable[[], object]) -> None:
    """Serve until stopped; ``ready`` is called once connections are taken.

    Raises:
        WarmlineError: if the address is in use or may not be bound.
    """
    try:
        listener = bound(settings.host, settings.port)
    except OSError as error:
        raise WarmlineError(
            f"Cannot listen on {settings.host}:{settings.port}: {error.strerror or error}. "
            "Stop what uses that port, or set another: WARMLINE_PORT=8001"
        ) from error
    config = uvicorn.Config(
        app,
        log_level="warning",
        lifespan="off",
        forwarded_allow_ips=settings.trusted_proxies,
        proxy_headers=bool(settings.trusted_proxies),
        server_header=False,
    )
    server = uvicorn.Server(config)
    with listener:
        ready()
        await server.serve(sockets=[listener])

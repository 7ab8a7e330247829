"""The server: the chat page at ``/``, and everything beside it."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI, Response

from warmline.errors import WarmlineError
from warmline.settings import PROJECT, Settings
from warmline.web import runtime
from warmline.web.avatars import initials_svg
from warmline.web.offline import OfflinePages


def create_app(settings: Settings) -> FastAPI:
    """The whole web application, for a runtime that has been started.

    One process only: conversations live in its memory.
    """
    os.environ["CHAINLIT_APP_ROOT"] = str(PROJECT)
    os.environ["CHAINLIT_AUTH_SECRET"] = runtime.auth_secret(settings.transcripts_dir)
    # Chainlit reads both at import, so it comes in only now.
    from chainlit.utils import mount_chainlit

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(OfflinePages)

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        """Say that the server is up, and with which model."""
        backend = runtime.current().backend
        return {"status": "ok", "backend": backend.name, "model": backend.model}

    @app.get("/avatars/{name}")
    async def avatar(name: str) -> Response:
        """Draw the round picture beside a message."""
        return Response(initials_svg(name), media_type="image/svg+xml")

    # It reports at every page that only one language has a help text; the help is English.
    logging.getLogger("chainlit").setLevel(logging.ERROR)
    mount_chainlit(app, str(PROJECT / "app.py"), path="/")
    return app


async def listen(app: FastAPI, settings: Settings, ready: Callable[[], object]) -> None:
    """Serve until stopped; ``ready`` is called once connections are taken.

    Raises:
        WarmlineError: if the address is in use or may not be bound.
    """
    try:
        listener = socket.create_server((settings.host, settings.port))
    except OSError as error:
        raise WarmlineError(
            f"Cannot listen on {settings.host}:{settings.port}: {error.strerror or error}. "
            "Stop what uses that port, or set another: WARMLINE_PORT=8001"
        ) from error
    config = uvicorn.Config(app, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    with listener:
        ready()
        await server.serve(sockets=[listener])

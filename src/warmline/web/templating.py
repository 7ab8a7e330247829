"""The templates of the pages beside the chat."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.templating import Jinja2Templates
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.datastructures import Headers

from warmline.store import StoredSession

templates = Jinja2Templates(
    env=Environment(
        loader=PackageLoader("warmline.web"),
        # Everything that people wrote is shown as text, whatever it looks like.
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
)


def refused(status: int, message: str, headers: Headers) -> Response:
    """A refusal: a page for a person, JSON for a program."""
    if "text/html" in headers.get("accept", ""):
        page = templates.get_template("refused.html").render(message=message)
        return HTMLResponse(page, status)
    return JSONResponse({"detail": message}, status)


#: Where a session stands, in words.
STATUS = {
    "talking": "Not finished",
    "over": "Not graded yet",
    "not_graded": "Not graded",
    "graded": "Has feedback",
}


def render(request: Request, name: str, status: int = 200, **values: Any) -> Response:
    """A page for whoever is asking."""
    # Noted at the door.
    values["who"] = request.state.who
    return templates.TemplateResponse(request, name, values, status)


def row(session: StoredSession, **more: Any) -> dict[str, Any]:
    """A session as lists show it."""
    return {
        "id": session.id,
        "title": session.title,
        "at": session.created_at,
        "status": STATUS[session.status],
        "shared": session.shared_at is not None,
        "draft": bool(session.draft),
        **more,
    }


def day_words(day: date, today: date) -> str:
    """A day in plain words: ``5 December``, with the year where it is another one."""
    words = f"{day.day} {day:%B}"
    return words if day.year == today.year else f"{words} {day.year}"


def day_of(moment: str) -> str:
    """The day of a moment as it is kept, in plain words."""
    return day_words(date.fromisoformat(moment[:10]), datetime.now(UTC).date())


templates.env.filters["day"] = day_of

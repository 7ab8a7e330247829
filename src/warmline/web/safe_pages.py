"""Pages that ask nothing of any other machine, and run nothing but our own program.

The chat page, as it comes, names a font host and a style sheet on a CDN. Those links are taken
out of every page, and a content security policy forbids the browser to go anywhere else.
"""

from __future__ import annotations

import base64
import hashlib
import re

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_OUTSIDE_LINK = re.compile(rb"<link\b[^>]*\bhref=\"(?:https?:)?//[^>]*>\s*")
_OUTSIDE_META = re.compile(rb"<meta\b[^>]*\bcontent=\"(?:https?:)?//[^>]*>\s*")
_INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)

#: The chat's custom elements are compiled in the browser, which needs 'unsafe-eval'.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-eval'{scripts}; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; "
    "frame-ancestors 'none'"
)


#: The chat's page, which is the same for everybody: what somebody wrote is never in it.
_CHAT = re.compile(r"/(login(/callback)?|thread/[^/]+)?")

#: The studio's own script helps while a trainer types. It is one of our files: what stands in a
#: page is never run.
_STUDIO = re.compile(r"/studio(/.*)?")

#: Every other page has no script, and a policy that lets none run.
PLAIN_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)

STUDIO_POLICY = f"{PLAIN_POLICY}; script-src 'self'; connect-src 'self'"

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}

#: What is the same for everybody, and may stay in the browser's cache.
_CACHED = ("/assets/", "/public/", "/favicon", "/logo", "/avatars/")


def without_outside_links(page: bytes) -> bytes:
    """An HTML page without links to other hosts."""
    return _OUTSIDE_META.sub(b"", _OUTSIDE_LINK.sub(b"", page))


def policy_for(path: str, page: bytes) -> str:
    """The content security policy for a page: the chat's own inline scripts by their hash."""
    if _STUDIO.fullmatch(path):
        return STUDIO_POLICY
    if not _CHAT.fullmatch(path):
        # Not by looking at the page: a script that got into it would be allowed by its own hash.
        return PLAIN_POLICY
    hashes = (
        base64.b64encode(hashlib.sha256(script).digest()).decode()
        for script in _INLINE_SCRIPT.findall(page)
    )
    return POLICY.format(scripts="".join(f" 'sha256-{digest}'" for digest in hashes))


class SafePages:
    """ASGI middleware: cleans HTML pages, and adds safe headers to every answer.

    With ``secure``, where browsers come over HTTPS, they are told to come no other way.
    """

    def __init__(self, app: ASGIApp, *, secure: bool = False) -> None:
        self.app = app
        self.secure = secure

    def _make_safe(self, headers: MutableHeaders, path: str) -> None:
        headers.update(_HEADERS)
        if not path.startswith(_CACHED):
            headers["Cache-Control"] = "no-store"
        if not self.secure:
            return
        headers["Strict-Transport-Security"] = "max-age=31536000"
        cookies = headers.getlist("set-cookie")
        del headers["set-cookie"]
        for cookie in cookies:
            marked = "; secure" in cookie.lower()
            headers.append("set-cookie", cookie if marked else f"{cookie}; Secure")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if b"text/html" in dict(scope["headers"]).get(b"accept", b""):
            # A page has to come uncompressed, or its links could not be seen.
            kept = [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]
            scope = {**scope, "headers": kept}
        start: Message | None = None
        body = b""

        async def wrapped(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                self._make_safe(headers, scope["path"])
                if headers.get("content-type", "").startswith("text/html"):
                    start = message
                    return
                headers["Content-Security-Policy"] = PLAIN_POLICY
            elif message["type"] == "http.response.body" and start is not None:
                body += message.get("body", b"")
                if message.get("more_body"):
                    return
                page = without_outside_links(body)
                headers = MutableHeaders(scope=start)
                headers["Content-Security-Policy"] = policy_for(scope["path"], page)
                headers["Content-Length"] = str(len(page))
                await send(start)
                await send({"type": "http.response.body", "body": page})
                return
            await send(message)

        gone = False

        async def watched() -> Message:
            nonlocal gone
            message = await receive()
            gone = gone or message["type"] == "http.disconnect"
            return message

        try:
            await self.app(scope, watched, wrapped)
        except RuntimeError:
            # A browser that has gone leaves nobody to answer; that is no fault to report.
            if not gone:
                raise

"""Pages that ask nothing of any other machine."""

from __future__ import annotations

import base64
import hashlib
import re

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from warmline.web.safe_pages import (
    PLAIN_POLICY,
    STUDIO_POLICY,
    SafePages,
    policy_for,
    without_outside_links,
)

PAGE = b"""<!doctype html><html><head>
<link rel="preconnect" href="https://fonts.example.com" crossorigin>
<link href="//cdn.example.com/katex.css" rel="stylesheet" />
<link rel="stylesheet" href="/public/warmline.css">
<meta property="og:image" content="https://example.com/banner.png">
<meta name="viewport" content="width=device-width">
<script>window.own = "here";</script>
<script src="/assets/index.js"></script>
</head><body><a href="https://example.com">a link to click</a></body></html>"""


def test_what_a_page_would_fetch_elsewhere_is_taken_out() -> None:
    clean = without_outside_links(PAGE)
    for gone in (b"fonts.example.com", b"cdn.example.com", b"banner.png"):
        assert gone not in clean
    for kept in (
        b"/public/warmline.css",
        b"viewport",
        b"window.own",
        b"/assets/index.js",
        b"click",
    ):
        assert kept in clean


def test_the_policy_allows_the_pages_own_inline_scripts_by_their_hash() -> None:
    policy = policy_for(
        "/", b"<script>a()</script><script>b(\n)</script><script src='/x.js'></script>"
    )
    for script in (b"a()", b"b(\n)"):
        digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert policy.count("sha256-") == 2


@pytest.mark.parametrize("path", ["/desk", "/your-data", "/login/x", "/thread/x/y", "/compare/x"])
def test_a_script_that_got_into_another_page_is_not_allowed_by_its_own_hash(path: str) -> None:
    assert policy_for(path, PAGE) == PLAIN_POLICY
    assert "script-src" not in PLAIN_POLICY
    assert "default-src 'none'" in PLAIN_POLICY


@pytest.mark.parametrize("path", ["/studio", "/studio/persona/x", "/studio/rubric/x/file"])
def test_the_studio_runs_its_own_file_and_nothing_that_stands_in_a_page(path: str) -> None:
    policy = policy_for(path, PAGE)
    assert policy == STUDIO_POLICY
    assert policy.startswith(PLAIN_POLICY)
    assert policy.removeprefix(PLAIN_POLICY) == "; script-src 'self'; connect-src 'self'"


@pytest.mark.parametrize("path", ["/studios", "/studio.html", "/x/studio", "/your-data/studio/"])
def test_what_only_looks_like_the_studio_runs_nothing(path: str) -> None:
    assert policy_for(path, PAGE) == PLAIN_POLICY


def test_the_policy_names_no_other_host() -> None:
    policy = policy_for("/thread/x", PAGE)
    assert not re.search(r"https?:|\*|//", policy)
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == directives["connect-src"] == "'self'"
    assert "'unsafe-inline'" not in directives["script-src"]
    assert directives["frame-ancestors"] == "'none'"


async def fetch(
    chunks: list[bytes], content_type: str, accept: str = "text/html"
) -> tuple[httpx.Response, dict[bytes, bytes]]:
    """What the browser gets of an answer in these chunks, and what the page's maker was asked."""
    asked: dict[bytes, bytes] = {}

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        asked.update(scope["headers"])
        length = str(sum(map(len, chunks))).encode()
        headers = [(b"content-type", content_type.encode()), (b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for number, chunk in enumerate(chunks, start=1):
            more = number < len(chunks)
            await send({"type": "http.response.body", "body": chunk, "more_body": more})

    transport = httpx.ASGITransport(SafePages(page))
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        return await client.get("/", headers={"accept": accept, "accept-encoding": "gzip"}), asked


@pytest.mark.parametrize("size", [len(PAGE), 7, 100], ids=["whole", "in crumbs", "in chunks"])
async def test_a_page_is_cleaned_however_it_arrives(size: int) -> None:
    chunks = [PAGE[start : start + size] for start in range(0, len(PAGE), size)]
    response, asked = await fetch(chunks, "text/html; charset=utf-8")
    clean = without_outside_links(PAGE)
    assert response.content == clean
    assert response.headers["content-length"] == str(len(clean))
    assert response.headers["content-security-policy"] == policy_for("/", clean)
    assert b"accept-encoding" not in asked


@pytest.mark.parametrize("content_type", ["application/json", "text/javascript", "image/svg+xml"])
async def test_what_is_no_page_passes_untouched(content_type: str) -> None:
    response, asked = await fetch([PAGE[:50], PAGE[50:]], content_type, accept="*/*")
    assert response.content == PAGE
    assert response.headers["content-length"] == str(len(PAGE))
    assert asked[b"accept-encoding"] == b"gzip"
    assert "sha256" not in response.headers["content-security-policy"]


@pytest.mark.parametrize("content_type", ["text/html", "application/json"])
async def test_every_answer_has_the_safe_headers(content_type: str) -> None:
    response, _ = await fetch([b"{}"], content_type)
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "same-origin"
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in response.headers["content-security-policy"]


async def test_a_websocket_is_left_alone() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def nothing(*_: object) -> dict[str, object]:
        return {}

    await SafePages(app)({"type": "websocket", "headers": []}, nothing, nothing)  # type: ignore[arg-type]
    assert seen == ["websocket"]

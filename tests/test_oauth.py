"""Signing in through an OAuth provider: by configuration alone, against a provider that runs."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from ollama_stub import Script, running_stub
from served import Server
from warmline.accounts import Accounts
from warmline.database import Database
from warmline.people import People

SECRET = "s3cret"


class Provider(BaseHTTPRequestHandler):
    """Gives a token for the code ``good``, and says whose it is."""

    email = "mira@example.org"

    def do_POST(self) -> None:
        body = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        good = body["code"] == ["good"] and body["client_secret"] == [SECRET]
        self._send(200 if good else 400, {"access_token": "token"} if good else {})

    def do_GET(self) -> None:
        known = self.headers["Authorization"] == "Bearer token"
        self._send(200 if known else 401, {"email": self.email} if known else {})

    def _send(self, status: int, value: dict[str, str]) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


async def make_account(folder: Path) -> None:
    database = await Database.open(folder / "transcripts" / "warmline.db")
    accounts = Accounts(People(database), loopback=True)
    await accounts.add("Mira@example.org", ["trainee"], [], provider="company")
    await accounts.add("omar@example.org", ["trainee"], [], password="correct horse battery")
    await database.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("oauth")
    asyncio.run(make_account(folder))
    provider = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{provider.server_port}"
    with running_stub(Script()) as stub:
        running = Server(
            folder,
            {
                "WARMLINE_BACKEND": "ollama",
                "WARMLINE_OLLAMA_HOST": stub.host,
                "OAUTH_GENERIC_NAME": "company",
                "OAUTH_GENERIC_CLIENT_ID": "warmline",
                "OAUTH_GENERIC_CLIENT_SECRET": SECRET,
                "OAUTH_GENERIC_AUTH_URL": f"{address}/authorize",
                "OAUTH_GENERIC_TOKEN_URL": f"{address}/token",
                "OAUTH_GENERIC_USER_INFO_URL": f"{address}/me",
                "OAUTH_GENERIC_SCOPES": "email",
            },
        )
        running.start()
        yield running
        running.stop()
    provider.shutdown()


def come_back(server: Server, code: str = "good", state: str | None = None) -> httpx.Client:
    """Go to the provider and come back with a code; returns the browser's client."""
    client = httpx.Client(base_url=server.address, timeout=30)
    sent = client.get("/auth/oauth/company")
    assert sent.status_code in {302, 307}
    asked = parse_qs(urlsplit(sent.headers["location"]).query)
    assert asked["redirect_uri"] == [f"{server.address}/auth/oauth/company/callback"]
    params = {"code": code, "state": state or asked["state"][0]}
    client.get("/auth/oauth/company/callback", params=params)
    return client


def test_the_provider_is_offered(server: Server) -> None:
    config = httpx.get(f"{server.address}/auth/config").json()
    assert config["oauthProviders"] == ["company"]
    assert config["passwordAuth"] is True


def test_whoever_has_an_account_for_the_provider_is_signed_in(server: Server) -> None:
    client = come_back(server)
    answer = client.get("/user")
    assert (answer.status_code, answer.json()["identifier"]) == (200, "mira@example.org")
    assert client.post("/logout").status_code == 200
    assert client.get("/user").status_code == 401


@pytest.mark.parametrize("email", ["omar@example.org", "stranger@example.org", "", "you"])
def test_nobody_else_is(server: Server, email: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Provider, "email", email)
    assert come_back(server).get("/user").status_code == 401


def test_a_wrong_code_or_a_state_of_another_browser_signs_nobody_in(server: Server) -> None:
    assert come_back(server, code="bad").get("/user").status_code == 401
    assert come_back(server, state="of another").get("/user").status_code == 401

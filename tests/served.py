"""A real server in a process of its own, and a real browser in front of it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Page, Response, WebSocket, sync_playwright

from chromium import chromium
from warmline.settings import PROJECT

CHROMIUM_ARGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

#: The builtin model is on the disk already when this is used; loading it takes seconds.
START_S = 120


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@dataclass
class Server:
    """``warmline serve`` on a port and a folder of its own."""

    folder: Path
    environment: dict[str, str]
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text(encoding="utf-8")

    def start(self) -> None:
        """Start, and wait until it answers."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("WARMLINE_")}
        environment |= {
            "WARMLINE_PORT": str(self.port),
            "WARMLINE_TRANSCRIPTS_DIR": str(self.folder / "transcripts"),
            **self.environment,
        }
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "warmline", "serve"],
                cwd=PROJECT, env=environment, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            assert self.process.poll() is None, f"the server ended:\n{self.log}"
            try:
                with urllib.request.urlopen(f"{self.address}/healthz", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        raise AssertionError(f"the server did not answer:\n{self.log}")

    def kill(self) -> None:
        """Power loss: ``kill -9``."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


@dataclass
class Traffic:
    """Everything that came to a page, and every address that the page asked for."""

    received: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("response", self._response)
        page.on("websocket", self._socket)

    def _response(self, response: Response) -> None:
        kind = response.headers.get("content-type", "")
        # The page's own program is the same for everybody and holds none of our data.
        if "/assets/" in response.url or kind.startswith(("image/", "font/", "text/css")):
            return
        try:
            self.received.append(response.text())
        except Exception:  # a redirect or an aborted answer has no body
            self.received.append("")

    def _socket(self, socket: WebSocket) -> None:
        self.asked.append(socket.url)
        socket.on("framereceived", lambda frame: self.received.append(str(frame)))

    @property
    def text(self) -> str:
        """All that was received; JSON escapes of quotes are undone, so that words can be found."""
        return "\n".join(self.received).replace('\\"', '"').replace("\\u2019", "’")


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGS)
        try:
            yield opened
        finally:
            opened.close()


def choose(page: Page, address: str, persona: str) -> None:
    """Open the page and start with a customer."""
    page.goto(address)
    page.click(f'[data-persona="{persona}"] button', timeout=30_000)
    page.wait_for_selector("#wl-finish", timeout=30_000)
    page.wait_for_selector('[data-step-type="assistant_message"]')


def send(page: Page, text: str) -> None:
    """Type a message and send it, once the page takes one, as a person would."""
    page.wait_for_selector("#stop-button", state="detached", timeout=60_000)
    before = len(lines(page, "agent"))
    page.click("#chat-input")
    page.keyboard.insert_text(text)
    page.click("#chat-submit:not([disabled])")
    page.wait_for_function(
        "n => document.querySelectorAll('[data-step-type=user_message]').length > n", arg=before
    )


def lines(page: Page, role: str) -> list[str]:
    """What a role has said on the page: ``customer`` or ``agent``."""
    kind = {"customer": "assistant_message", "agent": "user_message"}[role]
    return [
        element.inner_text().strip()
        for element in page.query_selector_all(f'[data-step-type="{kind}"]')
    ]


def wait_for_answer(page: Page, before: int, timeout_s: float = 120) -> None:
    """Wait until the customer has said more than ``before`` lines, and has done."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if len(lines(page, "customer")) > before and page.query_selector("#stop-button") is None:
            return
        page.wait_for_timeout(150)
    raise AssertionError("the customer did not answer")

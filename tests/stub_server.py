"""What the stand-ins for model servers share: a server on loopback that does as its script says."""

from __future__ import annotations

import itertools
import json
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class StubScript:
    """What any server says and does. Change it at any time."""

    #: The pieces of each answer; the last one is repeated.
    answers: list[list[str]] = field(default_factory=lambda: [["Hel", "lo"]])
    #: Repeats the last piece of an answer for ever, whatever the request says.
    never_stops: bool = False
    #: Natural log-probabilities of the first token, likeliest first; None: gives none.
    logprobs: dict[str, float | None] | None = field(
        default_factory=lambda: {"Yes": -0.2231435513, " no": -1.609437912}
    )
    #: Seconds before the first byte, and between the pieces.
    delay_s: float = 0.0
    piece_delay_s: float = 0.0
    #: Ends the stream after that many pieces: "clean" without a last chunk, or by "breaking" it.
    cut_after: int | None = None
    cut_how: str = "clean"
    #: Sends this error in the middle of the stream instead of the last chunk.
    error_in_stream: str = ""
    #: Filled by the server.
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    hung_up: threading.Event = field(default_factory=threading.Event)

    def bodies(self, path: str) -> list[dict[str, Any]]:
        """What was posted to a path, in order."""
        return [body for asked, body in self.requests if asked == path]

    def next_answer(self) -> Iterator[str]:
        """The pieces of the next answer."""
        pieces = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        forever = itertools.repeat(pieces[-1]) if self.never_stops else ()
        return itertools.chain(pieces, forever)

    def likeliest(self) -> list[dict[str, Any]]:
        """The first token's alternatives, as both servers write them."""
        return [
            {"token": token, "logprob": logprob, "bytes": list(token.encode())}
            for token, logprob in (self.logprobs or {}).items()
        ]


class StubHandler(BaseHTTPRequestHandler):
    """One connection to a server."""

    protocol_version = "HTTP/1.1"
    script: StubScript

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def noted(self) -> dict[str, Any]:
        """The body of the request, which is written down; waits as long as the script says."""
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        self.script.requests.append((self.path, body))
        time.sleep(self.script.delay_s)
        return body

    def send_stream(self, content_type: str, lines: Iterable[bytes], *, cuttable: bool) -> None:
        """Send lines one by one, and break off where the script says if it may."""
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for sent, line in enumerate(lines):
                if cuttable and sent == self.script.cut_after:
                    if self.script.cut_how == "breaking":
                        self._write(line[: len(line) // 2])
                        self.close_connection = True
                        self.connection.close()
                        return
                    break
                if sent:
                    time.sleep(self.script.piece_delay_s)
                self._write(line)
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            # The client hung up; a real server stops writing the answer then.
            self.script.hung_up.set()
            self.close_connection = True

    def send_json(self, content: Any, status: int = 200) -> None:
        """Send one whole answer."""
        body = json.dumps(content).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            self.script.hung_up.set()
            self.close_connection = True

    def _write(self, line: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        self.wfile.flush()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that hung up between two requests."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def listening(handler: type[StubHandler], script: StubScript) -> Iterator[str]:
    """Run a server for the length of the block; its address."""
    scripted = type("Handler", (handler,), {"script": script})
    server = _Server(("127.0.0.1", 0), scripted)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

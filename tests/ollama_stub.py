"""An Ollama server on loopback that answers as a test tells it to, in the words of the real API."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DIGEST = "845dbda0ea48ed749caafd9e6037047aa19acfcfd82e704d7ca97d631a0b697e"


@dataclass
class Script:
    """What the server says and does. Change it at any time."""

    models: list[str] = field(default_factory=lambda: ["qwen2.5:7b"])
    #: The pieces of each answer; the last one is repeated.
    answers: list[list[str]] = field(default_factory=lambda: [["Hel", "lo"]])
    #: Natural log-probabilities of the first token, likeliest first; None: gives none.
    logprobs: dict[str, float] | None = field(
        default_factory=lambda: {"Yes": -0.2231435513, " no": -1.609437912}
    )
    #: With log-probabilities, gives only the chosen token's and no alternatives.
    only_chosen: bool = False
    #: Seconds before the first byte, and between the pieces.
    delay_s: float = 0.0
    piece_delay_s: float = 0.0
    #: Ends the stream after that many pieces: "clean" without a last chunk, or by "breaking" it.
    cut_after: int | None = None
    cut_how: str = "clean"
    #: Sends this error in the middle of the stream instead of the last chunk.
    error_in_stream: str = ""
    #: Answers every request with this error.
    refuse: tuple[int, str] | None = None
    done_reason: str = "stop"
    prompt_eval_count: int = 26
    #: Filled by the server.
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    hung_up: threading.Event = field(default_factory=threading.Event)

    def bodies(self, path: str) -> list[dict[str, Any]]:
        """What was posted to a path, in order."""
        return [body for asked, body in self.requests if asked == path]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script: Script

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.script.requests.append((self.path, {}))
        time.sleep(self.script.delay_s)
        if self.script.refuse:
            self._refuse(*self.script.refuse)
        elif self.path == "/api/version":
            self._json({"version": "0.12.6"})
        elif self.path == "/api/tags":
            self._json({"models": [self._model(name) for name in self.script.models]})
        else:
            self._refuse(404, "404 page not found")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.script.requests.append((self.path, body))
        time.sleep(self.script.delay_s)
        if self.script.refuse:
            self._refuse(*self.script.refuse)
        elif self.path == "/api/pull":
            self._lines(self._pull(body["model"]))
        elif body["model"] not in self.script.models:
            self._refuse(404, f"model '{body['model']}' not found")
        elif self.path == "/api/show":
            self._json(
                {
                    "modelfile": "",
                    "parameters": "",
                    "template": "{{ .Prompt }}",
                    "details": self._model(body["model"])["details"],
                    "model_info": {"general.architecture": "qwen2", "qwen2.context_length": 32768},
                    "capabilities": ["completion"],
                }
            )
        elif self.path in ("/api/chat", "/api/generate"):
            chunks = list(self._answer(body))
            if body.get("stream") is False:
                self._json(self._whole(chunks))
            else:
                self._lines(iter(chunks), cuttable=True)
        else:
            self._refuse(404, "404 page not found")

    def _answer(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        script = self.script
        pieces = script.answers.pop(0) if len(script.answers) > 1 else script.answers[0]
        begun = {"model": body["model"], "created_at": "2026-01-02T03:04:05.678901Z"}
        for place, piece in enumerate(pieces):
            chunk = {**begun, **self._said(piece), "done": False}
            if body.get("logprobs") and script.logprobs:
                chunk["logprobs"] = [self._logprob(place, body.get("top_logprobs", 0))]
            yield chunk
        if script.error_in_stream:
            yield {"error": script.error_in_stream}
            return
        yield {
            **begun,
            **self._said(""),
            "done": True,
            "done_reason": script.done_reason,
            "total_duration": 4_883_583_458,
            "load_duration": 1_334_875,
            "prompt_eval_count": script.prompt_eval_count,
            "prompt_eval_duration": 2_000_000_000,
            "eval_count": len(pieces),
            "eval_duration": 500_000_000,
        }

    def _said(self, text: str) -> dict[str, Any]:
        if self.path == "/api/chat":
            return {"message": {"role": "assistant", "content": text}}
        return {"response": text}

    def _logprob(self, place: int, top: int) -> dict[str, Any]:
        assert self.script.logprobs is not None
        tokens = [
            {"token": token, "logprob": logprob, "bytes": list(token.encode())}
            for token, logprob in self.script.logprobs.items()
        ]
        if place > 0:
            tokens = [{"token": ".", "logprob": -0.01, "bytes": [46]}]
        if self.script.only_chosen or not top:
            return tokens[0]
        return {**tokens[0], "top_logprobs": tokens[:top]}

    def _whole(self, chunks: list[dict[str, Any]]) -> dict[str, Any]:
        if self.path == "/api/chat":
            text = "".join(chunk["message"]["content"] for chunk in chunks)
        else:
            text = "".join(chunk["response"] for chunk in chunks)
        return {**chunks[-1], **self._said(text)}

    def _pull(self, model: str) -> Iterator[dict[str, Any]]:
        yield {"status": "pulling manifest"}
        if model.startswith("nosuch"):
            yield {"error": "pull model manifest: file does not exist"}
            return
        layer = {"status": "pulling 2bada8a74506", "digest": f"sha256:{DIGEST}", "total": 4000}
        yield layer
        for completed in (1000, 4000):
            yield {**layer, "completed": completed}
        for status in ("verifying sha256 digest", "writing manifest", "success"):
            yield {"status": status}
        self.script.models.append(model)

    def _lines(self, chunks: Iterator[dict[str, Any]], *, cuttable: bool = False) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for sent, chunk in enumerate(chunks):
                if cuttable and sent == self.script.cut_after:
                    if self.script.cut_how == "breaking":
                        self._write(b'{"model": "qwen')
                        self.close_connection = True
                        self.connection.close()
                        return
                    break
                if sent:
                    time.sleep(self.script.piece_delay_s)
                self._write(json.dumps(chunk).encode() + b"\n")
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            # The client hung up; a real server stops writing the answer then.
            self.script.hung_up.set()
            self.close_connection = True

    def _write(self, line: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        self.wfile.flush()

    def _json(self, content: dict[str, Any], status: int = 200) -> None:
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

    def _refuse(self, status: int, error: str) -> None:
        self._json({"error": error}, status)

    def _model(self, name: str) -> dict[str, Any]:
        return {
            "name": name,
            "model": name,
            "modified_at": "2026-01-02T03:04:05.678901234Z",
            "size": 4_683_087_332,
            "digest": DIGEST,
            "details": {
                "parent_model": "",
                "format": "gguf",
                "family": "qwen2",
                "families": ["qwen2"],
                "parameter_size": "7.6B",
                "quantization_level": "Q4_K_M",
            },
        }


@dataclass
class OllamaStub:
    """A running server: its address, and what it does."""

    host: str
    script: Script


@contextmanager
def running_stub(script: Script | None = None) -> Iterator[OllamaStub]:
    """Run a server for the length of the block."""
    script = script or Script()
    handler = type("Handler", (_Handler,), {"script": script})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield OllamaStub(f"http://127.0.0.1:{server.server_address[1]}", script)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

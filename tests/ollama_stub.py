"""An Ollama server on loopback that answers as a test tells it to, in the words of the real API."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from stub_server import StubHandler, StubScript, listening

DIGEST = "845dbda0ea48ed749caafd9e6037047aa19acfcfd82e704d7ca97d631a0b697e"


@dataclass
class Script(StubScript):
    """What the server says and does. Change it at any time."""

    models: list[str] = field(default_factory=lambda: ["qwen2.5:7b"])
    #: With log-probabilities, gives only the chosen token's and no alternatives.
    only_chosen: bool = False
    #: Answers every request with this error.
    refuse: tuple[int, str] | None = None
    done_reason: str = "stop"
    prompt_eval_count: int = 26


class _Handler(StubHandler):
    script: Script

    def do_GET(self) -> None:
        self.noted()
        if self.script.refuse:
            self._refuse(*self.script.refuse)
        elif self.path == "/api/version":
            self.send_json({"version": "0.12.6"})
        elif self.path == "/api/tags":
            self.send_json({"models": [self._model(name) for name in self.script.models]})
        else:
            self._refuse(404, "404 page not found")

    def do_POST(self) -> None:
        body = self.noted()
        if self.script.refuse:
            self._refuse(*self.script.refuse)
        elif self.path == "/api/pull":
            self._lines(self._pull(body["model"]))
        elif body["model"] not in self.script.models:
            self._refuse(404, f"model '{body['model']}' not found")
        elif self.path == "/api/show":
            self.send_json(
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
            if body.get("stream") is False:
                self.send_json(self._whole(list(self._answer(body))))
            else:
                self._lines(self._answer(body), cuttable=True)
        else:
            self._refuse(404, "404 page not found")

    def _answer(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        script = self.script
        begun = {"model": body["model"], "created_at": "2026-01-02T03:04:05.678901Z"}
        place = -1
        for place, piece in enumerate(script.next_answer()):
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
            "eval_count": place + 1,
            "eval_duration": 500_000_000,
        }

    def _said(self, text: str) -> dict[str, Any]:
        if self.path == "/api/chat":
            return {"message": {"role": "assistant", "content": text}}
        return {"response": text}

    def _logprob(self, place: int, top: int) -> dict[str, Any]:
        tokens = self.script.likeliest()
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

    def _lines(self, chunks: Iterable[dict[str, Any]], *, cuttable: bool = False) -> None:
        lines = (json.dumps(chunk).encode() + b"\n" for chunk in chunks)
        self.send_stream("application/x-ndjson", lines, cuttable=cuttable)

    def _refuse(self, status: int, error: str) -> None:
        self.send_json({"error": error}, status)

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
    with listening(_Handler, script) as host:
        yield OllamaStub(host, script)

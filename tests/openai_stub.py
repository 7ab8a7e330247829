"""An OpenAI-compatible server on loopback that answers as a test tells it to, in real words."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from stub_server import StubHandler, StubScript, listening

TOO_LONG_VLLM = (
    "This model's maximum context length is 4096 tokens. However, you requested 4196 tokens "
    "(4096 in the messages, 100 in the completion). Please reduce the length of the messages or "
    "completion."
)


def vllm_error(status: int, message: str, kind: str = "BadRequestError") -> dict[str, Any]:
    """An error as vLLM words it."""
    return {"error": {"message": message, "type": kind, "param": None, "code": status}}


def old_vllm_error(status: int, message: str) -> dict[str, Any]:
    """An error as vLLM worded it before it wrapped them."""
    return {"object": "error", "message": message, "type": "Bad", "param": None, "code": status}


def llama_cpp_too_long(tokens: int, holds: int) -> dict[str, Any]:
    """What llama.cpp answers to too long a prompt."""
    return {
        "error": {
            "code": 400,
            "message": f"request ({tokens} tokens) exceeds the available context size ({holds} "
            "tokens), try increasing it",
            "type": "exceed_context_size_error",
            "n_prompt_tokens": tokens,
            "n_ctx": holds,
        }
    }


def vllm_card(name: str, holds: int = 32768) -> dict[str, Any]:
    """A model as vLLM lists it; the moment is that of the request, and the id a random one."""
    return {
        "id": name,
        "object": "model",
        "created": next(_moments),
        "owned_by": "vllm",
        "root": name,
        "parent": None,
        "max_model_len": holds,
        "permission": [{"id": f"modelperm-{next(_moments)}", "allow_sampling": True}],
    }


def llama_cpp_card(name: str, size: int, holds: int = 2048) -> dict[str, Any]:
    """A model as llama.cpp lists it."""
    return {
        "id": name,
        "aliases": [name, "short"],
        "object": "model",
        "created": next(_moments),
        "owned_by": "llamacpp",
        "meta": {
            "vocab_type": 2,
            "n_vocab": 151936,
            "n_ctx": holds,
            "n_ctx_train": 32768,
            "n_embd": 1536,
            "n_params": 1777088000,
            "size": size,
        },
    }


_moments = itertools.count(1_795_353_646)


@dataclass
class Script(StubScript):
    """What the server says and does. Change it at any time."""

    cards: list[dict[str, Any]] = field(default_factory=lambda: [vllm_card("Qwen/Qwen2.5-7B")])
    #: What a request must bring in its Authorization header; empty: nothing.
    key: str = ""
    #: Answers every request, or only those that ask for log-probabilities, with this error.
    refuse: tuple[int, Any] | None = None
    refuse_logprobs: tuple[int, Any] | None = None
    finish_reason: str | None = "stop"
    usage: dict[str, Any] | None = field(
        default_factory=lambda: {
            "prompt_tokens": 26,
            "completion_tokens": 2,
            "total_tokens": 28,
            "prompt_tokens_details": {"cached_tokens": 16},
        }
    )
    #: Ends the stream with its [DONE]; some servers leave it out.
    says_done: bool = True
    #: Sends so many signs of life between the pieces, each after ``piece_delay_s``.
    pings: int = 0
    #: Keeps what it writes out of the text, as a server does with reasoning.
    reasons_only: bool = False
    #: Filled by the server: the Authorization headers, and the ports the requests came from.
    keys: list[str | None] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)


class _Handler(StubHandler):
    script: Script

    def do_GET(self) -> None:
        self.noted()
        if self._lets_in() and self.path == "/v1/models":
            self.send_json({"object": "list", "data": self.script.cards})

    def do_POST(self) -> None:
        body = self.noted()
        if not self._lets_in():
            return
        if body.get("logprobs") and self.script.refuse_logprobs:
            self._refuse(*self.script.refuse_logprobs)
        elif body["model"] not in [card["id"] for card in self.script.cards]:
            message = f"The model `{body['model']}` does not exist."
            self._refuse(404, vllm_error(404, message, "NotFoundError"))
        else:
            self.send_stream("text/event-stream", self._events(body), cuttable=True)

    def _lets_in(self) -> bool:
        """Whether the request is answered; it has been refused if not."""
        script = self.script
        script.keys.append(self.headers.get("Authorization"))
        script.ports.append(self.client_address[1])
        if script.key and self.headers.get("Authorization") != f"Bearer {script.key}":
            self._refuse(401, {"error": "Unauthorized"})
        elif script.refuse:
            self._refuse(*script.refuse)
        elif self.path not in {"/v1/models", "/v1/completions", "/v1/chat/completions"}:
            self._refuse(404, {"detail": "Not Found"})
        else:
            return True
        return False

    def _events(self, body: dict[str, Any]) -> Iterator[bytes]:
        script = self.script
        for place, piece in enumerate(script.next_answer()):
            logprobs = None
            if body.get("logprobs") and script.logprobs:
                logprobs = {"content": [self._logprob(place, body.get("top_logprobs") or 0)]}
            yield self._event([self._choice(piece, logprobs=logprobs)])
            yield from itertools.repeat(b": ping\n\n", script.pings)
        if script.error_in_stream:
            yield _data(vllm_error(500, script.error_in_stream, "InternalServerError"))
        elif script.finish_reason:
            yield self._event([self._choice("", finish_reason=script.finish_reason)])
            if script.usage and (body.get("stream_options") or {}).get("include_usage"):
                yield self._event([], usage=script.usage)
        if script.says_done:
            yield b"data: [DONE]\n\n"

    def _event(self, choices: list[dict[str, Any]], **more: Any) -> bytes:
        kind = "chat.completion.chunk" if "chat" in self.path else "text_completion"
        about = {"id": "cmpl-1", "object": kind, "created": 1_795_353_646, "model": "m"}
        return _data({**about, "choices": choices, **more})

    def _choice(self, text: str, **more: Any) -> dict[str, Any]:
        rest = {"index": 0, "logprobs": None, "finish_reason": None, **more}
        if "chat" not in self.path:
            return {"text": text, **rest}
        if self.script.reasons_only:
            return {"delta": {"reasoning_content": text}, **rest}
        return {"delta": {"role": "assistant", "content": text}, **rest}

    def _logprob(self, place: int, top: int) -> dict[str, Any]:
        tokens = self.script.likeliest()
        return {**tokens[0], "top_logprobs": tokens[:top] if place == 0 else []}

    def _refuse(self, status: int, content: Any) -> None:
        self.send_json(content, status)


def _data(content: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(content).encode() + b"\n\n"


@dataclass
class OpenAIStub:
    """A running server: its address, and what it does."""

    url: str
    script: Script


@contextmanager
def running_openai_stub(script: Script | None = None) -> Iterator[OpenAIStub]:
    """Run a server for the length of the block."""
    script = script or Script()
    with listening(_Handler, script) as host:
        yield OpenAIStub(f"{host}/v1", script)

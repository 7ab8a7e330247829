"""The backend over an OpenAI-compatible server: against a stand-in, and, marked, a real one."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from backend_talk import (
    QUESTION,
    cancelling_hangs_up,
    chat,
    chats_run_by_priority,
    closing_hangs_up,
    free_port,
    say,
    what_never_stops_is_cut_off,
)
from openai_stub import (
    TOO_LONG_VLLM,
    OpenAIStub,
    llama_cpp_card,
    llama_cpp_too_long,
    old_vllm_error,
    running_openai_stub,
    vllm_card,
    vllm_error,
)
from warmline import backends
from warmline.backends import EmbeddedBackend, OllamaBackend, embedded, make_backend
from warmline.backends.base import YesNoQuestion
from warmline.backends.openai_server import FRESH_WORDS, FRESH_WORDS_ELSEWHERE, OpenAIBackend
from warmline.errors import (
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    ContextOverflow,
    CutReply,
)
from warmline.settings import Settings

MODEL = "Qwen/Qwen2.5-7B"


@pytest.fixture
def stub() -> Iterator[OpenAIStub]:
    with running_openai_stub() as running:
        yield running


def settings_for(stub: OpenAIStub, **more: Any) -> Settings:
    return Settings(**{"openai_url": stub.url, "context_length": 4096, **more})


@pytest.fixture
async def backend(stub: OpenAIStub) -> AsyncIterator[OpenAIBackend]:
    made = OpenAIBackend(settings_for(stub))
    yield made
    await made.aclose()


def texts(stub: OpenAIStub) -> list[dict[str, Any]]:
    return stub.script.bodies("/v1/completions")


def chats(stub: OpenAIStub) -> list[dict[str, Any]]:
    return stub.script.bodies("/v1/chat/completions")


# What is sent


async def test_a_continuation_is_plain_and_streamed(
    stub: OpenAIStub, backend: OpenAIBackend
) -> None:
    assert await say(backend) == ["Hel", "lo"]
    (body,) = texts(stub)
    assert body == {
        "model": MODEL,
        "prompt": "ANNA: My parcel",
        "stream": True,
        "stream_options": {"include_usage": True},
        "stop": ["\n"],
        "max_tokens": 60,
        "temperature": 0.8,
        "seed": 7,
    }


async def test_a_chat_is_sent_whole(stub: OpenAIStub, backend: OpenAIBackend) -> None:
    messages = [
        SystemMessage("Be kind."),
        HumanMessage("Hi"),
        AIMessage("Hello"),
        HumanMessage("?"),
    ]
    assert await backend.chat(messages, max_tokens=60, temperature=0.2, seed=7) == "Hello"
    (body,) = chats(stub)
    assert [(m["role"], m["content"]) for m in body.pop("messages")] == [
        ("system", "Be kind."),
        ("user", "Hi"),
        ("assistant", "Hello"),
        ("user", "?"),
    ]
    assert body == {
        "model": MODEL,
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 60,
        "temperature": 0.2,
        "seed": 7,
        "chat_template_kwargs": {"enable_thinking": False},
    }


@pytest.mark.parametrize(
    ("owner", "wanted"),
    [
        ("vllm", FRESH_WORDS["vllm"]),
        ("llamacpp", embedded.FRESH_WORDS),
        ("organization_owner", FRESH_WORDS_ELSEWHERE),
    ],
)
async def test_fresh_words_are_asked_for_in_the_servers_own_terms(
    stub: OpenAIStub, backend: OpenAIBackend, owner: str, wanted: dict[str, Any]
) -> None:
    stub.script.cards[0]["owned_by"] = owner
    await say(backend, fresh_words=True)
    await say(backend)
    asked, plain = texts(stub)
    assert {name: asked[name] for name in asked if name not in plain} == wanted


async def test_control_marks_are_broken_before_sending(
    stub: OpenAIStub, backend: OpenAIBackend
) -> None:
    await say(backend, "AGENT: bye<|im_end|>\n")
    await chat(backend, "<|im_start|>system")
    assert "<|im_end|>" not in texts(stub)[0]["prompt"]
    assert "<|im_start|>" not in chats(stub)[0]["messages"][0]["content"]


async def test_usage_is_counted(stub: OpenAIStub, backend: OpenAIBackend) -> None:
    await say(backend)
    await chat(backend)
    usage = backend.usage
    assert (usage.calls, usage.prompt_tokens, usage.written_tokens) == (2, 52, 4)
    assert (usage.cached_tokens, usage.evaluated_tokens) == (32, 20)


async def test_a_server_that_counts_nothing(stub: OpenAIStub, backend: OpenAIBackend) -> None:
    stub.script.usage = None
    assert await say(backend) == ["Hel", "lo"]
    assert await chat(backend) == "Hello"
    assert (await backend.measure_speed()).writes > 0
    assert backend.usage.prompt_tokens == 0


async def test_no_connection_is_used_twice(stub: OpenAIStub, backend: OpenAIBackend) -> None:
    for _ in range(2):
        await say(backend)
        await chat(backend)
    assert len(set(stub.script.ports)) == len(stub.script.ports) == 5


async def test_requests_wait_by_priority_for_a_place(stub: OpenAIStub) -> None:
    backend = OpenAIBackend(settings_for(stub, openai_parallel=1))
    await backend.check()
    await chats_run_by_priority(stub.script, backend, "/v1/chat/completions")
    await backend.aclose()


async def test_as_many_run_at_once_as_the_setting_says(stub: OpenAIStub) -> None:
    backend = OpenAIBackend(settings_for(stub, openai_parallel=2))
    await backend.check()
    stub.script.delay_s = 0.3
    tasks = [asyncio.create_task(chat(backend, text)) for text in ("one", "two", "three")]
    # What the stub's threads note down is no event of the loop's.
    while len(chats(stub)) < 2:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    assert {body["messages"][0]["content"] for body in chats(stub)} == {"one", "two"}
    await asyncio.gather(*tasks)
    assert chats(stub)[2]["messages"][0]["content"] == "three"
    await backend.aclose()


# The key


async def test_the_key_is_sent_and_never_shown(stub: OpenAIStub) -> None:
    stub.script.key = "sk-mine"
    settings = settings_for(stub, openai_key="sk-mine\n")
    assert "sk-mine" not in f"{settings!r} {settings} {settings.model_dump()}"
    backend = OpenAIBackend(settings)
    await backend.check()
    assert await chat(backend) == "Hello"
    assert await say(backend) == ["Hel", "lo"]
    assert set(stub.script.keys) == {"Bearer sk-mine"}
    assert "sk-mine" not in repr(backend)


async def test_a_key_meant_for_somebody_else_is_not_sent(
    stub: OpenAIStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai")
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("OPENAI_PROXY", f"http://127.0.0.1:{free_port()}")
    backend = OpenAIBackend(settings_for(stub))
    await chat(backend)
    await say(backend)
    assert not any("sk-of-openai" in (key or "") for key in stub.script.keys)


async def test_a_wrong_key(stub: OpenAIStub) -> None:
    backend = OpenAIBackend(settings_for(stub, openai_key="sk-wrong"))
    await backend.check()
    stub.script.key = "sk-right"
    for attempt in (say(backend), chat(backend), backend.check()):
        with pytest.raises(BackendUnavailable, match="WARMLINE_OPENAI_KEY") as caught:
            await attempt
        assert "sk-wrong" not in str(caught.value)


def test_a_key_that_is_none_is_refused_unseen(stub: OpenAIStub) -> None:
    with pytest.raises(BackendUnavailable, match="WARMLINE_OPENAI_KEY") as caught:
        OpenAIBackend(settings_for(stub, openai_key="sk one\nsk two"))
    assert "sk one" not in str(caught.value)


# The list of models


async def test_the_first_model_is_taken_without_a_name(
    stub: OpenAIStub, backend: OpenAIBackend
) -> None:
    stub.script.cards.append(vllm_card("other"))
    await backend.check()
    assert (backend.name, backend.model) == ("openai", MODEL)
    assert (backend.context_length, backend.brief) == (4096, False)


async def test_a_model_is_taken_by_its_name(stub: OpenAIStub) -> None:
    stub.script.cards.append(vllm_card("other", holds=2500))
    backend = OpenAIBackend(settings_for(stub, openai_model="other"))
    assert await chat(backend) == "Hello"
    assert await say(backend) == ["Hel", "lo"]
    assert chats(stub)[0]["model"] == texts(stub)[0]["model"] == "other"
    assert backend.context_length == 2500


async def test_a_small_model_of_llama_cpp_by_another_name(stub: OpenAIStub) -> None:
    stub.script.cards = [llama_cpp_card("/models/small.gguf", size=1_111_370_240)]
    backend = OpenAIBackend(settings_for(stub, openai_model="short"))
    await backend.check()
    assert backend.model == "/models/small.gguf"
    assert (backend.brief, backend.context_length) == (True, 2048)


async def test_the_digest_stands_for_the_model_and_not_for_the_moment(stub: OpenAIStub) -> None:
    seen = []
    for card in (
        vllm_card("a"),
        vllm_card("a"),
        vllm_card("b"),
        llama_cpp_card("a", size=1),
        llama_cpp_card("a", size=2),
    ):
        stub.script.cards = [card]
        backend = OpenAIBackend(settings_for(stub))
        await backend.check()
        seen.append(backend.digest)
    assert seen[0] == seen[1]
    assert len(set(seen)) == 4
    assert all(len(digest) == 64 for digest in seen)


async def test_a_model_that_is_not_there(stub: OpenAIStub) -> None:
    stub.script.cards.append(vllm_card("other"))
    backend = OpenAIBackend(settings_for(stub, openai_model="nosuch"))
    for attempt in (backend.check(), say(backend), chat(backend)):
        with pytest.raises(BackendUnavailable, match=f"nosuch.*{MODEL}, other"):
            await attempt


async def test_a_model_that_is_taken_away(stub: OpenAIStub, backend: OpenAIBackend) -> None:
    await backend.check()
    stub.script.cards = [vllm_card("other")]
    for attempt in (say(backend), chat(backend)):
        with pytest.raises(BackendUnavailable, match=f"`{MODEL}` does not exist"):
            await attempt


async def test_a_server_without_a_model(stub: OpenAIStub, backend: OpenAIBackend) -> None:
    stub.script.cards.clear()
    with pytest.raises(BackendUnavailable, match="has no model"):
        await backend.check()


@pytest.mark.parametrize("path", ["/elsewhere", "/v2"])
async def test_something_else_listens_there(stub: OpenAIStub, path: str) -> None:
    url = stub.url.removesuffix("/v1") + path
    with pytest.raises(BackendUnavailable, match="WARMLINE_OPENAI_URL"):
        await OpenAIBackend(settings_for(stub, openai_url=url)).check()


async def test_a_list_of_something_else(stub: OpenAIStub, backend: OpenAIBackend) -> None:
    stub.script.refuse = (200, ["hello"])
    with pytest.raises(BackendUnavailable, match=r"no `data`.*with its /v1"):
        await backend.check()


@pytest.mark.parametrize(
    "url", ["{host}", "{host}/", "{host}/v1/", "http://{host}/v1", "http://{host}"]
)
async def test_an_address_may_be_short(stub: OpenAIStub, url: str) -> None:
    host = stub.url.removeprefix("http://").removesuffix("/v1")
    await OpenAIBackend(settings_for(stub, openai_url=url.format(host=host))).check()


@pytest.mark.parametrize(
    "url", ["", " ", "http://", "ftp://there/v1", "http://[1/v1", "there:http"]
)
def test_what_is_no_address_is_refused_at_once(url: str) -> None:
    with pytest.raises(BackendUnavailable, match="WARMLINE_OPENAI_URL"):
        OpenAIBackend(Settings(backend="openai", openai_url=url))


# Reasoning


async def test_reasoning_is_taken_out_of_chats_and_continuations(
    stub: OpenAIStub, backend: OpenAIBackend
) -> None:
    stub.script.answers = [["<thi", "nk>Hm,", " a < b.</", "think>\n\nI ", "see."]]
    assert await chat(backend) == "I see."
    assert "".join(await say(backend)) == "I see."


# Yes or no


async def test_probability_from_log_probabilities(stub: OpenAIStub, backend: OpenAIBackend) -> None:
    stub.script.answers = [["Yes"]]
    stub.script.finish_reason = "length"
    assert await backend.probability_of_yes(QUESTION) == pytest.approx(0.8)
    (body,) = chats(stub)
    assert (body["logprobs"], body["top_logprobs"]) == (True, 20)
    assert (body["max_tokens"], body["temperature"]) == (1, 0)
    assert body["messages"][1]["content"] == QUESTION.user_text()


async def test_no_probability_when_the_model_answers_neither(
    stub: OpenAIStub, backend: OpenAIBackend
) -> None:
    stub.script.logprobs = {"The": -0.01, "Yes": -6.0, "No": None}
    assert await backend.probability_of_yes(QUESTION) is None


@pytest.mark.parametrize("refused", [True, False])
async def test_probability_from_repeated_answers(
    stub: OpenAIStub, backend: OpenAIBackend, refused: bool
) -> None:
    stub.script.answers = [["Yes"], ["Yes", "."], ["no"], ["Well"], ["<think></think>Yes"], ["No"]]
    if refused:
        stub.script.refuse_logprobs = (400, vllm_error(400, "logprobs are not supported"))
        stub.script.answers.pop(0)
    else:
        stub.script.logprobs = None
    assert await backend.probability_of_yes(QUESTION) == pytest.approx(2 / 4)
    draws = chats(stub)[1:]
    assert len({body["seed"] for body in draws}) == len(draws) == 5
    assert {(body["temperature"], body["max_tokens"]) for body in draws} == {(1.0, 4)}
    # The next question does not ask for log-probabilities in vain again.
    assert await backend.probability_of_yes(QUESTION) == 0.0
    assert len(chats(stub)) == 11


async def test_a_refusal_for_another_cause_is_no_lack_of_log_probabilities(
    stub: OpenAIStub, backend: OpenAIBackend
) -> None:
    await backend.check()
    stub.script.refuse = (400, vllm_error(400, "the template has no place for a system message"))
    with pytest.raises(BackendError, match="no place for a system"):
        await backend.probability_of_yes(QUESTION)
    stub.script.refuse = None
    assert await backend.probability_of_yes(QUESTION) == pytest.approx(0.8)


# Errors


async def test_server_down() -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"
    backend = OpenAIBackend(Settings(openai_url=url))
    attempts = [say(backend), chat(backend), backend.check(), backend.measure_speed()]
    for attempt in attempts:
        with pytest.raises(BackendUnavailable, match=r"not answering at .*WARMLINE_OPENAI_URL"):
            await attempt


async def test_too_slow(stub: OpenAIStub) -> None:
    backend = OpenAIBackend(settings_for(stub, request_timeout_s=0.2))
    await backend.check()
    stub.script.delay_s = 0.6
    for attempt in (say(backend), chat(backend)):
        with pytest.raises(BackendTimeout, match=r"0\.2 seconds"):
            await attempt
    with pytest.raises(BackendTimeout, match=r"0\.1 seconds"):
        await backend.check(0.1)


@pytest.mark.parametrize("pings", [0, 20])
async def test_too_slow_in_the_middle(stub: OpenAIStub, pings: int) -> None:
    backend = OpenAIBackend(settings_for(stub, request_timeout_s=0.2))
    await backend.check()
    # Signs of life between the pieces are no words.
    stub.script.piece_delay_s, stub.script.pings = (0.1, pings) if pings else (0.6, 0)
    stream = backend.continue_text("A", stop=[], max_tokens=9, temperature=0, seed=1)
    assert await anext(stream) == "Hel"
    with pytest.raises(BackendTimeout):
        await anext(stream)
    with pytest.raises(BackendTimeout):
        await chat(backend)


@pytest.mark.parametrize("how", ["clean", "breaking"])
async def test_a_stream_that_breaks_off(stub: OpenAIStub, backend: OpenAIBackend, how: str) -> None:
    stub.script.cut_after, stub.script.cut_how = 1, how
    for attempt in (say(backend), chat(backend)):
        with pytest.raises(CutReply, match="broke off") as caught:
            await attempt
        assert caught.value.partial == "Hel"


async def test_a_stream_without_a_single_chunk(stub: OpenAIStub, backend: OpenAIBackend) -> None:
    stub.script.cut_after = 0
    for attempt in (say(backend), chat(backend)):
        with pytest.raises(CutReply) as caught:
            await attempt
        assert caught.value.partial == ""


@pytest.mark.parametrize("reason", [None, "abort"])
async def test_a_done_without_a_reason_to_end_is_no_end(
    stub: OpenAIStub, backend: OpenAIBackend, reason: str | None
) -> None:
    stub.script.finish_reason = reason
    for attempt in (say(backend), chat(backend)):
        with pytest.raises(CutReply, match="broke off"):
            await attempt


async def test_a_reason_to_end_without_a_done_is_an_end(
    stub: OpenAIStub, backend: OpenAIBackend
) -> None:
    stub.script.says_done = False
    assert await say(backend) == ["Hel", "lo"]
    assert await chat(backend) == "Hello"


async def test_a_chat_cut_at_its_length(stub: OpenAIStub, backend: OpenAIBackend) -> None:
    stub.script.finish_reason = "length"
    with pytest.raises(CutReply, match="60 tokens") as caught:
        await chat(backend)
    assert caught.value.partial == "Hello"
    # A continuation may end there; whoever asked for it decides what to do.
    assert await say(backend) == ["Hel", "lo"]


@pytest.mark.parametrize("in_stream", [True, False])
async def test_an_error_of_the_server(
    stub: OpenAIStub, backend: OpenAIBackend, in_stream: bool
) -> None:
    await backend.check()
    if in_stream:
        stub.script.error_in_stream = "EngineCore encountered an issue"
    else:
        stub.script.refuse = (500, vllm_error(500, "EngineCore encountered an issue"))
    for attempt in (say(backend), chat(backend)):
        with pytest.raises(BackendError, match="EngineCore encountered an issue") as caught:
            await attempt
        assert type(caught.value) is BackendError


async def test_a_server_that_still_loads_its_model(
    stub: OpenAIStub, backend: OpenAIBackend
) -> None:
    loading = {"message": "Loading model", "type": "unavailable_error", "code": 503}
    stub.script.refuse = (503, {"error": loading})
    for attempt in (backend.check(), say(backend), chat(backend)):
        with pytest.raises(BackendUnavailable, match="not ready: Loading model"):
            await attempt


async def test_an_error_that_is_a_page(stub: OpenAIStub, backend: OpenAIBackend) -> None:
    stub.script.refuse = (502, "<html>\n" + "bad gateway " * 100)
    with pytest.raises(BackendError, match="<html> bad gateway") as caught:
        await backend.check()
    assert len(str(caught.value)) < 450


@pytest.mark.parametrize(
    "body", [vllm_error(400, TOO_LONG_VLLM), old_vllm_error(400, TOO_LONG_VLLM), llama_cpp_too_long(3001, 2048)],
)  # fmt: skip
async def test_the_server_refuses_the_length(
    stub: OpenAIStub, backend: OpenAIBackend, body: dict[str, Any]
) -> None:
    await backend.check()
    stub.script.refuse = (400, body)
    for attempt in (say(backend), chat(backend), backend.probability_of_yes(QUESTION)):
        with pytest.raises(ContextOverflow, match="longer than the model's context"):
            await attempt
    assert backend.context_length == (2048 if "n_ctx" in str(body) else 4096)


# Length of the prompt


async def test_too_long_a_prompt_is_never_sent(stub: OpenAIStub, backend: OpenAIBackend) -> None:
    long = "word " * 3000
    for attempt in (say(backend, long), chat(backend, long)):
        with pytest.raises(ContextOverflow, match="holds 4096"):
            await attempt
    assert texts(stub) == chats(stub) == []


async def test_the_estimate_learns_from_what_the_server_counts(
    stub: OpenAIStub, backend: OpenAIBackend
) -> None:
    text = "x" * 3000
    assert await backend.count_tokens(text) == 1001
    stub.script.usage = {"prompt_tokens": 1500, "completion_tokens": 2}
    await say(backend, text)
    assert await backend.count_tokens(text) > 1500


# Stopping


async def test_closing_the_stream_hangs_up(stub: OpenAIStub, backend: OpenAIBackend) -> None:
    await closing_hangs_up(stub.script, backend)


async def test_cancelling_hangs_up(stub: OpenAIStub, backend: OpenAIBackend) -> None:
    await cancelling_hangs_up(stub.script, backend)


async def test_a_server_that_never_stops_is_cut_off(
    stub: OpenAIStub, backend: OpenAIBackend
) -> None:
    await what_never_stops_is_cut_off(stub.script, backend)


async def test_a_server_that_never_stops_reasoning_is_cut_off(
    stub: OpenAIStub, backend: OpenAIBackend
) -> None:
    stub.script.never_stops = stub.script.reasons_only = True
    with pytest.raises(CutReply, match="10 tokens") as caught:
        await chat(backend, max_tokens=10)
    assert caught.value.partial == ""
    assert await asyncio.to_thread(stub.script.hung_up.wait, 3)


# The rest


async def test_measure_speed(stub: OpenAIStub, backend: OpenAIBackend) -> None:
    await backend.check()
    stub.script.usage = {"prompt_tokens": 120, "completion_tokens": 5}
    stub.script.answers = [["a", "b", "c", "d", "e"]]
    stub.script.delay_s, stub.script.piece_delay_s = 0.2, 0.05
    speed = await backend.measure_speed()
    assert 20 < speed.reads <= 600
    # Four more tokens in five pauses and more, since the last chunks have no word.
    assert 1 < speed.writes <= 16
    stub.script.answers = [["abcde"]]
    assert 0 < (await backend.measure_speed()).writes <= 25


async def test_no_tokens_are_counted_with_what_would_be_fetched(
    stub: OpenAIStub, backend: OpenAIBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetches(*_: object, **__: object) -> None:
        raise AssertionError("an encoding was asked for")

    monkeypatch.setattr("tiktoken.get_encoding", fetches)
    monkeypatch.setattr("tiktoken.encoding_for_model", fetches)
    await say(backend)
    await chat(backend)
    await backend.probability_of_yes(QUESTION)
    await backend.measure_speed()
    assert await backend.count_tokens("Hello") > 0


async def test_a_proxy_is_not_asked_for_this_machine(
    stub: OpenAIStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    backend = OpenAIBackend(settings_for(stub))
    await backend.check()
    assert await chat(backend) == "Hello"
    assert await say(backend) == ["Hel", "lo"]


# Which backend


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other backend is made."""

    async def refuse(*_: object, **__: object) -> None:
        raise AssertionError("another backend was asked for")

    monkeypatch.setattr(EmbeddedBackend, "open", refuse)
    monkeypatch.setattr(OllamaBackend, "check", refuse)


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize("chosen", ["auto", "openai"])
async def test_the_address_alone_is_enough(
    stub: OpenAIStub, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WARMLINE_OPENAI_URL", stub.url)
    made = await make_backend(Settings(**{"backend": chosen}))  # type: ignore[arg-type]
    assert isinstance(made, OpenAIBackend)
    assert (made.model, len(made.digest)) == (MODEL, 64)
    await made.aclose()


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize("chosen", ["auto", "openai"])
async def test_a_server_that_was_named_is_never_passed_over(chosen: str) -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"
    with pytest.raises(BackendUnavailable, match="not answering"):
        await make_backend(Settings(**{"backend": chosen, "openai_url": url}))


async def test_another_backend_that_is_chosen_asks_no_server(
    stub: OpenAIStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def opened(*_: object) -> str:
        return "embedded"

    monkeypatch.setattr(EmbeddedBackend, "open", opened)
    monkeypatch.setattr(backends, "_PROBE_S", 0.2)
    made = await make_backend(settings_for(stub, backend="embedded"))
    assert made == "embedded"  # type: ignore[comparison-overlap]
    nowhere = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(BackendUnavailable, match="Ollama"):
        await make_backend(settings_for(stub, backend="ollama", ollama_host=nowhere))
    assert stub.script.requests == []


# A real llama.cpp server

#: Serves the weights (argument 1) on a port of this machine (argument 2) until it is killed.
SERVE = """
import sys, threading, xllamacpp
params = xllamacpp.CommonParams()
params.model.path = sys.argv[1]
params.hostnames, params.port = ["127.0.0.1"], int(sys.argv[2])
params.n_ctx, params.n_parallel = 2048, 1
params.fit_params = params.warmup = params.ui = False
params.verbosity = -1
server = xllamacpp.Server(params)
threading.Event().wait()
"""


@contextmanager
def llama_server(weights: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A llama.cpp server in a process of its own, once it answers."""
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(weights), str(port)])
    try:
        until = time.monotonic() + 120
        while True:
            assert process.poll() is None, "the server ended before it answered"
            assert time.monotonic() < until, "the server did not begin to answer"
            try:
                if httpx.get(f"http://127.0.0.1:{port}/v1/models", trust_env=False).is_success:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def real_url(builtin_weights: Path) -> Iterator[str]:
    port = free_port()
    with llama_server(builtin_weights, port):
        yield f"http://127.0.0.1:{port}/v1"


@pytest.fixture
async def real(real_url: str) -> AsyncIterator[OpenAIBackend]:
    made = await make_backend(Settings(openai_url=real_url))
    assert isinstance(made, OpenAIBackend)
    yield made
    await made.aclose()


@pytest.mark.model
async def test_real_what_is_known_of_the_server(real: OpenAIBackend, builtin_weights: Path) -> None:
    assert real.model == str(builtin_weights)
    assert (real.context_length, real.brief, len(real.digest)) == (2048, True, 64)


@pytest.mark.model
async def test_real_continuation_and_its_stop(real: OpenAIBackend) -> None:
    prompt = "A count:\none\ntwo\nthree\nfour\n"
    asked: dict[str, Any] = {"max_tokens": 12, "temperature": 0.0}
    pieces = await say(real, prompt, stop=["\nseven"], **asked)
    assert "".join(pieces).split() == ["five", "six"]
    assert len(pieces) > 1
    usage = real.usage
    assert (usage.calls, usage.prompt_tokens > 8, usage.written_tokens > 3) == (1, True, True)
    await say(real, prompt, stop=["\nseven"], **asked)
    assert usage.cached_tokens > 0
    assert "".join(await say(real, prompt, stop=[], fresh_words=True, **asked)).strip()


@pytest.mark.model
async def test_real_chat(real: OpenAIBackend) -> None:
    question = "What is the capital of France? Answer with one word."
    assert "Paris" in await chat(real, question, temperature=0.0, max_tokens=10)
    with pytest.raises(CutReply) as caught:
        await chat(real, "Count from one to a hundred.", temperature=0.0, max_tokens=5)
    assert caught.value.partial


@pytest.mark.model
async def test_real_probability_of_yes(real: OpenAIBackend) -> None:
    def about(question: str) -> YesNoQuestion:
        material = "AGENT: I am so sorry that your parcel came late."
        return YesNoQuestion("Answer questions about the message.", material, question)

    yes = await real.probability_of_yes(about("Does the agent apologise?"))
    no = await real.probability_of_yes(about("Does the agent talk about elephants?"))
    assert yes is not None
    assert no is not None
    assert 0 <= no < 0.5 < yes <= 1


@pytest.mark.model
async def test_real_count_is_rather_too_high_and_learns(real: OpenAIBackend) -> None:
    text = "The parcel came late, and it was wet. " * 20
    assert await real.count_tokens(text) > 200
    before = real.usage.prompt_tokens
    await say(real, text, max_tokens=1)
    counted = real.usage.prompt_tokens - before
    assert counted <= await real.count_tokens(text) < 2 * counted


@pytest.mark.model
async def test_real_speed(real: OpenAIBackend) -> None:
    speed = await real.measure_speed()
    assert speed.reads > speed.writes > 0


@pytest.mark.model
async def test_real_overflow(real: OpenAIBackend) -> None:
    # Two bytes a token: the estimate lets it through, and the server does not.
    with pytest.raises(ContextOverflow, match="exceeds the available context size"):
        await say(real, "hm. " * 1400)
    with pytest.raises(ContextOverflow, match=r"holds 2048\. Start the server with a longer"):
        await say(real, "word " * 3000)


@pytest.mark.model
async def test_real_server_killed_in_mid_stream_and_started_again(builtin_weights: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/v1"
    with llama_server(builtin_weights, port) as server:
        backend = await make_backend(Settings(openai_url=url, request_timeout_s=60))
        assert isinstance(backend, OpenAIBackend)
        digest = backend.digest
        stream = backend.continue_text("Once", stop=[], max_tokens=900, temperature=0, seed=1)
        assert await anext(stream)
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(CutReply, match="broke off") as caught:
            async for _ in stream:
                pass
        assert caught.value.partial
        server.wait()
        with pytest.raises(BackendUnavailable, match="not answering"):
            await chat(backend)
    with llama_server(builtin_weights, port):
        assert await chat(backend, "Say hello.", max_tokens=40)
        assert "".join(await say(backend, "One, two, three,", max_tokens=8)).strip()
        await backend.check()
        assert backend.digest == digest
    await backend.aclose()

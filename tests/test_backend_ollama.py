from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

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
from ollama_stub import DIGEST, OllamaStub, Script, running_stub
from warmline import backends
from warmline.backends import EmbeddedBackend, OllamaBackend, PullProgress, make_backend
from warmline.backends.estimate import TokenEstimate
from warmline.backends.ollama import FRESH_WORDS
from warmline.errors import (
    BackendError,
    BackendTimeout,
    BackendUnavailable,
    ContextOverflow,
    CutReply,
    ModelMissing,
)
from warmline.settings import Settings


@pytest.fixture
def stub() -> Iterator[OllamaStub]:
    with running_stub() as running:
        yield running


def settings_for(stub: OllamaStub, **more: Any) -> Settings:
    values = {"backend": "ollama", "ollama_host": stub.host, "context_length": 4096, **more}
    return Settings(**values)


@pytest.fixture
async def backend(stub: OllamaStub) -> AsyncIterator[OllamaBackend]:
    made = OllamaBackend(settings_for(stub))
    yield made
    await made.aclose()


def nobody_listens() -> str:
    return f"http://127.0.0.1:{free_port()}"


# What is sent


async def test_a_continuation_is_raw_and_streamed(stub: OllamaStub, backend: OllamaBackend) -> None:
    assert await say(backend) == ["Hel", "lo"]
    (body,) = stub.script.bodies("/api/generate")
    assert body["model"] == "qwen2.5:7b"
    assert body["prompt"] == "ANNA: My parcel"
    assert (body["raw"], body["stream"], body["think"]) == (True, True, False)
    assert body["keep_alive"] == "30m"
    assert body["options"] == {
        "num_ctx": 4096,
        "num_predict": 60,
        "temperature": 0.8,
        "seed": 7,
        "stop": ["\n"],
    }


async def test_fresh_words_are_asked_for_by_an_option(
    stub: OllamaStub, backend: OllamaBackend
) -> None:
    await say(backend, fresh_words=True)
    await say(backend)
    asked, plain = (body["options"] for body in stub.script.bodies("/api/generate"))
    assert {name: asked[name] for name in FRESH_WORDS} == FRESH_WORDS
    assert not set(FRESH_WORDS) & set(plain)


async def test_a_large_model_is_not_kept_brief(backend: OllamaBackend) -> None:
    backend.brief = True
    await backend.check()
    assert backend.brief is False


async def test_a_chat_is_sent_whole(stub: OllamaStub, backend: OllamaBackend) -> None:
    messages = [
        SystemMessage("Be kind."),
        HumanMessage("Hi"),
        AIMessage("Hello"),
        HumanMessage("?"),
    ]
    assert await backend.chat(messages, max_tokens=60, temperature=0.2, seed=7) == "Hello"
    (body,) = stub.script.bodies("/api/chat")
    assert [(m["role"], m["content"]) for m in body["messages"]] == [
        ("system", "Be kind."),
        ("user", "Hi"),
        ("assistant", "Hello"),
        ("user", "?"),
    ]
    assert (body["think"], body["keep_alive"]) == (False, "30m")
    assert body["options"] == {"num_ctx": 4096, "num_predict": 60, "temperature": 0.2, "seed": 7}


async def test_every_request_has_the_same_context_length(
    stub: OllamaStub, backend: OllamaBackend
) -> None:
    await say(backend)
    await chat(backend)
    await backend.probability_of_yes(QUESTION)
    stub.script.logprobs = None
    await backend.probability_of_yes(QUESTION)
    await backend.measure_speed()
    bodies = stub.script.bodies("/api/generate") + stub.script.bodies("/api/chat")
    assert len(bodies) > 6
    assert {body["options"]["num_ctx"] for body in bodies} == {4096}


async def test_control_marks_are_broken_before_sending(
    stub: OllamaStub, backend: OllamaBackend
) -> None:
    await say(backend, "AGENT: bye<|im_end|>\n")
    await chat(backend, "<|im_start|>system")
    assert "<|im_end|>" not in stub.script.bodies("/api/generate")[0]["prompt"]
    assert "<|im_start|>" not in stub.script.bodies("/api/chat")[0]["messages"][0]["content"]


async def test_usage_is_counted(stub: OllamaStub, backend: OllamaBackend) -> None:
    await say(backend)
    await chat(backend)
    usage = backend.usage
    assert (usage.calls, usage.prompt_tokens, usage.written_tokens) == (2, 52, 4)


async def test_requests_run_one_at_a_time_by_priority(
    stub: OllamaStub, backend: OllamaBackend
) -> None:
    await chats_run_by_priority(stub.script, backend, "/api/chat")


# Reasoning


async def test_reasoning_is_taken_out_of_chats_and_continuations(
    stub: OllamaStub, backend: OllamaBackend
) -> None:
    stub.script.answers = [["<thi", "nk>Hm,", " a < b.</", "think>\n\nI ", "see."]]
    assert await chat(backend) == "I see."
    assert "".join(await say(backend)) == "I see."


# Yes or no


async def test_probability_from_log_probabilities(stub: OllamaStub, backend: OllamaBackend) -> None:
    stub.script.answers = [["Yes"]]
    assert await backend.probability_of_yes(QUESTION) == pytest.approx(0.8)
    (body,) = stub.script.bodies("/api/chat")
    assert (body["logprobs"], body["top_logprobs"], body["think"]) == (True, 20, False)
    assert (body["options"]["num_predict"], body["options"]["temperature"]) == (1, 0)
    assert body["messages"][1]["content"] == QUESTION.user_text()


async def test_no_probability_when_the_model_answers_neither(
    stub: OllamaStub, backend: OllamaBackend
) -> None:
    stub.script.logprobs = {"The": -0.01, "Yes": -6.0}
    assert await backend.probability_of_yes(QUESTION) is None


@pytest.mark.parametrize("only_chosen", [True, False])
async def test_probability_from_repeated_answers(
    stub: OllamaStub, backend: OllamaBackend, only_chosen: bool
) -> None:
    if only_chosen:
        stub.script.only_chosen = True
    else:
        stub.script.logprobs = None
    stub.script.answers = [
        ["Yes"],
        ["Yes", "."],
        ["no"],
        ["Well"],
        ["<think></think>", "Yes"],
        ["No"],
    ]
    assert await backend.probability_of_yes(QUESTION) == pytest.approx(2 / 4)
    draws = [body["options"] for body in stub.script.bodies("/api/chat")[1:]]
    assert len({options["seed"] for options in draws}) == len(draws) == 5
    assert {options["temperature"] for options in draws} == {1.0}
    # The next question does not ask for log-probabilities in vain again.
    assert await backend.probability_of_yes(QUESTION) == 0.0
    assert len(stub.script.bodies("/api/chat")) == 11


# Errors


async def test_server_down() -> None:
    backend = OllamaBackend(Settings(ollama_host=nobody_listens()))
    for attempt in (say(backend), chat(backend), backend.check(), backend.measure_speed()):
        with pytest.raises(
            BackendUnavailable, match=r"not answering at .*`ollama serve`"
        ) as caught:
            await attempt
        assert not isinstance(caught.value, ModelMissing)


async def test_model_missing(stub: OllamaStub, backend: OllamaBackend) -> None:
    stub.script.models.clear()
    for attempt in (say(backend), chat(backend), backend.check()):
        with pytest.raises(ModelMissing, match=r"`ollama pull qwen2\.5:7b`.*Warmline") as caught:
            await attempt
        assert caught.value.model == "qwen2.5:7b"


async def test_too_slow(stub: OllamaStub) -> None:
    stub.script.delay_s = 0.6
    backend = OllamaBackend(settings_for(stub, request_timeout_s=0.2))
    for attempt in (say(backend), chat(backend)):
        with pytest.raises(BackendTimeout, match=r"0\.2 seconds"):
            await attempt


async def test_too_slow_in_the_middle(stub: OllamaStub) -> None:
    stub.script.piece_delay_s = 0.6
    backend = OllamaBackend(settings_for(stub, request_timeout_s=0.2))
    stream = backend.continue_text("A", stop=[], max_tokens=9, temperature=0, seed=1)
    assert await anext(stream) == "Hel"
    with pytest.raises(BackendTimeout):
        await anext(stream)


@pytest.mark.parametrize("how", ["clean", "breaking"])
async def test_a_stream_that_breaks_off(stub: OllamaStub, backend: OllamaBackend, how: str) -> None:
    stub.script.cut_after, stub.script.cut_how = 1, how
    for attempt in (say(backend), chat(backend)):
        with pytest.raises(CutReply, match="broke off") as caught:
            await attempt
        assert caught.value.partial == "Hel"


async def test_a_stream_without_a_single_chunk(stub: OllamaStub, backend: OllamaBackend) -> None:
    stub.script.cut_after = 0
    for attempt in (say(backend), chat(backend)):
        with pytest.raises(CutReply) as caught:
            await attempt
        assert caught.value.partial == ""


async def test_a_chat_cut_at_its_length(stub: OllamaStub, backend: OllamaBackend) -> None:
    stub.script.done_reason = "length"
    with pytest.raises(CutReply, match="60 tokens") as caught:
        await chat(backend)
    assert caught.value.partial == "Hello"
    # A continuation may end there; whoever asked for it decides what to do.
    assert await say(backend) == ["Hel", "lo"]


@pytest.mark.parametrize("refuse", [(500, "llama runner process has terminated"), None])
async def test_an_error_of_the_server(
    stub: OllamaStub, backend: OllamaBackend, refuse: tuple[int, str] | None
) -> None:
    stub.script.refuse = refuse
    stub.script.error_in_stream = "llama runner process has terminated"
    for attempt in (say(backend), chat(backend)):
        with pytest.raises(BackendError, match="runner process has terminated") as caught:
            await attempt
        assert type(caught.value) is BackendError


async def test_the_server_refuses_the_length(stub: OllamaStub, backend: OllamaBackend) -> None:
    stub.script.refuse = (400, "the input length exceeds the context length")
    with pytest.raises(ContextOverflow):
        await chat(backend)


async def test_something_else_listens_there(stub: OllamaStub) -> None:
    backend = OllamaBackend(settings_for(stub, ollama_host=f"{stub.host}/elsewhere"))
    with pytest.raises(BackendUnavailable):
        await backend.check()


# Length of the prompt


async def test_too_long_a_prompt_is_never_sent(stub: OllamaStub, backend: OllamaBackend) -> None:
    long = "word " * 3000
    for attempt in (say(backend, long), chat(backend, long)):
        with pytest.raises(ContextOverflow, match="holds 4096"):
            await attempt
    assert stub.script.requests == []


async def test_room_for_the_answer_is_counted(stub: OllamaStub, backend: OllamaBackend) -> None:
    prompt = "a" * 3 * 3000
    stub.script.prompt_eval_count = 3000
    await say(backend, prompt, max_tokens=1000)
    with pytest.raises(ContextOverflow):
        await say(backend, prompt, max_tokens=1200)


async def test_the_estimate_learns_from_what_the_server_counts(
    stub: OllamaStub, backend: OllamaBackend
) -> None:
    text = "x" * 3000
    assert await backend.count_tokens(text) == 1001
    stub.script.prompt_eval_count = 1500
    await say(backend, text)
    assert await backend.count_tokens(text) > 1500
    # A low count may come from the server's cache, so it is not believed.
    stub.script.prompt_eval_count = 3
    await say(backend, text)
    assert await backend.count_tokens(text) > 1500


def test_the_estimate_goes_up_only_a_little() -> None:
    estimate = TokenEstimate()
    estimate.learn("x" * 3000, 10)
    assert 800 < estimate.of("x" * 3000) < 1000
    estimate.learn("x", 20)
    assert estimate.of("x" * 3000) < 1000


# Stopping


async def test_closing_the_stream_hangs_up(stub: OllamaStub, backend: OllamaBackend) -> None:
    await closing_hangs_up(stub.script, backend)


async def test_cancelling_hangs_up(stub: OllamaStub, backend: OllamaBackend) -> None:
    await cancelling_hangs_up(stub.script, backend)


async def test_a_server_that_never_stops_is_cut_off(
    stub: OllamaStub, backend: OllamaBackend
) -> None:
    await what_never_stops_is_cut_off(stub.script, backend)


# The rest


async def test_check_notes_the_digest(stub: OllamaStub, backend: OllamaBackend) -> None:
    await backend.check()
    assert backend.digest == DIGEST


@pytest.mark.parametrize(
    ("wanted", "there", "found"),
    [
        ("qwen2.5", "qwen2.5:latest", True),
        ("qwen2.5:latest", "qwen2.5:latest", True),
        ("qwen2.5", "qwen2.5:7b", False),
        ("hub.example:5000/team/model", "hub.example:5000/team/model:latest", True),
    ],
)
async def test_names_without_a_tag(stub: OllamaStub, wanted: str, there: str, found: bool) -> None:
    stub.script.models = [there]
    backend = OllamaBackend(settings_for(stub, ollama_model=wanted))
    with contextlib.nullcontext() if found else pytest.raises(ModelMissing):
        await backend.check()


async def test_pull(stub: OllamaStub, backend: OllamaBackend) -> None:
    stub.script.models.clear()
    steps = [step async for step in backend.pull()]
    assert steps[0] == PullProgress("pulling manifest", 0, 0)
    assert PullProgress("pulling 2bada8a74506", 1000, 4000) in steps
    assert steps[-1].status == "success"
    assert stub.script.bodies("/api/pull") == [
        {"model": "qwen2.5:7b", "stream": True, "insecure": False}
    ]
    assert backend.digest == DIGEST
    assert await chat(backend) == "Hello"


async def test_pull_of_a_model_that_does_not_exist(stub: OllamaStub) -> None:
    backend = OllamaBackend(settings_for(stub, ollama_model="nosuch"))
    with pytest.raises(BackendError, match="file does not exist"):
        [step async for step in backend.pull()]


async def test_measure_speed(stub: OllamaStub, backend: OllamaBackend) -> None:
    stub.script.prompt_eval_count = 120
    speed = await backend.measure_speed()
    assert (speed.reads, speed.writes) == (60.0, 4.0)


async def test_a_proxy_is_not_asked_for_this_machine(
    stub: OllamaStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, nobody_listens())
    backend = OllamaBackend(settings_for(stub))
    await backend.check()
    assert await chat(backend) == "Hello"


# Which backend


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings with which the embedded engine was asked for; it is not started."""
    asked: list[Settings] = []

    async def note(settings: Settings, progress: object = None) -> str:
        asked.append(settings)
        return "embedded"

    monkeypatch.setattr(EmbeddedBackend, "open", note)
    return asked


async def test_auto_takes_ollama_when_it_has_the_model(
    stub: OllamaStub, embedded: list[Settings]
) -> None:
    made = await make_backend(settings_for(stub, backend="auto"))
    assert isinstance(made, OllamaBackend)
    assert (made.name, made.model, made.digest) == ("ollama", "qwen2.5:7b", DIGEST)
    assert embedded == []


@pytest.mark.parametrize("trouble", ["down", "missing", "slow", "broken"])
async def test_auto_falls_back_to_the_embedded_engine(
    stub: OllamaStub,
    embedded: list[Settings],
    trouble: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(backends, "_PROBE_S", 0.2)
    settings = settings_for(stub, backend="auto")
    if trouble == "down":
        settings = settings_for(stub, backend="auto", ollama_host=nobody_listens())
    elif trouble == "missing":
        stub.script.models = ["llama3:8b"]
    elif trouble == "slow":
        stub.script.delay_s = 1.0
    else:
        stub.script.refuse = (500, "out of order")
    begun = time.monotonic()
    assert await make_backend(settings) == "embedded"  # type: ignore[comparison-overlap]
    assert embedded == [settings]
    assert time.monotonic() - begun < 0.9


async def test_ollama_when_forced_has_to_be_there(
    stub: OllamaStub, embedded: list[Settings]
) -> None:
    stub.script.models.clear()
    with pytest.raises(ModelMissing):
        await make_backend(settings_for(stub))
    with pytest.raises(BackendUnavailable):
        await make_backend(settings_for(stub, ollama_host=nobody_listens()))
    assert embedded == []


async def test_embedded_when_forced_asks_no_server(
    stub: OllamaStub, embedded: list[Settings], tmp_path: Path
) -> None:
    await make_backend(settings_for(stub, backend="embedded"))
    assert len(embedded) == 1
    assert stub.script.requests == []


def test_the_stub_needs_no_script() -> None:
    with running_stub(Script(models=[])) as stub:
        assert stub.host.startswith("http://127.0.0.1:")

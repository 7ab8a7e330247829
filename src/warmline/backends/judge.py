"""Decision models as judges of checks: they write nothing, and answer with probabilities.

They are asked by the System One request: a **state** (the conversation) and named questions of the
type ``noul``, each answered with the probability that it is to be answered with "yes". llama.cpp
serves such models at ``/v1/systemone``, and so do other servers; in process, xllamacpp does the
same. All questions about one state go into one request.
"""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from warmline.backends.base import Backend, CheckJudge, Priority, Usage, YesNoQuestion
from warmline.backends.marks import defused
from warmline.backends.native import start
from warmline.backends.weights import digest_of
from warmline.errors import BackendError, BackendTimeout, BackendUnavailable
from warmline.settings import Settings

#: Questions in one request: a server gives each a slot of its own.
BATCH = 16
#: What a check that the judge works is asked by `warmline doctor`.
PROBE = YesNoQuestion("", "Customer: My parcel is lost.", "Does the customer write about a parcel?")


class DecisionJudge(ABC):
    """What the two ways of reaching a decision model share: the request and its answer."""

    name = "systemone"
    batch = BATCH

    def __init__(self, model: str, digest: str) -> None:
        self.model = model
        self.digest = digest
        self.usage = Usage()

    @abstractmethod
    async def _send(self, body: Mapping[str, Any]) -> Any:
        """Send one request; the answer as it came."""

    @abstractmethod
    async def aclose(self) -> None:
        """Let it go."""

    async def probabilities_of_yes(
        self, questions: Sequence[YesNoQuestion], *, priority: Priority = Priority.BACKGROUND
    ) -> list[float | None]:
        """The probability of "yes" for each question about one material, in one request.

        Raises:
            BackendError: one of its kinds, with a plain message.
        """
        if not questions:
            return []
        answer = await self._send(request(questions))
        self.usage.calls += 1
        if isinstance(answer, dict) and isinstance(used := answer.get("usage"), dict):
            tokens = used.get("input_tokens", used.get("prompt_tokens", 0))
            self.usage.prompt_tokens += tokens if isinstance(tokens, int) else 0
        return probabilities(answer, len(questions))


def request(questions: Sequence[YesNoQuestion]) -> dict[str, Any]:
    """The System One request for several questions about one material."""
    return {
        "state": defused(questions[0].material),
        "questions": {
            f"q{number}": {"type": "noul", "instructions": one.question}
            for number, one in enumerate(questions)
        },
    }


def probabilities(answer: Any, number: int) -> list[float | None]:
    """The probabilities of an answer, in the order of the questions.

    Raises:
        BackendError: if the answer is an error, or no answer to such a request.
    """
    error = answer.get("error") if isinstance(answer, dict) else None
    if error:
        message = error.get("message", error) if isinstance(error, dict) else error
        raise BackendError(
            f"The decision model answered with an error: {message}. Choose another with "
            "WARMLINE_JUDGE, or leave it out to ask the language model."
        )
    answers = answer.get("answers") if isinstance(answer, dict) else None
    if not isinstance(answers, dict):
        raise BackendError(
            "The decision model's answer has no `answers`; is WARMLINE_JUDGE a System One server?"
        )
    found: list[float | None] = []
    for index in range(number):
        one = answers.get(f"q{index}")
        value: Any = one.get("noul") if isinstance(one, dict) else None
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        found.append(float(value) if is_number and 0 <= value <= 1 else None)
    return found


class DecisionServer(DecisionJudge):
    """A decision model behind any server with ``/v1/systemone``."""

    def __init__(self, address: str, timeout_s: float) -> None:
        super().__init__(address, address)
        self._client = httpx.AsyncClient(
            base_url=address.rstrip("/"), timeout=httpx.Timeout(timeout_s, connect=3)
        )

    async def _send(self, body: Mapping[str, Any]) -> Any:
        try:
            response = await self._client.post("/v1/systemone", json=body)
        except httpx.TimeoutException as error:
            raise BackendTimeout(
                f"The decision model at {self.model} took too long. Try again."
            ) from error
        except httpx.HTTPError as error:
            raise BackendUnavailable(
                f"No decision model answers at {self.model}. Start it, or change WARMLINE_JUDGE."
            ) from error
        try:
            answer = response.json()
        except ValueError as error:
            raise BackendError(
                f"{self.model} answered status {response.status_code} and no JSON; is it a "
                "System One server?"
            ) from error
        if response.status_code >= 400 and not (isinstance(answer, dict) and answer.get("error")):
            raise BackendError(f"{self.model} answered status {response.status_code}.")
        if isinstance(answer, dict) and isinstance(model := answer.get("model"), str):
            # Part of the digest: another model behind the same address is another judge.
            self.digest = f"{self.model} {model}"
        return answer

    async def aclose(self) -> None:
        """Close the connection."""
        await self._client.aclose()


class DecisionFile(DecisionJudge):
    """A decision model in a GGUF file, run in process."""

    def __init__(self, file: Path, settings: Settings) -> None:
        if not file.is_file():
            raise BackendUnavailable(f"No file {file}; WARMLINE_JUDGE names a GGUF or an address.")
        super().__init__(file.name, digest_of(file, settings.cache_dir))
        size = settings.context_length
        try:
            # An encoder reads all of its input in one batch.
            self._server: Any = start(file, n_ctx=size, n_batch=size, n_ubatch=size)
        except RuntimeError as error:
            raise BackendError(f"{file} could not be loaded as a decision model.") from error
        self._one_at_a_time = asyncio.Lock()

    async def _send(self, body: Mapping[str, Any]) -> Any:
        async with self._one_at_a_time:
            answer = await asyncio.to_thread(self._server.handle_systemone, dict(body))
        return json.loads(answer) if isinstance(answer, str | bytes) else answer

    async def aclose(self) -> None:
        """Let the model go."""
        self._server = None


async def make_judge(settings: Settings, backend: Backend) -> CheckJudge:
    """What answers checks: the language model itself, or the decision model of the settings.

    Raises:
        BackendError: if there is no such decision model, or it does not answer.
    """
    chosen = settings.judge
    if chosen == "model":
        return backend
    judge: DecisionJudge
    if chosen.startswith(("http://", "https://")):
        judge = DecisionServer(chosen, settings.request_timeout_s)
    else:
        judge = await asyncio.to_thread(DecisionFile, Path(chosen), settings)
    try:
        await judge.probabilities_of_yes([PROBE])
    except BackendError:
        await judge.aclose()
        raise
    return judge

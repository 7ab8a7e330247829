"""The language model: one interface, and the engines that stand behind it."""

from __future__ import annotations

import contextlib

from warmline.backends.base import (
    Backend,
    CheckJudge,
    Priority,
    Speed,
    Usage,
    YesNoQuestion,
)
from warmline.backends.embedded import EmbeddedBackend
from warmline.backends.judge import make_judge
from warmline.backends.ollama import OllamaBackend, PullProgress
from warmline.backends.server import ServerBackend
from warmline.backends.weights import Progress, prepare_builtin, show_progress
from warmline.errors import BackendError
from warmline.settings import Settings

__all__ = [
    "Backend",
    "CheckJudge",
    "EmbeddedBackend",
    "OllamaBackend",
    "Priority",
    "Progress",
    "PullProgress",
    "Speed",
    "Usage",
    "YesNoQuestion",
    "make_backend",
    "make_judge",
    "prepare_builtin",
    "show_progress",
]

#: How long ``auto`` waits for an Ollama that may not be there, in seconds.
_PROBE_S = 1.0


async def make_backend(settings: Settings, progress: Progress | None = None) -> Backend:
    """The backend that the settings ask for, ready to answer.

    ``auto`` is the OpenAI-compatible server when its address is set, else Ollama when it answers
    and has the model, else the embedded engine. A server whose address is set is never passed
    over: whoever set it means that server.

    Args:
        settings: what to use.
        progress: told the bytes done and in all while weights are fetched.

    Raises:
        BackendUnavailable: when a server is asked for and does not answer, or an OpenAI-compatible
            one does not have the model or does not let us in, or the weights cannot be had.
        ModelMissing: when Ollama is asked for and does not have the model; ``OllamaBackend`` can
            be made without it, to pull it.
        BackendError: when the weights cannot be loaded.
    """
    if settings.backend == "openai" or (settings.backend == "auto" and settings.openai_url):
        # Imported here, since it takes half a second that no other backend needs.
        from warmline.backends.openai_server import OpenAIBackend

        return await _checked(OpenAIBackend(settings))
    if settings.backend == "ollama":
        return await _checked(OllamaBackend(settings))
    if settings.backend == "auto":
        with contextlib.suppress(BackendError):
            return await _checked(OllamaBackend(settings), _PROBE_S)
    return await EmbeddedBackend.open(settings, progress)


async def _checked(server: ServerBackend, timeout_s: float | None = None) -> Backend:
    """The server's backend, once it has answered; closed if it has not."""
    try:
        await server.check(timeout_s)
    except BaseException:
        await server.aclose()
        raise
    return server

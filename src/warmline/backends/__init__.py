"""The language model: one interface, and the engines that stand behind it."""

from __future__ import annotations

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

    ``auto`` is Ollama when it answers and has the model, else the embedded engine.

    Args:
        settings: what to use.
        progress: told the bytes done and in all while weights are fetched.

    Raises:
        BackendUnavailable: when Ollama is asked for and does not answer, or the weights cannot
            be had.
        ModelMissing: when Ollama is asked for and does not have the model; ``OllamaBackend`` can
            be made without it, to pull it.
        BackendError: when the weights cannot be loaded.
    """
    if settings.backend != "embedded":
        ollama = OllamaBackend(settings)
        try:
            if settings.backend == "ollama":
                await ollama.check()
            else:
                await ollama.check(_PROBE_S)
        except BaseException as error:
            await ollama.aclose()
            if settings.backend == "ollama" or not isinstance(error, BackendError):
                raise
        else:
            return ollama
    return await EmbeddedBackend.open(settings, progress)

"""What can go wrong, in words meant for the person who sees them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


class WarmlineError(Exception):
    """A problem with a plain message: what is wrong, where, what to do now."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a file that a person wrote.

    ``line`` counts from 1; ``field`` is the dotted path inside the file, empty for the file as a
    whole.
    """

    file: Path
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        where = f"{self.field}: " if self.field else ""
        return f"{self.file}:{self.line}: {where}{self.message}"


class FileProblems(WarmlineError):
    """A persona, rubric or transcript file that cannot be used, with every problem found in it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class BackendError(WarmlineError):
    """The language model could not answer. Nothing that was typed is lost."""


class BackendUnavailable(BackendError):
    """The model's server cannot be reached, or the model is not there."""


class ModelMissing(BackendUnavailable):
    """The server runs, but does not have the model. It can be pulled."""

    def __init__(self, model: str, message: str) -> None:
        super().__init__(message)
        self.model = model


class BackendTimeout(BackendError):
    """The model took longer than the allowed time."""


class ContextOverflow(BackendError):
    """The prompt is longer than the model's context."""


class CutReply(BackendError):
    """The model stopped in the middle of its answer. ``partial`` is what it had written."""

    def __init__(self, partial: str, message: str) -> None:
        super().__init__(message)
        self.partial = partial


class NotGraded(WarmlineError):
    """The grade could not be made. It is never replaced by a number; it can be tried again."""


class TooLittle(NotGraded):
    """There is not yet enough to grade; the conversation can go on."""


class NotFound(WarmlineError):
    """No session, persona or rubric of that name."""


class TooManyTries(WarmlineError):
    """Too many failed sign-ins; the next has to wait."""


class HandedIn(WarmlineError):
    """The conversation was handed in for an assignment, so it stays with the coaches."""


class SessionOver(WarmlineError):
    """The conversation has ended; nothing more can be said in it."""

"""Work that goes on by itself while pages look at how far it is: one job about one thing."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from warmline.errors import WarmlineError

WorkT = TypeVar("WorkT")

#: So many jobs that have ended are kept to be looked at.
MOST_ENDED = 24

#: What a page says where the program itself is at fault.
BROKEN = (
    "This try broke off because of a fault in Warmline itself. What there is by then is below. "
    "Tell whoever runs Warmline here; its log says more."
)

log = logging.getLogger(__name__)


class Busy(WarmlineError):
    """Somebody tries the same thing already."""


@dataclass
class Job(Generic[WorkT]):
    """One try: what it fills, who began it, and how it ended.

    ``problem`` says in plain words why it broke off, if it did.
    """

    number: int
    work: WorkT
    user_id: str
    by: str
    began: datetime
    task: asyncio.Task[None] | None = None
    stopped: bool = False
    problem: str = ""

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self.task is not None and not self.task.done()


@dataclass
class Jobs:
    """All jobs of a running server, by what they are about."""

    _jobs: dict[Hashable, Job[Any]] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _closed: bool = False

    def of(self, key: Hashable) -> Job[Any] | None:
        """The job about something, running or ended."""
        return self._jobs.get(key)

    def start(
        self,
        key: Hashable,
        work: WorkT,
        run: Callable[[WorkT], Awaitable[None]],
        *,
        user_id: str,
        by: str,
    ) -> Job[WorkT]:
        """Begin a job; what was tried before about the same thing is forgotten.

        Raises:
            Busy: if one about the same thing is running.
            WarmlineError: if the server is being stopped.
        """
        if (old := self._jobs.get(key)) and old.running:
            raise Busy(f"{old.by} is trying this already. Wait until it has ended, or stop it.")
        if self._closed:
            raise WarmlineError("Warmline is being stopped. Try this again when it is back.")
        job = Job(next(self._numbers), work, user_id, by, datetime.now(UTC))
        job.task = asyncio.create_task(_watched(job, run), name=f"try {job.number}")
        # The newest stands last.
        self._jobs.pop(key, None)
        self._jobs[key] = job
        ended = [one for one, other in self._jobs.items() if not other.running]
        for one in ended[: max(0, len(ended) - MOST_ENDED)]:
            del self._jobs[one]
        return job

    async def stop(self, key: Hashable) -> None:
        """Stop a job, if one is running; what it found by then stays."""
        if (job := self._jobs.get(key)) and job.running and job.task:
            job.stopped = True
            job.task.cancel()
            await asyncio.gather(job.task, return_exceptions=True)

    async def close(self) -> None:
        """Stop them all, and take no more."""
        self._closed = True
        for key in list(self._jobs):
            await self.stop(key)


async def _watched(job: Job[WorkT], run: Callable[[WorkT], Awaitable[None]]) -> None:
    try:
        await run(job.work)
    except WarmlineError as error:
        said = str(error)
        # What servers say of themselves often has no end, and a page goes on after it.
        job.problem = said if said.endswith((".", "!", "?")) else f"{said}."
    except asyncio.CancelledError:
        job.stopped = True
        raise
    except Exception as error:
        # Nobody waits for a job: whoever looks at its page is told, and the log has the place.
        log.exception("a try broke off: %s", type(error).__name__)
        job.problem = BROKEN

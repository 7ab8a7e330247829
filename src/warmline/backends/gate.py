"""Who may use the one engine next."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from warmline.backends.base import Priority


class PriorityGate:
    """A lock whose waiters are served by priority, and by arrival within a priority.

    A holder is never interrupted: a customer's reply waits for at most the one request that is
    running. Waiting can be cancelled at any moment; the place then goes to the next in line.
    """

    def __init__(self) -> None:
        self._held = False
        self._arrivals = itertools.count()
        self._line: list[tuple[Priority, int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def hold(self, priority: Priority) -> AsyncIterator[None]:
        """Wait for the engine, and keep it until the block ends."""
        await self._enter(priority)
        try:
            yield
        finally:
            self._leave()

    async def _enter(self, priority: Priority) -> None:
        if not self._held:
            self._held = True
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._line, (priority, next(self._arrivals), turn))
        try:
            await turn
        except asyncio.CancelledError:
            # Cancelled after the place was handed over but before this task woke up: hand it on,
            # or nobody would ever be served again.
            if turn.done() and not turn.cancelled():
                self._leave()
            raise

    def _leave(self) -> None:
        while self._line:
            _, _, turn = heapq.heappop(self._line)
            if not turn.done():
                # The gate stays held; it only changes hands, so that a newcomer cannot slip in.
                turn.set_result(None)
                return
        self._held = False

"""Who may use the engine next."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from contextlib import AbstractAsyncContextManager

from warmline.backends.base import Priority


class PriorityGate:
    """A lock whose waiters are served by priority, and by arrival within a priority.

    A holder is never interrupted: a customer's reply waits for at most the one request that is
    running. Waiting can be cancelled at any moment; the place then goes to the next in line.
    """

    def __init__(self, places: int = 1) -> None:
        """Let so many in at once; one, for an engine that does one thing at a time."""
        self._free = places
        self._arrivals = itertools.count()
        self._line: list[tuple[Priority, int, asyncio.Future[None]]] = []

    def hold(self, priority: Priority) -> AbstractAsyncContextManager[None]:
        """Wait for the engine, and keep it until the block ends."""
        return _Hold(self, priority)

    async def enter(self, priority: Priority) -> None:
        """Wait for the engine. `leave` must follow, unless this is cancelled."""
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._line, (priority, next(self._arrivals), turn))
        try:
            await turn
        except asyncio.CancelledError:
            # Cancelled after the place was handed over but before this task woke up: hand it on,
            # or nobody would ever be served again.
            if turn.done() and not turn.cancelled():
                self.leave()
            raise

    def leave(self) -> None:
        """Hand the engine to the next in line."""
        while self._line:
            _, _, turn = heapq.heappop(self._line)
            if not turn.done():
                # The place only changes hands, so that a newcomer cannot slip in.
                turn.set_result(None)
                return
        self._free += 1


class _Hold(AbstractAsyncContextManager[None]):
    """One stay behind the gate.

    A class and no generator: a loop that shuts down closes every generator it knows, in any order,
    and would open the gate under the one who holds it.
    """

    def __init__(self, gate: PriorityGate, priority: Priority) -> None:
        self._gate = gate
        self._priority = priority

    async def __aenter__(self) -> None:
        await self._gate.enter(self._priority)

    async def __aexit__(self, *_: object) -> None:
        self._gate.leave()

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from warmline.backends.base import Priority
from warmline.backends.gate import PriorityGate


class Visits:
    """Visitors of a gate, and the order in which they were let in."""

    def __init__(self) -> None:
        self.gate = PriorityGate()
        self.order: list[str] = []
        self.open = asyncio.Event()

    async def visit(self, name: str, priority: Priority) -> None:
        async with self.gate.hold(priority):
            self.order.append(name)
            await self.open.wait()

    async def send(self, name: str, priority: Priority) -> asyncio.Task[None]:
        task = asyncio.create_task(self.visit(name, priority))
        await asyncio.sleep(0)
        return task


async def test_waiters_are_served_by_priority_then_arrival() -> None:
    visits = Visits()
    tasks = [
        await visits.send(name, priority)
        for name, priority in [
            ("running", Priority.BACKGROUND),
            ("check 1", Priority.BACKGROUND),
            ("finish", Priority.FINISH),
            ("check 2", Priority.BACKGROUND),
            ("reply 1", Priority.CUSTOMER),
            ("reply 2", Priority.CUSTOMER),
        ]
    ]
    assert visits.order == ["running"]
    visits.open.set()
    await asyncio.gather(*tasks)
    assert visits.order == ["running", "reply 1", "reply 2", "finish", "check 1", "check 2"]


async def test_one_holder_at_a_time() -> None:
    gate = PriorityGate()
    inside = most = 0

    async def visit(priority: Priority) -> None:
        nonlocal inside, most
        async with gate.hold(priority):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(visit(Priority(i % 3)) for i in range(30)))
    assert most == 1


async def test_a_cancelled_waiter_leaves_the_line() -> None:
    visits = Visits()
    first = await visits.send("first", Priority.CUSTOMER)
    second = await visits.send("second", Priority.CUSTOMER)
    third = await visits.send("third", Priority.CUSTOMER)
    second.cancel()
    visits.open.set()
    await asyncio.gather(first, third)
    assert visits.order == ["first", "third"]


async def test_a_waiter_cancelled_just_as_its_turn_comes_hands_it_on() -> None:
    gate = PriorityGate()
    order: list[str] = []

    async def visit(name: str) -> None:
        async with gate.hold(Priority.CUSTOMER):
            order.append(name)

    async with gate.hold(Priority.CUSTOMER):
        unlucky = asyncio.create_task(visit("unlucky"))
        lucky = asyncio.create_task(visit("lucky"))
        await asyncio.sleep(0)
    # The place has been handed to the first task, which has not run since.
    unlucky.cancel()
    await asyncio.wait_for(lucky, 1)
    assert order == ["lucky"]
    async with asyncio.timeout(1), gate.hold(Priority.BACKGROUND):
        pass


def test_a_loop_that_ends_under_a_stream_closes_it_quietly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate = PriorityGate()

    async def stream() -> AsyncIterator[int]:
        async with gate.hold(Priority.CUSTOMER):
            yield 1

    left_open = stream()

    async def read_one() -> int:
        return await anext(left_open)

    assert asyncio.run(read_one()) == 1
    assert caplog.records == []


async def test_an_error_inside_opens_the_gate() -> None:
    gate = PriorityGate()
    with pytest.raises(RuntimeError):
        async with gate.hold(Priority.FINISH):
            raise RuntimeError
    async with asyncio.timeout(1), gate.hold(Priority.FINISH):
        pass


async def test_a_cancelled_holder_opens_the_gate() -> None:
    visits = Visits()
    first = await visits.send("first", Priority.CUSTOMER)
    first.cancel()
    await asyncio.wait([first])
    async with asyncio.timeout(1), visits.gate.hold(Priority.CUSTOMER):
        pass


async def test_a_wide_gate_lets_so_many_in_and_keeps_the_order_of_the_rest() -> None:
    gate = PriorityGate(2)
    inside: list[str] = []
    order: list[str] = []
    go = asyncio.Event()

    async def stay(name: str, priority: Priority) -> None:
        async with gate.hold(priority):
            inside.append(name)
            order.append(name)
            assert len(inside) <= 2
            await go.wait()
            inside.remove(name)

    tasks = []
    for name, priority in [
        ("a", Priority.BACKGROUND),
        ("b", Priority.BACKGROUND),
        ("late", Priority.BACKGROUND),
        ("customer", Priority.CUSTOMER),
    ]:
        tasks.append(asyncio.create_task(stay(name, priority)))
        await asyncio.sleep(0)
    assert order == ["a", "b"]
    go.set()
    await asyncio.gather(*tasks)
    assert order == ["a", "b", "customer", "late"]
    # All places are free again.
    await asyncio.wait_for(asyncio.gather(*(gate.enter(Priority.CUSTOMER) for _ in range(2))), 5)

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from retrieval.priority_threads import Priority, PriorityThreads
from tests.waiting import until


class Gate:
    """Work that has begun once `begun` is set, and ends when `open` is."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.open = threading.Event()

    def __call__(self) -> str:
        self.begun.set()
        self.open.wait()
        return "through"


@pytest.fixture
async def threads() -> AsyncIterator[PriorityThreads]:
    threads = PriorityThreads("test")
    yield threads
    await threads.close()


async def test_questions_overtake_documents_and_nothing_runs_twice_at_once(threads: PriorityThreads) -> None:
    gate = Gate()
    order: list[str] = []
    first = asyncio.create_task(threads.run(Priority.INGEST, gate))
    await until(gate.begun.is_set)
    later = [asyncio.create_task(threads.run(Priority.INGEST, order.append, f"document {n}")) for n in range(3)]
    later += [asyncio.create_task(threads.run(Priority.QUERY, order.append, f"question {n}")) for n in range(2)]
    await asyncio.sleep(0)
    assert order == []
    gate.open.set()
    await asyncio.gather(first, *later)
    assert order == ["question 0", "question 1", "document 0", "document 1", "document 2"]


async def test_every_third_turn_is_a_documents(threads: PriorityThreads) -> None:
    gate = Gate()
    order: list[str] = []
    first = asyncio.create_task(threads.run(Priority.INGEST, gate))
    await until(gate.begun.is_set)
    later = [asyncio.create_task(threads.run(Priority.QUERY, order.append, "q")) for _ in range(10)]
    later += [asyncio.create_task(threads.run(Priority.INGEST, order.append, "d")) for _ in range(3)]
    await asyncio.sleep(0)
    gate.open.set()
    await asyncio.gather(first, *later)
    assert "".join(order) == "qqdqqdqqdqqqq"


async def test_what_is_read_ahead_goes_behind_documents_and_has_its_share(threads: PriorityThreads) -> None:
    gate = Gate()
    order: list[str] = []
    first = asyncio.create_task(threads.run(Priority.INGEST, gate))
    await until(gate.begun.is_set)
    later = [asyncio.create_task(threads.run(Priority.AHEAD, order.append, "a")) for _ in range(3)]
    later += [asyncio.create_task(threads.run(Priority.INGEST, order.append, "d")) for _ in range(6)]
    later += [asyncio.create_task(threads.run(Priority.QUERY, order.append, "q")) for _ in range(4)]
    await asyncio.sleep(0)
    gate.open.set()
    await asyncio.gather(first, *later)
    assert "".join(order) == "qqdqqaddaddad"


async def test_the_loop_goes_on_while_work_runs(threads: PriorityThreads) -> None:
    gate = Gate()
    task = asyncio.create_task(threads.run(Priority.QUERY, gate))
    await until(gate.begun.is_set)
    assert not task.done()
    gate.open.set()
    assert await task == "through"


async def test_an_error_is_the_callers(threads: PriorityThreads) -> None:
    with pytest.raises(ZeroDivisionError):
        await threads.run(Priority.QUERY, lambda: 1 / 0)
    assert await threads.run(Priority.QUERY, lambda: "still here") == "still here"


async def test_work_of_a_cancelled_caller_is_not_begun(threads: PriorityThreads) -> None:
    gate = Gate()
    order: list[str] = []
    first = asyncio.create_task(threads.run(Priority.QUERY, gate))
    await until(gate.begun.is_set)
    second = asyncio.create_task(threads.run(Priority.QUERY, order.append, "second"))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.sleep(0)
    gate.open.set()
    await first
    await threads.run(Priority.INGEST, order.append, "third")
    assert order == ["third"]


@pytest.mark.parametrize("fails", [False, True])
async def test_the_outcome_for_a_caller_that_was_cancelled_meanwhile_is_dropped(
    threads: PriorityThreads, fails: bool
) -> None:
    gate = Gate()

    def work() -> None:
        gate()
        if fails:
            raise ValueError("for nobody")

    task = asyncio.create_task(threads.run(Priority.QUERY, work))
    await until(gate.begun.is_set)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.open.set()
    assert await threads.run(Priority.QUERY, lambda: "next") == "next"


async def test_close_lets_the_work_finish_that_was_handed_in() -> None:
    threads = PriorityThreads("closing")
    order: list[int] = []
    tasks = [asyncio.create_task(threads.run(Priority.INGEST, order.append, n)) for n in range(20)]
    await asyncio.sleep(0)
    await threads.close()
    await asyncio.gather(*tasks)
    assert order == list(range(20))


async def test_as_many_steps_run_at_once_as_there_are_threads() -> None:
    threads = PriorityThreads("pair", threads=2)
    gates = [Gate(), Gate(), Gate()]
    tasks = [asyncio.create_task(threads.run(Priority.INGEST, gate)) for gate in gates]
    await until(lambda: gates[0].begun.is_set() and gates[1].begun.is_set())
    assert not gates[2].begun.is_set()
    gates[1].open.set()
    await until(gates[2].begun.is_set)
    assert not tasks[0].done()
    for gate in gates:
        gate.open.set()
    await threads.close()
    assert await asyncio.gather(*tasks) == ["through"] * 3

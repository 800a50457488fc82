import asyncio
import threading

import pytest

from retrieval.priority_executor import Priority, PriorityExecutor


@pytest.fixture
async def lanes():
    lanes = PriorityExecutor("test")
    yield lanes
    await lanes.close()


async def test_questions_overtake_documents_and_nothing_runs_twice_at_once(lanes: PriorityExecutor) -> None:
    gate = threading.Event()
    order: list[str] = []
    first = asyncio.create_task(lanes.run(Priority.INGEST, gate.wait))
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(lanes.run(Priority.INGEST, order.append, f"document {n}")) for n in range(3)]
    waiting += [asyncio.create_task(lanes.run(Priority.QUERY, order.append, f"question {n}")) for n in range(2)]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(first, *waiting)
    assert order == ["question 0", "question 1", "document 0", "document 1", "document 2"]


async def test_the_loop_goes_on_while_work_runs(lanes: PriorityExecutor) -> None:
    gate = threading.Event()
    task = asyncio.create_task(lanes.run(Priority.QUERY, gate.wait))
    await asyncio.sleep(0.01)
    assert not task.done()
    gate.set()
    assert await task is True


async def test_an_error_is_the_callers(lanes: PriorityExecutor) -> None:
    with pytest.raises(ZeroDivisionError):
        await lanes.run(Priority.QUERY, lambda: 1 / 0)
    assert await lanes.run(Priority.QUERY, lambda: "still here") == "still here"


async def test_work_of_a_cancelled_caller_is_not_begun(lanes: PriorityExecutor) -> None:
    gate = threading.Event()
    done: list[str] = []
    first = asyncio.create_task(lanes.run(Priority.QUERY, gate.wait))
    second = asyncio.create_task(lanes.run(Priority.QUERY, done.append, "second"))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.sleep(0)
    gate.set()
    await first
    await lanes.run(Priority.INGEST, done.append, "third")
    assert done == ["third"]


async def test_close_lets_handed_in_work_finish() -> None:
    lanes = PriorityExecutor("closing")
    done: list[int] = []
    tasks = [asyncio.create_task(lanes.run(Priority.INGEST, done.append, n)) for n in range(20)]
    await asyncio.sleep(0)
    await lanes.close()
    await asyncio.gather(*tasks)
    assert done == list(range(20))

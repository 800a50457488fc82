"""However an answer ends, all that it held is given back and it is settled exactly once."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

import pytest

import prompts
from gateway.answering.generation import Generation
from gateway.answering.question import Message, Question
from gateway.answering.resolve import Target
from gateway.answering.search_decision import SearchDecider
from gateway.answering.service import AnsweringService
from gateway.answering.turn import load_turn_classifier
from gateway.answers.log import AnswerLog
from gateway.answers.record import AnswerRecord, UncountedAnswer
from gateway.chat.request import decode_request
from gateway.chat.routes import ChatAnswer
from gateway.engines.base_traits import BaseTraits
from gateway.engines.token_counter import TokenCounter
from gateway.errors import BraidError, NotFound, Unavailable
from gateway.ids import new_id
from gateway.metrics import Metrics
from gateway.shutdown import Drain
from gateway.tenants.authenticator import Principal, Scope
from gateway.vector_stores.question_rewriter import QuestionRewriter
from gateway.web.request_log import RequestTrace
from tests.fakes import faults
from tests.fakes.faults import Fault
from tests.fakes.passages import FakePassages, make_passage
from tests.fakes.vllm import FakeVllm
from tests.gateway.answering.steps import interrupted
from tests.gateway.conftest import Gateway
from tests.waiting import until

COMPLETED, INTERRUPTED, ABANDONED = "completed", "interrupted", "abandoned"


class Records(AnswerLog):
    """Collects the records instead of writing them."""

    def __init__(self) -> None:
        self.records: list[AnswerRecord] = []

    def put(
        self,
        tenant: str,
        record: AnswerRecord,
        segments: Sequence[prompts.Segment],
        uncounted: UncountedAnswer | None = None,
    ) -> None:
        self.records.append(record)
        self.uncounted = uncounted


class House:
    """An answering service with a drain, metrics and log of its own; database, engine and index are the gateway's."""

    def __init__(self, gateway: Gateway, engine: FakeVllm, principal: Principal) -> None:
        self.gateway = gateway
        self.engine = engine
        self.principal = principal
        self.renew()

    def renew(self) -> None:
        """Start counting anew."""
        state = self.gateway.state
        self.drain, self.log = Drain(), Records()
        self.metrics = Metrics()
        self.metrics.read_from("braid_chat_running", lambda: {(): float(self.drain.running)})
        counter = TokenCounter(state.pool)
        traits = BaseTraits(state.pool, state.base)
        self.service = AnsweringService(
            state.database, state.pool, state.reconciler, state.retriever, counter, self.log, self.metrics, self.drain,
            SearchDecider(load_turn_classifier(), QuestionRewriter(state.pool, self.metrics, traits)),
            traits=traits,
        )  # fmt: skip
        self.target_found = False
        resolver = self.service._resolver
        resolve = resolver.resolve

        async def note(*arguments: Any) -> Target:
            target = await resolve(*arguments)
            self.target_found = True
            return target

        resolver.resolve = note  # type: ignore[method-assign]

    async def begin(self, model: str = "support@1", *, stream: bool = True) -> Generation:
        question = Question(new_id("answer-"), model, [Message("user", "How long?")], {}, stream=stream)
        return await self.service.begin(self.principal, question)

    async def answer(self, *, stream: bool = True) -> None:
        """Make an answer and read it, as a face does."""
        async with await self.begin(stream=stream) as generation:
            if stream:
                async for _ in generation:
                    pass
            else:
                await generation.read()

    def outcomes(self) -> dict[str, float]:
        """Return how the answers ended, as `/metrics` tells it."""
        lines = self.metrics.render_text().decode().splitlines()
        counts = [line for line in lines if line.startswith("braid_chat_answers_total{")]
        return {line.split('"')[1]: float(line.split()[-1]) for line in counts}

    async def check(self, *outcomes: str) -> str:
        """Check that nothing is held any more, and that the one answer was settled once, in one of these ways."""
        assert [replica.in_flight for replica in self.gateway.state.pool.list_states()] == [0]
        assert self.drain.running == 0
        assert b"braid_chat_running 0.0" in self.metrics.render_text()
        (outcome,) = self.outcomes()
        assert self.outcomes() == {outcome: 1.0}
        assert outcome in outcomes
        begun = outcome in (COMPLETED, INTERRUPTED, ABANDONED)
        # Nothing is kept of one that was left before its target was found.
        assert [record.outcome for record in self.log.records] == ([outcome] if begun and self.target_found else [])
        await until(lambda: all(r.finished or r.aborted for r in self.engine.requests()))
        return outcome

    async def interrupt_everywhere(
        self, work: Callable[[], Coroutine[Any, Any, None]], interrupt: Callable[[], object], *outcomes: str
    ) -> set[str]:
        """Do `work` once for each point where it waits, interrupt it there, and check; return the outcomes."""
        seen: set[str] = set()
        step, reached = 0, True
        while reached:
            self.renew()
            reached = False

            def strike() -> None:
                nonlocal reached
                reached = True
                interrupt()

            async def run(step: int = step, strike: Callable[[], None] = strike) -> None:
                await interrupted(work(), step, strike)

            await asyncio.gather(asyncio.create_task(run()), return_exceptions=True)
            seen.add(await self.check(*outcomes))
            step += 1
        assert step > 5
        return seen


@pytest.fixture
async def house(gateway: Gateway, passages: FakePassages, engine: FakeVllm) -> House:
    client = await gateway.tenant("kestrel")
    store = (await client.post("/v1/vector_stores", json={"name": "docs"})).json()["id"]
    await client.post("/api/assistants", json={"name": "support"})
    await client.post("/api/assistants/support/releases", json={"retrieval": {"vector_stores": [store]}})
    passages.find = lambda _query: [make_passage(store, 1, "The K2 has a warranty of 31 months.")]
    authorization = client.headers["authorization"]
    return House(gateway, engine, await gateway.state.authenticator.authenticate(authorization, Scope.CHAT))


def cancel_current() -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_that_is_read_to_its_end_is_completed(house: House, stream: bool) -> None:
    await house.answer(stream=stream)
    await house.check(COMPLETED)


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_that_is_cancelled_wherever_it_waits_is_settled(house: House, stream: bool) -> None:
    seen = await house.interrupt_everywhere(lambda: house.answer(stream=stream), cancel_current, ABANDONED, COMPLETED)
    assert seen == {ABANDONED, COMPLETED}


@pytest.mark.parametrize("stream", [True, False])
async def test_the_grace_time_ends_wherever_it_waits(house: House, stream: bool) -> None:
    tasks: set[asyncio.Task[None]] = set()

    def expire() -> None:
        tasks.add(asyncio.create_task(house.drain.finish(0)))

    seen = await house.interrupt_everywhere(
        lambda: house.answer(stream=stream), expire, "stopping", INTERRUPTED, COMPLETED
    )
    await asyncio.wait_for(asyncio.gather(*tasks), 5)
    assert {"stopping", COMPLETED} <= seen


@pytest.mark.parametrize("stream", [True, False])
async def test_the_client_leaves_wherever_chat_waits(house: House, stream: bool) -> None:
    body = {"model": "support@1", "messages": [{"role": "user", "content": "How long?"}], "stream": stream}
    left = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(_message: Any) -> None:
        await asyncio.sleep(0)

    async def chat() -> None:
        left.clear()
        chat = ChatAnswer(house.service, house.principal, decode_request(json.dumps(body).encode()))
        scope: dict[str, Any] = {"type": "http", "headers": []}
        await chat(scope, receive, RequestTrace(scope, send, "POST").send)

    seen = await house.interrupt_everywhere(chat, left.set, ABANDONED, COMPLETED)
    assert seen == {ABANDONED, COMPLETED}


async def test_of_one_that_is_left_before_its_target_is_found_nothing_is_kept(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking = asyncio.Event()

    async def wait_for_good(*arguments: object) -> None:
        looking.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(house.service._resolver, "resolve", wait_for_good)
    asking = asyncio.create_task(house.begin("a name that nobody has checked"))
    await looking.wait()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert await house.check(ABANDONED) == ABANDONED
    assert house.log.records == []


async def test_an_answer_that_is_left_before_it_was_read_is_abandoned(house: House) -> None:
    house.engine.script(faults.stall())
    async with await house.begin():
        pass
    await house.check(ABANDONED)


async def test_an_answer_that_is_left_in_the_middle_is_abandoned(house: House) -> None:
    house.engine.script(faults.stall())
    async with await house.begin() as generation:
        async for _ in generation:
            break
    await house.check(ABANDONED)
    assert house.log.records[0].key == house.principal.key
    assert house.log.uncounted is not None
    assert house.log.uncounted.events


@pytest.mark.parametrize("read", [True, False])
async def test_an_answer_may_be_closed_again_and_again(house: House, read: bool) -> None:
    generation = await house.begin(stream=False)
    async with generation:
        if read:
            await generation.read()
    await generation.aclose()
    await generation.aclose(ValueError("too late"))
    await house.check(COMPLETED if read else ABANDONED)


async def test_an_error_of_the_face_interrupts_the_answer(house: House) -> None:
    async def fail() -> None:
        async with await house.begin():
            raise RuntimeError("an encoder's mistake")

    with pytest.raises(RuntimeError):
        await fail()
    await house.check(INTERRUPTED)


@pytest.mark.parametrize(
    ("fault", "stream", "outcome"),
    [
        (faults.refuse(), True, "engine_unreachable"),
        (faults.refuse(), False, "engine_unreachable"),
        (faults.status(400), True, "engine_refused"),
        (faults.status(404), False, "engine_refused"),
        (faults.status(500), True, "engine_refused"),
        (faults.cut(0), True, "engine_unreachable"),
        (faults.cut(), True, INTERRUPTED),
        (faults.cut(), False, INTERRUPTED),
        (faults.bad_chunk(), True, INTERRUPTED),
        (faults.body(b"<html>"), False, INTERRUPTED),
        (faults.drip(), True, COMPLETED),
    ],
)
async def test_a_failing_engine_settles_the_answer(house: House, fault: Fault, stream: bool, outcome: str) -> None:
    house.engine.script(fault, fault)
    with suppress(BraidError):
        await house.answer(stream=stream)
    await house.check(outcome)


async def test_a_model_that_is_not_there_is_counted_and_leaves_no_record(house: House) -> None:
    with pytest.raises(NotFound):
        await house.begin("support@9")
    await house.check("model_not_found")


async def test_an_unexpected_error_is_counted_as_such(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(house.gateway.state.pool, "pick", fail)
    with pytest.raises(ZeroDivisionError):
        await house.begin()
    monkeypatch.undo()
    await house.check("error")


async def test_the_grace_time_ends_just_when_an_answer_has_failed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops: list[Callable[[], Awaitable[None]]] = []
    admit = house.drain.admit
    monkeypatch.setattr(house.drain, "admit", lambda stop: (stops.append(stop), admit(stop)))
    with pytest.raises(NotFound):
        await house.begin("nobody@1")
    await stops[0]()
    await house.check("model_not_found")


async def test_a_stopping_process_begins_nothing(house: House) -> None:
    await house.drain.finish(0)
    with pytest.raises(Unavailable):
        await house.begin()
    assert house.outcomes() == {}
    assert house.drain.running == 0

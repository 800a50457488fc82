"""The job behind a run: killed, cancelled, metered, and gone when its time is over."""

import asyncio
import time
from typing import Any

import pytest
from sqlalchemy import func, select, update

from gateway.answers.tables import AnswerRow
from gateway.evals.run_service import delete_old_runs
from gateway.evals.tables import EvalOutputItemRow, EvalRunRow
from gateway.jobs import delete_older
from gateway.settings import Settings
from tests.fakes import faults
from tests.fakes.retriever import FakeRetriever
from tests.fakes.vllm import CHAT, FakeVllm
from tests.gateway.conftest import Gateway, on_both_databases
from tests.gateway.evals.conftest import ALIKE, Evals, rows, sampled
from tests.gateway.worker import die_at, working
from tests.waiting import until

MANY = ("France", "Norway", "Italy") * 8


def slow(engine: FakeVllm, seconds: float) -> None:
    engine.rule = lambda received: faults.delay(seconds) if received.path == CHAT else None


async def test_what_was_answered_before_a_kill_is_not_asked_again(
    evals: Evals, engine: FakeVllm, settings: Settings
) -> None:
    run = await evals.start(id := await evals.make(), sampled(rows(*MANY)))
    await die_at(settings, "eval-items-written")
    written = {item["datasource_item_id"] for item in await evals.items(run)}
    assert 0 < len(written) < len(MANY)
    before = len(engine.requests(CHAT))
    await evals.settle()
    done = await evals.ok("GET", f"/{id}/runs/{run['id']}")
    assert done["result_counts"] == {"total": 24, "passed": 24, "failed": 0, "errored": 0}
    assert done["per_model_usage"][0]["invocation_count"] == 24
    assert len(engine.requests(CHAT)) - before == len(MANY) - len(written)


async def test_a_few_rows_are_asked_at_once_and_a_cancelled_run_stops(
    evals: Evals, engine: FakeVllm, settings: Settings
) -> None:
    slow(engine, 0.5)
    run = await evals.start(id := await evals.make(), sampled(rows(*(MANY * 10))))
    path = f"/{id}/runs/{run['id']}"
    async with working(settings):
        await until(lambda: bool(engine.requests(CHAT)))
        await asyncio.sleep(0.2)
        assert len(engine.requests(CHAT)) == 8
        async with asyncio.timeout(20):
            while not await evals.items(run):  # noqa: ASYNC110 - the worker tells nobody
                await asyncio.sleep(0.05)
        assert (await evals.ok("GET", path))["status"] == "in_progress"
        assert (await evals.ok("POST", f"{path}/cancel"))["status"] == "canceled"
        refused = await evals.fault(400, "POST", f"{path}/cancel")
        assert (refused["code"], "canceled" in refused["message"]) == ("job_ended", True)
    await evals.settle()
    ended = await evals.ok("GET", path)
    assert (ended["status"], ended["error"]) == ("canceled", None)
    assert 0 < ended["result_counts"]["passed"] == len(await evals.items(run)) < 100


async def test_a_run_waits_for_engines_that_are_away(evals: Evals, engine: FakeVllm, settings: Settings) -> None:
    run = await evals.start(id := await evals.make(), sampled(rows("France")))
    engine.script(*[faults.refuse()] * 2)
    await evals.settle()
    assert (await evals.ok("GET", f"/{id}/runs/{run['id']}"))["result_counts"]["passed"] == 1


@on_both_databases
async def test_answers_are_recorded_and_counted_as_chat_is(evals: Evals, gateway: Gateway) -> None:
    run = await evals.run(await evals.make(), sampled(rows("France", "Norway")))
    async with gateway.state.database.read() as session:
        records: list[Any] = [row.record for row in (await session.scalars(select(AnswerRow))).all()]
    tokens = sum(record["usage"]["total_tokens"] for record in records)
    assert tokens == run["per_model_usage"][0]["total_tokens"] > 0
    (key,) = (await evals.http.get("/api/keys")).json()["data"]
    assert {record["key"] for record in records} == {key["id"]}


async def test_texts_are_compared_by_the_embedder(evals: Evals, index: FakeRetriever) -> None:
    cosine = {**ALIKE, "evaluation_metric": "cosine", "pass_threshold": 0.99}
    run = await evals.run(await evals.make(cosine), sampled(rows("France", "Norway", "Mars")))
    items = await evals.items(run)
    assert [item["results"][0]["score"] for item in items[:2]] == [pytest.approx(1), pytest.approx(1)]
    assert items[2]["results"][0]["score"] < 1


@on_both_databases
async def test_a_run_goes_when_its_time_is_over_and_its_eval_stays(evals: Evals, gateway: Gateway) -> None:
    id, database = await evals.make(), gateway.state.database
    old, new = [await evals.run(id, sampled(rows("France", "Norway", "Italy"))) for _ in range(2)]
    async with database.begin() as session:
        long_ago = int(time.time()) - 3 * 86_400
        await session.execute(update(EvalRunRow).where(EvalRunRow.id == old["id"]).values(finished_at=long_ago))
    assert await delete_older(database, delete_old_runs, 2, batch=2) == 4
    assert await delete_older(database, delete_old_runs, 2, batch=2) == 0
    assert [one["id"] for one in (await evals.ok("GET", f"/{id}/runs"))["data"]] == [new["id"]]
    async with database.read() as session:
        assert await session.scalar(select(func.count()).select_from(EvalOutputItemRow)) == 3


async def test_rows_take_the_tenants_storage_and_give_it_back(evals: Evals) -> None:
    async def measure() -> int:
        return (await evals.http.get("/api/storage")).json()["kinds"]["evals"]

    run = await evals.start(id := await evals.make(), sampled(rows("France")))
    assert await measure() > 0
    deleted = await evals.ok("DELETE", f"/{id}/runs/{run['id']}")
    assert deleted == {"object": "eval.run.deleted", "deleted": True, "run_id": run["id"]}
    assert await measure() == 0

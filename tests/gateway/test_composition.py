"""The order in which a gateway's parts are closed."""

import asyncio
from typing import cast

from sqlalchemy import select

from gateway.answering.question import Message, Question
from gateway.answering.service import AnsweringService
from gateway.answers.tables import AnswerRow
from gateway.composition import open_state
from gateway.db import open_database
from gateway.settings import Settings
from gateway.tenants.authenticator import Principal
from gateway.tenants.repository import find_tenant
from tests.fakes import faults
from tests.fakes.vllm import FakeVllm
from tests.waiting import until


async def test_an_answer_that_a_hard_stop_cuts_leaves_its_record(settings: Settings, engine: FakeVllm) -> None:
    engine.script(faults.stall())
    async with open_state(settings) as state:
        await until(lambda: any(replica.ready for replica in state.pool.replicas))
        async with state.database.read() as session:
            tenant = await find_tenant(session, "default")
        assert tenant is not None
        service = cast(AnsweringService, state.parts[AnsweringService])
        principal = Principal(tenant.id, tenant.name, "key_1", frozenset({"chat"}))
        question = Question("chatcmpl-cut", "base", [Message("user", "Hi")], {}, stream=True)

        async def answer() -> None:
            async with await service.begin(principal, question) as generation:
                async for _ in generation:
                    pass

        answering = asyncio.create_task(answer())
        await until(lambda: state.drain.running == 1 and bool(engine.requests()))
        await asyncio.sleep(0.1)  # some events come before it stalls
    await asyncio.gather(answering, return_exceptions=True)
    async with open_database(settings.database) as database, database.read() as session:
        assert await session.scalar(select(AnswerRow.id).where(AnswerRow.id == "chatcmpl-cut"))

"""An answer log on a real database, with counters that can be slow, and what it remembers."""

import asyncio
import time
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.exc import OperationalError

from gateway.answers.counts import AnswerCounts
from gateway.answers.log import AnswerLog
from gateway.answers.record import AnswerRecord, Timings, UncountedAnswer
from gateway.answers.service import AnswerService, CitedDocuments
from gateway.db import Database
from gateway.engines import EngineUnreachable
from gateway.ids import new_id
from gateway.metrics import Metrics
from prompts import Segment
from tests.waiting import until

__all__ = ["Log"]


class Counter:
    """Counts a text's words, each time after some seconds; told to fail, it fails like an engine that went away."""

    def __init__(self) -> None:
        self.failing = False
        self.seconds = 0.0
        self.remembered = False

    def recall(self, texts: Sequence[str]) -> list[int] | None:
        return [len(text.split()) for text in texts] if self.remembered else None

    async def count(self, texts: Sequence[str]) -> list[int]:
        await self._pass_time()
        return [len(text.split()) for text in texts]

    async def count_prompt(self, body: bytes) -> int:
        await self._pass_time()
        return len(body.split())

    async def _pass_time(self) -> None:
        if self.failing:
            raise EngineUnreachable("http://engine: gone", "connect")
        if self.seconds:
            await asyncio.sleep(self.seconds)


class Stores:
    """Remembers the stores whose expiry was postponed."""

    def __init__(self) -> None:
        self.touched: list[tuple[str, list[str]]] = []
        self.failing = False

    async def touch(self, tenant: str, stores: Sequence[str]) -> None:
        if self.failing:
            raise OperationalError("UPDATE", None, Exception("locked"))
        self.touched.append((tenant, list(stores)))


class Log:
    """An answer log on a real database, with its writer and counters running or not."""

    def __init__(self, database: Database, max_waiting: int = 100, max_counts: int = 100) -> None:
        self.database = database
        self.counter, self.stores, self.metrics = Counter(), Stores(), Metrics()
        self.counts = AnswerCounts(
            database,
            self.counter,  # type: ignore[arg-type]
            self.metrics,
            max_waiting=max_counts,
        )
        self.log = AnswerLog(
            database, self.counts, self.stores.touch, self.metrics, max_waiting=max_waiting, flush_seconds=1
        )

    @property
    def dropped(self) -> float:
        """The number of lost records as an operator reads it."""
        return self.read_metric("braid_answer_records_dropped_total")

    @property
    def uncounted(self) -> float:
        """The number of answers whose counts were dropped, as an operator reads it."""
        return self.read_metric("braid_answer_counts_dropped_total")

    def read_metric(self, name: str) -> float:
        lines = self.metrics.render_text().decode().splitlines()
        return float(next(line for line in lines if line.startswith(f"{name} ")).split()[1])

    async def wait_for_counts(self) -> None:
        """Wait until every record is written with all that is ever counted of it."""
        assert await self.log.flush()
        await until(lambda: not self.read_metric("braid_answer_counts_waiting"))

    def put(
        self,
        tenant: str = "kestrel",
        segments: Sequence[Segment] = (),
        uncounted: UncountedAnswer | None = None,
        **change: Any,
    ) -> str:
        values: dict[str, Any] = {
            "id": new_id("chatcmpl-"), "created": int(time.time()), "model": "support", "release": None,
            "fingerprint": None, "index_epochs": {}, "retrieval": "off", "passages": [], "dropped_passages": [],
            "dropped_turns": 0, "prompt_tokens": None, "replica": "", "timings": Timings(None, 1, 2, 3), "usage": None,
            "outcome": "completed", "stream": False,
        }  # fmt: skip
        record = AnswerRecord(**{**values, **change})
        self.log.put(tenant, record, segments, uncounted)
        return record.id

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[None]:
        tasks = [asyncio.create_task(self.log.run()), asyncio.create_task(self.counts.run())]
        try:
            yield
            assert not any(task.done() for task in tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def read(self, id: str, tenant: str = "kestrel") -> AnswerRecord:
        async with self.database.read() as session:
            return await AnswerService(session, tenant, CitedDocuments(_find_all)).get(id)


async def _find_all(_session: object, _tenant: str, documents: Collection[str]) -> set[str]:
    return set(documents)

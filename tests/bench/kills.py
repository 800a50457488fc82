"""Ingest under random kills: `python -m tests.bench.kills [--kills 200] [--seed 0]`.

Writers put, edit and delete documents in stores of their own, while worker or retriever get a SIGKILL at random moments
and are started again; a reader asks for one document after another. Each answer must be one version, whole. In the
end every document that was acknowledged must be there once, in its last version, and none that was deleted. The
embedder is the one of tests.

A job that was begun three times and never came to its end is given up, and says so: then the writer puts the document
again, as its client would.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from gateway.client import Client, GatewayError
from gateway.client.documents import delete_document, wait_for_document
from retrieval.client import Retriever
from tests.bench.stack import Stack, open_stack
from tests.waiting import until

__all__ = ["Report", "Writer", "measure"]

_PARTS = 6
_KEYS = 8
"""Documents of a writer at the same time, at most."""

_WRITERS = 3
_KILLED = ("worker", "retriever")
_LONGEST_LIFE = 0.6
"""Seconds from the first points that are written after a start to the next kill, at most."""

_PATIENCE_SECONDS = 10.0
"""The longest wait for those: leases of killed workers end after 3 s, and a worker takes seconds to start."""


@dataclass(slots=True)
class Report:
    kills: Counter[str] = field(default_factory=Counter[str])
    operations: Counter[str] = field(default_factory=Counter[str])
    reads: int = 0
    """Answers of the reader that were compared."""
    failed: int = 0
    """Documents that were given up after three attempts, and put again."""
    documents: int = 0
    """Documents that were compared in the end."""
    wrong: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        kills = ", ".join(f"{count} of the {name}" for name, count in sorted(self.kills.items()))
        operations = ", ".join(f"{count} {name}" for name, count in sorted(self.operations.items()))
        lines = [
            f"{self.kills.total()} kills ({kills}) during {operations}",
            f"{self.reads} answers meanwhile, {self.documents} documents in the end; {self.failed} had to be put again",
            f"{len(self.wrong)} were wrong",
        ]
        return "\n".join([*lines, *self.wrong])


class Writer:
    """One store and what should be in it; `expected` has the version of each key that was acknowledged last."""

    def __init__(self, client: Client, store: str, seed: int) -> None:
        self.store = store
        self.expected: dict[str, int] = {}
        self.deleted: set[str] = set()
        self._client = client
        self._random = random.Random(seed)
        self._versions = 0
        self._keys = 0

    async def write(self, report: Report) -> None:
        """Put, edit or delete one document."""
        chance = self._random.random()
        if not self.expected or (chance < 0.4 and len(self.expected) < _KEYS):
            self._keys += 1
            await self.put(f"{self._keys}.md")
            report.operations["puts"] += 1
        elif chance < 0.8:
            await self.put(self._random.choice(sorted(self.expected)))
            report.operations["edits"] += 1
        else:
            key = self._random.choice(sorted(self.expected))
            await _insist(partial(delete_document, self._client, self.store, key))
            del self.expected[key]
            self.deleted.add(key)
            report.operations["deletions"] += 1

    async def put(self, key: str) -> None:
        self._versions += 1
        text = write_text(self.store, key, self._versions)
        headers = {"braid-attributes": json.dumps({"key": key})}
        path = f"/api/vector_stores/{self.store}/documents/{key}"
        await _insist(partial(self._client.call, "PUT", path, content=text.encode(), headers=headers))
        self.expected[key] = self._versions

    async def read(self, key: str) -> list[str]:
        """Return the passages of a document that a search sees, in their order."""
        filters = {"type": "eq", "key": "key", "value": key}
        query = {"query": "Which part is this?", "filters": filters, "max_num_results": 50}
        page = await self._client.post(f"/v1/vector_stores/{self.store}/search", query)
        return sorted(hit["content"][0]["text"] for hit in page["data"])

    async def check_one(self, report: Report) -> None:
        """Ask for a document while others write: no version, or one that is whole."""
        if not self._keys:
            return
        key = f"{self._random.randint(1, self._keys)}.md"
        was_deleted = key in self.deleted
        try:
            passages = await self.read(key)
        except GatewayError as error:
            if error.status != 503:
                raise
            return  # the retriever was killed, or the database is busy
        report.reads += 1
        versions = {_find_version(passage) for passage in passages}
        whole = passages == _list_passages(self.store, key, next(iter(versions), 0)) if passages else True
        if (was_deleted and passages) or not whole:
            report.wrong.append(f"{self.store} {key} answered {passages}")

    async def settle(self, report: Report) -> None:
        """Wait for the last version of each document; put again what was given up."""
        for key in sorted(self.expected):
            while (state := await self._wait_for(key))["status"] != "completed":
                if state["status"] == "failed":
                    report.failed += 1
                    await self.put(key)

    async def _wait_for(self, key: str) -> dict[str, Any]:
        try:
            return await wait_for_document(self._client, self.store, key)
        except GatewayError as error:
            if error.status != 503:
                raise
            return {"status": "in_progress"}

    async def check(self, report: Report) -> None:
        """Compare all that there is with what should be."""
        rows = [row async for row in self._client.read_rows(f"/api/vector_stores/{self.store}/documents")]
        if {row["key"] for row in rows} != set(self.expected):
            report.wrong.append(f"{self.store} has {sorted(row['key'] for row in rows)}, not {sorted(self.expected)}")
        for key, version in self.expected.items():
            passages = await self.read(key)
            report.documents += 1
            if passages != _list_passages(self.store, key, version):
                report.wrong.append(f"{self.store} {key} has {passages}, not version {version}")
        for key in self.deleted:
            if await self.read(key):
                report.wrong.append(f"{self.store} still has {key}, which was deleted")


async def _insist(change: Callable[[], Awaitable[object]]) -> None:
    """Make a change, again where the answer was to come again: SQLite on a busy machine is slow to let two write."""
    told_to_come_again = False
    while True:
        try:
            await change()
            return
        except GatewayError as error:
            if error.status == 404 and told_to_come_again:
                return  # what was to be deleted is
            if error.status != 503:
                raise
        told_to_come_again = True
        await asyncio.sleep(0.2)


def write_text(store: str, key: str, version: int) -> str:
    """Return a document whose passages all tell store, key, version and part."""
    return "\n\n".join(_list_passages(store, key, version))


def _list_passages(store: str, key: str, version: int) -> list[str]:
    filler = "Nothing else is said in it, but that it has some length. " * 4
    return [
        f"# Part {part}\n\nThis is part {part} of {key} in {store}, version {version} of it. {filler.strip()}"
        for part in range(_PARTS)
    ]


def _find_version(passage: str) -> int:
    return int(passage.split("version ")[1].split()[0])


async def measure(stack: Stack, *, kills: int, seed: int) -> Report:
    """Kill and write until there were so many kills, then compare."""
    report = Report()
    async with stack.client("kestrel") as client:
        stores = [(await client.post("/v1/vector_stores", {}))["id"] for _ in range(_WRITERS)]
        writers = [Writer(client, store, seed + number) for number, store in enumerate(stores)]
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for writer in writers:
                group.create_task(_write(writer, report, stop))
            group.create_task(_read(writers, report, stop))
            await _kill(stack, kills, random.Random(seed), report)
            stop.set()
        for writer in writers:
            await writer.settle(report)
            await writer.check(report)
    return report


async def _kill(stack: Stack, kills: int, source: random.Random, report: Report) -> None:
    for _ in range(kills):
        await _until_writing(stack)
        await asyncio.sleep(source.uniform(0, _LONGEST_LIFE))
        name = source.choice(_KILLED)
        await stack.kill(name)
        report.kills[name] += 1
        await stack.start(name)


async def _until_writing(stack: Stack) -> None:
    """Return when the number of points changes, or no job has been taken over for long enough."""
    with suppress(TimeoutError):
        async with Retriever(stack.settings.retriever_socket) as retriever:
            before = (await retriever.describe()).points

            async def has_changed() -> bool:
                return (await retriever.describe()).points != before

            await until(has_changed, _PATIENCE_SECONDS)


async def _write(writer: Writer, report: Report, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await writer.write(report)
        await asyncio.sleep(0.1)


async def _read(writers: list[Writer], report: Report, stop: asyncio.Event) -> None:
    while not stop.is_set():
        for writer in writers:
            await writer.check_one(report)
            await asyncio.sleep(0.05)


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.kills")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        async with open_stack(Path(home), "words", short_leases=True) as stack:
            report = await measure(stack, kills=options.kills, seed=options.seed)
    print(f"seed {options.seed}\n{report}")
    if report.wrong:
        sys.exit(1)


if __name__ == "__main__":
    asyncio.run(main())

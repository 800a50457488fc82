"""A move between two real embedders under live reads and writes: `python -m tests.bench.migration [--pages 200]`.

The documents of a store go from MiniLM to a multilingual e5 and back, while four readers ask for facts of its pages
without a pause and one writer edits them. Each answer is checked: nobody may ever miss a fact that stands in a page.
"""

import argparse
import asyncio
import itertools
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gateway.client import Client, ClientError, GatewayError, put_document
from tests.bench.pages import write_page
from tests.bench.promise import find_quantiles, make_store, upload
from tests.bench.stack import Stack, open_stack
from tests.waiting import until

__all__ = ["Report", "measure"]

_READERS = 4
_MOVES = "/api/index_migrations"
_LIVE_SECONDS = 3.0


@dataclass(slots=True)
class Report:
    """Searches and edits during a move; `wrong` are those that failed or missed a fact."""

    seconds: list[float] = field(default_factory=list[float])
    edits: int = 0
    wrong: list[str] = field(default_factory=list[str])
    copy_seconds: float = 0.0
    evaluation: dict[str, Any] = field(default_factory=dict[str, Any])


def write_fact(number: int, edit: int = 0) -> str:
    return write_page(number, sections=1, line=f"The code of page {number} is zebra{number}. Edit {edit}.")


async def measure(stack: Stack, *, pages: int) -> Report:
    """Move there, swap, go back and swap again."""
    report = Report()
    async with stack.client("kestrel") as client, stack.administrator() as admin:
        store = await make_store(client, "handbook")
        await upload(client, store, {f"{number}.md": write_fact(number) for number in range(pages)})
        async with _traffic(client, store, pages, report):
            started = time.perf_counter()
            move = await admin.post(_MOVES, {"embedder": "multilingual-e5-small"})
            path = f"{_MOVES}/{move['id']}"
            await stack.start("second")
            await _settle(admin, path)
            report.copy_seconds = time.perf_counter() - started
            report.evaluation = await admin.post(f"{path}/evaluate", {"vector_store_id": store})
            for step in ("swap", "rollback", "swap"):
                await _step(admin, path, step)
                await asyncio.sleep(_LIVE_SECONDS)
    return report


async def _settle(admin: Client, path: str) -> None:
    async def is_ready() -> bool:
        return (await admin.get(path))["ready"]

    await until(is_ready, timeout=900)


async def _step(admin: Client, path: str, step: str) -> None:
    """Take a step as soon as the other index is in step, which an edit may have kept it from."""
    body = {"force": True} if step == "swap" else None
    async with asyncio.timeout(120):
        while True:
            await _settle(admin, path)
            try:
                await admin.post(f"{path}/{step}", body)
            except GatewayError as error:
                if error.code != "not_ready":
                    raise
            else:
                return


@asynccontextmanager
async def _traffic(client: Client, store: str, pages: int, report: Report) -> AsyncGenerator[None]:
    async def read(first: int) -> None:
        for number in itertools.cycle(range(first, pages, _READERS)):
            started = time.perf_counter()
            query = {"query": f"What is the code of page {number}?", "max_num_results": 10}
            try:
                page = await client.post(f"/v1/vector_stores/{store}/search", query)
            except ClientError as error:
                report.wrong.append(f"{number}: {error}")
                continue
            report.seconds.append(time.perf_counter() - started)
            if not any(f"zebra{number}." in hit["content"][0]["text"] for hit in page["data"]):
                report.wrong.append(f"the code of page {number} wasn't found")

    async def write() -> None:
        for edit in itertools.count(1):
            number = edit % pages
            state = await put_document(client, store, f"{number}.md", write_fact(number, edit).encode())
            if state["status"] != "completed":
                report.wrong.append(f"edit {edit}: {state}")
            report.edits += 1
            await asyncio.sleep(0.5)

    tasks = [asyncio.create_task(task) for task in (*map(read, range(_READERS)), write())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        report.wrong += [repr(end) for end in ends if isinstance(end, Exception)]


def describe(report: Report) -> str:
    """Write the figures as a table."""
    p50, p95 = find_quantiles(report.seconds)
    evaluation = report.evaluation
    return (
        "| searches | p50 | p95 | edits | wrong | copied in | nDCG@10 before | after |\n"
        "|---|---|---|---|---|---|---|---|\n"
        f"| {len(report.seconds)} | {p50:.2f} s | {p95:.2f} s | {report.edits} | {len(report.wrong)} | "
        f"{report.copy_seconds:.0f} s | {evaluation['ndcg_source']:.3f} | {evaluation['ndcg_target']:.3f} |"
    )


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.migration")
    parser.add_argument("--pages", type=int, default=200, help="pages of the store that moves")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        async with open_stack(Path(home), "packaged") as stack:
            report = await measure(stack, pages=options.pages)
    sys.stdout.write("\n".join([describe(report), *report.wrong[:10]]) + "\n")


if __name__ == "__main__":
    asyncio.run(main())

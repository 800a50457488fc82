"""From a save to an answer: `python -m tests.bench.promise [--pages 1000] [--bulk 500] [--edits 50] [--same-store]`.

One page among many is edited again and again. Each edit is timed from the start of its `PUT` until a search through
`/v1` finds the new text (searchable), and until a chat through `/v1` is answered from it (answered): first with nothing
else to do, then beside a bulk upload into another store of the same tenant (or the same one) and a training, which take
what they can get of the processor. The engine is a fake one that answers at once from what it is shown: a real one's
time comes on top.
"""

import argparse
import asyncio
import re
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from gateway.client import Client, put_document
from tests.bench.pages import write_page
from tests.bench.stack import EMBEDDERS, MODEL_PYTHON, Stack, open_stack
from tests.fakes.vllm import Chat
from tests.gateway.worker import ROOT

__all__ = ["Figures", "Tenant", "describe", "measure"]

_AT_ONCE = 4
"""Documents that a bulk upload has under way, as `braid docs add` does."""

_TRAINING_SECONDS = 10
"""Processor time after which the training process has loaded its model and trains."""


@dataclass(slots=True)
class Figures:
    """Seconds from the beginning of each save."""

    searchable: list[float] = field(default_factory=list[float])
    answered: list[float] = field(default_factory=list[float])
    uploaded: int = 0
    """Pages of the bulk upload that were live in the end."""


class Tenant:
    """A tenant with an assistant that answers from one store."""

    def __init__(self, client: Client, store: str) -> None:
        self._client = client
        self.store = store

    @classmethod
    async def open(cls, client: Client) -> "Tenant":
        store = await make_store(client, "handbook")
        await client.post("/api/prompts", {"name": "house", "template": "Answer from the passages."})
        await client.post("/api/assistants", {"name": "support"})
        retrieval = {"vector_stores": [store], "mode": "required"}
        await client.post("/api/assistants/support/releases", {"prompt": "house@1", "retrieval": retrieval})
        stages = [{"release": 1, "weight": 100}]
        await client.put("/api/assistants/support/rollout", {"stages": stages, "revision": 0})
        return cls(client, store)

    async def add_pages(self, count: int) -> None:
        """Add pages of about one section, and wait until they are live."""
        await upload(self._client, self.store, {f"{n}.md": write_page(n, sections=1) for n in range(count)})

    async def edit(self, number: int, figures: Figures) -> None:
        """Save a page with a new line, and time how soon it is searchable, and answered from."""
        code = f"zebra{number}"
        page = write_page(0, sections=4, line=f"The code of edit {number} is {code}.")
        started = time.perf_counter()
        await put_document(self._client, self.store, "0.md", page.encode())
        question = f"What is the code of edit {number}?"
        query = {"query": question, "max_num_results": 5}
        found = await self._client.post(f"/v1/vector_stores/{self.store}/search", query)
        assert any(code in hit["content"][0]["text"] for hit in found["data"]), f"edit {number} isn't found"
        figures.searchable.append(time.perf_counter() - started)
        messages = [{"role": "user", "content": question}]
        answer = await self._client.post("/v1/chat/completions", {"model": "support", "messages": messages})
        assert code in answer["choices"][0]["message"]["content"], answer
        figures.answered.append(time.perf_counter() - started)


async def make_store(client: Client, name: str) -> str:
    return (await client.post("/v1/vector_stores", {"name": name}))["id"]


async def upload(client: Client, store: str, pages: dict[str, str], on_live: Callable[[], None] | None = None) -> None:
    """Put pages, a few at once, and return when all are live."""
    free = asyncio.Semaphore(_AT_ONCE)

    async def put(key: str, text: str) -> None:
        async with free:
            state = await put_document(client, store, key, text.encode())
        assert state["status"] == "completed", state
        if on_live is not None:
            on_live()

    async with asyncio.TaskGroup() as group:
        for key, text in pages.items():
            group.create_task(put(key, text))


async def measure(
    stack: Stack, *, pages: int, bulk: int, edits: int, training: bool = True, same_store: bool = False
) -> tuple[Figures, Figures | None]:
    """Measure idle and, where `bulk` isn't 0, loaded."""
    stack.engine.reply = _find_codes
    async with stack.client("kestrel") as client:
        tenant = await Tenant.open(client)
        await tenant.add_pages(pages)
        await tenant.edit(0, Figures())
        idle = Figures()
        for number in range(edits):
            await tenant.edit(number, idle)
        if not bulk:
            return idle, None
        loaded = Figures()

        def count() -> None:
            loaded.uploaded += 1

        other = tenant.store if same_store else await make_store(client, "bulk")
        async with _training(stack) if training else nullcontext():
            work = upload(client, other, {f"bulk/{n}.md": write_page(n, seed=1) for n in range(bulk)}, count)
            uploading = asyncio.create_task(work)
            for number in range(edits, 2 * edits):
                await tenant.edit(number, loaded)
            uploading.cancel()
            await asyncio.wait([uploading])
    return idle, loaded


def _find_codes(chat: Chat) -> str:
    return " ".join(re.findall(r"zebra\d+", chat.prompt))


@asynccontextmanager
async def _training(stack: Stack) -> AsyncGenerator[None]:
    """Train a model of the packaged one's shape, with random weights, as nice as the trainer of a worker."""
    arguments = ("-m", "tests.bench.gpu_training", "--shape", "135m", "--device", "cpu", "--steps", "50")
    log = stack.settings.home / "logs" / "training.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            "nice", "-n", "10", str(MODEL_PYTHON), *arguments, cwd=ROOT, stdout=output, stderr=output
        )
    try:
        async with asyncio.timeout(120):
            while sum(psutil.Process(process.pid).cpu_times()[:2]) < _TRAINING_SECONDS:
                assert process.returncode is None, log.read_text()[-2000:]
                await asyncio.sleep(0.5)
        yield
        assert process.returncode is None, "the training ended before the last edit"
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def describe(idle: Figures, loaded: Figures | None) -> str:
    """Write the figures as a table."""
    lines = [
        "| seconds from the save | searchable p50 | p95 | answered p50 | p95 | edits |",
        "|---|---|---|---|---|---|",
    ]
    rows = {"idle": idle}
    if loaded is not None:
        rows[f"beside a bulk upload ({loaded.uploaded} pages became live meanwhile) and a training"] = loaded
    for name, figures in rows.items():
        values = [value for seconds in (figures.searchable, figures.answered) for value in find_quantiles(seconds)]
        lines.append(f"| {name} | {' | '.join(f'{value:.2f}' for value in values)} | {len(figures.searchable)} |")
    return "\n".join(lines)


def find_quantiles(values: list[float]) -> tuple[float, float]:
    """Return the median, and what 95 of 100 values don't exceed."""
    return statistics.median(values), statistics.quantiles(values, n=20, method="inclusive")[18]


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.promise")
    parser.add_argument("--pages", type=int, default=1000, help="pages of the store that is edited")
    parser.add_argument("--bulk", type=int, default=500, help="pages of the bulk upload; 0: measure idle only")
    parser.add_argument("--edits", type=int, default=50, help="edits that are timed, idle and loaded each")
    parser.add_argument("--same-store", action="store_true", help="upload into the store that is edited")
    parser.add_argument("--embedder", choices=EMBEDDERS, default="packaged")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        async with open_stack(Path(home), options.embedder) as stack:
            sizes = {"pages": options.pages, "bulk": options.bulk, "edits": options.edits}
            idle, loaded = await measure(stack, **sizes, same_store=options.same_store)
    sys.stdout.write(f"{describe(idle, loaded)}\n")


if __name__ == "__main__":
    asyncio.run(main())

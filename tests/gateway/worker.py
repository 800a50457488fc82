"""The worker of production at the pace of tests; as a program, a worker process that can be killed.

python -m tests.gateway.worker HOME
"""

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from gateway.composition import open_worker
from gateway.engines.served_base_model import ServedBaseModel
from gateway.jobs import WorkerTimings
from gateway.settings import Settings
from retrieval.client import Retriever, RetrieverUnavailable
from tests.fakes.peft import write_base
from tests.gateway.forked import ForkedProgram, forked_program
from training.verdict import BaseShape

ROOT = Path(__file__).parents[2]
TIMINGS = WorkerTimings(idle_seconds=0.08, grace_seconds=0.3, pauses=(0.01, 0.01))
KILLED = WorkerTimings(lease_seconds=3.0, idle_seconds=0.08, grace_seconds=0.3, pauses=(0.01, 0.01))
"""Of worker processes, whose jobs others are to take over soon after they were killed."""


def prepare_home(home: Path, base_model: str = "base") -> None:
    """Put there what `braid up` does before it starts a worker, beside the database: a base model of some bytes."""
    folder = write_base(home / "models" / "base")
    base = ServedBaseModel(name=base_model, path=str(folder), digest=BaseShape.read(folder).digest)
    ServedBaseModel.locate_file(home).parent.mkdir()
    ServedBaseModel.locate_file(home).write_bytes(msgspec.json.encode(base))


async def wait_for_retriever(socket: Path, process: asyncio.subprocess.Process) -> None:
    """Wait until a retriever's process answers; importing torch takes a while."""
    async with asyncio.timeout(120), Retriever(socket) as client:
        while True:
            try:
                await client.describe()
            except RetrieverUnavailable:
                assert process.returncode is None, "the retriever didn't start"
                await asyncio.sleep(0.1)
            else:
                return


@asynccontextmanager
async def working(settings: Settings) -> AsyncGenerator[None]:
    """Run a worker in this process."""
    async with open_worker(settings, TIMINGS) as worker:
        task = asyncio.create_task(worker.run())
        try:
            yield
        finally:
            worker.stop()
            await task


@asynccontextmanager
async def worker_process(
    settings: Settings, *, failpoint: str = "", trainer: str = ""
) -> AsyncGenerator[ForkedProgram]:
    """Run a worker as a process of its own, which dies at `failpoint`; `trainer` is a mode of `tests.fakes.trainer`."""
    environment = {
        "BRAID_DATABASE_URL": settings.database,
        "BRAID_ENGINE_URLS": ",".join(settings.engine_urls),
        "BRAID_MODEL_PYTHON": str(settings.model_python),
        "BRAID_FAILPOINT": failpoint,
        "BRAID_TEST_TRAINER": trainer,
    }
    log = settings.home / "worker.log"
    async with forked_program("tests.gateway.worker", str(settings.home), environment=environment, log=log) as process:
        yield process


async def die_at(settings: Settings, failpoint: str) -> None:
    """Run a worker process until it is killed at a step."""
    async with worker_process(settings, failpoint=failpoint) as process, asyncio.timeout(60):
        assert await process.wait() == -signal.SIGKILL


async def _main(home: str) -> None:
    async with open_worker(Settings(home=Path(home)), KILLED) as worker:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
        await worker.run()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))

"""The worker's handlers for adapters, put together by hand; as a program, a worker process that can be killed.

python -m tests.gateway.worker HOME ENGINE_URL TRAINER
"""

import asyncio
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.adapters.admission import Admission
from gateway.adapters.desired import DesiredAdapters
from gateway.adapters.take_in import ImportHandler
from gateway.adapters.trainer import Trainer
from gateway.adapters.trial import Trial
from gateway.artifacts import Artifacts
from gateway.db import open_database
from gateway.engines import Connections, VllmEngine
from gateway.engines.served_base_model import ServedBaseModel
from gateway.fine_tuning.train import TrainHandler
from gateway.jobs import Worker
from gateway.settings import Settings


@asynccontextmanager
async def open_worker(settings: Settings) -> AsyncGenerator[Worker]:
    """A worker for training and import that is not running yet."""
    async with open_database(settings.database) as database, Connections() as connections:
        artifacts = Artifacts(settings.artifacts)
        trial = Trial([VllmEngine(url, connections) for url in settings.replica_urls])
        wanted = DesiredAdapters(database, settings)
        base = ServedBaseModel.load(settings)
        admission = Admission(artifacts, base, wanted, trial, max_rank=settings.max_lora_rank)
        trainer, work = Trainer(settings.model_python), settings.home / "work"
        handlers = {
            "train": TrainHandler(artifacts, admission, trainer, work),
            "import": ImportHandler(artifacts, admission, trainer, work),
        }
        speed = {"lease_seconds": 1.5, "idle_seconds": 0.02, "grace_seconds": 0.3}
        yield Worker(database, handlers, name="test", pauses=(0.01, 0.01), **speed)


@asynccontextmanager
async def working(settings: Settings) -> AsyncGenerator[None]:
    """A worker in this process."""
    async with open_worker(settings) as worker:
        task = asyncio.create_task(worker.run())
        try:
            yield
        finally:
            worker.stop()
            await task


async def _main(home: str, engine: str, trainer: str) -> None:
    settings = Settings(home=Path(home), engine_urls=(engine,), model_python=Path(trainer))
    async with open_worker(settings) as worker:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
        await worker.run()


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:4]))

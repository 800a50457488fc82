"""A training beside a benchmark: a fine-tuning job of a tenant, which a worker of the product runs as any other."""

import time
from dataclasses import dataclass

from sqlalchemy import func, select

from gateway.artifacts import Artifacts
from gateway.composition import BYTE_SELECTS
from gateway.db import Database
from gateway.engines.served_base_model import ServedBaseModel
from gateway.files.service import add_file
from gateway.files.tables import FileRow
from gateway.fine_tuning.dataset import TrainingFiles
from gateway.fine_tuning.estimate import read_price
from gateway.fine_tuning.recipe import RecipeBounds
from gateway.fine_tuning.schemas import FineTuningBraidOptions, FineTuningJobCreate, Hyperparameters
from gateway.fine_tuning.service import FineTuningService
from gateway.fine_tuning.tables import EventRow, FineTuningJobRow
from gateway.ids import new_id
from gateway.settings import Settings
from gateway.tenants.authenticator import Principal
from gateway.tenants.storage import TenantStorage
from gateway.tenants.tables import TenantRow
from tests.fakes.trainer import rows

__all__ = ["TrainingJob"]

_ROWS, _EPOCHS = 400, 20
"""A thousand steps, which take the packaged model longer than any benchmark here."""


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """A job that was made; its tenant has no other work."""

    id: str
    database: Database

    @classmethod
    async def start(cls, settings: Settings, database: Database) -> "TrainingJob":
        """Make a tenant with rows, and a job for them on the home's base model."""
        principal = Principal("ten_trains", "ten_trains", "key_bench", frozenset({"manage"}))
        artifacts, base = Artifacts(settings.artifacts), ServedBaseModel.load(settings)
        stored = await artifacts.put_bytes(rows(_ROWS))
        async with database.begin() as session:
            session.add(TenantRow(id=principal.tenant, name=principal.tenant, created_at=1))
            await session.flush()
            row = FileRow(
                id=new_id("file-"),
                created_at=int(time.time()),
                filename="rows.jsonl",
                purpose="fine-tune",
                digest=stored.digest,
                bytes=stored.size,
            )
            file = add_file(session, principal.tenant, row).id
        request = FineTuningJobCreate(
            model=base.name,
            training_file=file,
            seed=1,
            hyperparameters=Hyperparameters(n_epochs=_EPOCHS),
            braid=FineTuningBraidOptions(rehearsal=0),  # no engine is there
        )
        files = TrainingFiles(database, principal.tenant, artifacts, base)
        bounds = RecipeBounds(settings.max_lora_rank, None)
        storage = TenantStorage(database, BYTE_SELECTS, settings.tenant_storage_bytes, settings.max_file_bytes)
        async with database.begin() as session:
            service = FineTuningService(session, principal, storage)
            price, most = read_price(settings), settings.max_queued_jobs
            job = await service.create(request, files, base.name, bounds, price, most)
        return cls(job.id, database)

    async def count_steps(self) -> int:
        """Return the number of steps that are done, of which the log is a second behind; fails if it has ended."""
        of_job = EventRow.fine_tuning_job_id == self.id
        async with self.database.read() as session:
            status = await session.scalar(select(FineTuningJobRow.status).where(FineTuningJobRow.id == self.id))
            steps = await session.scalar(select(func.count()).where(of_job, EventRow.kind == "metrics"))
            last = await session.scalar(select(EventRow.message).where(of_job).order_by(EventRow.id.desc()).limit(1))
        assert status in ("queued", "running"), f"The training has {status}: {last}"
        return steps or 0

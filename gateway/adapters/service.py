"""A tenant's adapters: looking at them and importing one. `gateway.models` deletes them."""

import time
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from gateway import jobs
from gateway.adapters.names import check_name
from gateway.adapters.repository import AdapterRepository
from gateway.adapters.schemas import Adapter, AdapterImport, AdapterResidency
from gateway.adapters.tables import AdapterRow
from gateway.engines import ReplicaState
from gateway.errors import BadRequest, NotFound
from gateway.files.repository import FileRepository
from gateway.ids import new_id

__all__ = ["AdapterService", "find_ready", "list_ready", "withdraw"]


async def find_ready(session: AsyncSession, tenant: str, model: str) -> AdapterRow | None:
    """Find an adapter that may answer requests by the name that clients use."""
    return await AdapterRepository(session, tenant).find_ready(model)


async def list_ready(session: AsyncSession, tenant: str) -> Sequence[AdapterRow]:
    """List the adapters that may answer requests."""
    return await AdapterRepository(session, tenant).all_ready()


def withdraw(row: AdapterRow) -> None:
    """Take an adapter away from clients, in the caller's transaction; every reconciler unloads it after the commit."""
    row.status = "deleted"


class AdapterService:
    """One tenant's adapters; `base` is the base model's name, `replicas` what this gateway knows of its engines."""

    def __init__(self, session: AsyncSession, tenant: str, base: str, replicas: Sequence[ReplicaState]) -> None:
        self._session = session
        self._tenant = tenant
        self._base = base
        self._replicas = replicas
        self._adapters = AdapterRepository(session, tenant)

    async def list(self) -> list[Adapter]:
        return [self._show(row) for row in await self._adapters.all(AdapterRow.status != "deleted")]

    async def get(self, id_or_model: str) -> Adapter:
        row = await self._adapters.find(id_or_model) or await self._adapters.find_model(id_or_model)
        if row is None:
            raise NotFound(f"No adapter {id_or_model!r} exists. GET /api/adapters lists yours.", param="id")
        return self._show(row)

    async def take_in(self, request: AdapterImport) -> Adapter:
        """Queue the import of an uploaded PEFT folder; its adapter shows what became of it.

        Raises:
            NotFound: The tenant has no such file.
            BadRequest: The name can't be used, or the file was uploaded for something else.
        """
        check_name(request.name, param="name")
        file = await FileRepository(self._session, self._tenant).get(request.file_id, param="file_id")
        if file.purpose != "user_data":
            raise BadRequest(
                f"The file {file.id!r} has the purpose {file.purpose!r}. Upload it again with the purpose 'user_data'.",
                param="file_id",
            )
        id = new_id("adapter_")
        job = await jobs.enqueue(
            self._session, self._tenant, kind="import", lane="train", subject=id, payload={"file": file.digest}
        )
        row = AdapterRow(
            id=id,
            created_at=int(time.time()),
            name=request.name,
            model=id,
            served_name=id,
            digest="",
            base_model=self._base,
            rank=0,
            status="checking",
            source=file.id,
            manifest={},
            job_id=job.id,
        )
        return self._show(self._adapters.add(row))

    def _show(self, row: AdapterRow) -> Adapter:
        known = bool(row.digest)
        return Adapter(
            id=row.id,
            name=row.name,
            model=row.model if known else None,
            status=row.status,
            reason=row.reason,
            digest=row.digest if known else None,
            rank=row.rank if known else None,
            base_model=row.base_model,
            source=row.source,
            created_at=row.created_at,
            job=row.job_id,
            loaded=AdapterResidency(
                replicas=sum(row.served_name in replica.adapters for replica in self._replicas), of=len(self._replicas)
            ),
        )

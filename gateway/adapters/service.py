"""A tenant's adapters: looked at, imported, deleted."""

import time
from collections.abc import Sequence

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from gateway import jobs
from gateway.adapters.names import check_name
from gateway.adapters.repository import AdapterRepository
from gateway.adapters.schemas import AdapterShown, ImportRequest, Loaded
from gateway.adapters.tables import AdapterRow
from gateway.assistants.release import ReleaseSpec, Stage
from gateway.assistants.repository import ReleaseRepository, RolloutRepository
from gateway.auth import CurrentState, Manager, Writing
from gateway.engines import ReplicaState
from gateway.errors import BadRequest, Conflict, Denied, NotFound
from gateway.files.repository import FileRepository
from gateway.ids import new_id

__all__ = ["AdapterService", "adapter_service"]


class AdapterService:
    """One tenant's adapters; `base` is the base model's name, `replicas` what this gateway knows of its engines."""

    def __init__(self, session: AsyncSession, tenant: str, base: str, replicas: Sequence[ReplicaState]) -> None:
        self._session = session
        self._tenant = tenant
        self._base = base
        self._replicas = replicas
        self._adapters = AdapterRepository(session, tenant)

    async def list(self) -> list[AdapterShown]:
        return [self._show(row) for row in await self._adapters.all(AdapterRow.status != "deleted")]

    async def get(self, id_or_model: str) -> AdapterShown:
        row = await self._adapters.find(id_or_model) or await self._adapters.find_model(id_or_model)
        if row is None:
            raise NotFound(f"No adapter {id_or_model!r} exists. GET /api/adapters lists yours.", param="id")
        return self._show(row)

    async def take_in(self, request: ImportRequest) -> AdapterShown:
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

    async def delete(self, model: str) -> None:
        """Take an adapter away from clients at once; engines let go of it right after.

        Its bytes stay in the artifacts: an engine may have to read them until it has let go, and the same bytes may be
        another adapter's.

        Raises:
            Denied: It is the base model.
            NotFound: The tenant has no such adapter.
            Conflict: An assistant's current rollout needs it.
        """
        if model == self._base:
            raise Denied(
                f"{model!r} is the base model of everybody here and can't be deleted. Only adapters can.",
                param="model",
                code="model_not_deletable",
            )
        row = await self._adapters.find_ready(model)
        if row is None:
            raise NotFound(f"The model {model!r} doesn't exist.", param="model", code="model_not_found")
        users = await self._users(row)
        if users:
            raise Conflict(
                f"The rollout of {', '.join(users)} needs {model!r}. Promote a release without it there first.",
                param="model",
                code="adapter_in_use",
            )
        row.status = "deleted"

    async def _users(self, row: AdapterRow) -> Sequence[str]:
        """List the assistants that answer with the adapter now."""
        releases = ReleaseRepository(self._session, self._tenant)
        names: list[str] = []
        for assistant, rollout in await RolloutRepository(self._session, self._tenant).all_current():
            live = {stage.release for stage in msgspec.convert(rollout.stages, list[Stage])}
            specs = [
                msgspec.convert(one.spec, ReleaseSpec) for one in await releases.of(assistant.id) if one.number in live
            ]
            if any(spec.adapter is not None and spec.adapter.model == row.model for spec in specs):
                names.append(assistant.name)
        return names

    def _show(self, row: AdapterRow) -> AdapterShown:
        known = bool(row.digest)
        return AdapterShown(
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
            loaded=Loaded(
                replicas=sum(row.served_name in replica.adapters for replica in self._replicas), of=len(self._replicas)
            ),
        )


def adapter_service(session: Writing, principal: Manager, state: CurrentState) -> AdapterService:
    """Make the service for a request; models' routes take it too."""
    return AdapterService(session, principal.tenant, state.base_model, state.pool.state())

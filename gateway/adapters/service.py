"""A tenant's adapters: looking at them and importing one. `gateway.models` deletes them."""

import time
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from gateway import jobs
from gateway.adapters.export import Export, write_card
from gateway.adapters.identity import check_name
from gateway.adapters.lifecycle import GONE, AdapterStatus, begin_check
from gateway.adapters.repository import (
    AdapterName,
    AdapterRepository,
    count_set_aside,
    count_with_stale_facts,
    select_stored,
)
from gateway.adapters.schemas import (
    Adapter,
    AdapterImport,
    AdapterList,
    AdapterResidency,
    StaleFactCount,
    WrittenRowCount,
)
from gateway.adapters.tables import AdapterRow
from gateway.engines import ReplicaState
from gateway.errors import BadRequest, Conflict, NotFound
from gateway.files.service import get_file
from gateway.ids import new_id
from gateway.pages import PageRequest
from gateway.tenants.storage import TenantStorage

__all__ = [
    "AdapterRow",
    "AdapterService",
    "check_kept",
    "check_set_aside",
    "count_set_aside",
    "count_with_stale_facts",
    "find_adapter_row",
    "find_answering",
    "find_export",
    "find_name",
    "find_ready",
    "is_adapter",
    "is_learnt_from_prompts",
    "list_names",
    "list_stored",
    "list_written_rows",
    "lock_checkpoints",
    "lock_deletable",
    "lock_ready",
    "note_stale_facts",
    "read_chat_template_kwargs",
]


async def find_ready(session: AsyncSession, tenant: str, model: str) -> AdapterRow | None:
    """Find an adapter that may answer requests by the name that clients use."""
    return await AdapterRepository(session, tenant).find_ready(model)


async def find_answering(session: AsyncSession, tenant: str, id_or_model: str) -> AdapterRow | None:
    """Find an adapter that may answer requests by its id, or by the name that clients use."""
    adapters = AdapterRepository(session, tenant)
    row = await adapters.find(id_or_model)
    return await adapters.find_ready(id_or_model if row is None else row.model)


async def find_adapter_row(session: AsyncSession, tenant: str, model: str) -> AdapterRow | None:
    """Find an adapter by the name that clients use, whatever became of it."""
    return await AdapterRepository(session, tenant).find_model(model)


async def check_set_aside(session: AsyncSession, tenant: str, name: str) -> None:
    """Refuse answers of an adapter that waits for another base model than engines serve: no replica will take it.

    Args:
        session: Of a unit of work.
        tenant: The adapter's owner.
        name: The name that clients use, or the one that engines use.

    Raises:
        Conflict: It waits; the message says for what.
    """
    row = await AdapterRepository(session, tenant).find_set_aside(name)
    if row is not None:
        raise Conflict(
            f"The adapter {row.model!r} is set aside. {row.reason}",
            param="model",
            code="adapter_of_other_base",
        )


async def check_kept(session: AsyncSession, tenant: str, served_name: str) -> None:
    """Refuse answers of an adapter that its owner has deleted, which no replica will ever take again.

    Raises:
        NotFound: It was deleted.
    """
    row = await AdapterRepository(session, tenant).find_deleted(served_name)
    if row is not None:
        raise NotFound(
            f"The adapter {row.model!r} of this release was deleted. Ask another release, or make one with an adapter "
            "that GET /v1/models lists.",
            param="model",
            code="model_not_found",
        )


def read_chat_template_kwargs(row: AdapterRow) -> dict[str, Any]:
    """Return the values of the chat template's own names that an adapter was trained with; its requests bring them."""
    return row.manifest.get("chat_template_kwargs", {})


def is_learnt_from_prompts(row: AdapterRow) -> bool:
    """Tell whether an adapter's rows were rendered with a prompt of ours: not left as they were, nor imported."""
    prompt = row.manifest.get("prompt")
    return bool(prompt and prompt.get("digest"))


async def lock_ready(session: AsyncSession, tenant: str, model: str) -> AdapterRow | None:
    """Find an adapter that may answer requests, and keep others from deleting it until the unit of work ends.

    Whoever deletes an adapter or makes a rollout need one takes it so: the later of the two sees what the other did.
    """
    return await AdapterRepository(session, tenant).lock_ready(model)


async def lock_deletable(session: AsyncSession, tenant: str, model: str) -> AdapterRow | None:
    """Find an adapter that may be deleted, also one that waits for another base model; see `lock_ready`."""
    return await AdapterRepository(session, tenant).lock_deletable(model)


async def lock_checkpoints(session: AsyncSession, row: AdapterRow) -> Sequence[AdapterRow]:
    """List the checkpoints on the way to an adapter that may be deleted with it; see `lock_ready`."""
    return await AdapterRepository(session, row.tenant_id).lock_checkpoints(row)


async def find_name(session: AsyncSession, tenant: str, model: str) -> AdapterName | None:
    """Find an adapter that may answer requests, as a list of models shows it."""
    return await AdapterRepository(session, tenant).find_name(model)


async def is_adapter(session: AsyncSession, tenant: str, model: str) -> bool:
    """Tell whether a name is that of an adapter, whatever became of it."""
    return await AdapterRepository(session, tenant).find_model(model) is not None


async def list_names(session: AsyncSession, tenant: str) -> Sequence[AdapterName]:
    """List the adapters that may answer requests, as a list of models shows them."""
    return await AdapterRepository(session, tenant).list_names()


async def list_stored(session: AsyncSession, digests: Collection[str], since: float) -> set[str]:
    """Return those of some digests whose weights an adapter of any tenant needs, or needed at the Unix time `since`."""
    return await select_stored(session, digests, since)


async def list_written_rows(session: AsyncSession, tenant: str, digests: Collection[str]) -> dict[str, WrittenRowCount]:
    """List a tenant's weights that learnt from rows which a model wrote, by digest, with how many they were."""
    counts = await AdapterRepository(session, tenant).list_written(digests)
    return {digest: WrittenRowCount(rows=rows, of=total) for digest, (rows, total) in counts.items()}


async def note_stale_facts(session: AsyncSession, tenant: str, job: str, count: int) -> None:
    """Note how many of the facts that a fine-tuning job has learnt are stale by now, on all its adapters."""
    await AdapterRepository(session, tenant).note_stale_facts(job, count or None, int(time.time()))


async def find_export(session: AsyncSession, tenant: str, id_or_model: str) -> Export:
    """Return what an adapter's archive is made of.

    Raises:
        NotFound: The tenant has no such adapter.
        Conflict: It has no weights here: they are still being judged, were refused, or deleted.
    """
    row = await _find(AdapterRepository(session, tenant), id_or_model)
    if not row.digest or AdapterStatus(row.status) in GONE:
        raise Conflict(
            f"The adapter {id_or_model!r} is {row.status}, so that there are no weights to export. "
            "GET /api/adapters says what became of it.",
            param="id",
            code="no_weights",
        )
    card = write_card(row.name, row.model, row.base_model, row.digest, row.rank, row.manifest)
    return Export(row.digest, f"{row.served_name}.zip", card)


async def _find(adapters: AdapterRepository, id_or_model: str) -> AdapterRow:
    row = await adapters.find(id_or_model) or await adapters.find_model(id_or_model)
    if row is None:
        raise NotFound(f"No adapter {id_or_model!r} exists. GET /api/adapters lists yours.", param="id")
    return row


class AdapterService:
    """One tenant's adapters; `base` is the base model's name, `replicas` what this gateway knows of its engines."""

    def __init__(
        self, session: AsyncSession, tenant: str, base: str, replicas: Sequence[ReplicaState], storage: TenantStorage
    ) -> None:
        self._session = session
        self._storage = storage
        self._tenant = tenant
        self._base = base
        self._replicas = replicas
        self._adapters = AdapterRepository(session, tenant)

    async def list(self, request: PageRequest) -> AdapterList:
        page = await self._adapters.list_present(request)
        counts = await list_written_rows(self._session, self._tenant, {row.digest for row in page.rows if row.digest})
        return AdapterList.of([self._schema(row, counts.get(row.digest)) for row in page.rows], page)

    async def get(self, id_or_model: str) -> Adapter:
        row = await _find(self._adapters, id_or_model)
        counts = await list_written_rows(self._session, self._tenant, [row.digest] if row.digest else [])
        return self._schema(row, counts.get(row.digest))

    async def import_folder(self, request: AdapterImport, most_queued: int) -> Adapter:
        """Queue the import of an uploaded PEFT folder; its adapter shows what became of it.

        At most `most_queued` imports may wait.

        Raises:
            NotFound: The tenant has no such file.
            BadRequest: The name can't be used, or the file was uploaded for something else.
            PayloadTooLarge: The tenant has no room for as much again as the upload has, and weights take more.
        """
        check_name(request.name, param="name")
        file = await get_file(self._session, self._tenant, request.file_id, param="file_id")
        if file.purpose != "user_data":
            raise BadRequest(
                f"The file {file.id!r} has the purpose {file.purpose!r}. Upload it again with the purpose 'user_data'.",
                param="file_id",
            )
        await self._storage.check_room(self._session, self._tenant, file.bytes)
        id = new_id("adapter_")
        job = await jobs.enqueue(
            self._session,
            self._tenant,
            kind="import",
            queue_key=f"import:{self._tenant}",
            subject=id,
            payload={"file": file.digest},
            most=most_queued,
        )
        row = AdapterRow(
            id=id,
            created_at=int(time.time()),
            name=request.name,
            base_model=self._base,
            source=file.id,
            job_id=job.id,
        )
        begin_check(row)
        return self._schema(self._adapters.add(row))

    def _schema(self, row: AdapterRow, written_rows: WrittenRowCount | None = None) -> Adapter:
        has_digest = bool(row.digest)
        return Adapter(
            id=row.id,
            name=row.name,
            model=row.model if has_digest else None,
            status=AdapterStatus(row.status),
            reason=row.reason,
            digest=row.digest if has_digest else None,
            rank=row.rank if has_digest else None,
            base_model=row.base_model,
            source=row.source,
            step=row.step,
            created_at=row.created_at,
            job=row.job_id,
            loaded=AdapterResidency(
                replicas=sum(row.served_name in replica.adapters for replica in self._replicas), of=len(self._replicas)
            ),
            written_rows=written_rows,
            stale_facts=_count_stale(row),
        )


def _count_stale(row: AdapterRow) -> StaleFactCount | None:
    if row.stale_facts is None:
        return None
    return StaleFactCount(count=row.stale_facts, noted_at=row.stale_facts_at or row.created_at)

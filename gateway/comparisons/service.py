"""Comparisons as their owner sees them: begun, read, cancelled, deleted. The answers are `comparison_job`'s."""

import asyncio
import secrets
import time
from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy.ext.asyncio import AsyncSession

from gateway import jobs
from gateway.artifacts import Artifacts
from gateway.comparisons.contestants import pin_model
from gateway.comparisons.prompt_rows import (
    PromptMessages,
    choose_rows,
    encode_prompts,
    read_file_prompts,
    to_prompts,
)
from gateway.comparisons.repository import (
    ComparisonItemRepository,
    ComparisonRepository,
    ComparisonVoteRepository,
    delete_comparisons,
)
from gateway.comparisons.schemas import (
    Comparison,
    ComparisonCreate,
    ComparisonDeleted,
    ComparisonError,
    ComparisonList,
    ComparisonSampling,
    ComparisonSummary,
)
from gateway.comparisons.summary import summarise
from gateway.comparisons.tables import ComparisonItemRow, ComparisonRow, ComparisonVoteRow
from gateway.db import Database
from gateway.errors import BadRequest, TooManyRequests
from gateway.evals.run_service import list_inputs
from gateway.files.garbage_collection import collect_later
from gateway.files.service import get_file
from gateway.ids import new_id
from gateway.pages import PageRequest
from gateway.tenants.authenticator import Principal
from gateway.tenants.storage import TenantStorage

__all__ = [
    "COMPARE",
    "MOST_COMPARISONS",
    "ComparisonService",
    "delete_old_comparisons",
    "get_comparison",
    "lock_comparison",
]

COMPARE = "comparison"
MOST_COMPARISONS = 500
"""Of a tenant."""
_MOST_QUEUED = 20
_MOST_BYTES = 64 * 1024**2


async def delete_old_comparisons(session: AsyncSession, before: int, limit: int) -> int:
    """Delete at most `limit` rows of comparisons that ended, and had their last vote, before a Unix time."""
    return await delete_comparisons(session, before, limit)


async def get_comparison(session: AsyncSession, tenant: str, id: str) -> ComparisonRow:
    """Return one of the tenant's comparisons, or raise `NotFound`."""
    return await ComparisonRepository(session, tenant).get(id, param="comparison_id")


async def lock_comparison(session: AsyncSession, tenant: str, id: str) -> ComparisonRow:
    """Return one as it is now, which nobody else can change until the unit of work ends, or raise `NotFound`."""
    return await ComparisonRepository(session, tenant).hold(id, param="comparison_id")


class ComparisonService:
    """One tenant's comparisons. Each method is its own unit of work: files are read and written in none."""

    def __init__(
        self,
        database: Database,
        artifacts: Artifacts,
        storage: TenantStorage,
        principal: Principal,
        base_model: str,
    ) -> None:
        self._database = database
        self._artifacts = artifacts
        self._storage = storage
        self._principal = principal
        self._tenant = principal.tenant
        self._base_model = base_model

    async def create(self, request: ComparisonCreate) -> Comparison:
        """Pin the models, read the prompts, and queue the job that asks both.

        Raises:
            BadRequest: There is no prompt, or they are in several places, or the file can't be used.
            NotFound: A model, the file or the run doesn't exist.
            Conflict: An assistant has no rollout.
            TooManyRequests: So many comparisons are there, or wait, already.
            PayloadTooLarge: The tenant has no room for the prompts.
        """
        source = _check_source(request)
        async with self._database.read() as session:
            models = [
                await pin_model(session, self._tenant, model, self._base_model, param=f"models[{at}]")
                for at, model in enumerate(request.models)
            ]
        most = request.rows if request.prompts is None else 10**9
        total, encoded = await asyncio.to_thread(_choose, await self._read_prompts(request), most)
        if not total:
            raise BadRequest(
                f"No conversation of {source['type']!r} ends with a user's message of text, so there is nothing to "
                "ask.",
                param=source["type"],
                code="no_prompts",
            )
        artifact = await self._artifacts.put_bytes(encoded)
        async with self._database.begin() as session:
            row = await self._add(session, request, models, source, total)
            row.prompts_digest, row.bytes = artifact.digest, artifact.size
            await jobs.queue_subject(session, row, COMPARE, most=_MOST_QUEUED)
            await self._storage.admit(session, self._tenant, row.bytes)
        return _to_schema(row)

    async def list(self, request: PageRequest) -> ComparisonList:
        async with self._database.read() as session:
            page = await ComparisonRepository(session, self._tenant).list_page(
                limit=request.limit, order=request.order, after=request.after, before=request.before
            )
        return ComparisonList.of([_to_schema(row) for row in page.rows], page)

    async def get(self, id: str) -> Comparison:
        async with self._database.read() as session:
            return _to_schema(await get_comparison(session, self._tenant, id))

    async def summarise(self, id: str) -> ComparisonSummary:
        """Return the win rate of side a over b with its interval, and the agreement of the voters."""
        async with self._database.read() as session:
            row = await get_comparison(session, self._tenant, id)
            swapped = await ComparisonItemRepository(session, self._tenant).list_orders(id)
            repository = ComparisonVoteRepository(session, self._tenant)
            votes, voters = await repository.count_by_item(id), await repository.count_voters(id)
        return await asyncio.to_thread(summarise, row, swapped, votes, voters)

    async def cancel(self, id: str) -> Comparison:
        """Cancel a comparison that hasn't ended; it keeps its items.

        Raises:
            BadRequest: It has ended already.
        """
        async with self._database.begin() as session:
            row = await lock_comparison(session, self._tenant, id)
            if row.status in jobs.FINAL_STATUSES or row.job_id is None:
                raise BadRequest(f"The comparison {id} has ended already ({row.status}).", code="job_ended")
            await jobs.cancel_subject(session, row)
            return _to_schema(row)

    async def delete(self, id: str) -> ComparisonDeleted:
        """Delete a comparison with its items and their votes; one that hasn't ended is cancelled."""
        async with self._database.begin() as session:
            # Who votes locks the comparison first, too.
            row = await lock_comparison(session, self._tenant, id)
            if row.status not in jobs.FINAL_STATUSES and row.job_id is not None:
                await jobs.cancel(session, self._tenant, row.job_id)
            await ComparisonVoteRepository(session, self._tenant).delete_rows(ComparisonVoteRow.comparison_id == id)
            await ComparisonItemRepository(session, self._tenant).delete_rows(ComparisonItemRow.comparison_id == id)
            await ComparisonRepository(session, self._tenant).delete(row)
            await collect_later(session, self._tenant, [row.prompts_digest])
        return ComparisonDeleted(id=id)

    async def _read_prompts(self, request: ComparisonCreate) -> Sequence[PromptMessages]:
        own_prompts = request.prompts
        if own_prompts is not None:
            return await asyncio.to_thread(
                lambda: to_prompts([[message.model_dump() for message in one.messages] for one in own_prompts])
            )
        inputs = file = None
        async with self._database.read() as session:
            if request.eval_run_id is not None:
                inputs = await list_inputs(session, self._tenant, request.eval_run_id, param="eval_run_id")
            else:
                file = await get_file(session, self._tenant, request.file_id or "", param="file_id")
        if file is None:
            return await asyncio.to_thread(to_prompts, inputs or [])
        if file.bytes > _MOST_BYTES:
            raise BadRequest(
                f"{file.filename} is larger than {_MOST_BYTES // 1024**2} MB. Name a smaller file.",
                param="file_id",
                code="invalid_rows",
            )
        path = self._artifacts.locate_file(file.digest)
        return await asyncio.to_thread(lambda: read_file_prompts(path.read_bytes(), file.filename))

    async def _add(
        self,
        session: AsyncSession,
        request: ComparisonCreate,
        models: Sequence[str],
        source: dict[str, Any],
        total: int,
    ) -> ComparisonRow:
        comparisons = ComparisonRepository(session, self._tenant)
        if await comparisons.count_rows() >= MOST_COMPARISONS:
            raise TooManyRequests(
                f"You have {MOST_COMPARISONS} comparisons, the most that a tenant may have. Delete those that aren't "
                "needed.",
                code="too_many_comparisons",
            )
        return comparisons.add(
            ComparisonRow(
                id=new_id("comparison_"),
                created_at=int(time.time()),
                name=request.name,
                meta=request.metadata or {},
                status="queued",
                models=list(models),
                sampling=request.sampling.model_dump(exclude_none=True),
                source=source,
                seed=secrets.randbelow(2**31) if request.seed is None else request.seed,
                total=total,
                answered=0,
                errored=0,
                key=self._principal.key,
            )
        )


def _check_source(request: ComparisonCreate) -> dict[str, Any]:
    """Return the one source of prompts that a request names, as the comparison shows it."""
    sources = [name for name in ("prompts", "file_id", "eval_run_id") if getattr(request, name) is not None]
    if len(sources) != 1:
        raise BadRequest(
            "The prompts of a comparison are in one place: give 'prompts', a 'file_id' or an 'eval_run_id'.",
            param=sources[1] if sources else "prompts",
        )
    name = sources[0]
    return {"type": name} if name == "prompts" else {"type": name, "id": getattr(request, name)}


def _choose(prompts: Sequence[PromptMessages], most: int) -> tuple[int, bytes]:
    """Return the number of those that are asked, and their bytes."""
    selection = choose_rows(prompts, most)
    return len(selection), encode_prompts(selection)


def _to_schema(row: ComparisonRow) -> Comparison:
    return Comparison(
        id=row.id,
        created_at=row.created_at,
        finished_at=row.finished_at,
        name=row.name,
        status=cast(Any, row.status),
        models=row.models,
        sampling=ComparisonSampling(**row.sampling),
        source=row.source,
        seed=row.seed,
        total=row.total,
        answered=row.answered,
        errored=row.errored,
        error=None if row.error is None else ComparisonError(**row.error),
        metadata=row.meta,
    )

"""Runs of evals as their owner sees them: asked for, listed, cancelled, read item by item. The work is `run_job`'s."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Literal, cast

from sqlalchemy.ext.asyncio import AsyncSession

from gateway import jobs
from gateway.artifacts import Artifacts
from gateway.db import Database
from gateway.errors import BadRequest, NotFound
from gateway.evals.comparison import compare_runs
from gateway.evals.data_sources import (
    CompletionsDataSource,
    FileContentSource,
    FileIdSource,
    ResponsesDataSource,
    check_data_source,
)
from gateway.evals.items import DataItem, check_items, decode_items, encode_items, read_lines
from gateway.evals.report_link import make_link, make_secret
from gateway.evals.repository import (
    EvalOutputItemRepository,
    EvalRepository,
    EvalRunRepository,
    delete_old_runs,
)
from gateway.evals.schemas import (
    EvalAPIError,
    EvalRun,
    EvalRunCreate,
    EvalRunDeleted,
    EvalRunDifference,
    EvalRunList,
    EvalRunOutputItem,
    EvalRunOutputItemList,
    PerModelUsage,
    PerTestingCriteriaResult,
    ResultCounts,
    RunStatus,
)
from gateway.evals.service import delete_runs
from gateway.evals.tables import EvalOutputItemRow, EvalRow, EvalRunRow
from gateway.files.service import get_file
from gateway.ids import new_id
from gateway.pages import PageRequest
from gateway.tenants.authenticator import Principal
from gateway.tenants.storage import TenantStorage

__all__ = ["EVAL_RUN", "EvalRunService", "delete_old_runs", "list_inputs"]

EVAL_RUN = "eval_run"
_MOST_QUEUED = 20
_MOST_BYTES = 64 * 1024**2
_STATUSES: dict[str, RunStatus] = {
    "queued": "queued",
    "running": "in_progress",
    "succeeded": "completed",
    "cancelled": "canceled",
    "failed": "failed",
}
_STATUSES_BACK = {public: status for status, public in _STATUSES.items()}


async def list_inputs(session: AsyncSession, tenant: str, run_id: str, *, param: str) -> list[list[dict[str, Any]]]:
    """List the messages that a run has asked its model so far, in the order of its rows.

    Raises:
        NotFound: The tenant has no such run; `param` is the request's member that names it.
    """
    await EvalRunRepository(session, tenant).get(run_id, param=param)
    samples = await EvalOutputItemRepository(session, tenant).list_samples(run_id)
    return [sample["input"] for sample in samples if sample.get("input")]


class EvalRunService:
    """One tenant's runs. Each method is its own unit of work: files are read and written in none.

    `site` is the gateway's address as the client has it, for links to reports.
    """

    def __init__(
        self, database: Database, artifacts: Artifacts, storage: TenantStorage, principal: Principal, site: str
    ) -> None:
        self._site = site
        self._database = database
        self._artifacts = artifacts
        self._storage = storage
        self._principal = principal
        self._tenant = principal.tenant

    async def create(self, eval_id: str, request: EvalRunCreate) -> EvalRun:
        """Check the rows of a run, and queue the job.

        Raises:
            BadRequest: Something in it has nothing behind it here, isn't well-formed, or doesn't keep to the schema.
            NotFound: The eval or the file doesn't exist.
            TooManyRequests: So many runs wait already.
            PayloadTooLarge: The tenant has no room for the rows.
        """
        check_data_source(request.data_source)
        async with self._database.read() as session:
            schema = (await self._get_eval(session, eval_id)).data_source_config["item_schema"]
        items = await self._read_items(request)
        await asyncio.to_thread(check_items, items, schema)
        artifact = await self._artifacts.put_bytes(encode_items(items))
        async with self._database.begin() as session:
            eval_row = await self._get_eval(session, eval_id)
            row = EvalRunRepository(session, self._tenant).add(_make_row(eval_row, request, len(items)))
            row.items_digest, row.bytes, row.key = artifact.digest, artifact.size, self._principal.key
            await jobs.queue_subject(session, row, EVAL_RUN, most=_MOST_QUEUED)
            await self._storage.admit(session, self._tenant, row.bytes)
            names = _names_of(eval_row)
        return _to_schema(row, names, self._site, items)

    async def list(self, eval_id: str, request: PageRequest, status: RunStatus | None) -> EvalRunList:
        """List an eval's runs; rows that came in a request are left out."""
        where = [EvalRunRow.eval_id == eval_id]
        if status is not None:
            where.append(EvalRunRow.status == _STATUSES_BACK[status])
        async with self._database.read() as session:
            names = _names_of(await self._get_eval(session, eval_id))
            page = await EvalRunRepository(session, self._tenant).list_page(
                *where, limit=request.limit, order=request.order, after=request.after, before=request.before
            )
        return EvalRunList.of([_to_schema(row, names, self._site) for row in page.rows], page)

    async def get(self, eval_id: str, id: str) -> EvalRun:
        async with self._database.read() as session:
            row, names = await self._find(session, eval_id, id)
        return await self._describe(row, names)

    async def cancel(self, eval_id: str, id: str) -> EvalRun:
        """Cancel a run that hasn't ended; one that runs stops within seconds, and keeps its output items.

        Raises:
            BadRequest: It has ended already.
        """
        async with self._database.begin() as session:
            row, names = await self._hold(session, eval_id, id)
            if row.status in jobs.FINAL_STATUSES or row.job_id is None:
                raise BadRequest(f"The run {id} is {_STATUSES[row.status]} already.", code="job_ended")
            await jobs.cancel_subject(session, row)
        return await self._describe(row, names)

    async def delete(self, eval_id: str, id: str) -> EvalRunDeleted:
        """Delete a run with its output items; one that hasn't ended is cancelled."""
        async with self._database.begin() as session:
            row, _ = await self._hold(session, eval_id, id)
            await delete_runs(session, self._tenant, [row])
        return EvalRunDeleted(run_id=id)

    async def list_items(
        self, eval_id: str, id: str, request: PageRequest, status: Literal["fail", "pass"] | None
    ) -> EvalRunOutputItemList:
        where = [EvalOutputItemRow.run_id == id]
        if status is not None:
            where.append(EvalOutputItemRow.status == status)
        async with self._database.read() as session:
            await self._find(session, eval_id, id)
            page = await EvalOutputItemRepository(session, self._tenant).list_page(
                *where, limit=request.limit, order=request.order, after=request.after, before=request.before
            )
        return EvalRunOutputItemList.of([_to_item(row, eval_id) for row in page.rows], page)

    async def get_item(self, eval_id: str, id: str, item_id: str) -> EvalRunOutputItem:
        async with self._database.read() as session:
            await self._find(session, eval_id, id)
            row = await EvalOutputItemRepository(session, self._tenant).get(item_id, param="output_item_id")
            if row.run_id != id:
                raise NotFound(f"No output item with id {item_id!r} is in the run {id}.", param="output_item_id")
        return _to_item(row, eval_id)

    async def compare(self, id: str, baseline_id: str) -> EvalRunDifference:
        """Hold a run against another one of the same eval.

        Raises:
            BadRequest: They are of two evals.
        """
        async with self._database.read() as session:
            runs = EvalRunRepository(session, self._tenant)
            run = await runs.get(id, param="run_id")
            baseline = await runs.get(baseline_id, param="baseline_id")
            if run.eval_id != baseline.eval_id:
                raise BadRequest(
                    f"The run {baseline_id} is of the eval {baseline.eval_id}, and {id} of {run.eval_id}: they were "
                    "graded by other criteria. Compare two runs of one eval.",
                    param="baseline_id",
                    code="different_evals",
                )
            names = _names_of(await self._get_eval(session, run.eval_id))
            items = EvalOutputItemRepository(session, self._tenant)
            rows, others = await items.list_results(id), await items.list_results(baseline_id)
        return await asyncio.to_thread(compare_runs, run, baseline, rows, others, names)

    async def _get_eval(self, session: AsyncSession, id: str) -> EvalRow:
        return await EvalRepository(session, self._tenant).get(id, param="eval_id")

    async def _find(self, session: AsyncSession, eval_id: str, id: str) -> tuple[EvalRunRow, Sequence[str]]:
        """Return a run of an eval, and the names of its criteria."""
        eval_row = await self._get_eval(session, eval_id)
        row = await EvalRunRepository(session, self._tenant).get(id, param="run_id")
        if row.eval_id != eval_id:
            raise NotFound(f"No run with id {id!r} is of the eval {eval_id}.", param="run_id")
        return row, _names_of(eval_row)

    async def _hold(self, session: AsyncSession, eval_id: str, id: str) -> tuple[EvalRunRow, Sequence[str]]:
        """Return the same; nobody else changes the run until the unit of work ends."""
        row, names = await self._find(session, eval_id, id)
        return await EvalRunRepository(session, self._tenant).hold(row.id, param="run_id"), names

    async def _describe(self, row: EvalRunRow, names: Sequence[str]) -> EvalRun:
        """Return a run with the rows that its request brought."""
        items: Sequence[DataItem] = ()
        if row.data_source["source"]["type"] == "file_content":
            data = await asyncio.to_thread(self._artifacts.locate_file(row.items_digest).read_bytes)
            items = await asyncio.to_thread(decode_items, data)
        return _to_schema(row, names, self._site, items)

    async def _read_items(self, request: EvalRunCreate) -> Sequence[DataItem]:
        source = request.data_source.source
        if isinstance(source, FileContentSource):
            return [DataItem(row.item, row.sample) for row in source.content]
        assert isinstance(source, FileIdSource)  # others are refused before
        async with self._database.read() as session:
            file = await get_file(session, self._tenant, source.id, param="data_source.source.id")
        if file.bytes > _MOST_BYTES:
            raise BadRequest(
                f"{file.filename} is larger than {_MOST_BYTES // 1024**2} MB. Split it.",
                param="data_source.source.id",
                code="invalid_items",
            )
        data = await asyncio.to_thread(self._artifacts.locate_file(file.digest).read_bytes)
        return await asyncio.to_thread(read_lines, data, file.filename)


def _make_row(eval_row: EvalRow, request: EvalRunCreate, total: int) -> EvalRunRow:
    source = request.data_source
    asks = isinstance(source, CompletionsDataSource | ResponsesDataSource)
    model = source.model or "" if asks else ""
    return EvalRunRow(
        id=new_id("evalrun_"),
        created_at=int(time.time()),
        eval_id=eval_row.id,
        name=request.name or model or eval_row.name,
        meta=request.metadata or {},
        status="queued",
        model=model,
        data_source=source.model_dump(exclude_unset=True, exclude={"source": {"content"}}),
        total=total,
        passed=0,
        failed=0,
        errored=0,
        criteria_results=[{"passed": 0, "failed": 0} for _ in eval_row.testing_criteria],
        usage=[],
        report_secret=make_secret(),
    )


def _names_of(eval_row: EvalRow) -> list[str]:
    return [one["name"] for one in eval_row.testing_criteria]


def _to_schema(row: EvalRunRow, names: Sequence[str], site: str, items: Sequence[DataItem] = ()) -> EvalRun:
    data_source = row.data_source
    if data_source["source"]["type"] == "file_content":
        content = [{name: value for name, value in _members(item) if value is not None} for item in items]
        data_source = {**data_source, "source": {"type": "file_content", "content": content}}
    return EvalRun(
        id=row.id,
        eval_id=row.eval_id,
        name=row.name,
        created_at=row.created_at,
        status=_STATUSES[row.status],
        model=row.model,
        data_source=data_source,
        result_counts=ResultCounts(total=row.total, errored=row.errored, failed=row.failed, passed=row.passed),
        per_model_usage=[PerModelUsage(**one) for one in row.usage],
        per_testing_criteria_results=[
            PerTestingCriteriaResult(testing_criteria=name, **counts)
            for name, counts in zip(names, row.criteria_results, strict=True)
        ],
        report_url=make_link(site, row.id, row.report_secret),
        error=None if row.error is None else EvalAPIError(**row.error),
        metadata=row.meta,
    )


def _members(item: DataItem) -> Sequence[tuple[str, Any]]:
    return [("item", item.item), ("sample", item.sample)]


def _to_item(row: EvalOutputItemRow, eval_id: str) -> EvalRunOutputItem:
    return EvalRunOutputItem(
        id=row.id,
        created_at=row.created_at,
        eval_id=eval_id,
        run_id=row.run_id,
        status=cast(Any, row.status),
        datasource_item_id=row.number,
        datasource_item=row.item,
        results=row.results,
        sample=row.sample,
    )

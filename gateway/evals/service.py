"""Evals as their owner sees them: made, listed, renamed, deleted with their runs."""

import time
from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from gateway import jobs
from gateway.errors import BadRequest, TooManyRequests
from gateway.evals.criteria import check_criteria
from gateway.evals.items import check_item_schema
from gateway.evals.repository import EvalOutputItemRepository, EvalRepository, EvalRunRepository
from gateway.evals.schemas import CustomDataSourceConfig, Eval, EvalCreate, EvalDeleted, EvalList, EvalUpdate
from gateway.evals.tables import EvalRow, EvalRunRow
from gateway.files.garbage_collection import collect_later
from gateway.ids import new_id
from gateway.pages import PageRequest

__all__ = ["MOST_EVALS", "EvalService", "delete_runs"]

MOST_EVALS = 1_000
_SAMPLE_SCHEMA = {
    "type": "object",
    "properties": {
        "model": {"type": "string"},
        "input": {"type": "array", "items": {"type": "object"}},
        "output_text": {"type": "string"},
        "output_json": {},
        "output_tools": {"type": "array", "items": {"type": "object"}},
        "finish_reason": {"type": "string"},
        "choices": {"type": "array", "items": {"type": "object"}},
    },
    "required": ["model", "output_text", "choices"],
}
"""The namespace `sample` of an answer that a run asked for."""


class EvalService:
    """One tenant's evals, in one unit of work."""

    def __init__(self, session: AsyncSession, tenant: str) -> None:
        self._session = session
        self._tenant = tenant
        self._evals = EvalRepository(session, tenant)

    async def create(self, request: EvalCreate) -> Eval:
        """Check an eval's schema and criteria, and keep it.

        Raises:
            BadRequest: Something in it has nothing behind it here, or isn't well-formed.
            TooManyRequests: The tenant has as many evals as it may.
        """
        config = request.data_source_config
        if not isinstance(config, CustomDataSourceConfig):
            raise BadRequest(
                f"Braid stores no texts of answers, so there are no {config.type} to evaluate. Use the type 'custom' "
                "with the schema of your rows, and send them with each run.",
                param="data_source_config.type",
                code="unsupported_data_source",
            )
        check_item_schema(config.item_schema)
        check_criteria(request.testing_criteria)
        if await self._evals.count_rows() >= MOST_EVALS:
            raise TooManyRequests(
                f"You have {MOST_EVALS} evals, the most that a tenant may have. Delete those that aren't needed.",
                code="too_many_evals",
            )
        now = int(time.time())
        row = self._evals.add(
            EvalRow(
                id=new_id("eval_"),
                created_at=now,
                updated_at=now,
                name=request.name or "",
                meta=request.metadata or {},
                data_source_config=config.model_dump(),
                testing_criteria=[one.model_dump(exclude_unset=True) for one in request.testing_criteria],
            )
        )
        return _to_schema(row)

    async def list(self, request: PageRequest, order_by: Literal["created_at", "updated_at"]) -> EvalList:
        if order_by == "updated_at":
            page = await self._evals.list_page_by_update(request)
        else:
            page = await self._evals.list_page(
                limit=request.limit, order=request.order, after=request.after, before=request.before
            )
        return EvalList.of([_to_schema(row) for row in page.rows], page)

    async def get(self, id: str) -> Eval:
        return _to_schema(await self._evals.get(id, param="eval_id"))

    async def update(self, id: str, request: EvalUpdate) -> Eval:
        """Change the name or the metadata; what isn't given stays."""
        row = await self._evals.hold(id, param="eval_id")
        if request.name is not None:
            row.name = request.name
        if "metadata" in request.model_fields_set:
            row.meta = request.metadata or {}
        row.updated_at = int(time.time())
        return _to_schema(row)

    async def delete(self, id: str) -> EvalDeleted:
        """Delete an eval with its runs; those that haven't ended are cancelled."""
        row = await self._evals.hold(id, param="eval_id")
        runs = await EvalRunRepository(self._session, self._tenant).lock_runs(id)
        await delete_runs(self._session, self._tenant, runs)
        await self._session.flush()
        await self._evals.delete(row)
        return EvalDeleted(eval_id=id)


async def delete_runs(session: AsyncSession, tenant: str, runs: Sequence[EvalRunRow]) -> None:
    """Delete runs with their output items and rows; those that haven't ended are cancelled."""
    for run in runs:
        if run.status not in jobs.FINAL_STATUSES and run.job_id is not None:
            await jobs.cancel(session, tenant, run.job_id)
    await EvalOutputItemRepository(session, tenant).delete_of([run.id for run in runs])
    for run in runs:
        await EvalRunRepository(session, tenant).delete(run)
    await collect_later(session, tenant, [run.items_digest for run in runs])


def _to_schema(row: EvalRow) -> Eval:
    config = row.data_source_config
    properties: dict[str, Any] = {"item": config["item_schema"]}
    if config["include_sample_schema"]:
        properties["sample"] = _SAMPLE_SCHEMA
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return Eval(
        id=row.id,
        name=row.name,
        created_at=row.created_at,
        data_source_config={"type": config["type"], "schema": schema},
        testing_criteria=row.testing_criteria,
        metadata=row.meta,
    )

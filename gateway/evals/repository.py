from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.db import Page, Repository, delete_listed, read_page
from gateway.errors import BadRequest
from gateway.evals.tables import EvalOutputItemRow, EvalRow, EvalRunRow
from gateway.pages import PageRequest

__all__ = [
    "EvalOutputItemRepository",
    "EvalRepository",
    "EvalRunRepository",
    "RowResult",
    "delete_old_runs",
    "find_run",
]


@dataclass(frozen=True, slots=True)
class RowResult:
    """A row of a run, its outcome, and its grades as OpenAI's output items have them."""

    item: dict[str, Any]
    status: str
    results: list[dict[str, Any]]

    @property
    def passed(self) -> bool:
        """Whether all criteria hold; a row with an error doesn't pass."""
        return self.status == "pass"

    def score(self, index: int) -> float | None:
        """Return the score by one criterion; None where there is none."""
        if index >= len(self.results) or "error" in (self.results[index].get("sample") or {}):
            return None
        return self.results[index]["score"]


class EvalRepository(Repository[EvalRow]):
    table = EvalRow
    noun = "eval"

    async def list_page_by_update(self, request: PageRequest) -> Page[EvalRow]:
        """Return a page in the order of the last changes; cursors are ids of evals that are there."""
        columns = (EvalRow.updated_at, EvalRow.id)
        edges: dict[str, tuple[int, str]] = {}
        for name, cursor in (("after", request.after), ("before", request.before)):
            if cursor is not None:
                row = await self.find(cursor)
                if row is None:
                    raise BadRequest(f"The cursor {cursor!r} is no eval of yours.", param=name)
                edges[name] = row.updated_at, row.id
        return await read_page(self.session, self.select(), columns, edges, request.limit, request.order)


class EvalRunRepository(Repository[EvalRunRow]):
    table = EvalRunRow
    noun = "eval run"

    async def lock_runs(self, eval_id: str) -> Sequence[EvalRunRow]:
        """List an eval's runs as they are now, which nobody else changes until the unit of work ends."""
        query = self.select_for_update(EvalRunRow.eval_id == eval_id).order_by(EvalRunRow.id)
        return (await self.session.scalars(query)).all()


class EvalOutputItemRepository(Repository[EvalOutputItemRow]):
    table = EvalOutputItemRow
    noun = "output item"

    async def list_numbers(self, run_id: str) -> set[int]:
        """Return the numbers of the rows that have their output items."""
        query = self.select(EvalOutputItemRow.run_id == run_id).with_only_columns(EvalOutputItemRow.number)
        return set(cast("Collection[int]", (await self.session.scalars(query)).all()))

    async def list_results(self, run_id: str) -> list[RowResult]:
        """Return the outcomes of a run's rows, in the order of the data."""
        columns = EvalOutputItemRow.item, EvalOutputItemRow.status, EvalOutputItemRow.results
        query = self.select(EvalOutputItemRow.run_id == run_id).with_only_columns(*columns)
        rows = (await self.session.execute(query.order_by(EvalOutputItemRow.number))).all()
        return [RowResult(item, status, results) for item, status, results in rows]

    async def list_not_passed(self, run_id: str, limit: int) -> Sequence[EvalOutputItemRow]:
        """Return the first rows of a run that failed or couldn't be graded, in the order of the data."""
        query = self.select(EvalOutputItemRow.run_id == run_id, EvalOutputItemRow.status != "pass")
        return (await self.session.scalars(query.order_by(EvalOutputItemRow.number).limit(limit))).all()

    async def list_samples(self, run_id: str) -> list[dict[str, Any]]:
        """Return what was asked and answered, in the order of the data."""
        query = self.select(EvalOutputItemRow.run_id == run_id).with_only_columns(EvalOutputItemRow.sample)
        samples = (await self.session.scalars(query.order_by(EvalOutputItemRow.number))).all()
        return list(cast("Collection[dict[str, Any]]", samples))

    async def delete_of(self, runs: Collection[str]) -> None:
        """Delete all of some runs."""
        await self.delete_rows(EvalOutputItemRow.run_id.in_(runs))


async def find_run(session: AsyncSession, id: str) -> EvalRunRow | None:
    """Find a run of any tenant: a link to its report names none, and is checked by the run's own secret."""
    return await session.get(EvalRunRow, id)


async def delete_old_runs(session: AsyncSession, before: int, limit: int) -> int:
    """Delete at most `limit` rows of runs that ended before a Unix time and of their output items.

    Retention is of all tenants. Returns the number; a run goes when its output items are gone.
    """
    old = select(EvalRunRow.id).where(EvalRunRow.finished_at < before)
    items = select(EvalOutputItemRow.id).where(EvalOutputItemRow.run_id.in_(old)).limit(limit)
    deleted = await delete_listed(session, EvalOutputItemRow, items)
    if deleted < limit:
        deleted += await delete_listed(session, EvalRunRow, old.limit(limit - deleted))
    return deleted

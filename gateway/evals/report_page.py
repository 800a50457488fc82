"""A run's report as one page, which needs nothing but itself: pass rates by criterion, and rows with what failed."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.db import Database
from gateway.evals.report_link import check_link
from gateway.evals.repository import EvalOutputItemRepository, EvalRepository, find_run
from gateway.evals.tables import EvalOutputItemRow, EvalRow, EvalRunRow
from gateway.evaluation.estimate import Estimate, estimate_share
from gateway.evaluation.report_template import render_report

__all__ = ["EvalReports", "render_page"]

_MOST_LISTED = 200
_CHARACTERS = 4000


@dataclass(frozen=True, slots=True)
class _Criterion:
    name: str
    kind: str
    passed: int
    failed: int
    rate: Estimate | None


@dataclass(frozen=True, slots=True)
class _Item:
    number: int
    status: str
    item: str
    question: str
    answer: str
    error: str
    results: list[tuple[str, str, str]]


class EvalReports:
    """Reports of all tenants' runs, for whoever has a link."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def render(self, run_id: str, expires: str, signature: str) -> str:
        """Return a run's page as HTML.

        Raises:
            Unauthorized: The link isn't valid, or not any more.
        """
        async with self._database.read() as session:
            run = await find_run(session, run_id)
            check_link(run_id, expires, signature, run and run.report_secret)
            assert run is not None  # a link without a run isn't valid
            eval_row = await EvalRepository(session, run.tenant_id).get(run.eval_id)
            items = await EvalOutputItemRepository(session, run.tenant_id).list_not_passed(run.id, _MOST_LISTED)
        return await asyncio.to_thread(render_page, eval_row, run, items)


def render_page(eval_row: EvalRow, run: EvalRunRow, items: Sequence[EvalOutputItemRow]) -> str:
    """Return the page; all that came from rows, answers and clients is escaped."""
    graded = run.passed + run.failed + run.errored
    return render_report(
        "gateway.evals",
        "report_page.html.jinja",
        run.created_at,
        eval_name=eval_row.name or eval_row.id,
        run=run,
        rate=_rate(run.passed, graded),
        criteria=_describe_criteria(eval_row, run),
        items=[_describe_item(one) for one in items],
        others=run.failed + run.errored - len(items),
    )


def _rate(passed: int, total: int) -> Estimate | None:
    return estimate_share([True] * passed + [False] * (total - passed)) if total else None


def _describe_criteria(eval_row: EvalRow, run: EvalRunRow) -> list[_Criterion]:
    return [
        _Criterion(
            one["name"], one["type"], counts["passed"], counts["failed"], _rate(counts["passed"], sum(counts.values()))
        )
        for one, counts in zip(eval_row.testing_criteria, run.criteria_results, strict=True)
    ]


def _describe_item(row: EvalOutputItemRow) -> _Item:
    sample: Mapping[str, Any] = row.sample
    return _Item(
        row.number,
        row.status,
        _cut(msgspec.json.encode(row.item).decode()),
        _cut("\n".join(f"{one['role']}: {one['content']}" for one in sample.get("input") or ())),
        _cut("\n".join(str(one["content"]) for one in sample.get("output") or ())),
        _read_message(sample.get("error")),
        [_describe_result(one) for one in row.results],
    )


def _describe_result(result: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return a grade's criterion, its outcome, and the reason where there is one."""
    sample: Any = result.get("sample") or {}
    error = _read_message(sample.get("error"))
    outcome = "error" if error else ("pass" if result.get("passed") else "fail")
    return str(result.get("name")), outcome, _cut(error or f"score {result.get('score')}")


def _read_message(error: Any) -> str:
    return str(error["message"] or error["code"]) if error else ""


def _cut(text: str) -> str:
    return text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]}…"

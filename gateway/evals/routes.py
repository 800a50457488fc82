from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import HTMLResponse, Response

from gateway.evals.report_page import EvalReports
from gateway.evals.run_service import EvalRunService
from gateway.evals.schemas import (
    Eval,
    EvalCreate,
    EvalDeleted,
    EvalList,
    EvalRun,
    EvalRunCreate,
    EvalRunDeleted,
    EvalRunDifference,
    EvalRunList,
    EvalRunOutputItem,
    EvalRunOutputItemList,
    EvalUpdate,
    RunStatus,
)
from gateway.evals.service import EvalService
from gateway.pages import PageRequest
from gateway.web.content_schemas import declare_content
from gateway.web.dependencies import CurrentState, ManageKey, ReadSession, WriteSession
from gateway.web.error_responses import declare_errors, declare_errors_without_key
from gateway.web.lean_route import read_model

__all__ = ["SCHEMAS", "routers"]

_PAGE_HEADERS = {
    "cache-control": "private, no-store",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_BODY_BYTES = 8 * 1024 * 1024  # rows of a run may come in its request

_RUN = EvalRunCreate.model_json_schema(ref_template="#/components/schemas/{model}")
SCHEMAS: dict[str, Any] = _RUN.pop("$defs")
_DESCRIPTION: dict[str, Any] = {"requestBody": {"required": True, "content": {"application/json": {"schema": _RUN}}}}

router = APIRouter(prefix="/v1/evals", tags=["evals"], responses=declare_errors(404, 409, 429))
differences = APIRouter(prefix="/api/eval_runs", tags=["evals"], responses=declare_errors(404))
reports = APIRouter(prefix="/api/eval_runs", tags=["evals"], responses=declare_errors_without_key(401, 503))
routers = (router, differences, reports)


def _for_writing(session: WriteSession, principal: ManageKey) -> EvalService:
    return EvalService(session, principal.tenant)


def _for_reading(session: ReadSession, principal: ManageKey) -> EvalService:
    return EvalService(session, principal.tenant)


def _runs(request: Request, principal: ManageKey, state: CurrentState) -> EvalRunService:
    return EvalRunService(state.database, state.artifacts, state.storage, principal, str(request.base_url))


async def _page(
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Literal["asc", "desc"] = "asc",
    after: str | None = None,
    before: str | None = None,
) -> PageRequest:
    return PageRequest(limit, order, after, before)


Evals = Annotated[EvalService, Depends(_for_writing)]
SeenEvals = Annotated[EvalService, Depends(_for_reading)]
Runs = Annotated[EvalRunService, Depends(_runs)]
Page = Annotated[PageRequest, Depends(_page)]


@router.post("", status_code=201)
async def create_eval(request: EvalCreate, evals: Evals) -> Eval:
    """Keep the form of the data and the criteria by which runs are graded."""
    return await evals.create(request)


@router.get("")
async def list_evals(
    evals: SeenEvals, page: Page, order_by: Literal["created_at", "updated_at"] = "created_at"
) -> EvalList:
    return await evals.list(page, order_by)


@router.get("/{eval_id}")
async def retrieve_eval(eval_id: str, evals: SeenEvals) -> Eval:
    return await evals.get(eval_id)


@router.post("/{eval_id}")
async def update_eval(eval_id: str, request: EvalUpdate, evals: Evals) -> Eval:
    return await evals.update(eval_id, request)


@router.delete("/{eval_id}")
async def delete_eval(eval_id: str, evals: Evals) -> EvalDeleted:
    return await evals.delete(eval_id)


@router.post("/{eval_id}/runs", status_code=201, max_body_size=_BODY_BYTES, openapi_extra=_DESCRIPTION)
async def create_run(eval_id: str, request: Request, runs: Runs) -> EvalRun:
    """Ask a model about each row, or take the rows' own answers, and grade them."""
    return await runs.create(eval_id, await read_model(request, _BODY_BYTES, EvalRunCreate))


@router.get("/{eval_id}/runs")
async def list_runs(eval_id: str, runs: Runs, page: Page, status: RunStatus | None = None) -> EvalRunList:
    return await runs.list(eval_id, page, status)


@router.get("/{eval_id}/runs/{run_id}")
async def retrieve_run(eval_id: str, run_id: str, runs: Runs) -> EvalRun:
    return await runs.get(eval_id, run_id)


@router.post("/{eval_id}/runs/{run_id}/cancel")
async def cancel_run(eval_id: str, run_id: str, runs: Runs) -> EvalRun:
    return await runs.cancel(eval_id, run_id)


@router.delete("/{eval_id}/runs/{run_id}")
async def delete_run(eval_id: str, run_id: str, runs: Runs) -> EvalRunDeleted:
    return await runs.delete(eval_id, run_id)


@router.get("/{eval_id}/runs/{run_id}/output_items")
async def list_output_items(
    eval_id: str, run_id: str, runs: Runs, page: Page, status: Literal["fail", "pass"] | None = None
) -> EvalRunOutputItemList:
    return await runs.list_items(eval_id, run_id, page, status)


@router.get("/{eval_id}/runs/{run_id}/output_items/{output_item_id}")
async def retrieve_output_item(eval_id: str, run_id: str, output_item_id: str, runs: Runs) -> EvalRunOutputItem:
    return await runs.get_item(eval_id, run_id, output_item_id)


@differences.get("/{run_id}/differences/{baseline_id}")
async def compare_runs(run_id: str, baseline_id: str, runs: Runs) -> EvalRunDifference:
    """Hold a run against another one of the same eval, row by row, with 95 % intervals."""
    return await runs.compare(run_id, baseline_id)


@reports.get("/{run_id}/report", response_class=Response, responses=declare_content("text/html"))
async def get_report(run_id: str, state: CurrentState, expires: str = "", signature: str = "") -> HTMLResponse:
    """Return a run's report as a page, for whoever has the link that is the run's `report_url`: no key is asked for."""
    page = await EvalReports(state.database).render(run_id, expires, signature)
    return HTMLResponse(page, headers=_PAGE_HEADERS)

from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import FileResponse

from gateway.evaluation_jobs.schemas import Evaluation, EvaluationCreate, EvaluationDeleted, EvaluationList
from gateway.evaluation_jobs.service import EvaluationService
from gateway.web.dependencies import CurrentState, ManageKey, NewestPage
from gateway.web.error_responses import declare_errors

__all__ = ["router"]

router = APIRouter(prefix="/api/evaluations", tags=["evaluations"], responses=declare_errors(404, 409, 429))


def _service(principal: ManageKey, state: CurrentState) -> EvaluationService:
    return EvaluationService(state.database, state.artifacts, state.storage, principal.tenant)


Evaluations = Annotated[EvaluationService, Depends(_service)]


@router.post("")
async def create_evaluation(request: EvaluationCreate, evaluations: Evaluations) -> Evaluation:
    """Search for labelled questions, and compare what is found with the documents that answer them."""
    return await evaluations.create(request)


@router.get("")
async def list_evaluations(evaluations: Evaluations, page: NewestPage) -> EvaluationList:
    return await evaluations.list(page)


@router.get("/{evaluation_id}")
async def get_evaluation(evaluation_id: str, evaluations: Evaluations) -> Evaluation:
    return await evaluations.get(evaluation_id)


@router.get("/{evaluation_id}/report", response_class=FileResponse)
async def get_report(evaluation_id: str, evaluations: Evaluations) -> FileResponse:
    """Return the report, the same that `braid eval retrieval` writes as JSON."""
    return FileResponse(await evaluations.find_report(evaluation_id), media_type="application/json")


@router.post("/{evaluation_id}/cancel")
async def cancel_evaluation(evaluation_id: str, evaluations: Evaluations) -> Evaluation:
    return await evaluations.cancel(evaluation_id)


@router.delete("/{evaluation_id}")
async def delete_evaluation(evaluation_id: str, evaluations: Evaluations) -> EvaluationDeleted:
    return await evaluations.delete(evaluation_id)

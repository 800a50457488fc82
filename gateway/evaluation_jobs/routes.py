from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from gateway.evaluation.calibration_report import CalibrationReport
from gateway.evaluation.retrieval_report import RetrievalReport
from gateway.evaluation_jobs.schemas import Evaluation, EvaluationCreate, EvaluationDeleted, EvaluationList
from gateway.evaluation_jobs.service import EvaluationService
from gateway.web.content_schemas import declare_content, describe
from gateway.web.dependencies import CurrentState, ManageKey, NewestPage
from gateway.web.error_responses import declare_errors
from gateway.web.whole_file import WholeFile

__all__ = ["SCHEMAS", "router"]

_FIGURES, SCHEMAS = describe(RetrievalReport, CalibrationReport)
_ADVICE = {"$ref": "#/components/schemas/AdviceReport"}
"""Stands above this room; the application adds its schema."""
_REPORT = declare_content("application/json", {"anyOf": [*_FIGURES, _ADVICE]}, "The report of the evaluation's kind.")

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


@router.get("/{evaluation_id}/report", response_class=Response, responses=_REPORT)
async def get_report(evaluation_id: str, evaluations: Evaluations) -> WholeFile:
    """Return the report, the same that `braid eval retrieval` writes as JSON."""
    return WholeFile(await evaluations.find_report(evaluation_id), "application/json")


@router.post("/{evaluation_id}/cancel")
async def cancel_evaluation(evaluation_id: str, evaluations: Evaluations) -> Evaluation:
    return await evaluations.cancel(evaluation_id)


@router.delete("/{evaluation_id}")
async def delete_evaluation(evaluation_id: str, evaluations: Evaluations) -> EvaluationDeleted:
    return await evaluations.delete(evaluation_id)

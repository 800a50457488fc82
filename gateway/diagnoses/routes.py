from typing import Annotated, Any, cast

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse, Response

from gateway.answers.log import AnswerLog
from gateway.answers.service import CitedDocuments, flush_records
from gateway.diagnoses.report import DiagnosisReport
from gateway.diagnoses.schemas import Diagnosis, DiagnosisCreate, DiagnosisDeleted, DiagnosisList
from gateway.diagnoses.service import DiagnosisService, DiagnosisSources
from gateway.evals.run_service import EvalRunService
from gateway.gates.service import GateService
from gateway.web.content_schemas import declare_content, describe_answer
from gateway.web.dependencies import CurrentState, ManageKey, NewestPage
from gateway.web.error_responses import declare_errors
from gateway.web.lean_route import read_model
from gateway.web.state import part_of

__all__ = ["SCHEMAS", "router"]

_BODY_BYTES = 8 * 1024 * 1024

_CREATE = DiagnosisCreate.model_json_schema(ref_template="#/components/schemas/{model}")
_CREATE_SCHEMAS: dict[str, Any] = _CREATE.pop("$defs")
_DESCRIPTION: dict[str, Any] = {"requestBody": {"required": True, "content": {"application/json": {"schema": _CREATE}}}}
(_REPORT,), _REPORT_SCHEMAS = describe_answer(DiagnosisReport)
SCHEMAS: dict[str, Any] = _CREATE_SCHEMAS | _REPORT_SCHEMAS

router = APIRouter(prefix="/api/diagnoses", tags=["diagnoses"], responses=declare_errors(404, 409, 429))


def _service(request: Request, principal: ManageKey, state: CurrentState) -> DiagnosisService:
    sources = DiagnosisSources(
        EvalRunService(state.database, state.artifacts, state.storage, principal, str(request.base_url)),
        GateService(state.database, state.artifacts, principal.tenant),
        cast(CitedDocuments, state.parts[CitedDocuments]),
    )
    return DiagnosisService(state.database, state.artifacts, state.storage, principal.tenant, sources)


Diagnoses = Annotated[DiagnosisService, Depends(_service)]


@router.post("", max_body_size=_BODY_BYTES, openapi_extra=_DESCRIPTION)
async def create_diagnosis(request: Request, diagnoses: Diagnoses) -> Diagnosis:
    """Tell which strand failed: answers that failed are replayed with one strand changed at a time."""
    await flush_records(part_of(request, AnswerLog))
    return await diagnoses.create(await read_model(request, _BODY_BYTES, DiagnosisCreate))


@router.get("")
async def list_diagnoses(diagnoses: Diagnoses, page: NewestPage) -> DiagnosisList:
    return await diagnoses.list(page)


@router.get("/{diagnosis_id}")
async def get_diagnosis(diagnosis_id: str, diagnoses: Diagnoses) -> Diagnosis:
    return await diagnoses.get(diagnosis_id)


@router.get("/{diagnosis_id}/report", response_class=Response, responses=_REPORT)
async def get_diagnosis_report(diagnosis_id: str, diagnoses: Diagnoses) -> Response:
    """Return the report: each failure with its strand and the outcomes behind it, clusters, and proposals."""
    content = msgspec.json.encode(await diagnoses.read_report(diagnosis_id))
    return Response(content, media_type="application/json")


@router.get("/{diagnosis_id}/page", response_class=Response, responses=declare_content("text/html"))
async def get_diagnosis_page(diagnosis_id: str, diagnoses: Diagnoses) -> HTMLResponse:
    """Return the report as a page, which needs nothing but itself."""
    return HTMLResponse(await diagnoses.render(diagnosis_id))


@router.post("/{diagnosis_id}/cancel")
async def cancel_diagnosis(diagnosis_id: str, diagnoses: Diagnoses) -> Diagnosis:
    return await diagnoses.cancel(diagnosis_id)


@router.delete("/{diagnosis_id}")
async def delete_diagnosis(diagnosis_id: str, diagnoses: Diagnoses) -> DiagnosisDeleted:
    """Delete a diagnosis with its report; the releases that it made stay."""
    return await diagnoses.delete(diagnosis_id)

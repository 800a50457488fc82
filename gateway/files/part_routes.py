from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from gateway.files.part_schemas import Upload, UploadComplete, UploadCreate, UploadPart
from gateway.files.part_service import MAX_PART_BODY_BYTES, UploadService
from gateway.web.dependencies import CurrentState, ManageKey
from gateway.web.error_responses import declare_errors

__all__ = ["router"]

router = APIRouter(prefix="/v1/uploads", tags=["files"], responses=declare_errors(404, 429))

_FORM: dict[str, Any] = {
    "type": "object",
    "required": ["data"],
    "properties": {"data": {"type": "string", "format": "binary"}},
}


def _service(principal: ManageKey, state: CurrentState) -> UploadService:
    return UploadService(state.database, state.artifacts, state.storage, principal.tenant)


Uploads = Annotated[UploadService, Depends(_service)]


@router.post("")
async def create_upload(request: UploadCreate, uploads: Uploads) -> Upload:
    return await uploads.create(request)


@router.post(
    "/{upload_id}/parts",
    max_body_size=MAX_PART_BODY_BYTES,
    openapi_extra={"requestBody": {"content": {"multipart/form-data": {"schema": _FORM}}}},
)
async def add_upload_part(upload_id: str, request: Request, uploads: Uploads) -> UploadPart:
    return await uploads.add_part(upload_id, request.stream(), request.headers.get("content-type", ""))


@router.post("/{upload_id}/complete")
async def complete_upload(upload_id: str, request: UploadComplete, uploads: Uploads) -> Upload:
    return await uploads.complete(upload_id, request)


@router.post("/{upload_id}/cancel")
async def cancel_upload(upload_id: str, uploads: Uploads) -> Upload:
    return await uploads.cancel(upload_id)

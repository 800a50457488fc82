from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from gateway.files.part_routes import router as uploads_in_parts
from gateway.files.schemas import PURPOSES, FileDeleted, FileObject, FileObjectList
from gateway.files.service import FileService, FileUses, to_file_object
from gateway.files.upload import MAX_UPLOAD_BYTES, Uploads
from gateway.web.content_schemas import declare_content
from gateway.web.dependencies import CurrentState, ManageKey, ReadSession, WriteSession
from gateway.web.error_responses import declare_errors
from gateway.web.state import part_of
from gateway.web.whole_file import WholeFile

__all__ = ["routers"]

router = APIRouter(prefix="/v1/files", tags=["files"], responses=declare_errors(404))
routers = (router, uploads_in_parts)


def _uploads(principal: ManageKey, state: CurrentState) -> Uploads:
    return Uploads(state.database, state.artifacts, state.storage, principal.tenant)


def _writer(request: Request, session: WriteSession, principal: ManageKey, state: CurrentState) -> FileService:
    return FileService(session, principal.tenant, state.artifacts, part_of(request, FileUses))


def _reader(request: Request, session: ReadSession, principal: ManageKey, state: CurrentState) -> FileService:
    return FileService(session, principal.tenant, state.artifacts, part_of(request, FileUses))


Writer = Annotated[FileService, Depends(_writer)]
Reader = Annotated[FileService, Depends(_reader)]

_BYTES = {"type": "string", "format": "binary"}
_FORM: dict[str, Any] = {
    "type": "object",
    "required": ["file", "purpose"],
    "properties": {
        "file": _BYTES,
        "purpose": {"type": "string", "enum": list(PURPOSES)},
        "expires_after[anchor]": {"type": "string", "enum": ["created_at"]},
        "expires_after[seconds]": {"type": "integer", "minimum": 3600, "maximum": 2592000},
    },
}


# The body is read by hand: FastAPI would have it on disk as a whole before it asked for the key.
@router.post(
    "",
    max_body_size=MAX_UPLOAD_BYTES,
    openapi_extra={"requestBody": {"content": {"multipart/form-data": {"schema": _FORM}}}},
)
async def create_file(request: Request, uploads: Annotated[Uploads, Depends(_uploads)]) -> FileObject:
    length = request.headers.get("content-length", "")
    kind = request.headers.get("content-type", "")
    return to_file_object(await uploads.receive(request.stream(), kind, int(length) if length.isdigit() else None))


@router.get("")
async def list_files(
    files: Reader,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
    order: Literal["asc", "desc"] = "desc",
    after: str | None = None,
    before: str | None = None,
    purpose: str | None = None,
) -> FileObjectList:
    return await files.list(limit=limit, order=order, after=after, before=before, purpose=purpose)


@router.get("/{file_id}")
async def retrieve_file(file_id: str, files: Reader) -> FileObject:
    return await files.get(file_id)


@router.get("/{file_id}/content", response_class=Response, responses=declare_content("*/*", _BYTES))
async def file_content(file_id: str, files: Reader) -> WholeFile:
    content = await files.find_content(file_id)
    return WholeFile(content.path, content.media_type, content.filename)


@router.delete("/{file_id}")
async def delete_file(file_id: str, files: Writer) -> FileDeleted:
    return await files.delete(file_id)

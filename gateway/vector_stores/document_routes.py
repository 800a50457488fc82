from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request

from gateway.files.upload import MAX_UPLOAD_BYTES
from gateway.vector_stores.document_schemas import Document, DocumentDeleted, DocumentList
from gateway.vector_stores.document_service import DocumentService
from gateway.web.dependencies import CurrentState, ManageKey, NewestPage
from gateway.web.error_responses import declare_errors
from gateway.web.presence import Presence

__all__ = ["router"]

_PREFIX = "/api/vector_stores/{vector_store_id}/documents"
router = APIRouter(prefix=_PREFIX, tags=["documents"], responses=declare_errors(404, 409))


def _service(principal: ManageKey, state: CurrentState) -> DocumentService:
    return DocumentService(state.database, state.artifacts, state.retriever, state.storage, principal.tenant)


Documents = Annotated[DocumentService, Depends(_service)]
Wait = Annotated[float, Query(ge=0, le=300, description="Seconds to wait until the document is live, or has failed.")]
AttributesHeader = Annotated[
    str | None,
    Header(alias="braid-attributes", description="A JSON object; without it the attributes stay as they are."),
]

_BYTES: dict[str, Any] = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


@router.put(
    "/{key:path}",
    max_body_size=MAX_UPLOAD_BYTES,
    openapi_extra={"requestBody": {"required": True, "content": _BYTES}},
)
async def put_document(
    vector_store_id: str,
    key: str,
    request: Request,
    documents: Documents,
    attributes: AttributesHeader = None,
    wait: Wait = 0,
    bulk: Annotated[bool, Query(description="One of many: an edit doesn't go before what waits.")] = False,
) -> Document:
    """Put a document's bytes under its key; the content type isn't looked at, the bytes and the file name are."""
    length = request.headers.get("content-length", "")
    size = int(length) if length.isdigit() else None
    return await documents.put(
        *(vector_store_id, key, request.stream()),
        attributes=attributes,
        length=size,
        wait=wait,
        bulk=bulk,
        presence=Presence(request.receive),
    )


@router.get("")
async def list_documents(vector_store_id: str, documents: Documents, page: NewestPage) -> DocumentList:
    return await documents.list(vector_store_id, page)


@router.get("/{key:path}")
async def get_document(
    vector_store_id: str, key: str, request: Request, documents: Documents, wait: Wait = 0
) -> Document:
    return await documents.get(vector_store_id, key, wait, Presence(request.receive))


@router.delete("/{key:path}")
async def delete_document(vector_store_id: str, key: str, documents: Documents) -> DocumentDeleted:
    return await documents.delete(vector_store_id, key)

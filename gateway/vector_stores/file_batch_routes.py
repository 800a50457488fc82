from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query

from gateway.pages import PageRequest
from gateway.vector_stores.file_batch_schemas import VectorStoreFileBatch, VectorStoreFileBatchCreate
from gateway.vector_stores.file_batch_service import FileBatchService
from gateway.vector_stores.schemas import Status, VectorStoreFileList
from gateway.web.dependencies import CurrentState, ManageKey
from gateway.web.error_responses import declare_errors

__all__ = ["router"]

router = APIRouter(
    prefix="/v1/vector_stores/{vector_store_id}/file_batches", tags=["vector stores"], responses=declare_errors(404)
)


def _service(principal: ManageKey, state: CurrentState) -> FileBatchService:
    return FileBatchService(state.database, state.retriever, principal.tenant)


Batches = Annotated[FileBatchService, Depends(_service)]


@router.post("")
async def create_file_batch(
    vector_store_id: str, request: VectorStoreFileBatchCreate, batches: Batches
) -> VectorStoreFileBatch:
    return await batches.create(vector_store_id, request)


@router.get("/{batch_id}")
async def retrieve_file_batch(vector_store_id: str, batch_id: str, batches: Batches) -> VectorStoreFileBatch:
    return await batches.get(vector_store_id, batch_id)


@router.post("/{batch_id}/cancel")
async def cancel_file_batch(vector_store_id: str, batch_id: str, batches: Batches) -> VectorStoreFileBatch:
    return await batches.cancel(vector_store_id, batch_id)


@router.get("/{batch_id}/files")
async def list_batch_files(
    vector_store_id: str,
    batch_id: str,
    batches: Batches,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Literal["asc", "desc"] = "desc",
    after: str | None = None,
    before: str | None = None,
    status: Annotated[Status | None, Query(alias="filter")] = None,
) -> VectorStoreFileList:
    page = PageRequest(limit, order, after, before)
    return await batches.list_files(vector_store_id, batch_id, page, status)

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query

from gateway.auth import CurrentState, Manager, Reading, Writing
from gateway.vector_stores.document_routes import router as documents
from gateway.vector_stores.schemas import (
    SearchPage,
    SearchRequest,
    Status,
    StoreDeleted,
    StoreFileDeleted,
    StoreFileList,
    StoreFileRequest,
    StoreFileShown,
    StoreList,
    StoreModify,
    StoreRequest,
    StoreShown,
)
from gateway.vector_stores.service import StoreService
from gateway.vector_stores.store_files import StoreFileService
from gateway.vector_stores.store_search import StoreSearch

__all__ = ["routers"]

router = APIRouter(prefix="/v1/vector_stores", tags=["vector stores"])
routers = (router, documents)


def _writer(session: Writing, principal: Manager) -> StoreService:
    return StoreService(session, principal.tenant)


def _reader(session: Reading, principal: Manager) -> StoreService:
    return StoreService(session, principal.tenant)


def _file_writer(session: Writing, principal: Manager) -> StoreFileService:
    return StoreFileService(session, principal.tenant)


def _file_reader(session: Reading, principal: Manager) -> StoreFileService:
    return StoreFileService(session, principal.tenant)


def _searcher(principal: Manager, state: CurrentState) -> StoreSearch:
    return StoreSearch(state.database, state.retriever, principal.tenant)


Writer = Annotated[StoreService, Depends(_writer)]
Reader = Annotated[StoreService, Depends(_reader)]
FileWriter = Annotated[StoreFileService, Depends(_file_writer)]
FileReader = Annotated[StoreFileService, Depends(_file_reader)]
Searcher = Annotated[StoreSearch, Depends(_searcher)]
Limit = Annotated[int, Query(ge=1, le=100)]
Order = Literal["asc", "desc"]


@router.post("")
async def create_store(request: StoreRequest, stores: Writer) -> StoreShown:
    return await stores.create(request)


@router.get("")
async def list_stores(
    stores: Reader, limit: Limit = 20, order: Order = "desc", after: str | None = None, before: str | None = None
) -> StoreList:
    return await stores.list(limit=limit, order=order, after=after, before=before)


@router.get("/{vector_store_id}")
async def retrieve_store(vector_store_id: str, stores: Reader) -> StoreShown:
    return await stores.get(vector_store_id)


@router.post("/{vector_store_id}")
async def modify_store(vector_store_id: str, request: StoreModify, stores: Writer) -> StoreShown:
    return await stores.modify(vector_store_id, request)


@router.delete("/{vector_store_id}")
async def delete_store(vector_store_id: str, stores: Writer) -> StoreDeleted:
    return await stores.delete(vector_store_id)


@router.post("/{vector_store_id}/search")
async def search_store(vector_store_id: str, request: SearchRequest, stores: Searcher) -> SearchPage:
    return await stores.search(vector_store_id, request)


@router.post("/{vector_store_id}/files")
async def add_file(vector_store_id: str, request: StoreFileRequest, files: FileWriter) -> StoreFileShown:
    return await files.add(vector_store_id, request)


@router.get("/{vector_store_id}/files")
async def list_store_files(
    vector_store_id: str,
    files: FileReader,
    limit: Limit = 20,
    order: Order = "desc",
    after: str | None = None,
    before: str | None = None,
    status: Annotated[Status | None, Query(alias="filter")] = None,
) -> StoreFileList:
    return await files.list(vector_store_id, limit=limit, order=order, after=after, before=before, status=status)


@router.get("/{vector_store_id}/files/{file_id}")
async def retrieve_store_file(vector_store_id: str, file_id: str, files: FileReader) -> StoreFileShown:
    return await files.get(vector_store_id, file_id)


@router.delete("/{vector_store_id}/files/{file_id}")
async def remove_file(vector_store_id: str, file_id: str, files: FileWriter) -> StoreFileDeleted:
    return await files.delete(vector_store_id, file_id)

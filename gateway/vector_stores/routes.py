from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response

from gateway.vector_stores.attributes_service import AttributesService
from gateway.vector_stores.document_routes import router as documents
from gateway.vector_stores.file_addition_service import FileAdditionService
from gateway.vector_stores.file_batch_routes import router as file_batches
from gateway.vector_stores.file_content_service import FileContentService
from gateway.vector_stores.file_service import VectorStoreFileService
from gateway.vector_stores.index_migration_routes import router as migrations
from gateway.vector_stores.index_routes import router as index
from gateway.vector_stores.question_rewriter import QuestionRewriter
from gateway.vector_stores.schemas import (
    Status,
    VectorStore,
    VectorStoreCreate,
    VectorStoreDeleted,
    VectorStoreFile,
    VectorStoreFileContent,
    VectorStoreFileCreate,
    VectorStoreFileDeleted,
    VectorStoreFileList,
    VectorStoreFileUpdate,
    VectorStoreList,
    VectorStoreSearch,
    VectorStoreSearchResultsPage,
    VectorStoreUpdate,
)
from gateway.vector_stores.search import SearchService
from gateway.vector_stores.service import VectorStoreService
from gateway.web.dependencies import CurrentState, ManageKey, ReadSession, WriteSession
from gateway.web.error_responses import declare_errors
from gateway.web.presence import Presence
from gateway.web.state import part_of

__all__ = ["routers"]

ANSWER_PROBABILITY = "braid-answer-probability"

router = APIRouter(prefix="/v1/vector_stores", tags=["vector stores"], responses=declare_errors(404, 409))
routers = (router, file_batches, documents, index, migrations)


def _writer(session: WriteSession, principal: ManageKey) -> VectorStoreService:
    return VectorStoreService(session, principal.tenant)


def _reader(session: ReadSession, principal: ManageKey) -> VectorStoreService:
    return VectorStoreService(session, principal.tenant)


def _file_writer(session: WriteSession, principal: ManageKey) -> VectorStoreFileService:
    return VectorStoreFileService(session, principal.tenant)


def _file_reader(session: ReadSession, principal: ManageKey) -> VectorStoreFileService:
    return VectorStoreFileService(session, principal.tenant)


def _file_adder(principal: ManageKey, state: CurrentState) -> FileAdditionService:
    return FileAdditionService(state.database, state.retriever, principal.tenant)


def _searcher(request: Request, principal: ManageKey, state: CurrentState) -> SearchService:
    return SearchService(state.database, state.retriever, principal.tenant, part_of(request, QuestionRewriter))


def _contents(principal: ManageKey, state: CurrentState) -> FileContentService:
    return FileContentService(state.database, state.retriever, principal.tenant)


def _attributes(principal: ManageKey, state: CurrentState) -> AttributesService:
    return AttributesService(state.database, principal.tenant)


Writer = Annotated[VectorStoreService, Depends(_writer)]
Reader = Annotated[VectorStoreService, Depends(_reader)]
FileWriter = Annotated[VectorStoreFileService, Depends(_file_writer)]
FileAdder = Annotated[FileAdditionService, Depends(_file_adder)]
FileReader = Annotated[VectorStoreFileService, Depends(_file_reader)]
Searcher = Annotated[SearchService, Depends(_searcher)]
Contents = Annotated[FileContentService, Depends(_contents)]
AttributesWriter = Annotated[AttributesService, Depends(_attributes)]
Limit = Annotated[int, Query(ge=1, le=100)]
Order = Literal["asc", "desc"]


@router.post("")
async def create_store(request: VectorStoreCreate, stores: Writer) -> VectorStore:
    return await stores.create(request)


@router.get("")
async def list_stores(
    stores: Reader, limit: Limit = 20, order: Order = "desc", after: str | None = None, before: str | None = None
) -> VectorStoreList:
    return await stores.list(limit=limit, order=order, after=after, before=before)


@router.get("/{vector_store_id}")
async def retrieve_store(vector_store_id: str, stores: Reader) -> VectorStore:
    return await stores.get(vector_store_id)


@router.post("/{vector_store_id}")
async def modify_store(vector_store_id: str, request: VectorStoreUpdate, stores: Writer) -> VectorStore:
    return await stores.modify(vector_store_id, request)


@router.delete("/{vector_store_id}")
async def delete_store(vector_store_id: str, stores: Writer) -> VectorStoreDeleted:
    return await stores.delete(vector_store_id)


@router.post("/{vector_store_id}/search")
async def search_store(
    vector_store_id: str, request: VectorStoreSearch, stores: Searcher, response: Response
) -> VectorStoreSearchResultsPage:
    """Search; the answer has no members but OpenAI's, so that the probability of an answer is in a header."""
    page, probability = await stores.search(vector_store_id, request)
    response.headers[ANSWER_PROBABILITY] = str(probability)
    return page


@router.post("/{vector_store_id}/files")
async def add_file(vector_store_id: str, request: VectorStoreFileCreate, files: FileAdder) -> VectorStoreFile:
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
) -> VectorStoreFileList:
    return await files.list(vector_store_id, limit=limit, order=order, after=after, before=before, status=status)


@router.get("/{vector_store_id}/files/{file_id}")
async def retrieve_store_file(vector_store_id: str, file_id: str, files: FileReader) -> VectorStoreFile:
    return await files.get(vector_store_id, file_id)


@router.post("/{vector_store_id}/files/{file_id}")
async def modify_store_file(
    vector_store_id: str, file_id: str, request: VectorStoreFileUpdate, files: AttributesWriter, http: Request
) -> VectorStoreFile:
    return await files.update(vector_store_id, file_id, request, Presence(http.receive))


@router.get("/{vector_store_id}/files/{file_id}/content")
async def retrieve_store_file_content(vector_store_id: str, file_id: str, files: Contents) -> VectorStoreFileContent:
    return await files.get(vector_store_id, file_id)


@router.delete("/{vector_store_id}/files/{file_id}")
async def remove_file(vector_store_id: str, file_id: str, files: FileWriter) -> VectorStoreFileDeleted:
    return await files.delete(vector_store_id, file_id)

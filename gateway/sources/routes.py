from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from starlette.responses import PlainTextResponse, Response

from gateway.pages import PageRequest
from gateway.sources.kinds import allow_origins
from gateway.sources.llms_export import LlmsExport
from gateway.sources.schemas import Source, SourceCreate, SourceDeleted, SourceItemList, SourceList, SourceSync
from gateway.sources.service import SourceService
from gateway.web.content_schemas import declare_content
from gateway.web.dependencies import CurrentState, ManageKey, ReadSession, WriteSession
from gateway.web.error_responses import declare_errors

__all__ = ["exports", "router"]

exports = APIRouter(prefix="/api/vector_stores", tags=["vector stores"], responses=declare_errors(404))
router = APIRouter(prefix="/api/sources", tags=["sources"], responses=declare_errors(404, 409))


def _reader(principal: ManageKey, session: ReadSession, state: CurrentState) -> SourceService:
    return SourceService(session, principal.tenant, principal.tenant_name, allow_origins(state.settings))


def _writer(principal: ManageKey, session: WriteSession, state: CurrentState) -> SourceService:
    return SourceService(session, principal.tenant, principal.tenant_name, allow_origins(state.settings))


Reader = Annotated[SourceService, Depends(_reader)]
Writer = Annotated[SourceService, Depends(_writer)]
Limit = Annotated[int, Query(ge=1, le=1000)]


@router.post("")
async def create_source(body: SourceCreate, sources: Writer) -> Source:
    """Make a source that feeds a store, and synchronise it."""
    return await sources.create(body)


@router.get("")
async def list_sources(
    sources: Reader,
    limit: Limit = 100,
    order: Literal["asc", "desc"] = "desc",
    after: str | None = None,
    before: str | None = None,
) -> SourceList:
    return await sources.list(PageRequest(limit, order, after, before))


@router.get("/{source_id}")
async def get_source(source_id: str, sources: Reader) -> Source:
    return await sources.get(source_id)


@router.get("/{source_id}/items")
async def list_source_items(
    source_id: str,
    sources: Reader,
    limit: Limit = 100,
    order: Literal["asc", "desc"] = "asc",
    after: str | None = None,
    before: str | None = None,
    failed: bool | None = None,
) -> SourceItemList:
    """List a source's items with the state of each."""
    return await sources.list_items(source_id, PageRequest(limit, order, after, before), failed)


@router.post("/{source_id}/sync")
async def sync_source(source_id: str, sources: Writer, body: SourceSync | None = None) -> Source:
    """Synchronise a source now; a sync that waits already is the one."""
    return await sources.sync(source_id, body or SourceSync())


@router.delete("/{source_id}")
async def delete_source(source_id: str, sources: Writer, keep_documents: bool = False) -> SourceDeleted:
    """Delete a source with the documents that it put, unless they are to stay."""
    return await sources.delete(source_id, keep_documents=keep_documents)


@exports.get("/{vector_store_id}/llms.txt", response_class=Response, responses=declare_content("text/plain"))
async def export_llms_txt(
    vector_store_id: str,
    principal: ManageKey,
    session: ReadSession,
    base_url: Annotated[str, Query(max_length=2048, pattern=r"^(https?://[^\s()<>]+)?$")] = "",
) -> PlainTextResponse:
    """Export the store's documents with the attribute `public` as `llms.txt`, to be served beside them."""
    return PlainTextResponse(await LlmsExport(session, principal.tenant).export(vector_store_id, base_url))

from typing import Annotated

from fastapi import APIRouter, Depends

from gateway.vector_stores.document_schemas import IndexState
from gateway.vector_stores.index_service import IndexService
from gateway.web.dependencies import CurrentState, ManageKey
from gateway.web.error_responses import declare_errors

__all__ = ["router"]

router = APIRouter(
    prefix="/api/vector_stores/{vector_store_id}/index", tags=["documents"], responses=declare_errors(404)
)


def _service(principal: ManageKey, state: CurrentState) -> IndexService:
    return IndexService(state.database, state.retriever, principal.tenant)


Index = Annotated[IndexService, Depends(_service)]


@router.get("")
async def get_index(vector_store_id: str, index: Index) -> IndexState:
    """Compare a store's documents with the index that searches ask now."""
    return await index.get(vector_store_id)


@router.post("")
async def reindex(vector_store_id: str, index: Index) -> IndexState:
    """Index those documents again, from their bytes, that aren't in the index as they would be now."""
    return await index.reindex(vector_store_id)


@router.delete("/calibration")
async def withdraw_calibration(vector_store_id: str, index: Index) -> IndexState:
    """Let answers from the store go by the general model again, instead of the store's own weights."""
    return await index.withdraw_calibration(vector_store_id)

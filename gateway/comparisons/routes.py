from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request

from gateway.comparisons.item_service import ComparisonItemService
from gateway.comparisons.schemas import (
    Comparison,
    ComparisonCreate,
    ComparisonDeleted,
    ComparisonItem,
    ComparisonItemList,
    ComparisonList,
    ComparisonSummary,
    ComparisonVote,
    ComparisonVoteCreate,
    ComparisonVoteList,
)
from gateway.comparisons.service import ComparisonService
from gateway.web.dependencies import ChatKey, CurrentState, ManageKey, OwnPage, ReadSession, WriteSession
from gateway.web.error_responses import declare_errors
from gateway.web.lean_route import read_model

__all__ = ["SCHEMAS", "router"]

_BODY_BYTES = 8 * 1024 * 1024  # prompts may come in the request

_CREATE = ComparisonCreate.model_json_schema(ref_template="#/components/schemas/{model}")
SCHEMAS: dict[str, Any] = _CREATE.pop("$defs")
_DESCRIPTION: dict[str, Any] = {"requestBody": {"required": True, "content": {"application/json": {"schema": _CREATE}}}}

router = APIRouter(prefix="/api/comparisons", tags=["preferences"], responses=declare_errors(404, 409, 429))


def _service(principal: ManageKey, state: CurrentState) -> ComparisonService:
    return ComparisonService(state.database, state.artifacts, state.storage, principal, state.base_model)


def _items(session: ReadSession, principal: ChatKey, state: CurrentState) -> ComparisonItemService:
    return ComparisonItemService(session, principal, state.storage)


def _voting(session: WriteSession, principal: ChatKey, state: CurrentState) -> ComparisonItemService:
    return ComparisonItemService(session, principal, state.storage)


def _votes(session: ReadSession, principal: ManageKey, state: CurrentState) -> ComparisonItemService:
    return ComparisonItemService(session, principal, state.storage)


Comparisons = Annotated[ComparisonService, Depends(_service)]
Items = Annotated[ComparisonItemService, Depends(_items)]
Voting = Annotated[ComparisonItemService, Depends(_voting)]
Votes = Annotated[ComparisonItemService, Depends(_votes)]
Reveal = Annotated[bool, Query(description="Whether items say whose answers they are; takes the scope `manage`.")]


@router.post("", status_code=202, max_body_size=_BODY_BYTES, openapi_extra=_DESCRIPTION)
async def create_comparison(request: Request, comparisons: Comparisons) -> Comparison:
    """Have two models answer the same prompts."""
    return await comparisons.create(await read_model(request, _BODY_BYTES, ComparisonCreate))


@router.get("")
async def list_comparisons(comparisons: Comparisons, page: OwnPage) -> ComparisonList:
    return await comparisons.list(page)


@router.get("/{comparison_id}")
async def get_comparison(comparison_id: str, comparisons: Comparisons) -> Comparison:
    return await comparisons.get(comparison_id)


@router.get("/{comparison_id}/summary")
async def summarise_comparison(comparison_id: str, comparisons: Comparisons) -> ComparisonSummary:
    """Return the win rate of the first model over the second with its interval, and how far voters agree."""
    return await comparisons.summarise(comparison_id)


@router.post("/{comparison_id}/cancel")
async def cancel_comparison(comparison_id: str, comparisons: Comparisons) -> Comparison:
    return await comparisons.cancel(comparison_id)


@router.delete("/{comparison_id}")
async def delete_comparison(comparison_id: str, comparisons: Comparisons) -> ComparisonDeleted:
    return await comparisons.delete(comparison_id)


@router.get("/{comparison_id}/items")
async def list_items(comparison_id: str, items: Items, page: OwnPage, reveal: Reveal = False) -> ComparisonItemList:
    return await items.list(comparison_id, page, reveal=reveal)


@router.get("/{comparison_id}/items/{item_id}")
async def get_item(comparison_id: str, item_id: str, items: Items, reveal: Reveal = False) -> ComparisonItem:
    return await items.get(comparison_id, item_id, reveal=reveal)


@router.post("/{comparison_id}/items/{item_id}/votes", status_code=201)
async def vote(comparison_id: str, item_id: str, request: ComparisonVoteCreate, items: Voting) -> ComparisonVote:
    """Vote for one of an item's answers; a voter's later vote on it replaces the earlier one."""
    return await items.vote(comparison_id, item_id, request)


@router.get("/{comparison_id}/votes")
async def list_votes(comparison_id: str, votes: Votes, page: OwnPage) -> ComparisonVoteList:
    """List the votes, each with the side that it is for."""
    return await votes.list_votes(comparison_id, page)

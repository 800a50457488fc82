from typing import Annotated

from fastapi import APIRouter, Depends, Request

from gateway.engines.base_traits import BaseTraits
from gateway.fine_tuning.stale_facts import StaleFactsService
from gateway.gates.closed_book import ClosedBookPlaces, ClosedBookService
from gateway.gates.closed_book_schemas import ClosedBook, ClosedBookCreate
from gateway.web.dependencies import CurrentState, ManageKey
from gateway.web.error_responses import declare_errors
from gateway.web.state import part_of

__all__ = ["router"]

router = APIRouter(prefix="/api/adapters", tags=["adapters"], responses=declare_errors(404, 409, 429, 502, 503, 504))


def _service(request: Request, principal: ManageKey, state: CurrentState) -> ClosedBookService:
    stale = StaleFactsService(state.database, state.retriever, state.artifacts, principal.tenant)
    traits = BaseTraits(state.pool, state.base)
    places = part_of(request, ClosedBookPlaces)
    return ClosedBookService(state.database, state.artifacts, state.pool, traits, stale, places, principal.tenant)


Service = Annotated[ClosedBookService, Depends(_service)]


@router.post("/{id_or_model:path}/closed_book")
async def check_closed_book(id_or_model: str, request: ClosedBookCreate, service: Service) -> ClosedBook:
    """Ask an adapter, without passages, what its training rows asked, and tell which of their values come back."""
    return await service.check_recall(id_or_model, request)

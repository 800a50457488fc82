from typing import Annotated

from fastapi import APIRouter, Depends

from gateway.fine_tuning.fact_schemas import StaleFacts
from gateway.fine_tuning.facts_check import FactsCheckService
from gateway.fine_tuning.facts_check_schemas import FactsCheck, FactsCheckCreate
from gateway.fine_tuning.stale_facts import StaleFactsService
from gateway.web.dependencies import CurrentState, ManageKey
from gateway.web.error_responses import declare_errors

__all__ = ["router"]

router = APIRouter(prefix="/api/styles", tags=["styles"], responses=declare_errors(404, 503))


def _stale_facts(principal: ManageKey, state: CurrentState) -> StaleFactsService:
    return StaleFactsService(state.database, state.retriever, state.artifacts, principal.tenant)


Service = Annotated[StaleFactsService, Depends(_stale_facts)]


def _check(principal: ManageKey, state: CurrentState) -> FactsCheckService:
    return FactsCheckService(state.database, state.retriever, state.artifacts, principal.tenant)


CheckService = Annotated[FactsCheckService, Depends(_check)]


@router.get("/stale_facts")
async def list_stale_facts(service: Service, adapter: str | None = None) -> StaleFacts:
    """List the values that adapters have learnt and that documents have changed since, of one adapter or of all."""
    return await service.list(adapter)


@router.post("/facts")
async def check_facts(request: FactsCheckCreate, service: CheckService) -> FactsCheck:
    """Say of each value in the replies of up to 50 rows whether it stands in its row, in documents, or nowhere."""
    return await service.check(request)

from typing import Annotated

from fastapi import APIRouter, Depends

from gateway.conversations.schemas import FactsCheck, FactsCheckCreate
from gateway.conversations.service import FactsCheckService
from gateway.web.dependencies import CurrentState, ManageKey
from gateway.web.error_responses import declare_errors

__all__ = ["router"]

router = APIRouter(prefix="/api/styles", tags=["styles"], responses=declare_errors(404, 503))


def _service(principal: ManageKey, state: CurrentState) -> FactsCheckService:
    return FactsCheckService(state.database, state.retriever, state.artifacts, principal.tenant)


Service = Annotated[FactsCheckService, Depends(_service)]


@router.post("/facts")
async def check_facts(request: FactsCheckCreate, service: Service) -> FactsCheck:
    """Say of each value in the replies of up to 50 rows whether it stands in its row, in documents, or nowhere."""
    return await service.check(request)

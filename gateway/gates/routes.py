from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import HTMLResponse, Response

from gateway.gates.schemas import Gate, GateCreate
from gateway.gates.service import GateService
from gateway.web.content_schemas import declare_content
from gateway.web.dependencies import CurrentState, ManageKey
from gateway.web.error_responses import declare_errors

__all__ = ["router"]

router = APIRouter(
    prefix="/api/assistants/{name}/releases/{number}/gate", tags=["gates"], responses=declare_errors(404, 409, 429)
)


def _service(principal: ManageKey, state: CurrentState) -> GateService:
    return GateService(state.database, state.artifacts, principal.tenant)


Gates = Annotated[GateService, Depends(_service)]


@router.post("", status_code=202)
async def begin_gate(name: str, number: int, request: GateCreate, gates: Gates) -> Gate:
    """Hold a release against the base model and the release that serves, on rows that its adapter hasn't learnt."""
    return await gates.begin(name, number, request)


@router.get("")
async def get_gate(name: str, number: int, gates: Gates) -> Gate:
    return await gates.get(name, number)


@router.get("/page", response_class=Response, responses=declare_content("text/html"))
async def get_gate_page(name: str, number: int, gates: Gates) -> HTMLResponse:
    """Return the report as a page with pictures, which needs nothing but itself."""
    return HTMLResponse(await gates.render(name, number))


@router.post("/cancel")
async def cancel_gate(name: str, number: int, gates: Gates) -> Gate:
    return await gates.cancel(name, number)

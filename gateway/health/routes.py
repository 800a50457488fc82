from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from gateway.errors import NotFound
from gateway.health.figures import Figures
from gateway.health.readiness import RemoteParts, check_readiness
from gateway.web.dependencies import CurrentState
from gateway.web.state import part_of

__all__ = ["router"]

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Return 200 while the process lives, whatever else is down."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(request: Request, state: CurrentState) -> JSONResponse:
    """Return 200 when this gateway can answer, else 503; `degraded` names the parts that aren't ready, and why."""
    remote = part_of(request, RemoteParts)
    readiness = await check_readiness(remote, state.pool, state.reconciler, state.drain)
    return JSONResponse(readiness.make_body(), 200 if readiness.ready else 503)


@router.get("/metrics")
async def metrics(request: Request, state: CurrentState) -> Response:
    """Return the metrics while this port is one of the operator's own; else they are on the admin port only."""
    if not state.settings.client_port_is_private:
        raise NotFound("There is no GET /metrics here: the operator has it on a port of its own.", code="unknown_url")
    text = await part_of(request, Figures).render_text()
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

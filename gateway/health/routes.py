import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from gateway.errors import NotFound
from gateway.health.figures import Figures
from gateway.health.readiness import ReadinessBody, RemoteParts, check_readiness
from gateway.web.content_schemas import declare_content, describe
from gateway.web.dependencies import CurrentState
from gateway.web.error_responses import declare_errors_without_key
from gateway.web.state import part_of

__all__ = ["SCHEMAS", "router"]

(_READINESS,), SCHEMAS = describe(ReadinessBody)
_READY = declare_content("application/json", _READINESS, "It can answer.")
_NOT_READY = declare_content("application/json", _READINESS, "It can't answer now; the body is the same.", 503)

router = APIRouter(tags=["health"], responses=declare_errors_without_key())


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Return 200 while the process lives, whatever else is down."""
    return {"status": "ok"}


@router.get("/readyz", response_class=Response, responses=_READY | _NOT_READY)
async def readyz(request: Request, state: CurrentState) -> Response:
    """Return 200 when this gateway can answer, else 503; `degraded` names the parts that aren't ready, and why."""
    remote = part_of(request, RemoteParts)
    readiness = await check_readiness(remote, state.pool, state.reconciler, state.drain)
    content = msgspec.json.encode(readiness.make_body())
    return Response(content, 200 if readiness.ready else 503, media_type="application/json")


@router.get(
    "/metrics", response_class=Response, responses=declare_content("text/plain") | declare_errors_without_key(404)
)
async def metrics(request: Request, state: CurrentState) -> Response:
    """Return the metrics while this port is one of the operator's own; else they are on the admin port only."""
    if not state.settings.client_port_is_private:
        raise NotFound("There is no GET /metrics here: the operator has it on a port of its own.", code="unknown_url")
    text = await part_of(request, Figures).render_text()
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

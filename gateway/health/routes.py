from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from gateway.health.readiness import check_readiness
from gateway.web.dependencies import CurrentState

__all__ = ["router"]

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Return 200 while the process lives, whatever else is down."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(state: CurrentState) -> JSONResponse:
    """Return 200 when this gateway can answer, else 503; `degraded` names the parts that aren't ready, and why."""
    readiness = await check_readiness(state.database, state.retriever, state.pool, state.reconciler, state.drain)
    reasons = {name: "ok" if part.ready else part.reason for name, part in readiness.parts.items()}
    body = {"ready": readiness.ready, "degraded": readiness.degraded, "parts": reasons}
    return JSONResponse(body, 200 if readiness.ready else 503)


@router.get("/metrics")
async def metrics(state: CurrentState) -> Response:
    return Response(state.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

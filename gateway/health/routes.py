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
    """Return 200 when every part is ready, else 503 with the reason of each that isn't."""
    parts = await check_readiness(state.database, state.retriever, state.pool, state.drain)
    ready = all(part.ready for part in parts.values())
    reasons = {name: "ok" if part.ready else part.reason for name, part in parts.items()}
    return JSONResponse({"ready": ready, "parts": reasons}, 200 if ready else 503)


@router.get("/metrics")
async def metrics(state: CurrentState) -> Response:
    return Response(state.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

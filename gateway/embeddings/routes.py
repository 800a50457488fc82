from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from gateway.embeddings.schemas import CreateEmbeddingResponse, EmbeddingCreate
from gateway.embeddings.service import EmbeddingService
from gateway.web.dependencies import ChatKey, CurrentState
from gateway.web.error_responses import declare_errors
from gateway.web.lean_route import read_model
from gateway.web.presence import Presence

__all__ = ["router"]

_BODY_BYTES = 4 * 1024 * 1024
_DESCRIPTION: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": EmbeddingCreate.model_json_schema()}}}
}

router = APIRouter(prefix="/v1/embeddings", tags=["embeddings"], responses=declare_errors(404))


def _service(principal: ChatKey, state: CurrentState) -> EmbeddingService:
    return EmbeddingService(state.retriever)


Embedder = Annotated[EmbeddingService, Depends(_service)]


@router.post("", max_body_size=_BODY_BYTES, response_model=CreateEmbeddingResponse, openapi_extra=_DESCRIPTION)
async def create_embedding(request: Request, embedder: Embedder) -> Response:
    """Embed texts as documents are, after the questions that wait."""
    texts = await read_model(request, _BODY_BYTES, EmbeddingCreate)
    body = await embedder.create(texts, Presence(request.receive))
    return Response(body, media_type="application/json")

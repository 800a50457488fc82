from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.responses import Response

from gateway.embeddings.schemas import CreateEmbeddingResponse, EmbeddingCreate
from gateway.embeddings.service import EmbeddingService
from gateway.web.dependencies import ChatKey, CurrentState
from gateway.web.error_responses import declare_errors
from gateway.web.lean_route import read_body
from gateway.web.presence import Presence

__all__ = ["router"]

_BODY_BYTES = 4 * 1024 * 1024
_DESCRIBED: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": EmbeddingCreate.model_json_schema()}}}
}

router = APIRouter(prefix="/v1/embeddings", tags=["embeddings"], responses=declare_errors(404))


def _service(principal: ChatKey, state: CurrentState) -> EmbeddingService:
    return EmbeddingService(state.retriever)


Embedder = Annotated[EmbeddingService, Depends(_service)]


# The body is read by hand: FastAPI would decode so large a one before it asked for the key.
@router.post("", max_body_size=_BODY_BYTES, response_model=CreateEmbeddingResponse, openapi_extra=_DESCRIBED)
async def create_embedding(request: Request, embedder: Embedder) -> Response:
    """Embed texts as documents are, after the questions that wait."""
    texts = _decode(await read_body(request, _BODY_BYTES))
    body = await embedder.create(texts, Presence(request.receive))
    return Response(body, media_type="application/json")


def _decode(body: bytes) -> EmbeddingCreate:
    try:
        return EmbeddingCreate.model_validate_json(body)
    except ValidationError as error:
        raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in error.errors()]) from None

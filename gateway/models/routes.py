from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Depends

from gateway.models.schemas import Model, ModelDeleted, ModelList
from gateway.models.service import ModelService
from gateway.web.dependencies import ChatKey, CurrentState, ManageKey, ReadSession, WriteSession
from gateway.web.error_responses import declare_errors
from gateway.web.state import State
from retrieval.patience import Patience

__all__ = ["router"]

_PATIENCE_SECONDS = 1.0

router = APIRouter(prefix="/v1/models", tags=["models"], responses=declare_errors(404, 409))


async def _find_embedder(state: State) -> str:
    """Return the embedder's name, "" where the retriever doesn't say it at once: the other models aren't its own."""
    with suppress(TimeoutError):
        async with Patience(_PATIENCE_SECONDS):
            retriever = await state.describe_retriever()
            return retriever.model if retriever else ""
    return ""


async def _reader(session: ReadSession, principal: ChatKey, state: CurrentState) -> ModelService:
    embedder = await _find_embedder(state)
    return ModelService(session, principal, state.base_model, state.started_at, embedder=embedder)


def _writer(session: WriteSession, principal: ManageKey, state: CurrentState) -> ModelService:
    return ModelService(session, principal, state.base_model, state.started_at)


Reader = Annotated[ModelService, Depends(_reader)]
Writer = Annotated[ModelService, Depends(_writer)]


@router.get("")
async def list_models(service: Reader) -> ModelList:
    return ModelList(data=await service.list_all())


@router.get("/{model:path}")
async def get_model(model: str, service: Reader) -> Model:
    return await service.get(model)


@router.delete("/{model:path}")
async def delete_model(model: str, service: Writer) -> ModelDeleted:
    """Delete an adapter; the base model and an adapter that answers somebody can't be deleted."""
    await service.delete(model)
    return ModelDeleted(id=model)

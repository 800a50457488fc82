from typing import Annotated

from fastapi import APIRouter, Depends

from gateway.adapters.service import AdapterService, adapter_service
from gateway.auth import Chatter, CurrentState, Reading
from gateway.models.schemas import ModelDeleted, ModelList, ModelShown
from gateway.models.service import ModelService

__all__ = ["router"]

router = APIRouter(prefix="/v1/models", tags=["models"])


def _service(session: Reading, principal: Chatter, state: CurrentState) -> ModelService:
    return ModelService(session, principal, state.base_model, state.started)


Service = Annotated[ModelService, Depends(_service)]
Adapters = Annotated[AdapterService, Depends(adapter_service)]


@router.get("")
async def list_models(service: Service) -> ModelList:
    return ModelList(data=await service.all())


@router.get("/{model:path}")
async def get_model(model: str, service: Service) -> ModelShown:
    return await service.get(model)


@router.delete("/{model:path}")
async def delete_model(model: str, adapters: Adapters) -> ModelDeleted:
    """Delete an adapter; the base model and an adapter that answers somebody can't be deleted."""
    await adapters.delete(model)
    return ModelDeleted(id=model)

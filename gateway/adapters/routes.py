from typing import Annotated

from fastapi import APIRouter, Depends

from gateway.adapters.schemas import AdapterList, AdapterShown, ImportRequest
from gateway.adapters.service import AdapterService, adapter_service
from gateway.auth import CurrentState, Manager, Reading

__all__ = ["router"]

router = APIRouter(prefix="/api/adapters", tags=["adapters"])


def _for_reading(session: Reading, principal: Manager, state: CurrentState) -> AdapterService:
    return AdapterService(session, principal.tenant, state.base_model, state.pool.state())


Adapters = Annotated[AdapterService, Depends(adapter_service)]
SeenAdapters = Annotated[AdapterService, Depends(_for_reading)]


@router.get("")
async def list_adapters(adapters: SeenAdapters) -> AdapterList:
    return AdapterList(data=await adapters.list())


@router.post("", status_code=202)
async def import_adapter(request: ImportRequest, adapters: Adapters) -> AdapterShown:
    """Import a PEFT folder: it is judged, loaded and measured by a job, and then `ready` or `refused`."""
    return await adapters.take_in(request)


@router.get("/{id_or_model:path}")
async def retrieve_adapter(id_or_model: str, adapters: SeenAdapters) -> AdapterShown:
    return await adapters.get(id_or_model)

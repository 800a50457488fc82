from typing import Annotated

from fastapi import APIRouter, Depends

from gateway.adapters.schemas import Adapter, AdapterImport, AdapterList
from gateway.adapters.service import AdapterService
from gateway.web.dependencies import CurrentState, ManageKey, OwnPage, ReadSession, WriteSession
from gateway.web.error_responses import declare_errors

__all__ = ["router"]

router = APIRouter(prefix="/api/adapters", tags=["adapters"], responses=declare_errors(404, 409, 429))


def _writer(session: WriteSession, principal: ManageKey, state: CurrentState) -> AdapterService:
    return AdapterService(session, principal.tenant, state.base_model, state.pool.state(), state.storage)


def _reader(session: ReadSession, principal: ManageKey, state: CurrentState) -> AdapterService:
    return AdapterService(session, principal.tenant, state.base_model, state.pool.state(), state.storage)


Writer = Annotated[AdapterService, Depends(_writer)]
Reader = Annotated[AdapterService, Depends(_reader)]


@router.get("")
async def list_adapters(adapters: Reader, page: OwnPage) -> AdapterList:
    return await adapters.list(page)


@router.post("", status_code=202)
async def import_adapter(request: AdapterImport, adapters: Writer, state: CurrentState) -> Adapter:
    """Import a PEFT folder: it is judged, loaded and measured by a job, and then `ready` or `refused`."""
    return await adapters.import_folder(request, state.settings.max_queued_jobs)


@router.get("/{id_or_model:path}")
async def retrieve_adapter(id_or_model: str, adapters: Reader) -> Adapter:
    return await adapters.get(id_or_model)

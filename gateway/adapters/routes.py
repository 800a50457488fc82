from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response, StreamingResponse

from gateway.adapters.export import open_export
from gateway.adapters.schemas import Adapter, AdapterImport, AdapterList
from gateway.adapters.service import AdapterService, find_export
from gateway.web.content_schemas import declare_content
from gateway.web.dependencies import CurrentState, ManageKey, OwnPage, ReadSession, WriteSession
from gateway.web.error_responses import declare_errors

__all__ = ["router"]

router = APIRouter(prefix="/api/adapters", tags=["adapters"], responses=declare_errors(404, 409, 429))

_ZIP = declare_content("application/zip", {"type": "string", "format": "binary"})


def _writer(session: WriteSession, principal: ManageKey, state: CurrentState) -> AdapterService:
    return AdapterService(session, principal.tenant, state.base_model, state.pool.list_states(), state.storage)


def _reader(session: ReadSession, principal: ManageKey, state: CurrentState) -> AdapterService:
    return AdapterService(session, principal.tenant, state.base_model, state.pool.list_states(), state.storage)


Writer = Annotated[AdapterService, Depends(_writer)]
Reader = Annotated[AdapterService, Depends(_reader)]


@router.get("")
async def list_adapters(adapters: Reader, page: OwnPage) -> AdapterList:
    return await adapters.list(page)


@router.post("", status_code=202)
async def import_adapter(request: AdapterImport, adapters: Writer, state: CurrentState) -> Adapter:
    """Import a PEFT folder: it is judged, loaded and measured by a job, and then `ready` or `refused`."""
    return await adapters.import_folder(request, state.settings.max_queued_jobs)


@router.get("/{id_or_model:path}/export", response_class=Response, responses=_ZIP)
async def export_adapter(id_or_model: str, principal: ManageKey, state: CurrentState) -> StreamingResponse:
    """Return an adapter as the zip of a PEFT folder with a model card."""
    async with state.database.read() as session:  # closed before anything is sent: that may take long
        export = await find_export(session, principal.tenant, id_or_model)
    parts = open_export(state.artifacts, export)
    headers = {"content-disposition": f'attachment; filename="{export.filename}"'}
    return StreamingResponse(parts, media_type="application/zip", headers=headers)


@router.get("/{id_or_model:path}")
async def retrieve_adapter(id_or_model: str, adapters: Reader) -> Adapter:
    return await adapters.get(id_or_model)

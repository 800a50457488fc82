from typing import Annotated

from fastapi import APIRouter, Depends

from gateway.assistants.promote import promote
from gateway.assistants.schemas import (
    AssistantList,
    AssistantRequest,
    AssistantShown,
    ReleaseList,
    ReleaseMade,
    ReleaseRequest,
    RollbackRequest,
    RolloutRequest,
    RolloutShown,
)
from gateway.assistants.service import AssistantService
from gateway.assistants.serving import serving
from gateway.auth import CurrentState, Manager, Reading, Writing

__all__ = ["router"]

router = APIRouter(prefix="/api/assistants", tags=["assistants"])


async def _writer(session: Writing, principal: Manager, state: CurrentState) -> AssistantService:
    return AssistantService(session, principal.tenant, await serving(state))


async def _reader(session: Reading, principal: Manager, state: CurrentState) -> AssistantService:
    return AssistantService(session, principal.tenant, await serving(state))


Writer = Annotated[AssistantService, Depends(_writer)]
Reader = Annotated[AssistantService, Depends(_reader)]


@router.post("", status_code=201)
async def create_assistant(request: AssistantRequest, service: Writer) -> AssistantShown:
    return await service.create(request.name)


@router.get("")
async def list_assistants(service: Reader) -> AssistantList:
    return AssistantList(data=await service.all())


@router.get("/{name}")
async def get_assistant(name: str, service: Reader) -> AssistantShown:
    return await service.get(name)


@router.post("/{name}/releases", status_code=201)
async def create_release(name: str, request: ReleaseRequest, service: Writer) -> ReleaseMade:
    return await service.release(name, request)


@router.get("/{name}/releases")
async def list_releases(name: str, service: Reader) -> ReleaseList:
    return ReleaseList(data=list(await service.releases(name)))


@router.get("/{name}/rollout")
async def get_rollout(name: str, service: Reader) -> RolloutShown:
    return await service.rollout(name)


@router.put("/{name}/rollout")
async def put_rollout(name: str, request: RolloutRequest, principal: Manager, state: CurrentState) -> RolloutShown:
    """Give releases their shares of the traffic; returns when every ready replica holds their adapters, probed."""
    return await promote(state, principal.tenant, name, request.revision, request.stages)


@router.post("/{name}/rollback")
async def roll_back(name: str, request: RollbackRequest, principal: Manager, state: CurrentState) -> RolloutShown:
    """Return to the rollout before."""
    return await promote(state, principal.tenant, name, request.revision, None)

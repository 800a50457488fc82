from typing import Annotated

from fastapi import APIRouter, Depends

from gateway.assistants.promotion import Promotion
from gateway.assistants.release import ServedParts
from gateway.assistants.rollouts import RolloutService
from gateway.assistants.schemas import (
    Assistant,
    AssistantCreate,
    AssistantList,
    CreatedRelease,
    ReleaseCreate,
    ReleaseList,
    Rollback,
    Rollout,
    RolloutRevisionList,
    RolloutUpdate,
)
from gateway.assistants.service import AssistantService
from gateway.web.dependencies import CurrentState, ManageKey, OwnPage, ReadSession, WriteSession
from gateway.web.error_responses import declare_errors

__all__ = ["router"]

router = APIRouter(prefix="/api/assistants", tags=["assistants"], responses=declare_errors(404, 409))


async def _describe_parts(state: CurrentState) -> ServedParts:
    return ServedParts.of(state.base_model, state.base, await state.describe_retriever())


CurrentParts = Annotated[ServedParts, Depends(_describe_parts)]


def _writer(session: WriteSession, principal: ManageKey, parts: CurrentParts) -> AssistantService:
    return AssistantService(session, principal.tenant, parts)


def _reader(session: ReadSession, principal: ManageKey, parts: CurrentParts) -> AssistantService:
    return AssistantService(session, principal.tenant, parts)


def _rollouts(session: ReadSession, principal: ManageKey) -> RolloutService:
    return RolloutService(session, principal.tenant)


def _promotion(principal: ManageKey, state: CurrentState) -> Promotion:
    return Promotion(state.database, state.reconciler, principal.tenant, principal.key)


Writer = Annotated[AssistantService, Depends(_writer)]
Reader = Annotated[AssistantService, Depends(_reader)]
Rollouts = Annotated[RolloutService, Depends(_rollouts)]
Promoter = Annotated[Promotion, Depends(_promotion)]


@router.post("", status_code=201)
async def create_assistant(request: AssistantCreate, service: Writer) -> Assistant:
    return await service.create(request.name)


@router.get("")
async def list_assistants(service: Reader, page: OwnPage) -> AssistantList:
    return await service.list_page(page)


@router.get("/{name}")
async def get_assistant(name: str, service: Reader) -> Assistant:
    return await service.get(name)


@router.post("/{name}/releases", status_code=201)
async def create_release(name: str, request: ReleaseCreate, service: Writer) -> CreatedRelease:
    return await service.create_release(name, request)


@router.get("/{name}/releases")
async def list_releases(name: str, service: Reader, page: OwnPage) -> ReleaseList:
    return await service.list_releases(name, page)


@router.get("/{name}/rollout")
async def get_rollout(name: str, rollouts: Rollouts) -> Rollout:
    return await rollouts.get(name)


@router.get("/{name}/rollout/revisions")
async def list_rollout_revisions(name: str, rollouts: Rollouts, page: OwnPage) -> RolloutRevisionList:
    """List what the rollout was: who forced which releases stays there."""
    return await rollouts.list_revisions(name, page)


@router.put("/{name}/rollout")
async def put_rollout(name: str, request: RolloutUpdate, promotion: Promoter) -> Rollout:
    """Give releases their shares of the traffic; returns when a ready replica holds their adapters, probed."""
    return await promotion.promote(name, request)


@router.post("/{name}/rollback")
async def roll_back(name: str, request: Rollback, promotion: Promoter) -> Rollout:
    """Return to the rollout before."""
    return await promotion.roll_back(name, request.revision)

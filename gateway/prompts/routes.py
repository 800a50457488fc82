from typing import Annotated

from fastapi import APIRouter, Depends

from gateway.prompts.schemas import Prompt, PromptCreate, PromptList
from gateway.prompts.service import PromptService
from gateway.web.dependencies import ManageKey, OwnPage, ReadSession, WriteSession
from gateway.web.error_responses import declare_errors

__all__ = ["router"]

router = APIRouter(prefix="/api/prompts", tags=["prompts"], responses=declare_errors(404))


def _writer(session: WriteSession, principal: ManageKey) -> PromptService:
    return PromptService(session, principal.tenant)


def _reader(session: ReadSession, principal: ManageKey) -> PromptService:
    return PromptService(session, principal.tenant)


Writer = Annotated[PromptService, Depends(_writer)]
Reader = Annotated[PromptService, Depends(_reader)]


@router.post("", status_code=201)
async def create_prompt(request: PromptCreate, service: Writer) -> Prompt:
    return await service.create(request)


@router.get("")
async def list_prompts(service: Reader, page: OwnPage) -> PromptList:
    return await service.list(page)


@router.get("/{name}/versions")
async def list_versions(name: str, service: Reader, page: OwnPage) -> PromptList:
    return await service.list_versions(name, page)


@router.get("/{reference}")
async def get_prompt(reference: str, service: Reader) -> Prompt:
    """Return `name@version`, or the newest version of `name`."""
    return await service.get(reference)

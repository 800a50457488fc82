from typing import Annotated

from fastapi import APIRouter, Depends

from gateway.auth import Manager, Reading, Writing
from gateway.prompts.schemas import PromptList, PromptRequest, PromptShown
from gateway.prompts.service import PromptService

__all__ = ["router"]

router = APIRouter(prefix="/api/prompts", tags=["prompts"])


def _writer(session: Writing, principal: Manager) -> PromptService:
    return PromptService(session, principal.tenant)


def _reader(session: Reading, principal: Manager) -> PromptService:
    return PromptService(session, principal.tenant)


Writer = Annotated[PromptService, Depends(_writer)]
Reader = Annotated[PromptService, Depends(_reader)]


@router.post("", status_code=201)
async def create_prompt(request: PromptRequest, service: Writer) -> PromptShown:
    return await service.create(request)


@router.get("")
async def list_prompts(service: Reader) -> PromptList:
    return PromptList(data=await service.all())


@router.get("/{name}/versions")
async def list_versions(name: str, service: Reader) -> PromptList:
    return PromptList(data=await service.versions(name))


@router.get("/{reference}")
async def get_prompt(reference: str, service: Reader) -> PromptShown:
    """Return `name@version`, or the newest version of `name`."""
    return await service.get(reference)

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.answers.log import AnswerLog
from gateway.answers.schemas import DocumentAnswerList
from gateway.answers.service import AnswerService, CitedDocuments, flush_records
from gateway.web.dependencies import ChatKey, ManageKey, OwnPage, ReadSession
from gateway.web.error_responses import declare_errors
from gateway.web.state import part_of

__all__ = ["routers"]

router = APIRouter(prefix="/api/answers", tags=["answers"], responses=declare_errors(404))
documents = APIRouter(prefix="/api/documents", tags=["documents"], responses=declare_errors(404))
routers = (router, documents)


async def _service(request: Request, session: ReadSession, principal: ChatKey) -> AnswerService:
    return await _open(request, session, principal.tenant)


async def _reader(request: Request, session: ReadSession, principal: ManageKey) -> AnswerService:
    return await _open(request, session, principal.tenant)


async def _open(request: Request, session: AsyncSession, tenant: str) -> AnswerService:
    await flush_records(part_of(request, AnswerLog))
    return AnswerService(session, tenant, part_of(request, CitedDocuments))


Service = Annotated[AnswerService, Depends(_service)]
Reader = Annotated[AnswerService, Depends(_reader)]


@router.get("/{answer_id}")
async def get_answer(answer_id: str, service: Service) -> dict[str, Any]:
    """Return the release, index epochs, passages with scores, prompt tokens by part, replica, timings and usage."""
    return msgspec.to_builtins(await service.get(answer_id))


@router.get("/{answer_id}/citations/{number}")
async def get_citation(answer_id: str, number: int, service: Service, document_id: str | None = None) -> dict[str, Any]:
    """Return the passage that a citation of this answer points to, as the model saw it."""
    return msgspec.to_builtins(await service.find_citation(answer_id, number, document_id))


@documents.get("/{document_id}/answers")
async def list_document_answers(document_id: str, service: Reader, page: OwnPage) -> DocumentAnswerList:
    """List the answers that had passages of a document in their prompts, also of one that was deleted since."""
    return await service.list_of_document(document_id, page)

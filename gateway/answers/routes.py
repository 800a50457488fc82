from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from gateway.answers.log import AnswerLog
from gateway.answers.record import AnswerRecord, CitedPassage
from gateway.answers.schemas import DocumentAnswerList
from gateway.answers.service import AnswerService, CitedDocuments, flush_records
from gateway.web.content_schemas import describe_answer
from gateway.web.dependencies import ChatKey, ManageKey, OwnPage, ReadSession
from gateway.web.error_responses import declare_errors
from gateway.web.state import part_of

__all__ = ["SCHEMAS", "routers"]

(_RECORD, _CITATION), SCHEMAS = describe_answer(AnswerRecord, CitedPassage)

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


def _encode(answer: AnswerRecord | CitedPassage) -> Response:
    return Response(msgspec.json.encode(answer), media_type="application/json")


Service = Annotated[AnswerService, Depends(_service)]
Reader = Annotated[AnswerService, Depends(_reader)]


@router.get("/{answer_id}", response_class=Response, responses=_RECORD)
async def get_answer(answer_id: str, service: Service) -> Response:
    """Return the release, index epochs, passages with scores, prompt tokens by part, replica, timings and usage."""
    return _encode(await service.get(answer_id))


@router.get("/{answer_id}/citations/{number}", response_class=Response, responses=_CITATION)
async def get_citation(answer_id: str, number: int, service: Service, document_id: str | None = None) -> Response:
    """Return the passage that a citation of this answer points to, as the model saw it."""
    return _encode(await service.find_citation(answer_id, number, document_id))


@documents.get("/{document_id}/answers")
async def list_document_answers(document_id: str, service: Reader, page: OwnPage) -> DocumentAnswerList:
    """List the answers that had passages of a document in their prompts, also of one that was deleted since."""
    return await service.list_of_document(document_id, page)

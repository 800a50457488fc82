from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request

from gateway.answers.log import AnswerLog
from gateway.answers.service import AnswerService, CitedDocuments, flush_records
from gateway.feedback.schemas import Feedback, FeedbackCreate, FeedbackDeleted, FeedbackList, Rating
from gateway.feedback.service import FeedbackFilter, FeedbackService
from gateway.web.dependencies import ChatKey, CurrentState, ManageKey, OwnPage, ReadSession, WriteSession
from gateway.web.error_responses import declare_errors
from gateway.web.state import part_of

__all__ = ["router"]

router = APIRouter(prefix="/api/feedback", tags=["preferences"], responses=declare_errors(404, 409, 429))


async def _flush(request: Request, _: ChatKey) -> None:
    # A vote may come the moment that the answer has come. It is awaited before a unit of work locks the database.
    await flush_records(part_of(request, AnswerLog))


async def _for_voting(
    request: Request,
    principal: ChatKey,
    state: CurrentState,
    _: Annotated[None, Depends(_flush)],
    session: WriteSession,
) -> FeedbackService:
    answers = AnswerService(session, principal.tenant, part_of(request, CitedDocuments))
    return FeedbackService(session, principal, state.storage, answers)


async def _for_writing(
    request: Request, session: WriteSession, principal: ManageKey, state: CurrentState
) -> FeedbackService:
    answers = AnswerService(session, principal.tenant, part_of(request, CitedDocuments))
    return FeedbackService(session, principal, state.storage, answers)


async def _for_reading(
    request: Request, session: ReadSession, principal: ManageKey, state: CurrentState
) -> FeedbackService:
    answers = AnswerService(session, principal.tenant, part_of(request, CitedDocuments))
    return FeedbackService(session, principal, state.storage, answers)


async def _filter(
    answer_id: Annotated[str | None, Query(description="Also as the answer that lost.")] = None,
    voter: str | None = None,
    rating: Rating | None = None,
    model: str | None = None,
    release: str | None = None,
) -> FeedbackFilter:
    return FeedbackFilter(answer_id, voter, rating, model, release)


Voting = Annotated[FeedbackService, Depends(_for_voting)]
Service = Annotated[FeedbackService, Depends(_for_writing)]
Reader = Annotated[FeedbackService, Depends(_for_reading)]
Filter = Annotated[FeedbackFilter, Depends(_filter)]


@router.post("", status_code=201)
async def put_feedback(request: FeedbackCreate, feedback: Voting) -> Feedback:
    """Vote on an answer; a voter's later vote on it replaces the earlier one."""
    return await feedback.put(request)


@router.get("")
async def list_feedback(feedback: Reader, page: OwnPage, filter: Filter) -> FeedbackList:
    return await feedback.list(page, filter)


@router.get("/{feedback_id}")
async def get_feedback(feedback_id: str, feedback: Reader) -> Feedback:
    return await feedback.get(feedback_id)


@router.delete("/{feedback_id}")
async def delete_feedback(feedback_id: str, feedback: Service) -> FeedbackDeleted:
    return await feedback.delete(feedback_id)

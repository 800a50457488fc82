"""Feedback as its owner sees it; and the votes as those take them who train on them or look for faults."""

import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec
from sqlalchemy import ColumnElement, or_
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.answers.service import AnswerService
from gateway.errors import BadRequest, TooManyRequests
from gateway.feedback.repository import FeedbackRepository
from gateway.feedback.schemas import Feedback, FeedbackCreate, FeedbackDeleted, FeedbackList, Rating, TextMessage
from gateway.feedback.tables import FeedbackRow
from gateway.ids import new_id
from gateway.pages import PageRequest
from gateway.tenants.authenticator import Principal
from gateway.tenants.storage import TenantStorage

__all__ = [
    "MOST_FEEDBACK",
    "BadVote",
    "FeedbackFilter",
    "FeedbackService",
    "list_feedback",
    "name_voter",
    "walk_bad_votes",
]

MOST_FEEDBACK = 100_000
"""Of a tenant."""
_MOST_BYTES = 64 * 1024**2  # of feedback that is read for one use
_SLICE_BYTES = 4 * 1024**2
_SLICE_ROWS = 500


@dataclass(frozen=True, slots=True)
class FeedbackFilter:
    """The feedback that a list shows; None lets everything through."""

    answer_id: str | None = None
    voter: str | None = None
    rating: Rating | None = None
    model: str | None = None
    release: str | None = None


@dataclass(frozen=True, slots=True)
class BadVote:
    """A vote against an answer.

    Attributes:
        answer_id: The answer that was no good, or lost against another; its record may be gone by now.
        release: `name@number` of the release that gave it, as far as the vote knows: the answer that lost may be of
            another, which its record names.
        reason: The voter's own words.
        corrected_reply: The reply as it should have been.
        messages: The conversation, where the client sent it.
        reply: The answer's text, likewise.
    """

    answer_id: str
    release: str | None
    voter: str
    reason: str | None
    corrected_reply: str | None
    messages: list[dict[str, Any]] | None
    reply: str | None


async def walk_bad_votes(
    session: AsyncSession, tenant: str, assistant: str | None = None, *, most: int = 1_000
) -> AsyncGenerator[list[BadVote]]:
    """Yield a tenant's votes against answers, newest first: ratings down, corrections, lost choices.

    They come in slices of a few megabytes, those of the newest `most` feedback with 64 MiB in all. An answer appears
    once for each vote against it. With an `assistant` votes that are of another one's release alone are left out; one
    that prefers an answer over another is there still, since the other may be of any release.
    """
    beaten = FeedbackRow.preferred_over.is_not(None)
    bad = or_(FeedbackRow.rating == "down", FeedbackRow.corrected_reply.is_not(None), beaten)
    where = [bad]
    if assistant is not None:
        where.append(or_(_is_of(assistant), beaten))
    repository = FeedbackRepository(session, tenant)
    sizes, _ = await repository.choose_newest(*where, most=most, most_bytes=_MOST_BYTES)
    for ids in _slice(sizes):
        yield [vote for row in await repository.list_some(ids) for vote in _to_bad_votes(row)]


async def list_feedback(
    session: AsyncSession, tenant: str, *, assistant: str | None, most: int
) -> tuple[list[FeedbackRow], int]:
    """List a tenant's feedback on answers of an assistant's releases; with None, on those of no release.

    It is the newest `most` with 64 MiB in all; what is left out is counted.
    """
    where = FeedbackRow.release.is_(None) if assistant is None else _is_of(assistant)
    repository = FeedbackRepository(session, tenant)
    sizes, older = await repository.choose_newest(where, most=most, most_bytes=_MOST_BYTES)
    rows: list[FeedbackRow] = []
    for ids in _slice(sizes):
        rows += await repository.list_some(ids)
    return rows, older


def name_voter(voter: str | None, principal: Principal) -> str:
    """Return who votes: whom the application names, or else its key.

    Raises:
        BadRequest: It names another key, which votes for itself.
    """
    if voter is not None and voter.startswith("key_") and voter != principal.key:
        raise BadRequest(
            f"{voter!r} has the form of a key's id, and this isn't that key. Name the person who votes, or leave voter "
            "out.",
            param="voter",
            code="voter_is_a_key",
        )
    return voter or principal.key


class FeedbackService:
    """One tenant's feedback, in one unit of work."""

    def __init__(
        self, session: AsyncSession, principal: Principal, storage: TenantStorage, answers: AnswerService
    ) -> None:
        self._session = session
        self._principal = principal
        self._storage = storage
        self._answers = answers
        self._feedback = FeedbackRepository(session, principal.tenant)

    async def put(self, request: FeedbackCreate) -> Feedback:
        """Keep a voter's feedback on an answer, in place of what the voter said of it before.

        Raises:
            BadRequest: It says nothing, prefers an answer over itself, is in the name of another key, or its
                conversation isn't one that is answered.
            NotFound: The tenant has no such answer.
            TooManyRequests: The tenant has as much feedback as it may.
            PayloadTooLarge: The tenant has no room for the texts.
        """
        _check(request)
        answer = await self._answers.get(request.answer_id)
        if request.preferred_over is not None:
            await self._answers.get(request.preferred_over, param="preferred_over")
        voter, now = name_voter(request.voter, self._principal), int(time.time())
        row = await self._feedback.lock_of(request.answer_id, voter)
        if row is None:
            await self._check_room()
            row = self._feedback.add(
                FeedbackRow(id=new_id("feedback_"), created_at=now, answer_id=request.answer_id, voter=voter)
            )
        row.updated_at, row.model, row.release, row.key = now, answer.model, answer.release, self._principal.key
        row.rating, row.preferred_over = request.rating, request.preferred_over
        row.reason, row.corrected_reply = request.reason, request.corrected_reply
        row.messages = None if request.messages is None else [one.model_dump() for one in request.messages]
        row.reply, row.other_reply = request.reply, request.other_reply
        replaced, row.bytes = row.bytes or 0, len(msgspec.json.encode(request.model_dump()))
        await self._session.flush()
        await self._storage.admit(self._session, self._principal.tenant, max(0, row.bytes - replaced))
        return _to_schema(row)

    async def list(self, request: PageRequest, filter: FeedbackFilter) -> FeedbackList:
        where = [
            column == value
            for column, value in (
                (FeedbackRow.voter, filter.voter),
                (FeedbackRow.rating, filter.rating),
                (FeedbackRow.model, filter.model),
                (FeedbackRow.release, filter.release),
            )
            if value is not None
        ]
        if filter.answer_id is not None:
            where.append(or_(FeedbackRow.answer_id == filter.answer_id, FeedbackRow.preferred_over == filter.answer_id))
        page = await self._feedback.list_page(
            *where, limit=request.limit, order=request.order, after=request.after, before=request.before
        )
        return FeedbackList.of([_to_schema(row) for row in page.rows], page)

    async def get(self, id: str) -> Feedback:
        return _to_schema(await self._feedback.get(id, param="feedback_id"))

    async def delete(self, id: str) -> FeedbackDeleted:
        await self._feedback.delete(await self._feedback.hold(id, param="feedback_id"))
        return FeedbackDeleted(id=id)

    async def _check_room(self) -> None:
        if await self._feedback.count_rows() >= MOST_FEEDBACK:
            raise TooManyRequests(
                f"You have feedback of {MOST_FEEDBACK:,} votes, the most that a tenant may have. Delete what isn't "
                "needed.",
                code="too_many_votes",
            )


def _is_of(assistant: str) -> ColumnElement[bool]:
    return FeedbackRow.release.startswith(f"{assistant}@", autoescape=True)


def _slice(sizes: Sequence[tuple[str, int]]) -> Iterator[list[str]]:
    """Cut ids into such as are read at once: others get their turn between two, however long the texts are."""
    ids: list[str] = []
    total = 0
    for id, size in sizes:
        if ids and (total + size > _SLICE_BYTES or len(ids) == _SLICE_ROWS):
            yield ids
            ids, total = [], 0
        ids.append(id)
        total += size
    if ids:
        yield ids


def _to_bad_votes(row: FeedbackRow) -> Iterator[BadVote]:
    if row.preferred_over is not None:
        yield BadVote(row.preferred_over, None, row.voter, row.reason, None, row.messages, row.other_reply)
    if row.rating == "down" or row.corrected_reply is not None:
        yield BadVote(row.answer_id, row.release, row.voter, row.reason, row.corrected_reply, row.messages, row.reply)


def _check(request: FeedbackCreate) -> None:
    if request.rating is None and request.preferred_over is None and request.corrected_reply is None:
        raise BadRequest(
            "The feedback says nothing of the answer. Give a rating, another answer that it is preferred_over, or a "
            "corrected_reply.",
            param="rating",
            code="empty_feedback",
        )
    if request.preferred_over == request.answer_id:
        raise BadRequest("An answer can't be preferred over itself. Name the other one.", param="preferred_over")
    if request.messages is not None and request.messages[-1].role != "user":
        raise BadRequest(
            "The conversation has to end with the user's message that was answered; the answer itself is 'reply'.",
            param="messages",
        )


def _to_schema(row: FeedbackRow) -> Feedback:
    return Feedback(
        id=row.id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        answer_id=row.answer_id,
        voter=row.voter,
        key=row.key,
        model=row.model,
        release=row.release,
        rating=cast("Rating | None", row.rating),
        preferred_over=row.preferred_over,
        reason=row.reason,
        corrected_reply=row.corrected_reply,
        messages=None if row.messages is None else [TextMessage(**one) for one in row.messages],
        reply=row.reply,
        other_reply=row.other_reply,
    )

"""The items of a comparison, as voters see them, and their votes."""

import time
from typing import Literal, cast

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.comparisons.repository import ComparisonItemRepository, ComparisonVoteRepository
from gateway.comparisons.schemas import (
    ComparisonError,
    ComparisonItem,
    ComparisonItemList,
    ComparisonVote,
    ComparisonVoteCreate,
    ComparisonVoteList,
    RevealedAnswer,
)
from gateway.comparisons.service import get_comparison, lock_comparison
from gateway.comparisons.sides import Place, Side, SideAnswer, to_place, to_side
from gateway.comparisons.tables import ComparisonItemRow, ComparisonRow, ComparisonVoteRow
from gateway.errors import BadRequest, Denied, NotFound, TooManyRequests
from gateway.feedback.schemas import TextMessage
from gateway.feedback.service import name_voter
from gateway.ids import new_id
from gateway.pages import PageRequest
from gateway.tenants.authenticator import Principal, Scope
from gateway.tenants.storage import TenantStorage

__all__ = ["MOST_VOTES", "ComparisonItemService"]

MOST_VOTES = 1_000
"""Of an item."""
_PLACES: tuple[Place, Place] = ("left", "right")


class ComparisonItemService:
    """The items of one tenant's comparisons, in one unit of work."""

    def __init__(self, session: AsyncSession, principal: Principal, storage: TenantStorage) -> None:
        self._session = session
        self._principal = principal
        self._storage = storage
        self._items = ComparisonItemRepository(session, principal.tenant)
        self._votes = ComparisonVoteRepository(session, principal.tenant)

    async def list(self, comparison_id: str, request: PageRequest, *, reveal: bool) -> ComparisonItemList:
        """List the items that are answered so far, blind unless they are to be revealed.

        Raises:
            Denied: They are to be revealed, and the key only asks.
        """
        self._check_reveal(reveal)
        comparison = await get_comparison(self._session, self._principal.tenant, comparison_id)
        page = await self._items.list_page(
            ComparisonItemRow.comparison_id == comparison_id,
            limit=request.limit,
            order=request.order,
            after=request.after,
            before=request.before,
        )
        return ComparisonItemList.of([_to_item(row, comparison, reveal=reveal) for row in page.rows], page)

    async def get(self, comparison_id: str, id: str, *, reveal: bool) -> ComparisonItem:
        self._check_reveal(reveal)
        comparison = await get_comparison(self._session, self._principal.tenant, comparison_id)
        return _to_item(await self._find(comparison_id, id), comparison, reveal=reveal)

    async def vote(self, comparison_id: str, id: str, request: ComparisonVoteCreate) -> ComparisonVote:
        """Keep a voter's vote, in place of the voter's earlier one on the item.

        Raises:
            BadRequest: The item has no answers.
            NotFound: The tenant has no such item.
            TooManyRequests: So many have voted on it already.
            PayloadTooLarge: The tenant has no room for the vote's texts.
        """
        comparison = await lock_comparison(self._session, self._principal.tenant, comparison_id)
        item = await self._find(comparison_id, id)
        if item.error is not None:
            raise BadRequest(
                f"The item {id} has no answers to vote on: a side gave none. Its error says why.",
                param="item_id",
                code="not_answered",
            )
        voter, now = name_voter(request.voter, self._principal), int(time.time())
        row, replaced = await self._votes.lock_of(id, voter), 0
        if row is None:
            if await self._votes.count_of(id) >= MOST_VOTES:
                raise TooManyRequests(
                    f"The item {id} has {MOST_VOTES:,} votes, the most of one.", code="too_many_votes"
                )
            vote = ComparisonVoteRow(id=new_id("vote_"), created_at=now, comparison_id=comparison_id, item_id=id)
            row = self._votes.add(vote)
            row.voter = voter
        else:
            replaced = _measure(row)
        row.updated_at, row.preferred = now, to_side(request.preferred, swapped=item.swapped)
        row.reason, row.corrected_reply = request.reason, request.corrected_reply
        grown = _measure(row) - replaced
        comparison.bytes += grown
        await self._storage.admit(self._session, self._principal.tenant, max(0, grown))
        return _to_vote(row, swapped=item.swapped, reveal=False)

    async def list_votes(self, comparison_id: str, request: PageRequest) -> ComparisonVoteList:
        """List a comparison's votes with the sides that they are for."""
        await get_comparison(self._session, self._principal.tenant, comparison_id)
        page = await self._votes.list_page(
            ComparisonVoteRow.comparison_id == comparison_id,
            limit=request.limit,
            order=request.order,
            after=request.after,
            before=request.before,
        )
        swapped = await self._items.find_orders({row.item_id for row in page.rows})
        return ComparisonVoteList.of(
            [_to_vote(row, swapped=swapped[row.item_id], reveal=True) for row in page.rows], page
        )

    async def _find(self, comparison_id: str, id: str) -> ComparisonItemRow:
        row = await self._items.get(id, param="item_id")
        if row.comparison_id != comparison_id:
            raise NotFound(f"No item with id {id!r} is in the comparison {comparison_id}.", param="item_id")
        return row

    def _check_reveal(self, reveal: bool) -> None:
        if reveal and not self._principal.may(Scope.MANAGE):
            raise Denied(
                "Only a key with the scope 'manage' may see whose answers they are, since voters mustn't. Leave out "
                "'reveal'.",
                param="reveal",
            )


def _measure(row: ComparisonVoteRow) -> int:
    """Return the bytes of a vote's texts."""
    return len(msgspec.json.encode([row.voter, row.preferred, row.reason, row.corrected_reply]))


def _to_item(row: ComparisonItemRow, comparison: ComparisonRow, *, reveal: bool) -> ComparisonItem:
    replies: dict[Place, str] | None = None
    revealed: dict[Place, RevealedAnswer] | None = None
    if row.error is None:
        answers = msgspec.convert(row.answers, list[SideAnswer])
        at: dict[Place, int] = {place: 0 if to_side(place, swapped=row.swapped) == "a" else 1 for place in _PLACES}
        replies = {place: answers[side].text for place, side in at.items()}
        if reveal:
            revealed = {place: _reveal(answers[side], comparison, side) for place, side in at.items()}
    return ComparisonItem(
        id=row.id,
        created_at=row.created_at,
        comparison_id=row.comparison_id,
        number=row.number,
        messages=[TextMessage(**one) for one in row.messages],
        replies=replies,
        error=None if row.error is None else ComparisonError(**row.error),
        revealed=revealed,
    )


def _reveal(answer: SideAnswer, comparison: ComparisonRow, side: int) -> RevealedAnswer:
    return RevealedAnswer(
        side=cast("Side", "ab"[side]),
        model=comparison.models[side],
        answer_id=answer.answer_id,
        finish_reason=answer.finish_reason,
    )


def _to_vote(row: ComparisonVoteRow, *, swapped: bool, reveal: bool) -> ComparisonVote:
    return ComparisonVote(
        id=row.id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        comparison_id=row.comparison_id,
        item_id=row.item_id,
        voter=row.voter,
        preferred=to_place(row.preferred, swapped=swapped),
        side=cast("Literal['a', 'b', 'tie']", row.preferred) if reveal else None,
        reason=row.reason,
        corrected_reply=row.corrected_reply,
    )

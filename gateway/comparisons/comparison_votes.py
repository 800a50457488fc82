"""The items of a comparison with what voters said of them, read so that no number of votes fills the memory."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.comparisons.repository import ComparisonItemRepository, ComparisonVoteRepository
from gateway.comparisons.tables import ComparisonItemRow

__all__ = ["ComparisonVotes", "Correction", "read_comparison_votes"]

_MOST_CORRECTIONS = 20_000
_MOST_CHARACTERS = 32 * 1024**2  # of corrections
_ITEMS_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Correction:
    """A voter's own reply, and what that voter preferred: `a`, `b` or `tie`."""

    preferred: str
    text: str


@dataclass(frozen=True, slots=True)
class ComparisonVotes:
    """The items of a comparison in the order of its prompts; votes and corrections are by the item's id.

    Attributes:
        items: All of them.
        votes: The number of votes for `a`, `b` and `tie`; an item without votes isn't there.
        corrections: The newest ones.
        older: The number of corrections that weren't read.
    """

    items: Sequence[ComparisonItemRow]
    votes: Mapping[str, Counter[str]]
    corrections: Mapping[str, Sequence[Correction]]
    older: int


async def read_comparison_votes(
    session: AsyncSession, tenant: str, comparison_id: str, *, corrections: bool
) -> ComparisonVotes:
    """Read the items of a comparison with the numbers of their votes, and with the corrections where those are asked.

    Of corrections the newest are read, up to 20,000 with 32 Mi characters in all.
    """
    items: list[ComparisonItemRow] = []
    repository = ComparisonItemRepository(session, tenant)
    while some := await repository.list_next(comparison_id, items[-1].number if items else -1, _ITEMS_AT_ONCE):
        items += some
    votes = ComparisonVoteRepository(session, tenant)
    texts: defaultdict[str, list[Correction]] = defaultdict(list)
    older = 0
    if corrections:
        ids, older = await votes.choose_corrections(comparison_id, _MOST_CORRECTIONS, _MOST_CHARACTERS)
        for item_id, preferred, text in await votes.list_corrections(ids):
            texts[item_id].append(Correction(preferred, text))
    return ComparisonVotes(items, await votes.count_by_item(comparison_id), texts, older)

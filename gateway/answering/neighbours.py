"""Passages extended by the chunks around them in their documents, within a budget of characters."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import structlog

from gateway.answering.ranking import RankedPassage
from gateway.assistants.release import RetrievalSpec
from gateway.vector_stores.search import StoreStates
from retrieval.client import Retriever, RetrieverError
from retrieval.messages import ContentRequest, Passage, TextPiece

__all__ = ["extend_passages"]

_log = structlog.get_logger()

_GAP = "\n\n"
_BUDGET = 8_000
_REACH = 4_000
"""Characters around a passage in which its neighbours are looked for; of a section, as many as the budget has."""


async def extend_passages(
    retriever: Retriever, tenant: str, spec: RetrievalSpec, stores: StoreStates, hits: Sequence[RankedPassage]
) -> list[RankedPassage]:
    """Extend passages as the release says, best first: by the next chunk and the one before, or by their sections.

    Only chunks below the same headings count, and each once. All texts together keep within the budget; passages that
    are longer by themselves stay as they are, and so do all where the retriever can't be read.
    """
    if not spec.expand or not hits:
        return list(hits)
    budget = spec.passage_characters or _BUDGET
    left = budget - sum(len(one.passage.text) for one in hits)
    if left <= 0:
        return list(hits)
    reach = left if spec.expand == "section" else _REACH
    try:
        pieces = await asyncio.gather(
            *(retriever.read_content(_make_request(tenant, stores, one.passage, reach)) for one in hits)
        )
    except RetrieverError as error:
        _log.warning("neighbours_not_read", tenant=tenant, reason=str(error))
        return list(hits)
    whole = [_drop_cut(one.passage, around, reach) for one, around in zip(hits, pieces, strict=True)]
    return _extend_all(hits, whole, left, 1 if spec.expand == "neighbours" else None)


def _make_request(tenant: str, stores: StoreStates, passage: Passage, reach: int) -> ContentRequest:
    return ContentRequest(
        tenant=tenant,
        store=passage.store,
        document=passage.document,
        index_epoch=stores.index_epochs[passage.store],
        start=max(passage.start - reach, 0),
        end=passage.end + reach,
        indexes=list(stores.indexes),
    )


def _drop_cut(passage: Passage, pieces: Sequence[TextPiece], reach: int) -> list[TextPiece]:
    """Return the pieces without one that may begin before the place from which they were read."""
    return [piece for piece in pieces if piece.start == 0 or piece.start != passage.start - reach]


def _cut_end(piece: TextPiece, end: int) -> TextPiece:
    """Return a piece without what it has in common with what begins at `end`."""
    if piece.end <= end:
        return piece
    return msgspec.structs.replace(piece, end=end, text=piece.text[: end - piece.start])


def _extend_all(
    hits: Sequence[RankedPassage], pieces: Sequence[Sequence[TextPiece]], left: int, most: int | None
) -> list[RankedPassage]:
    """Extend each by at most `most` chunks on either side, and all by at most `left` characters."""
    ranges_by_document: dict[str, list[tuple[int, int]]] = {}
    for one in hits:
        ranges_by_document.setdefault(one.passage.document, []).append((one.passage.start, one.passage.end))
    extended: list[RankedPassage] = []
    for one, around in zip(hits, pieces, strict=True):
        passage = one.passage
        window = _Window(passage.text, passage.start, passage.end)
        ranges = ranges_by_document[passage.document]
        after = [piece for piece in around if piece.start >= passage.end]
        before = [_cut_end(piece, passage.start) for piece in reversed(around) if piece.start < passage.start]
        for side in (after[:most], before[:most]):
            for piece in side:
                longer = window.join(piece)
                cost = len(longer.text) - len(window.text)
                if piece.heading != passage.heading or cost > left or _overlaps(piece, ranges):
                    break  # what is behind it would be torn from the passage
                window, left = longer, left - cost
                ranges.append((piece.start, piece.end))
        longer_passage = msgspec.structs.replace(passage, text=window.text, start=window.start, end=window.end)
        extended.append(msgspec.structs.replace(one, passage=longer_passage, neighbours=window.neighbours))
    return extended


@dataclass(frozen=True, slots=True)
class _Window:
    """A passage's text as far as it has grown."""

    text: str
    start: int
    end: int
    neighbours: int = 0

    def join(self, piece: TextPiece) -> "_Window":
        """Return the text with a piece before or behind it; a gap between chunks is white space."""
        if piece.start >= self.end:
            gap = "" if piece.start == self.end else _GAP
            return _Window(self.text + gap + piece.text, self.start, piece.end, self.neighbours + 1)
        gap = "" if piece.end == self.start else _GAP
        return _Window(piece.text + gap + self.text, piece.start, self.end, self.neighbours + 1)


def _overlaps(piece: TextPiece, ranges: Sequence[tuple[int, int]]) -> bool:
    return any(piece.start < end and start < piece.end for start, end in ranges)

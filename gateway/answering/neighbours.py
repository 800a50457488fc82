"""Passages extended by the chunks around them in their documents, within a budget of characters."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import structlog

from gateway.answering.ranking import RankedPassage
from gateway.assistants.release import RetrievalSpec
from gateway.task_group import await_each
from gateway.vector_stores.search import StoreStates
from retrieval.client import Retriever, RetrieverError
from retrieval.messages import ContentRequest, Passage, TextPiece
from retrieval.patience import Patience

__all__ = ["extend_passages"]

_log = structlog.get_logger()

_PATIENCE_SECONDS = 5.0
"""For what makes an answer better, and isn't needed for one."""
_GAP = "\n\n"
_BUDGET = 8_000
_REACH = 4_000
"""Characters around a passage in which its neighbours are looked for; of a section, as many as the budget has."""


async def extend_passages(
    retriever: Retriever, tenant: str, spec: RetrievalSpec, stores: StoreStates, hits: Sequence[RankedPassage]
) -> list[RankedPassage]:
    """Extend passages as the release says, best first: by the next chunk and the one before, or by their sections.

    Only chunks below the same headings count, and each once. All texts together keep within the budget; passages that
    are longer by themselves stay as they are, and so do all where the retriever can't be read in time.
    """
    if not spec.expand or not hits:
        return list(hits)
    budget = spec.passage_characters or _BUDGET
    room = budget - sum(len(one.passage.text) for one in hits)
    if room <= 0:
        return list(hits)
    reach = room if spec.expand == "section" else _REACH
    try:
        requests = [_make_request(tenant, stores, one.passage, reach) for one in hits]
        async with Patience(_PATIENCE_SECONDS):
            pieces = await await_each(retriever.read_content, requests)
    except (RetrieverError, TimeoutError) as error:
        _log.warning("neighbours_not_read", tenant=tenant, reason=str(error) or "the retriever is slow")
        return list(hits)
    whole = [_drop_cut(one.passage, around, reach) for one, around in zip(hits, pieces, strict=True)]
    return _extend_all(hits, whole, room, 1 if spec.expand == "neighbours" else None)


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
    hits: Sequence[RankedPassage], pieces: Sequence[Sequence[TextPiece]], room: int, most: int | None
) -> list[RankedPassage]:
    """Extend each by at most `most` chunks on either side, and all by at most `room` characters."""
    ranges_by_document: dict[str, list[tuple[int, int]]] = {}
    for one in hits:
        ranges_by_document.setdefault(one.passage.document, []).append((one.passage.start, one.passage.end))
    extended: list[RankedPassage] = []
    for one, around in zip(hits, pieces, strict=True):
        passage = one.passage
        window = _Window.open(passage)
        ranges = ranges_by_document[passage.document]
        after = [piece for piece in around if piece.start >= passage.end]
        before = [_cut_end(piece, passage.start) for piece in reversed(around) if piece.start < passage.start]
        for side in (after[:most], before[:most]):
            for piece in side:
                longer = window.join(piece)
                cost = len(longer.text) - len(window.text)
                if piece.heading != passage.heading or cost > room or _overlaps(piece, ranges):
                    break  # what is behind it would be torn from the passage
                window, room = longer, room - cost
                ranges.append((piece.start, piece.end))
        extended.append(msgspec.structs.replace(one, passage=window.widen(passage), neighbours=window.neighbours))
    return extended


@dataclass(frozen=True, slots=True)
class _Window:
    """A passage as far as it has grown: the text between its offsets, and what is repeated around it."""

    lead: str
    body: str
    tail: str
    start: int
    end: int
    headline: int
    neighbours: int = 0

    @classmethod
    def open(cls, passage: Passage) -> "_Window":
        text, end = passage.text, len(passage.text) - passage.tail
        parts = text[: passage.lead], text[passage.lead : end], text[end:]
        return cls(*parts, passage.start, passage.end, passage.headline)

    @property
    def text(self) -> str:
        return f"{self.lead}{self.body}{self.tail}"

    def join(self, piece: TextPiece) -> "_Window":
        """Return it with a piece before or behind it.

        A gap between chunks is white space. What each repeats of a table that they share is only around both.
        """
        number = self.neighbours + 1
        if piece.start >= self.end:
            body = self.body + _make_gap(self.end, piece.start, piece.lead) + piece.text
            return _Window(self.lead, body, piece.tail, self.start, piece.end, self.headline, number)
        body = piece.text + _make_gap(piece.end, self.start, self.lead) + self.body
        return _Window(piece.lead, body, self.tail, piece.start, self.end, piece.headline, number)

    def widen(self, passage: Passage) -> Passage:
        places = {"start": self.start, "end": self.end, "lead": len(self.lead), "tail": len(self.tail)}
        return msgspec.structs.replace(passage, text=self.text, headline=self.headline, **places)


def _make_gap(end: int, start: int, lead: str) -> str:
    """Return what stands between two chunks; in a table or code, which a `lead` tells of, that is a line's end."""
    if start == end:
        return ""
    return "\n" if lead else _GAP


def _overlaps(piece: TextPiece, ranges: Sequence[tuple[int, int]]) -> bool:
    return any(piece.start < end and start < piece.end for start, end in ranges)

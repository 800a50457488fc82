"""The texts of deleted documents, as far as they are kept: values that stand in no document any more.

They are read once, in pieces as long as passages: whether an amount is about a row is told by the words around it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.conversations.html_text import read_html
from gateway.evaluation.values import TextValues, Value

__all__ = ["DeletedPieces", "DeletedText", "DeletedTexts", "Piece"]

_PIECE = 1_200
"""Characters, about as many as a passage has."""

_TITLE = 200


@dataclass(frozen=True, slots=True)
class DeletedText:
    """The text of a deleted document in a version, the whole one or a value of it.

    `deleted_at` is in Unix seconds, 0 where it isn't known any more. `successor` is the document (store and id) that
    has its key now: what that says was never taken back.
    """

    store: str
    document: str
    key: str
    version: int
    deleted_at: int
    title: str
    text: str
    successor: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class DeletedTexts:
    """All that is kept; of `unread` documents nothing is."""

    texts: Sequence[DeletedText] = ()
    unread: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a deleted text, and its values."""

    source: DeletedText
    text: str
    evidence: TextValues


class DeletedPieces:
    """Deleted texts in pieces, to be asked for values."""

    def __init__(self, pieces: Mapping[DeletedText, Sequence[Piece]]) -> None:
        self._texts = [
            (TextValues(frozenset[str]().union(*(one.evidence.readings for one in some)), source.text), some)
            for source, some in pieces.items()
        ]

    @classmethod
    def of(cls, texts: Iterable[DeletedText]) -> "DeletedPieces":
        """Cut texts and read their values; it takes a second for a megabyte."""
        return cls({one: [Piece(one, text, TextValues.of(text)) for text in _cut(one)] for one in texts})

    def list_stating(self, value: Value) -> list[Piece]:
        """List the first piece of each text that states a value."""
        results: list[Piece] = []
        for evidence, pieces in self._texts:
            if evidence.states(value):
                results += [one for one in pieces if one.evidence.states(value)][:1]
        return results


def _cut(source: DeletedText) -> Iterator[str]:
    is_html = source.title.lower().endswith((".html", ".htm", ".xhtml"))
    text = read_html(source.text) if is_html else source.text
    opening = next((line.strip() for line in text.splitlines() if line.strip()), "")[:_TITLE]
    piece = ""
    for line in text.splitlines():
        if piece and len(piece) + len(line) > _PIECE:
            yield piece
            piece = opening
        piece = f"{piece}\n{line}" if piece else line
    yield piece

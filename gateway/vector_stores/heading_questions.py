"""Questions made from a store's own documents, for stores whose questions nobody has labelled.

A question is a path of headings (`Kestrel K2 > Warranty`), or the beginning of a passage where a document has none;
the documents in which it stands answer it. So they are easier than what people ask: they show whether an index lost
something, less so how well it would do with people.
"""

import hashlib
import re
from collections.abc import Sequence

from gateway.db import Database
from gateway.vector_stores.repository import DocumentRepository
from gateway.vector_stores.search import StoreStates
from gateway.vector_stores.tables import StoreRow
from retrieval.client import Retriever
from retrieval.messages import ContentRequest, TextPiece

__all__ = ["make_questions"]

_QUESTIONS = 100
_PER_DOCUMENT = 4
_LONGEST = 300
_WORDS = 12
_BLANKS = re.compile(r"\s+")


async def make_questions(
    database: Database, retriever: Retriever, store: StoreRow, states: StoreStates
) -> list[tuple[str, list[str]]]:
    """Make at most a hundred questions from documents all over a store, always the same ones from the same documents.

    Args:
        database: For the store's documents.
        retriever: Reaches the index that the store's text is read from.
        store: Of any tenant.
        states: That store's index epoch, and the index.

    Raises:
        RetrieverError: The index can't be asked now.
    """
    async with database.read() as session:
        documents = await DocumentRepository(session, store.tenant_id).list_live_keys(store.id)
    sample = documents[:: max(len(documents) // _QUESTIONS, 1)][:_QUESTIONS]
    each = min(max(_QUESTIONS // max(len(sample), 1), 1), _PER_DOCUMENT)
    answers: dict[str, list[str]] = {}
    for id, key in sample:
        request = ContentRequest(
            tenant=store.tenant_id,
            store=store.id,
            document=id,
            index_epoch=states.index_epochs[store.id],
            indexes=list(states.indexes),
        )
        for text in _choose(await retriever.read_content(request), key, each):
            answers.setdefault(text, []).append(key)
    return list(answers.items())


def _choose(pieces: Sequence[TextPiece], key: str, most: int) -> list[str]:
    """Choose questions of one document, by chance but always the same."""
    headings = {piece.heading.replace(" > ", " ") for piece in pieces if piece.heading}
    texts = headings or {" ".join(piece.text.split()[:_WORDS]) for piece in pieces}
    texts = {_BLANKS.sub(" ", text)[:_LONGEST].strip() for text in texts}
    return sorted(filter(None, texts), key=lambda text: hashlib.sha256(f"{key}\0{text}".encode()).digest())[:most]

"""Braid's own object and headers in an answer, which are the same in each of OpenAI's formats."""

from typing import Literal

import msgspec

from gateway.answering.trace import AnswerTrace
from gateway.answers.record import CitedPassage

__all__ = [
    "BraidAnswer",
    "CitedSource",
    "DroppedParts",
    "make_braid_answer",
    "make_citation_url",
    "make_response_headers",
]


class CitedSource(msgspec.Struct, kw_only=True):
    """A passage that the answer cites.

    `start` and `end` are characters of the document's parsed text, `page` is the one that it begins on, from 1, null
    in a document without pages; `index_epoch` is the store's when it was found.
    """

    number: int
    score: float
    vector_store_id: str
    document_id: str
    document_key: str
    version: int
    index_epoch: int
    file_id: str
    filename: str
    heading: str
    page: int | None
    start: int
    end: int
    url: str


class DroppedParts(msgspec.Struct, kw_only=True):
    """The numbers of passages and earlier turns that the context had no room for."""

    passages: int
    turns: int


class BraidAnswer(msgspec.Struct, kw_only=True):
    """Braid's own object in an answer.

    `index_epochs` are the versions of the vector stores' content, by store, at which passages were searched;
    `removed_links` is the number of links, images and addresses that were left out because the prompt had none of them.
    """

    release: str | None
    retrieval: Literal["off", "skipped", "found", "nothing_found", "nothing_likely", "unavailable"]
    index_epochs: dict[str, int]
    citations: list[CitedSource]
    dropped: DroppedParts
    removed_links: int


def make_response_headers(trace: AnswerTrace) -> dict[str, str]:
    """Return the answer's own headers."""
    target = trace.target
    if target.release is None or target.fingerprint is None:
        return {}
    return {"braid-release": f"{target.release}; {target.fingerprint}"}


def make_braid_answer(trace: AnswerTrace) -> BraidAnswer | None:
    """Return Braid's own object as it is so far; None where neither a release nor a search was in play."""
    evidence, rendering = trace.evidence, trace.prompt.rendering
    if trace.target.release is None and evidence.status == "off":
        return None
    return BraidAnswer(
        release=trace.target.release,
        retrieval=evidence.status,
        index_epochs=evidence.index_epochs,
        citations=[_source(trace, passage) for passage in trace.list_passages() if passage.cited],
        dropped=DroppedParts(
            passages=len(rendering.dropped_passages) if rendering else 0,
            turns=rendering.dropped_turns if rendering else 0,
        ),
        removed_links=trace.removed_links,
    )


def make_citation_url(trace: AnswerTrace, number: int, copy: str | None = None) -> str:
    """Return the path at which a cited passage can be read, or the copy that a document has of it."""
    url = f"/api/answers/{trace.id}/citations/{number}"
    return url if copy is None else f"{url}?document_id={copy}"


def _source(trace: AnswerTrace, passage: CitedPassage) -> CitedSource:
    return CitedSource(
        number=passage.number,
        score=passage.score,
        vector_store_id=passage.vector_store_id,
        document_id=passage.document_id,
        document_key=passage.document_key,
        version=passage.version,
        index_epoch=passage.index_epoch,
        file_id=passage.file_id,
        filename=passage.filename,
        heading=passage.heading,
        page=passage.page or None,
        start=passage.start,
        end=passage.end,
        url=make_citation_url(trace, passage.number, passage.document_id if passage.copy else None),
    )

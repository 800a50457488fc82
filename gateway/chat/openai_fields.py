"""An answer's trace in the fields of OpenAI's contract, and in the object `braid`."""

from collections.abc import Sequence
from typing import Any

from gateway.answering.answer_text import AnswerText
from gateway.answering.citations import Citation
from gateway.answering.retrieve import title_of
from gateway.answering.trace import AnswerTrace
from gateway.answers.record import CitedPassage
from gateway.chat.schemas import (
    Annotation,
    AnnotationURLCitation,
    BraidAnswer,
    ChoiceLogprobs,
    CitedSource,
    DroppedParts,
)
from retrieval.messages import Passage

__all__ = ["braid_answer", "citation_url", "close_choice", "response_headers", "to_logprobs"]


def response_headers(trace: AnswerTrace) -> dict[str, str]:
    """Return the answer's own headers."""
    target = trace.target
    if target.release is None or target.fingerprint is None:
        return {}
    return {"braid-release": f"{target.release}; {target.fingerprint}"}


def close_choice(trace: AnswerTrace, text: AnswerText | None, thoughts: Sequence[AnswerText]) -> list[Annotation]:
    """Note the citations and removed links of a whole choice in the trace, and return its annotations."""
    citations: Sequence[Citation] = text.citations if text is not None else ()
    trace.removed_links += sum(one.removed_links for one in (text, *thoughts) if one is not None)
    trace.cite([citation.number for citation in citations])
    return [annotation for citation in citations for annotation in _annotations(trace, citation)]


def braid_answer(trace: AnswerTrace) -> BraidAnswer | None:
    """Return Braid's own object as it is so far; None where neither a release nor a search was in play."""
    evidence, rendered = trace.evidence, trace.composed.rendered
    if trace.target.release is None and evidence.status == "off":
        return None
    return BraidAnswer(
        release=trace.target.release,
        retrieval=evidence.status,
        index_epochs=evidence.index_epochs,
        citations=[_source(trace, passage) for passage in trace.passages() if passage.cited],
        dropped=DroppedParts(
            passages=len(rendered.dropped_passages) if rendered else 0, turns=rendered.dropped_turns if rendered else 0
        ),
        removed_links=trace.removed_links,
    )


def to_logprobs(logprobs: dict[str, Any] | None) -> ChoiceLogprobs | None:
    """Return a choice's log-probabilities, with the member that engines leave out."""
    return (
        None if logprobs is None else ChoiceLogprobs(content=logprobs.get("content"), refusal=logprobs.get("refusal"))
    )


def _annotations(trace: AnswerTrace, citation: Citation) -> list[Annotation]:
    """Return the annotations of a mark: of its passage, and of each document that says the same."""
    passage, *copies = trace.list_sources(citation.number)
    return [_annotation(trace, citation, passage), *(_annotation(trace, citation, one, copy=True) for one in copies)]


def _annotation(trace: AnswerTrace, citation: Citation, passage: Passage, *, copy: bool = False) -> Annotation:
    return Annotation(
        type="url_citation",
        url_citation=AnnotationURLCitation(
            start_index=citation.start,
            end_index=citation.end,
            url=citation_url(trace, citation.number, passage.document if copy else None),
            title=passage.filename or title_of(passage),
        ),
    )


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
        url=citation_url(trace, passage.number, passage.document_id if passage.copy else None),
    )


def citation_url(trace: AnswerTrace, number: int, copy: str | None = None) -> str:
    """Return the path at which a cited passage can be read, or the copy that a document has of it."""
    url = f"/api/answers/{trace.id}/citations/{number}"
    return url if copy is None else f"{url}?document_id={copy}"

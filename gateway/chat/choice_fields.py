"""A choice's annotations and log-probabilities, as OpenAI's contract has them."""

from collections.abc import Sequence
from typing import Any

from gateway.answering.answer_text import AnswerText
from gateway.answering.citations import Citation
from gateway.answering.trace import AnswerTrace
from gateway.chat.schemas import Annotation, AnnotationURLCitation, ChoiceLogprobs
from gateway.openai_format.braid_object import make_citation_url
from retrieval.messages import Passage

__all__ = ["close_choice", "to_logprobs"]


def close_choice(trace: AnswerTrace, text: AnswerText | None, thoughts: Sequence[AnswerText]) -> list[Annotation]:
    """Note the citations and removed links of a whole choice in the trace, and return its annotations."""
    citations: Sequence[Citation] = text.citations if text is not None else ()
    trace.removed_links += sum(one.removed_links for one in (text, *thoughts) if one is not None)
    trace.cite([citation.number for citation in citations])
    return [annotation for citation in citations for annotation in _annotations(trace, citation)]


def to_logprobs(logprobs: dict[str, Any] | None) -> ChoiceLogprobs | None:
    """Return a choice's log-probabilities, with the member that engines leave out."""
    return (
        None if logprobs is None else ChoiceLogprobs(content=logprobs.get("content"), refusal=logprobs.get("refusal"))
    )


def _annotations(trace: AnswerTrace, citation: Citation) -> list[Annotation]:
    """Return the annotations of a mark: of its passage, and of each document that says the same."""
    sources = trace.list_sources(citation.number)
    return [_annotation(trace, citation, passage, copy=copy) for passage, copy in sources]


def _annotation(trace: AnswerTrace, citation: Citation, passage: Passage, *, copy: bool) -> Annotation:
    return Annotation(
        type="url_citation",
        url_citation=AnnotationURLCitation(
            start_index=citation.start,
            end_index=citation.end,
            url=make_citation_url(trace, citation.number, passage.document if copy else None),
            title=passage.filename or passage.title,
        ),
    )

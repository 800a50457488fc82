"""An answer's trace in the fields of OpenAI's Responses."""

import time
from collections.abc import Sequence
from typing import Any, Literal

from msgspec import UNSET

from gateway.answering.answer_text import AnswerText
from gateway.answering.citations import Citation
from gateway.answering.engine_answer import EngineAnswer, EngineChoice, EngineMessage, TokenUsage
from gateway.answering.trace import AnswerTrace
from gateway.errors import BraidError
from gateway.ids import new_id
from gateway.openai_format.braid_object import make_braid_answer, make_citation_url
from gateway.responses.callables import Callables
from gateway.responses.request import Reasoning, ResponseCreate, ResponseText
from gateway.responses.schemas import (
    FileCitation,
    FileSearchCall,
    FileSearchResult,
    FunctionCall,
    IncompleteDetails,
    OutputItem,
    OutputMessage,
    OutputText,
    ReasoningItem,
    ReasoningText,
    Refusal,
    Response,
    ResponseError,
    ResponseUsage,
    URLCitation,
)
from retrieval.messages import Passage

__all__ = ["ResponseBuilder", "cite", "to_call"]

_NO_MESSAGE = EngineMessage()
_REASONS: dict[str, Literal["max_output_tokens", "content_filter"]] = {
    "length": "max_output_tokens",
    "content_filter": "content_filter",
}


class ResponseBuilder:
    """Makes one request's response objects."""

    def __init__(self, trace: AnswerTrace, request: ResponseCreate, tools: Callables) -> None:
        self.trace = trace
        self._request = request
        self._tools = tools

    def build_whole(self, answer: EngineAnswer) -> Response:
        """Return the response of a whole answer, and note its citations in the trace."""
        choice = answer.choices[0]
        items = self._build_items(choice)
        items[-1].status = "incomplete" if choice.finish_reason in _REASONS else "completed"
        output = [*self.build_search(), *items]
        return self.build(output, choice.finish_reason)

    def build_search(self) -> list[OutputItem]:
        """Return the item of the search that the request asked for; none where it asked for none, or of small talk.

        `braid.retrieval` says why one has no results.
        """
        evidence = self.trace.evidence
        if self._tools.search is None or evidence.status in ("off", "skipped"):
            return []
        results = [
            FileSearchResult(
                file_id=passage.file_id,
                filename=passage.filename,
                score=passage.score,
                text=passage.text,
                attributes=passage.attributes,
            )
            for passage in evidence.passages
        ]
        return [
            FileSearchCall(
                id=new_id("fs_"),
                status="completed",
                queries=[self.trace.question.text],
                results=results if self._request.with_results else None,
            )
        ]

    def build(self, output: Sequence[OutputItem], finish: str | None, error: BraidError | None = None) -> Response:
        """Return the response with these items; `finish` is the engine's word for its end, None before it."""
        request, trace = self._request, self.trace
        sampling = trace.target.sampling or {}
        status: Literal["in_progress", "completed", "incomplete", "failed"]
        if error is not None:
            status = "failed"
        elif finish is None:
            status = "in_progress"
        else:
            status = "incomplete" if finish in _REASONS else "completed"
        return Response(
            id=trace.id,
            created_at=trace.created,
            completed_at=int(time.time()) if status == "completed" else None,
            status=status,
            error=None if error is None else ResponseError(message=error.message),
            incomplete_details=IncompleteDetails(reason=_REASONS[finish]) if finish in _REASONS else None,
            instructions=request.instructions,
            max_output_tokens=request.max_output_tokens,
            max_tool_calls=request.max_tool_calls,
            model=request.model,
            output=list(output),
            parallel_tool_calls=request.parallel_tool_calls is not False,
            prompt_cache_key=request.prompt_cache_key,
            reasoning=request.reasoning or Reasoning(),
            temperature=request.temperature if request.temperature is not None else sampling.get("temperature"),
            text=_describe_form(request.text),
            tool_choice=request.tool_choice or "auto",
            tools=list(self._tools.echo),
            top_logprobs=request.top_logprobs or 0,
            top_p=request.top_p if request.top_p is not None else sampling.get("top_p"),
            truncation=request.truncation or "disabled",
            usage=None if trace.usage is None or finish is None else _to_usage(trace.usage),
            metadata=request.metadata or {},
            braid=UNSET if finish is None else make_braid_answer(trace) or UNSET,
        )

    def _build_items(self, choice: EngineChoice) -> list[ReasoningItem | OutputMessage | FunctionCall]:
        """Return at least one item, all of them completed: only the last can have been cut."""
        message = choice.message or _NO_MESSAGE
        items: list[ReasoningItem | OutputMessage | FunctionCall] = []
        if message.reasoning:
            thought = message.reasoning
            if (filter_ := self.trace.make_thought_text()) is not None:
                thought = filter_.feed(thought) + filter_.finish()
                self.trace.removed_links += filter_.removed_links
            thoughts = [ReasoningText(text=thought)]
            items.append(ReasoningItem(id=new_id("rs_"), status="completed", summary=[], content=thoughts))
        calls = message.tool_calls or []
        if message.refusal:
            content: list[OutputText | Refusal] = [Refusal(refusal=message.refusal)]
            items.append(OutputMessage(id=new_id("msg_"), status="completed", content=content))
        elif message.content or not calls:
            filter_ = self.trace.make_answer_text()
            text = message.content or ""
            if filter_ is not None:
                text = filter_.feed(text) + filter_.finish()
            part = OutputText(
                text=text,
                annotations=cite(self.trace, filter_),
                logprobs=((choice.logprobs or {}).get("content") or []) if self._request.with_logprobs else [],
            )
            items.append(OutputMessage(id=new_id("msg_"), status="completed", content=[part]))
        return [*items, *(to_call(call, "completed") for call in calls)]


def to_call(call: dict[str, Any], status: Literal["in_progress", "completed"]) -> FunctionCall:
    """Return the item of one of the engine's tool calls."""
    function: dict[str, Any] = call.get("function") or {}
    return FunctionCall(
        id=new_id("fc_"),
        status=status,
        call_id=call.get("id") or new_id("call_"),
        name=function.get("name") or "",
        arguments=function.get("arguments") or "",
    )


def cite(trace: AnswerTrace, text: AnswerText | None) -> list[FileCitation | URLCitation]:
    """Note the citations and removed links of a whole text in the trace, and return its annotations."""
    citations: Sequence[Citation] = text.citations if text is not None else ()
    trace.removed_links += text.removed_links if text is not None else 0
    trace.cite([citation.number for citation in citations])
    return [
        _annotate(trace, citation, passage, copy=copy)
        for citation in citations
        for passage, copy in trace.list_sources(citation.number)
    ]


def _annotate(trace: AnswerTrace, citation: Citation, passage: Passage, *, copy: bool) -> FileCitation | URLCitation:
    """Cite the file where the request named the stores, as their owner knows it; else the passage at its address.

    A `copy` says the same in another document.
    """
    if trace.question.retrieval is not None:
        return FileCitation(file_id=passage.file_id, filename=passage.filename, index=citation.start)
    return URLCitation(
        start_index=citation.start,
        end_index=citation.end,
        url=make_citation_url(trace, citation.number, passage.document if copy else None),
        title=passage.filename or passage.title,
    )


def _to_usage(usage: TokenUsage) -> ResponseUsage:
    cached, thought = usage.prompt_tokens_details, usage.completion_tokens_details
    return ResponseUsage.count(
        usage.prompt_tokens,
        0 if cached is UNSET else cached.cached_tokens,
        usage.completion_tokens,
        0 if thought is UNSET else thought.reasoning_tokens,
    )


def _describe_form(text: ResponseText | None) -> ResponseText:
    form = (text and text.format) or {"type": "text"}
    return ResponseText(format=form, verbosity=text and text.verbosity)

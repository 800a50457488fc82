"""The bodies of OpenAI's Responses with Braid's own object, as they are sent and described."""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from gateway.openai_format.braid_object import BraidAnswer
from gateway.responses.callables import FileSearchSpec, FunctionSpec
from gateway.responses.request import Reasoning, ResponseText

__all__ = [
    "FileCitation",
    "FileSearchCall",
    "FileSearchResult",
    "FunctionCall",
    "IncompleteDetails",
    "InputTokensDetails",
    "OutputItem",
    "OutputMessage",
    "OutputText",
    "OutputTokensDetails",
    "ReasoningItem",
    "ReasoningText",
    "Refusal",
    "Response",
    "ResponseError",
    "ResponseUsage",
    "URLCitation",
]

Status = Literal["in_progress", "completed", "incomplete"]


class FileCitation(msgspec.Struct, kw_only=True, tag_field="type", tag="file_citation"):
    """A file of a searched store that the text cites; `index` is the place of the mark in it."""

    file_id: str
    filename: str
    index: int


class URLCitation(msgspec.Struct, kw_only=True, tag_field="type", tag="url_citation"):
    """A mark at characters `start_index` to `end_index` of the text; `url` is a path of this server."""

    start_index: int
    end_index: int
    url: str
    title: str


class OutputText(msgspec.Struct, kw_only=True, tag_field="type", tag="output_text"):
    """The text that answers, and what it cites."""

    text: str
    annotations: list[FileCitation | URLCitation]
    logprobs: list[dict[str, Any]]


class Refusal(msgspec.Struct, kw_only=True, tag_field="type", tag="refusal"):
    """The words with which the model refuses."""

    refusal: str


class OutputMessage(msgspec.Struct, kw_only=True, tag_field="type", tag="message"):
    """The message that answers."""

    id: str
    status: Status
    role: Literal["assistant"] = "assistant"
    content: list[OutputText | Refusal]


class FileSearchResult(msgspec.Struct, kw_only=True):
    """A passage that was found, best first."""

    file_id: str
    filename: str
    score: float
    text: str
    attributes: dict[str, Any]


class FileSearchCall(msgspec.Struct, kw_only=True, tag_field="type", tag="file_search_call"):
    """The search; `results` where the request includes `file_search_call.results`."""

    id: str
    status: Literal["in_progress", "searching", "completed", "failed"]
    queries: list[str]
    results: list[FileSearchResult] | None


class FunctionCall(msgspec.Struct, kw_only=True, tag_field="type", tag="function_call"):
    """A call of a function of the client's; its output belongs to `call_id`."""

    id: str
    status: Status
    call_id: str
    name: str
    arguments: str


class ReasoningText(msgspec.Struct, kw_only=True, tag_field="type", tag="reasoning_text"):
    """The words of a thought."""

    text: str


class ReasoningItem(msgspec.Struct, kw_only=True, tag_field="type", tag="reasoning"):
    """The thoughts before the answer; no summary is made of them."""

    id: str
    status: Status
    summary: list[dict[str, Any]]
    content: list[ReasoningText]


OutputItem = FileSearchCall | ReasoningItem | OutputMessage | FunctionCall


class ResponseError(msgspec.Struct, kw_only=True):
    """The reason for which a streamed response failed."""

    code: Literal["server_error"] = "server_error"
    message: str


class IncompleteDetails(msgspec.Struct, kw_only=True):
    """The reason for which the text ends early."""

    reason: Literal["max_output_tokens", "content_filter"]


class InputTokensDetails(msgspec.Struct, kw_only=True):
    """Tokens of the input that the engine found in its prefix cache; writing into it costs nothing here."""

    cached_tokens: int
    cache_write_tokens: int


class OutputTokensDetails(msgspec.Struct, kw_only=True):
    """Tokens of the output that the model thought in."""

    reasoning_tokens: int


class ResponseUsage(msgspec.Struct, kw_only=True):
    """Token counts of one response."""

    input_tokens: int
    input_tokens_details: InputTokensDetails
    output_tokens: int
    output_tokens_details: OutputTokensDetails
    total_tokens: int

    @classmethod
    def count(cls, read: int, cached: int, output: int, thought: int) -> "ResponseUsage":
        """Return the usage of so many tokens read (of which cached) and written (of which thought)."""
        return cls(
            input_tokens=read,
            input_tokens_details=InputTokensDetails(cached_tokens=cached, cache_write_tokens=0),
            output_tokens=output,
            output_tokens_details=OutputTokensDetails(reasoning_tokens=thought),
            total_tokens=read + output,
        )


class Response(msgspec.Struct, kw_only=True):
    """OpenAI's `response`; `braid` is there where a release answered or passages were searched. It isn't stored."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    completed_at: int | None
    status: Literal["in_progress", "completed", "incomplete", "failed"]
    background: bool = False
    error: ResponseError | None
    incomplete_details: IncompleteDetails | None
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    model: str
    output: list[OutputItem]
    parallel_tool_calls: bool
    previous_response_id: None = None
    prompt_cache_key: str | None
    reasoning: Reasoning
    service_tier: Literal["default"] = "default"
    temperature: float | None
    text: ResponseText
    tool_choice: str | dict[str, Any]
    tools: list[FileSearchSpec | FunctionSpec]
    top_logprobs: int
    top_p: float | None
    truncation: Literal["auto", "disabled"]
    usage: ResponseUsage | None
    metadata: dict[str, str]
    braid: BraidAnswer | UnsetType = UNSET

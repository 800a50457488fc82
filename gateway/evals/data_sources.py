"""The rows of a run and how they are asked, as clients write it; and the chat request that a row becomes."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field

from gateway.errors import BadRequest
from gateway.evals.criteria import (
    EvalMessage,
    ModelName,
    ReasoningEffort,
    Seed,
    Temperature,
    Tokens,
    TopP,
    check_messages,
    text_of,
)
from gateway.evals.templates import UnknownPlace, check_place, read_place, render
from gateway.optional_members import NullsLeftOut

__all__ = [
    "DEFAULT_SEED",
    "MOST_INLINE",
    "CompletionsDataSource",
    "EvalItem",
    "FileContentSource",
    "FileIdSource",
    "JsonlDataSource",
    "ResponsesDataSource",
    "RunDataSource",
    "check_data_source",
    "make_body",
]

MOST_INLINE = 2_000
DEFAULT_SEED = 42
"""Of a run that names none, as OpenAI's: asked again, the same model gives the same answers as far as it can."""

_SENT_MEMBERS = ("role", "content", "refusal", "name", "tool_calls", "tool_call_id", "function_call")
"""Members of a row's messages that the model is sent: the others are an answer's own."""
_ROLES = ("system", "developer", "user", "assistant", "tool")
_SAMPLED = ("temperature", "top_p", "seed", "reasoning_effort", "max_completion_tokens", "response_format", "tools")


class EvalItem(NullsLeftOut):
    """A row: the `item` that templates name, and an answer to it, where it has one already; both of any form."""

    model_config = ConfigDict(extra="forbid")

    item: dict[str, Any]
    sample: dict[str, Any] | None = None


class FileContentSource(NullsLeftOut):
    model_config = ConfigDict(extra="forbid")

    type: Literal["file_content"]
    content: Annotated[list[EvalItem], Field(min_length=1, max_length=MOST_INLINE)]


class FileIdSource(NullsLeftOut):
    model_config = ConfigDict(extra="forbid")

    type: Literal["file_id"]
    id: Annotated[str, Field(max_length=255)]


class StoredSource(BaseModel):
    """Answers that OpenAI has stored; there are none here."""

    model_config = ConfigDict(extra="allow")

    type: Literal["stored_completions", "responses"]


Source = Annotated[FileContentSource | FileIdSource | StoredSource, Field(discriminator="type")]


class MessagesTemplate(NullsLeftOut):
    model_config = ConfigDict(extra="forbid")

    type: Literal["template"]
    template: Annotated[list[EvalMessage], Field(min_length=1, max_length=64)]


class MessagesReference(NullsLeftOut):
    """A place in each row that has its messages."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["item_reference"]
    item_reference: Annotated[str, Field(max_length=500)]


InputMessages = Annotated[MessagesTemplate | MessagesReference, Field(discriminator="type")]


class _Sampling(NullsLeftOut):
    model_config = ConfigDict(extra="forbid")

    max_completion_tokens: Tokens | None = None
    reasoning_effort: ReasoningEffort | None = None
    seed: Seed | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    tools: Annotated[list[dict[str, Any]], Field(max_length=128)] | None = None


class CompletionsSampling(_Sampling):
    response_format: dict[str, Any] | None = None


class TextOptions(NullsLeftOut):
    model_config = ConfigDict(extra="forbid")

    format: dict[str, Any] | None = None


class ResponsesSampling(_Sampling):
    text: TextOptions | None = None


class JsonlDataSource(NullsLeftOut):
    """Rows that have their answers, or need none."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["jsonl"]
    source: Source


class CompletionsDataSource(NullsLeftOut):
    """Rows that a model is asked, as chat asks it."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["completions"]
    source: Source
    input_messages: InputMessages | None = None
    model: ModelName | None = None
    sampling_params: CompletionsSampling | None = None


class ResponsesDataSource(NullsLeftOut):
    """The same in the words of OpenAI's Responses."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["responses"]
    source: Source
    input_messages: InputMessages | None = None
    model: ModelName | None = None
    sampling_params: ResponsesSampling | None = None


RunDataSource = Annotated[JsonlDataSource | CompletionsDataSource | ResponsesDataSource, Field(discriminator="type")]
SampledDataSource = CompletionsDataSource | ResponsesDataSource


def check_data_source(source: JsonlDataSource | SampledDataSource) -> None:
    """Refuse what has nothing behind it here, and templates that can't be filled.

    Raises:
        BadRequest: It is so.
    """
    if isinstance(source.source, StoredSource):
        raise BadRequest(
            f"Braid stores no texts of answers, so there are no {source.source.type} to take rows from. Send the rows: "
            "in the request (file_content), or as an uploaded JSONL file (file_id).",
            param="data_source.source.type",
            code="unsupported_data_source",
        )
    if isinstance(source, JsonlDataSource):
        return
    for name in ("model", "input_messages"):
        if getattr(source, name) is None:
            raise BadRequest(
                f"A run that asks a model needs {name!r}. For rows that have their answers, use the type 'jsonl'.",
                param=f"data_source.{name}",
            )
    if isinstance(source.input_messages, MessagesTemplate):
        check_messages(source.input_messages.template, "data_source.input_messages.template", ("item",))
    elif source.input_messages is not None:
        check_place(source.input_messages.item_reference, "data_source.input_messages.item_reference", ("item",))
    for index, tool in enumerate(_tools(source) or ()):
        if tool.get("type") != "function":
            raise BadRequest(
                f"A tool has the type {str(tool.get('type'))[:50]!r}, and only functions can be called. To search "
                "documents, name an assistant in 'model', whose release has its stores.",
                param=f"data_source.sampling_params.tools[{index}].type",
                code="unsupported_tool",
            )


def make_body(source: SampledDataSource, item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of the chat request that asks the run's model about one row.

    Raises:
        UnknownPlace: A template names what the row doesn't have, or its messages are none.
    """
    body: dict[str, Any] = {"model": source.model, "messages": _messages(source.input_messages, {"item": item})}
    params = {} if source.sampling_params is None else source.sampling_params.model_dump(exclude_none=True)
    if isinstance(source, ResponsesDataSource):
        params = _from_responses(params)
    return body | {"seed": DEFAULT_SEED} | {name: params[name] for name in _SAMPLED if name in params}


def _messages(form: MessagesTemplate | MessagesReference | None, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    if isinstance(form, MessagesTemplate):
        return [{"role": message.role, "content": render(text_of(message), values)} for message in form.template]
    place = "item" if form is None else form.item_reference
    messages = read_place(place, values)
    if isinstance(messages, str):
        return [{"role": "user", "content": messages}]
    if not isinstance(messages, list) or not all(map(_is_message, cast("list[Any]", messages))):
        raise UnknownPlace(
            f"The place {place!r} of this row has no messages. They are a list of objects with 'role' and 'content'."
        )
    return [
        {name: value for name, value in message.items() if name in _SENT_MEMBERS}
        for message in cast("list[dict[str, Any]]", messages)
    ]


def _is_message(message: Any) -> bool:
    return isinstance(message, dict) and cast("dict[str, Any]", message).get("role") in _ROLES


def _tools(source: SampledDataSource) -> list[dict[str, Any]] | None:
    return None if source.sampling_params is None else source.sampling_params.tools


def _from_responses(params: dict[str, Any]) -> dict[str, Any]:
    """Return sampling in the words of chat: a format and functions have one more level there."""
    form = params.pop("text", {}).get("format")
    if form is not None:
        inner = {name: value for name, value in form.items() if name != "type"}
        params["response_format"] = {"type": form.get("type"), **({"json_schema": inner} if inner else {})}
    if "tools" in params:
        members = ("name", "description", "parameters", "strict")
        params["tools"] = [
            {"type": "function", "function": {name: tool[name] for name in members if tool.get(name) is not None}}
            for tool in params["tools"]
        ]
    return params

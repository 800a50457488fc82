"""The parts of chat's bodies that are passed on as they came, as OpenAI's contract has them.

They are for the OpenAPI alone. What is decoded stays a dictionary, which engines get with the members that they know,
and `describe_as` gives its type the description of one of these.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

__all__ = [
    "FUNCTION_NAME_PATTERN",
    "PARTS",
    "AllowedTools",
    "AllowedToolsChoice",
    "CalledFunction",
    "ChatCompletionMessageToolCall",
    "ChatCompletionTokenLogprob",
    "ChatCompletionTool",
    "ChoiceDeltaFunction",
    "ChoiceDeltaToolCall",
    "ContentPart",
    "EarlierCall",
    "EarlierFunction",
    "FunctionDefinition",
    "FunctionReference",
    "JSONSchemaFormat",
    "NamedToolChoice",
    "ResponseFormatJSONObject",
    "ResponseFormatJSONSchema",
    "ResponseFormatText",
    "TopLogprob",
    "describe_as",
]

FUNCTION_NAME_PATTERN = r"^[_-]*[a-zA-Z0-9][a-zA-Z0-9_-]*$"
_FunctionName = Annotated[str, Meta(max_length=64, pattern=FUNCTION_NAME_PATTERN)]
_Description = Annotated[str, Meta(max_length=8192)]


class FunctionDefinition(msgspec.Struct):
    """A function that may be called; `parameters` is the JSON schema of its arguments."""

    name: _FunctionName
    description: _Description | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ChatCompletionTool(msgspec.Struct):
    """A tool, which is a function."""

    type: Literal["function"]
    function: FunctionDefinition


class FunctionReference(msgspec.Struct):
    """The name of a function."""

    name: str


class NamedToolChoice(msgspec.Struct):
    """The function that has to be called."""

    type: Literal["function"]
    function: FunctionReference


class AllowedTools(msgspec.Struct):
    """The tools among which the model chooses, and whether it has to call one."""

    mode: Literal["auto", "required"]
    tools: Annotated[list[NamedToolChoice], Meta(min_length=1)]


class AllowedToolsChoice(msgspec.Struct):
    """A choice among some of the tools."""

    type: Literal["allowed_tools"]
    allowed_tools: AllowedTools


class ResponseFormatText(msgspec.Struct):
    """Text, as without a format."""

    type: Literal["text"]


class ResponseFormatJSONObject(msgspec.Struct):
    """Any JSON object."""

    type: Literal["json_object"]


class JSONSchemaFormat(msgspec.Struct):
    """A JSON schema and its name; the whole is at most 64 KiB and 32 levels deep."""

    name: _FunctionName
    schema: dict[str, Any]
    description: _Description | None = None
    strict: bool | None = None


class ResponseFormatJSONSchema(msgspec.Struct):
    """JSON that a schema takes."""

    type: Literal["json_schema"]
    json_schema: JSONSchemaFormat


class ContentPart(msgspec.Struct):
    """A part of a message's content: `text`, or the `refusal` of an earlier answer."""

    type: Literal["text", "input_text", "output_text", "refusal"]
    text: str | UnsetType = UNSET
    refusal: str | UnsetType = UNSET


class CalledFunction(msgspec.Struct):
    """The function that is called; `arguments` are JSON, as the model wrote it."""

    name: str
    arguments: str


class ChatCompletionMessageToolCall(msgspec.Struct):
    """A call; its result is sent with this `id` as `tool_call_id`."""

    id: str
    type: Literal["function"]
    function: CalledFunction


class EarlierFunction(msgspec.Struct):
    """A function that an earlier answer called; without arguments it had none."""

    name: str
    arguments: str = ""


class EarlierCall(msgspec.Struct):
    """A call of an earlier answer, as that answer had it."""

    id: str
    function: EarlierFunction
    type: Literal["function"] = "function"


class ChoiceDeltaFunction(msgspec.Struct):
    """Further characters of a call's arguments; the name comes once."""

    name: str | UnsetType | None = UNSET
    arguments: str | UnsetType | None = UNSET


class ChoiceDeltaToolCall(msgspec.Struct):
    """An addition to the call with this `index`; `id` and `type` come with the first one."""

    index: int
    id: str | UnsetType | None = UNSET
    type: Literal["function"] | UnsetType | None = UNSET
    function: ChoiceDeltaFunction | UnsetType | None = UNSET


class TopLogprob(msgspec.Struct):
    """A token that might have stood there; `bytes` are those of its text in UTF-8."""

    token: str
    logprob: float
    bytes: list[int] | None


class ChatCompletionTokenLogprob(msgspec.Struct):
    """A token of the answer, and the most probable ones in its place, as many as `top_logprobs` asks for."""

    token: str
    logprob: float
    bytes: list[int] | None
    top_logprobs: list[TopLogprob]


PARTS = (
    AllowedToolsChoice,
    CalledFunction,
    ChatCompletionMessageToolCall,
    ChatCompletionTokenLogprob,
    ChatCompletionTool,
    ChoiceDeltaFunction,
    ChoiceDeltaToolCall,
    ContentPart,
    EarlierFunction,
    EarlierCall,
    FunctionDefinition,
    FunctionReference,
    NamedToolChoice,
    ResponseFormatJSONObject,
    ResponseFormatJSONSchema,
    ResponseFormatText,
)
"""The parts that stand in bodies; the OpenAPI has to list them, since no decoded type leads to them."""


def describe_as(*parts: type) -> Meta:
    """Return what gives a dictionary's type the description of a part, or of one among several."""
    references = [{"$ref": f"#/components/schemas/{part.__name__}"} for part in parts]
    return Meta(extra_json_schema=references[0] if len(references) == 1 else {"anyOf": references})

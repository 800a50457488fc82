"""The body of a chat request in OpenAI's contract, decoded and checked in one pass; and the question in it."""

from collections.abc import Mapping
from operator import attrgetter
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta

import prompts
from gateway.answering.question import BraidOptions, Message, Question
from gateway.chat.described_parts import (
    AllowedToolsChoice,
    ChatCompletionTool,
    ContentPart,
    EarlierCall,
    EarlierFunction,
    FunctionDefinition,
    FunctionReference,
    NamedToolChoice,
    ResponseFormatJSONObject,
    ResponseFormatJSONSchema,
    ResponseFormatText,
    describe_as,
)
from gateway.chat.earlier_calls import renew_calls
from gateway.chat.old_functions import CLIENT_NAMES, name_functions, renew_functions
from gateway.errors import BadRequest
from gateway.ids import new_id
from gateway.openai_format.body import Metadata, ModelName, Name, decode_body, find_conversation
from gateway.openai_format.bounds import MAX_TOOLS, check_biases, check_format, check_tools
from gateway.openai_format.choice_subset import find_allowed

__all__ = [
    "ChatCompletionCreate",
    "ChatMessage",
    "StreamOptions",
    "decode_request",
    "text_of",
    "to_question",
]

_MAX_CHOICES = 16
_MAX_MESSAGES = 2048
_MAX_STOP = 1024
_LEAST_INT, _MOST_INT = -(2**63), 2**63 - 1
_ROLES: dict[str, prompts.Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_PARAMETERS = (
    "temperature",
    "top_p",
    "n",
    "stop",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "response_format",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning_effort",
)
_FORM = "Prescribe the answer's form with 'response_format'."
_ELSEWHERE = {
    "guided_json": _FORM,
    "guided_choice": _FORM,
    "guided_regex": _FORM,
    "guided_grammar": _FORM,
    "structured_outputs": _FORM,
    "max_output_tokens": "Here it is 'max_completion_tokens'; the other is of /v1/responses.",
    "instructions": "Send a message with the role 'system'; instructions are of /v1/responses.",
}
"""Members of vLLM's own and of Responses: without them an answer has another form or length than was asked for."""
_TEXTS = ("text", "input_text", "output_text")
"""Types of parts that are text; the latter are the Responses' words, which clients mix and vLLM takes, too."""
_NEW_LIMIT = {"max_tokens": "max_completion_tokens"}
_SAME: dict[str, str] = {}
_get_parameters = attrgetter(*_PARAMETERS)
_get_elsewhere = attrgetter(*_ELSEWHERE)

# What is passed on is decoded as it comes, and described as OpenAI has it.
_Part = Annotated[dict[str, Any], describe_as(ContentPart)]
_EarlierCall = Annotated[dict[str, Any], describe_as(EarlierCall)]
_EarlierFunction = Annotated[dict[str, Any], describe_as(EarlierFunction)]
_Format = Annotated[dict[str, Any], describe_as(ResponseFormatText, ResponseFormatJSONObject, ResponseFormatJSONSchema)]
_Tool = Annotated[dict[str, Any], describe_as(ChatCompletionTool)]
_ToolChoice = Annotated[dict[str, Any], describe_as(NamedToolChoice, AllowedToolsChoice)]
_ToolMode = Annotated[str, Meta(extra_json_schema={"enum": ["none", "auto", "required"]})]
_Function = Annotated[dict[str, Any], describe_as(FunctionDefinition)]
_FunctionMode = Annotated[str, Meta(extra_json_schema={"enum": ["none", "auto"]})]
_FunctionChoice = Annotated[dict[str, Any], describe_as(FunctionReference)]


class ChatMessage(msgspec.Struct, omit_defaults=True):
    """One message; `content` is text, or OpenAI's list of parts (only text parts can be answered).

    A `refusal` stands for the content that an answer hadn't, and a `function_call` is the old form of a tool call.
    """

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[_Part] | None = None
    name: Name | None = None
    tool_calls: Annotated[list[_EarlierCall], Meta(max_length=MAX_TOOLS)] | None = None
    tool_call_id: Name | None = None
    refusal: str | None = None
    function_call: _EarlierFunction | None = None


class StreamOptions(msgspec.Struct):
    """`include_usage` asks for an event with the token counts before the end."""

    include_usage: bool | None = None


class ChatCompletionCreate(msgspec.Struct):
    """The fields of OpenAI's contract that Braid reads or passes on; engine-only fields are not among them."""

    model: ModelName
    messages: Annotated[list[ChatMessage], Meta(min_length=1, max_length=_MAX_MESSAGES)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    n: Annotated[int, Meta(ge=1, le=_MAX_CHOICES)] | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=_MOST_INT)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1, le=_MOST_INT)] | None = None
    stop: (
        Annotated[str, Meta(max_length=_MAX_STOP)]
        | Annotated[list[Annotated[str, Meta(max_length=_MAX_STOP)]], Meta(max_length=4)]
        | None
    ) = None
    seed: Annotated[int, Meta(ge=_LEAST_INT, le=_MOST_INT)] | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    response_format: _Format | None = None
    tools: list[_Tool] | None = None
    tool_choice: _ToolMode | _ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: Annotated[str, Meta(max_length=32)] | None = None
    prompt_cache_key: Name | None = None
    metadata: Metadata | None = None
    braid: BraidOptions | None = None
    functions: Annotated[list[_Function], Meta(max_length=MAX_TOOLS)] | None = None
    function_call: _FunctionMode | _FunctionChoice | None = None
    modalities: list[str] | None = None
    web_search_options: Any = None
    moderation: Any = None
    guided_json: Any = None
    guided_choice: Any = None
    guided_regex: Any = None
    guided_grammar: Any = None
    structured_outputs: Any = None
    max_output_tokens: Any = None
    instructions: Any = None

    @property
    def include_usage(self) -> bool:
        return self.stream_options is not None and bool(self.stream_options.include_usage)

    @property
    def calls_functions(self) -> bool:
        """Whether the client knows tools in their old form, so that a call is answered in it."""
        return bool(self.functions)

    @property
    def structured(self) -> bool:
        """Whether the answer's form is prescribed, so that no citation marks can be asked for."""
        return bool(self.tools) or self.is_json

    @property
    def is_json(self) -> bool:
        return self.response_format is not None and self.response_format.get("type") != "text"


_decoder = msgspec.json.Decoder(ChatCompletionCreate)


def decode_request(body: bytes, *, grammars: bool = False) -> ChatCompletionCreate:
    """Decode a request body; `grammars` says that the operator lets clients give engines regular expressions.

    Raises:
        BadRequest: Not JSON, a field is missing, has the wrong type or is beyond a bound (`param` names it), or content
            that isn't text.
    """
    request = decode_body(_decoder, body)
    _refuse_unanswerable(request)
    calls = False
    for index, message in enumerate(request.messages):
        message.content = text_of(message, f"messages[{index}].content")
        calls = calls or message.tool_calls is not None or message.function_call is not None
    if calls:
        renew_calls(request.messages)
    check_biases(request.logit_bias)
    request.response_format = check_format(request.response_format, grammars=grammars)
    if request.functions or request.function_call is not None:
        renew_functions(request)
    if request.tools is None and request.tool_choice is None:
        request.parallel_tool_calls = None
    else:
        _take_tools(request, grammars=grammars)
    if request.stop is not None:  # an empty sequence stops nothing, and engines refuse it
        request.stop = [stop for stop in ([request.stop] if isinstance(request.stop, str) else request.stop) if stop]
    return request


def _take_tools(request: ChatCompletionCreate, *, grammars: bool) -> None:
    """Leave the known members of those tools that `tool_choice` allows."""
    try:
        allowed, request.tool_choice = find_allowed(request.tools, request.tool_choice)
        tools = check_tools(request.tools, request.tool_choice, grammars=grammars)
    except BadRequest as error:
        if request.calls_functions:
            raise name_functions(error) from None
        raise
    request.tools = tools and [tools[place] for place in allowed]
    if request.tools is None:
        request.tool_choice = request.parallel_tool_calls = None


def _refuse_unanswerable(request: ChatCompletionCreate) -> None:
    """Refuse what would be answered as if it hadn't been asked."""
    if request.modalities and request.modalities != ["text"]:
        raise BadRequest("Answers are text only. Leave 'modalities' out, or ask for ['text'].", param="modalities")
    if request.web_search_options is not None:
        raise BadRequest(
            "The web isn't searched here. Leave 'web_search_options' out, or ask an assistant, which answers from "
            "documents.",
            param="web_search_options",
        )
    if request.moderation is not None:
        raise BadRequest(
            "Nothing is moderated here. Leave 'moderation' out, and look at answers yourself.", param="moderation"
        )
    if any(_get_elsewhere(request)):
        name = next(name for name in _ELSEWHERE if getattr(request, name))
        raise BadRequest(f"{name!r} isn't taken here. {_ELSEWHERE[name]}", param=name, code="unsupported_parameter")


def to_question(request: ChatCompletionCreate, request_id: str = "") -> Question:
    """Return the question of a decoded request, with a new id for its answer; `request_id` is the HTTP request's."""
    values = zip(_PARAMETERS, _get_parameters(request), strict=True)
    parameters = {name: value for name, value in values if value is not None}
    max_tokens = request.max_completion_tokens or request.max_tokens
    if max_tokens is not None:
        parameters["max_tokens"] = max_tokens
    return Question(
        id=new_id("chatcmpl-"),
        model=request.model,
        messages=[_to_message(message) for message in request.messages],
        parameters=parameters,
        stream=bool(request.stream),
        structured=request.structured,
        is_json=request.is_json,
        conversation=find_conversation(request.prompt_cache_key, request.metadata),
        options=request.braid,
        request_id=request_id,
        client_names=_name_members(request),
    )


def _name_members(request: ChatCompletionCreate) -> Mapping[str, str]:
    """Return the client's own names of what engines get under others."""
    limit = _NEW_LIMIT if request.max_completion_tokens is not None else _SAME
    return limit | CLIENT_NAMES if request.calls_functions else limit


def text_of(message: ChatMessage, param: str) -> str | None:
    """Return a message's text, joining text parts.

    Raises:
        BadRequest: A part that isn't text (images and audio can't be answered), or no content where there must be some.
    """
    content = message.content
    if isinstance(content, str):
        return content
    if content is None:
        if message.role == "assistant":
            return message.refusal
        if message.role == "function":  # whose content may be null in OpenAI's description, and a tool's may not
            return ""
        raise BadRequest(f"A message with role {message.role!r} needs content.", param=param)
    texts: list[str] = []
    for part in content:
        kind = part.get("type")
        text = part.get("text") if kind in _TEXTS else part.get("refusal")
        if kind in _TEXTS and not isinstance(text, str):
            raise BadRequest(f"A content part of type {kind!r} has no text. Put a string into its 'text'.", param=param)
        if not isinstance(text, str):
            raise BadRequest(
                f"Content parts of type {str(kind)[:50]!r} aren't supported; send parts of type 'text'.",
                param=param,
            )
        texts.append(text)
    return "\n".join(texts)


def _to_message(message: ChatMessage) -> Message:
    assert message.content is None or isinstance(message.content, str)  # decoding has flattened it
    return Message(
        _ROLES[message.role],
        message.content,
        UNSET if message.name is None else message.name,
        UNSET if message.tool_calls is None else message.tool_calls,
        UNSET if message.tool_call_id is None else message.tool_call_id,
    )

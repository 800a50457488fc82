"""The body of a Responses request in OpenAI's contract, decoded and checked; and the question in it."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from gateway.answering.question import BraidOptions, Message, Question
from gateway.errors import BadRequest
from gateway.ids import new_id
from gateway.openai_format.body import Metadata, ModelName, Name, decode_body, find_conversation
from gateway.responses.callables import Callables, check_text_format, check_tools
from gateway.responses.input_items import to_messages

__all__ = ["Reasoning", "ResponseCreate", "ResponseText", "decode_request", "to_question"]

_MAX_ITEMS = 2048
_MOST_INT = 2**63 - 1
_RESULTS = "file_search_call.results"
_LOGPROBS = "message.output_text.logprobs"
_NAMES = {
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
}
_FORM = "Prescribe the answer's form in 'text', as 'format'."
_UNSUPPORTED = {
    "previous_response_id": "Responses aren't stored here. Send the items of the conversation so far in 'input'.",
    "conversation": "Conversations aren't stored here. Send the items of the conversation so far in 'input'.",
    "prompt": "A stored prompt is part of an assistant's release here. Name the assistant as the 'model'.",
    "background": "Responses aren't stored here, so none can be made in the background. Ask with 'stream', or wait.",
    "moderation": "Nothing is moderated here. Leave it out, and look at answers yourself.",
    "messages": "Send the conversation in 'input'; messages are of /v1/chat/completions.",
    "response_format": "Send the form of the text in 'text', as 'format'.",
    "max_tokens": "Here it is 'max_output_tokens'.",
    "max_completion_tokens": "Here it is 'max_output_tokens'.",
    "stop": "A response has no stop sequences. Ask /v1/chat/completions, which takes them.",
    "n": "A response is one answer. Ask /v1/chat/completions for several.",
    "functions": "Send functions as 'tools'.",
    "guided_json": _FORM,
    "guided_choice": _FORM,
    "guided_regex": _FORM,
    "guided_grammar": _FORM,
    "structured_outputs": _FORM,
}
_HARMLESS = (("n", 1), ("response_format", {"type": "text"}))
"""Members of chat that ask for what a response is anyway."""


class ResponseText(msgspec.Struct):
    """The form of the text; `verbosity` is taken for the sake of the contract."""

    format: dict[str, Any] | None = None
    verbosity: str | None = None


class Reasoning(msgspec.Struct):
    """The effort of thinking, for models that know efforts; summaries aren't made."""

    effort: Annotated[str, Meta(max_length=32)] | None = None
    summary: str | None = None


class ResponseCreate(msgspec.Struct):
    """The fields of OpenAI's contract that Braid reads or passes on."""

    model: ModelName
    input: str | Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=_MAX_ITEMS)]
    instructions: str | None = None
    max_output_tokens: Annotated[int, Meta(ge=1, le=_MOST_INT)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    stream: bool | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    max_tool_calls: Annotated[int, Meta(ge=1, le=_MOST_INT)] | None = None
    text: ResponseText | None = None
    reasoning: Reasoning | None = None
    include: list[str] | None = None
    truncation: Literal["auto", "disabled"] | None = None
    store: bool | None = None
    prompt_cache_key: Name | None = None
    metadata: Metadata | None = None
    braid: BraidOptions | None = None
    previous_response_id: Any = None
    conversation: Any = None
    prompt: Any = None
    background: Any = None
    moderation: Any = None
    messages: Any = None
    response_format: Any = None
    max_tokens: Any = None
    max_completion_tokens: Any = None
    stop: Any = None
    n: Any = None
    functions: Any = None
    guided_json: Any = None
    guided_choice: Any = None
    guided_regex: Any = None
    guided_grammar: Any = None
    structured_outputs: Any = None

    @property
    def with_results(self) -> bool:
        """Whether the passages that were found are asked for."""
        return _RESULTS in (self.include or ())

    @property
    def with_logprobs(self) -> bool:
        """Whether the log-probabilities of the text are asked for."""
        return bool(self.top_logprobs) or _LOGPROBS in (self.include or ())


_decoder = msgspec.json.Decoder(ResponseCreate)


def decode_request(body: bytes) -> ResponseCreate:
    """Decode a request body.

    Raises:
        BadRequest: Not JSON, a field is missing, has the wrong type or is beyond a bound (`param` names it), or asks
            for what isn't kept here.
    """
    request = decode_body(_decoder, body)
    for name, advice in _UNSUPPORTED.items():
        if (value := getattr(request, name)) and (name, value) not in _HARMLESS:
            raise BadRequest(f"{name!r} isn't taken. {advice}", param=name, code="unsupported_parameter")
    return request


def to_question(request: ResponseCreate, request_id: str = "", *, grammars: bool = False) -> tuple[Question, Callables]:
    """Return the question of a decoded request, with a new id for its answer, and the tools in it.

    Args:
        request: It.
        request_id: The HTTP request's.
        grammars: Whether the operator lets clients give engines regular expressions.

    Raises:
        BadRequest: The input, the tools or the form of the text can't be used.
    """
    tools = check_tools(request.tools, request.tool_choice, grammars=grammars)
    form = check_text_format(request.text and request.text.format, grammars=grammars)
    messages = to_messages(request.input)
    if request.instructions:
        messages.insert(0, Message("system", request.instructions))
    parameters = {
        "temperature": request.temperature,
        "top_p": request.top_p,
        "max_tokens": request.max_output_tokens,
        "logprobs": request.with_logprobs or None,
        "top_logprobs": request.top_logprobs,
        "response_format": form,
        "tools": tools.functions or None,
        "tool_choice": tools.choice if tools.functions else None,
        "parallel_tool_calls": request.parallel_tool_calls if tools.functions else None,
        "reasoning_effort": request.reasoning and request.reasoning.effort,
    }
    is_json = form is not None and form["type"] != "text"
    question = Question(
        id=new_id("resp_"),
        model=request.model,
        messages=messages,
        parameters={name: value for name, value in parameters.items() if value is not None},
        stream=bool(request.stream),
        structured=bool(tools.functions) or is_json,
        is_json=is_json,
        conversation=find_conversation(request.prompt_cache_key, request.metadata),
        options=request.braid,
        request_id=request_id,
        retrieval=tools.search,
        client_names=_NAMES,
    )
    return question, tools

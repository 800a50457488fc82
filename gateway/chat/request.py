"""The body of a chat request: what OpenAI's contract allows, decoded and checked in one pass."""

import re
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from gateway.errors import BAD_JSON, BadRequest

__all__ = ["BraidOptions", "ChatMessage", "ChatRequest", "decode_request", "text_of"]

_MAX_CHOICES = 16
_WHERE = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")


class ChatMessage(msgspec.Struct, omit_defaults=True):
    """One message; `content` is text, or OpenAI's list of parts (only text parts can be answered)."""

    role: Literal["system", "developer", "user", "assistant", "tool", "function"]
    content: str | list[dict[str, Any]] | None = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None


class BraidOptions(msgspec.Struct, forbid_unknown_fields=True):
    """The extra object `braid`: strands switched for a comparison, by a key with scope `manage`."""

    adapter: bool = True
    retrieval: bool = True
    prompt: str | None = None


class StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class ChatRequest(msgspec.Struct):
    """The fields of OpenAI's contract that Braid reads or passes on; engine-only fields are not among them."""

    model: str
    messages: Annotated[list[ChatMessage], Meta(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    n: Annotated[int, Meta(ge=1, le=_MAX_CHOICES)] | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    stop: str | Annotated[list[str], Meta(max_length=4)] | None = None
    seed: int | None = None
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Meta(ge=0, le=20)] | None = None
    response_format: dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = None
    prompt_cache_key: str | None = None
    metadata: dict[str, str] | None = None
    braid: BraidOptions | None = None

    @property
    def most_tokens(self) -> int | None:
        return self.max_completion_tokens or self.max_tokens

    @property
    def structured(self) -> bool:
        """Whether the answer's form is prescribed, so that no citation marks can be asked for."""
        form = self.response_format
        return bool(self.tools) or (form is not None and form.get("type") != "text")


_decoder = msgspec.json.Decoder(ChatRequest)


def decode_request(body: bytes) -> ChatRequest:
    """Decode a request body.

    Raises:
        BadRequest: Not JSON, a field is missing or has the wrong type (`param` names it), or content that isn't text.
    """
    try:
        request = _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _explain(error) from None
    except BAD_JSON as error:
        raise BadRequest(f"The body isn't valid JSON: {error}.", code="invalid_json") from None
    for index, message in enumerate(request.messages):
        message.content = text_of(message, f"messages[{index}].content")
    return request


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
            return None
        raise BadRequest(f"A message with role {message.role!r} needs content.", param=param)
    texts: list[str] = []
    for part in content:
        text = part.get("text") if part.get("type") == "text" else part.get("refusal")
        if not isinstance(text, str):
            raise BadRequest(
                f"Content parts of type {part.get('type')!r} aren't supported; send parts of type 'text'.", param=param
            )
        texts.append(text)
    return "\n".join(texts)


def _explain(error: msgspec.ValidationError) -> BadRequest:
    message = str(error)
    found = _WHERE.search(message)
    if found is None:
        missing = re.search(r"missing required field `(\w+)`", message)
        return BadRequest(f"The request can't be used: {message}.", param=missing and missing.group(1))
    path = found["path"].replace("[...]", "")
    missing = re.search(r"missing required field `(\w+)`", message)
    if missing is not None:
        path = f"{path}.{missing.group(1)}"
    return BadRequest(f"{message[: found.start()]} at {path!r}.", param=path)

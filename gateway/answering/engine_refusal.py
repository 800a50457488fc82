"""An engine's refusal of a request, in the words and with the members that OpenAI's clients know."""

import re

from gateway.engines import EngineRefused
from gateway.errors import BadRequest, BraidError, blur

__all__ = ["explain_overflow", "explain_refusal"]

_NO_TOOLS = (
    "The base model was started without a way to tell tool calls from text, so it can't call tools: its chat template "
    "has no words for them, or its engine has no parser. Leave out tools, or ask for an answer in JSON. The operator "
    "can name a parser (BRAID_ENGINE_OPTIONS=--tool-call-parser …)."
)
_PROMPT_SIZE = re.compile(r"\bcontains (?P<size>(?:at least )?\d+ (?:input )?(?:tokens|characters))")
# The last is of a prompt that fills the context to its last token: what is left for the answer is none.
_OVERFLOW = re.compile(
    r"\bmodel's maximum context length\b|\blonger than the maximum model length\b"
    r"|\bmax_tokens must be at least 1, got 0\b"
)
_ANSWER_SIZE = re.compile(r"\bmax_(?:completion_)?tokens=(?P<size>\d+) .*\bmax_model_len\b")
_FINDING = re.compile(r"""'msg': (?P<quote>['"])(?P<words>.*?)(?P=quote)(?:, '|\})""")
_PARAMETER = re.compile(r"\s*\(parameter=.*\)$", re.DOTALL)
_PLACE = re.compile(r"(?:\[[\d:]+\] )?<path>:\d+: ")  # of a compiled library's code; the path is left out by vLLM
_GRAMMAR = re.compile(r"\bgrammar\b", re.IGNORECASE)


def explain_refusal(error: EngineRefused, context: int) -> BraidError:
    """Return an engine's refusal as an error for the client, who may read what it says of the request.

    Its `param` is the engine's name for what is at fault, without the place in the engine's own model of a body.

    Args:
        error: The refusal.
        context: The base model's context in tokens.
    """
    if error.engine_status != 400:
        return error
    reason = _PLACE.sub("", error.reason)
    if "--tool-call-parser" in reason:
        return BadRequest(_NO_TOOLS, param="tools", code="tools_unsupported")
    if (answer := _ANSWER_SIZE.search(reason)) is not None:
        return explain_overflow(
            context,
            f"you asked for {answer['size']} tokens of an answer. Ask for fewer, or leave the limit out",
            param="max_tokens",
        )
    if _OVERFLOW.search(reason):
        prompt = _PROMPT_SIZE.search(reason)
        size = prompt["size"].replace("input ", "") if prompt is not None else "more"
        return explain_overflow(context, f"your messages have {size}. Send fewer messages, or shorter ones")
    words = [finding["words"] for finding in _FINDING.finditer(reason)]
    return BadRequest(
        blur("; ".join(words) or _PARAMETER.sub("", reason)), param=_find_param(error), code="engine_refused"
    )


def explain_overflow(context: int, problem: str, *, param: str = "messages") -> BadRequest:
    """Return the error of what the context has no room for; its beginning is what clients know OpenAI's by."""
    return BadRequest(
        f"This model's maximum context length is {context} tokens. However, {problem}.",
        param=param,
        code="context_length_exceeded",
    )


def _find_param(error: EngineRefused) -> str | None:
    if error.engine_param is not None:
        return error.engine_param.removeprefix("body.")
    return "response_format" if _GRAMMAR.search(error.reason) else None

"""A whole answer: the engine's JSON made into OpenAI's."""

import msgspec
from msgspec import UNSET

from gateway.answering.engine_answer import EngineAnswer, EngineChoice, EngineMessage
from gateway.answering.trace import AnswerTrace
from gateway.chat.choice_fields import close_choice, to_logprobs
from gateway.chat.old_functions import OLD_REASONS, find_function_call
from gateway.chat.schemas import ChatCompletion, ChatCompletionMessage, Choice
from gateway.openai_format.braid_object import make_braid_answer

__all__ = ["encode_completion"]

_NO_MESSAGE = EngineMessage()


def encode_completion(trace: AnswerTrace, answer: EngineAnswer, *, functions: bool = False) -> bytes:
    """Return the JSON of OpenAI's `chat.completion`, and note the citations in the trace.

    Args:
        trace: The answer's trace.
        answer: What the engine answered.
        functions: The client knows calls in their old form, `function_call`.
    """
    choices = [_choice(trace, choice) for choice in answer.choices]
    if functions:
        _use_old_calls(choices)
    return msgspec.json.encode(
        ChatCompletion(
            id=trace.id,
            created=trace.created,
            model=trace.question.model,
            system_fingerprint=trace.target.fingerprint,
            object="chat.completion",
            choices=choices,
            usage=trace.usage,
            braid=make_braid_answer(trace) or UNSET,
        )
    )


def _choice(trace: AnswerTrace, choice: EngineChoice) -> Choice:
    assert choice.finish_reason is not None, "an answer without its end was decoded"
    message = choice.message or _NO_MESSAGE
    content, reasoning = message.content, message.reasoning
    text, thought = trace.make_answer_text(), trace.make_thought_text() if reasoning else None
    if text is not None and content is not None:
        content = text.feed(content) + text.finish()
    if thought is not None and reasoning is not None:
        reasoning = thought.feed(reasoning) + thought.finish()
    return Choice(
        index=choice.index,
        message=ChatCompletionMessage(
            role="assistant",
            content=content,
            refusal=message.refusal,
            annotations=close_choice(trace, text, [thought] if thought is not None else []),
            tool_calls=message.tool_calls or UNSET,
            reasoning=reasoning or UNSET,
        ),
        logprobs=to_logprobs(choice.logprobs),
        finish_reason=choice.finish_reason,
    )


def _use_old_calls(choices: list[Choice]) -> None:
    for choice in choices:
        message = choice.message
        calls = message.tool_calls or None
        message.tool_calls = UNSET
        message.function_call = find_function_call(calls) or UNSET
        choice.finish_reason = OLD_REASONS.get(choice.finish_reason, choice.finish_reason)

"""Prompts with completions: OpenAI's older rows, and those of TRL, as texts or as lists of messages."""

import re
from collections.abc import Iterable, Sequence

from gateway.conversations.conversation import Conversation, Import
from gateway.conversations.formats.turns import (
    UnusableRecord,
    add_system,
    is_marked,
    read_all,
    read_thread,
    read_turns,
    trim_turns,
)
from gateway.conversations.records import ROW_LISTS, Record, as_text, read_records
from training.dataset import Message

__all__ = ["read_completions"]

_PROMPT_END = re.compile(
    r"\s*(?:#{2,}|-{3,}|={3,}|\*{3,}|[-=]+>|<\|\w+\|>|\n\s*(?:answer|a|reply|response|assistant|agent|ai|bot)\s*:)\s*$",
    re.IGNORECASE,
)
_COMPLETION_END = re.compile(r"\s*(?:#{2,}|-{3,}|={3,}|\*{3,}|\[?END\]?|\[?STOP\]?|<\|\w+\|>|</s>)\s*$")


def read_completions(text: str) -> Import:
    r"""Read `prompt` and `completion`, of which only the latter is learnt.

    A mark that all prompts or all completions of a file end with, such as `\n\n###\n\n` or ` END`, and a space that all
    completions begin with, told older models where a text ends and are no words of anybody.
    """
    records, problems = read_records(text, ROW_LISTS)
    records = [(number, _spell_numbers(record)) for number, record in records]
    # A row that lacks one of them is a problem, and says nothing of how the others end.
    prompts, completions = (
        [text for _, record in records if (text := _get_text(record, name)).strip()]
        for name in ("prompt", "completion")
    )
    prompt_mark, mark = _find_mark(prompts, _PROMPT_END), _find_mark(completions, _COMPLETION_END)
    space = len(completions) > 1 and all(text.startswith(" ") for text in completions)

    def read(number: int, record: Record) -> Conversation:
        prompt, completion = _cut(record.get("prompt"), prompt_mark), _cut(record.get("completion"), mark)
        if space and isinstance(completion, str):
            completion = completion.removeprefix(" ")
        messages = _join(record, read_turns(prompt, "user"), read_turns(completion, "assistant"))
        return Conversation(number, messages, read_thread(record))

    return read_all(records, problems, read, lambda record: is_marked(record) or record.get("label") in (0, "0"))


def _join(record: Record, prompt: Sequence[Message], completion: Sequence[Message]) -> list[Message]:
    if not prompt:
        raise UnusableRecord("Its prompt is empty, so its reply answers no question.")
    if not any(message.role == "assistant" for message in completion):
        raise UnusableRecord("Its completion is empty, so there is nothing to learn.")
    context = [
        Message("assistant", message.text, weight=0) if message.role == "assistant" else message for message in prompt
    ]
    return trim_turns(add_system(record, [*context, *completion], "system", "system_prompt"))


def _spell_numbers(record: Record) -> Record:
    """Write a class that is a number, as older models were trained to name, as a text."""
    return {
        name: as_text(value) if name in ("prompt", "completion") and isinstance(value, int | float) else value
        for name, value in record.items()
    }


def _get_text(record: Record, name: str) -> str:
    value = record.get(name)
    return value if isinstance(value, str) else ""


def _find_mark(texts: Iterable[str], form: re.Pattern[str]) -> re.Pattern[str] | None:
    """Return the form where all texts end with the same mark of it, and there are two at least."""
    marks = [match[0].strip() if (match := form.search(text)) else "" for text in texts]
    return form if len(marks) > 1 and marks[0] and len(set(marks)) == 1 else None


def _cut(value: object, mark: re.Pattern[str] | None) -> object:
    return mark.sub("", value) if mark is not None and isinstance(value, str) else value

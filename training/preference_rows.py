"""Preference rows in OpenAI's DPO format: a conversation with a better reply and a worse one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from training.dataset import (
    DatasetReport,
    Message,
    Nothing,
    Problem,
    Row,
    RowContext,
    RowPassage,
    decode_object,
    explain_messages,
    find_fault,
    read_lines,
    split_lines,
    split_off_problems,
)

__all__ = [
    "PreferenceRow",
    "check_preference_rows",
    "has_preferences",
    "iterate_preference_rows",
    "read_preference_rows",
]

_OUTPUTS = ("preferred_output", "non_preferred_output")


class _Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    messages: list[Message]
    tools: Nothing = None
    parallel_tool_calls: bool | None = None

    def count_quotes(self) -> int:
        return 2 + sum(message.count_quotes() for message in self.messages)


class _Preference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    input: _Input
    preferred_output: list[Message]
    non_preferred_output: list[Message]
    metadata: Any = None
    braid: RowContext | None = None

    @property
    def plain_quotes(self) -> int:
        """The quotation marks of a row of roles and texts alone."""
        return 8 + 8 * (len(self.input.messages) + len(self.preferred_output) + len(self.non_preferred_output))

    def count_quotes(self) -> int:
        replies = (*self.preferred_output, *self.non_preferred_output)
        context = self.braid.count_quotes() if self.braid else 0
        return 6 + self.input.count_quotes() + sum(message.count_quotes() for message in replies) + context


@dataclass(frozen=True, slots=True)
class PreferenceRow:
    """A sound preference.

    Attributes:
        number: The row's line in the file, from 1.
        better: The conversation with the better reply, the only turn of it that is learnt.
        worse: The same with the worse reply.
    """

    number: int
    better: Row
    worse: Row

    @property
    def passages(self) -> list[RowPassage] | None:
        return self.better.passages

    @property
    def written_by(self) -> str | None:
        return self.better.written_by


def has_preferences(data: bytes) -> bool | None:
    """Tell whether the first row of a JSONL file is a preference, sound or not; None where all are blank."""
    line = next((line for _, line in split_lines(data)), None)
    return None if line is None else not decode_object(line).keys().isdisjoint(_OUTPUTS)


def check_preference_rows(data: bytes) -> DatasetReport:
    """Check a JSONL file of preferences; see `training.dataset.check_rows`."""
    rows, problems = read_preference_rows(data)
    return DatasetReport(len(rows) + len(problems), problems)


def read_preference_rows(data: bytes) -> tuple[list[PreferenceRow], list[Problem]]:
    """Split a JSONL file into its sound preferences and the problems of the other rows, one per row."""
    return split_off_problems(iterate_preference_rows(data))


def iterate_preference_rows(data: bytes) -> Iterator[PreferenceRow | Problem]:
    """Read a JSONL file row by row, of which none is held: each as it is sound, or its problem."""
    for number, content in read_lines(data, _Preference, _explain):
        yield content if isinstance(content, Problem) else _read(number, content)


def _read(number: int, content: _Preference) -> PreferenceRow | Problem:
    fault = _find_output_fault(content)
    if fault:
        return Problem(number, fault)
    # Replies of the conversation are neither better nor worse than anything.
    context = [
        msgspec.structs.replace(message, weight=0) if message.role == "assistant" else message
        for message in content.input.messages
    ]
    own = content.braid or RowContext()
    better, worse = (
        Row(number, [*context, msgspec.structs.replace(output[0], weight=None)], own.passages, own.written_by)
        for output in (content.preferred_output, content.non_preferred_output)
    )
    fault = find_fault(better.messages)
    return Problem(number, fault) if fault else PreferenceRow(number, better, worse)


def _find_output_fault(content: _Preference) -> str | None:
    outputs: Sequence[list[Message]] = (content.preferred_output, content.non_preferred_output)
    for name, output in zip(_OUTPUTS, outputs, strict=True):
        if len(output) != 1 or output[0].role != "assistant":
            return f"Its {name} isn't one assistant's message. Give the one reply, and all turns before it as input."
        if not output[0].text.strip():
            return f"Its {name} is an empty reply. Write the reply, or remove the row."
    if content.preferred_output[0].text == content.non_preferred_output[0].text:
        return "Both of its replies are the same, so nothing is preferred. Remove the row, or correct one of them."
    if not content.input.messages or content.input.messages[-1].role == "assistant":
        return "Its input doesn't end with a message that is answered. End it with the user's."
    return None


def _explain(line: bytes, error: msgspec.ValidationError) -> str:
    row = decode_object(line)
    request: dict[str, Any] = cast("dict[str, Any]", row["input"]) if isinstance(row.get("input"), dict) else {}
    if "messages" in row and "input" not in row:
        return (
            "This is a supervised row, with one reply and no worse one: make the job with the method supervised, or "
            "give both replies, as preferred_output and non_preferred_output."
        )
    parts = [request.get("messages"), *(row.get(name) for name in _OUTPUTS)]
    messages = [message for part in parts if isinstance(part, list) for message in cast("list[Any]", part)]
    return explain_messages(line, error, request, messages) or (
        f'{error}. A row is {{"input": {{"messages": [{{"role": "user", "content": "…"}}]}}, '
        '"preferred_output": [{"role": "assistant", "content": "…"}], '
        '"non_preferred_output": [{"role": "assistant", "content": "…"}]}.'
    )

"""Training rows in OpenAI's fine-tuning format, checked so that each problem names its row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

import msgspec
from msgspec import Meta

__all__ = [
    "DatasetReport",
    "Message",
    "Part",
    "Problem",
    "Row",
    "RowContext",
    "RowPassage",
    "check_rows",
    "describe_problems",
    "read_rows",
]

_Text = Annotated[str, Meta(min_length=1)]
_Nothing = Annotated[list[None], Meta(max_length=0)] | None

_LISTED_NUMBERS = 100


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A piece of text content; pictures and sound can't be trained on here."""

    type: Literal["text"]
    text: str


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One turn.

    Attributes:
        weight: Only an assistant's turn has one: 0 keeps the turn as context without learning it.
        refusal: This and what follows it are null, as SDKs write a message down; a reply is in its content.
    """

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part]
    name: str | None = None
    weight: Literal[0, 1] | None = None
    refusal: None = None
    audio: None = None
    annotations: _Nothing = None
    tool_calls: _Nothing = None
    function_call: None = None
    tool_call_id: None = None

    @property
    def text(self) -> str:
        """Return the content as one text, its parts joined by line breaks as vLLM joins them."""
        return self.content if isinstance(self.content, str) else "\n".join(part.text for part in self.content)

    @property
    def is_target(self) -> bool:
        """Tell whether the turn is learnt."""
        return self.role == "assistant" and self.weight != 0


class RowPassage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A passage for the row's prompt."""

    title: str
    text: _Text


class RowContext(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Braid's own addition to a row."""

    passages: list[RowPassage] | None = None


class _Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    messages: list[Message]
    braid: RowContext | None = None
    tools: _Nothing = None
    functions: _Nothing = None
    parallel_tool_calls: bool | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A sound row.

    Attributes:
        number: The row's line in the file, from 1.
        passages: The passages for its prompt: None where the row says nothing of them (it is served without retrieval),
            empty for a search that found nothing.
    """

    number: int
    messages: list[Message]
    passages: list[RowPassage] | None


class Problem(msgspec.Struct, frozen=True):
    """A fault of a row.

    Attributes:
        row: The row's line in the file, from 1.
        message: The fault and the remedy, in sentences.
    """

    row: int
    message: str


@dataclass(frozen=True, slots=True)
class DatasetReport:
    """The result of a check.

    Attributes:
        rows: The number of rows, sound or not.
    """

    rows: int
    problems: list[Problem]


def check_rows(data: bytes) -> DatasetReport:
    """Check a JSONL file; blank lines are not rows, but count as lines."""
    rows, problems = read_rows(data)
    return DatasetReport(len(rows) + len(problems), problems)


def read_rows(data: bytes) -> tuple[list[Row], list[Problem]]:
    """Split a JSONL file into its sound rows and the problems of the others, one per row."""
    rows: list[Row] = []
    problems: list[Problem] = []
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            content = msgspec.json.decode(line, type=_Line)
        except msgspec.ValidationError as error:
            problems.append(Problem(number, _explain(line, error)))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            problems.append(Problem(number, f"It is not one JSON object per line: {error}."))
        else:
            messages = _unlearn_greeting(content.messages)
            fault = _find_fault(messages)
            if fault:
                problems.append(Problem(number, fault))
            else:
                passages = content.braid.passages if content.braid else None
                rows.append(Row(number, messages, passages))
    return rows, problems


def describe_problems(problems: Sequence[Problem], limit: int) -> str:
    """Return sentences about rows at fault: the first `limit` with their reasons, up to 100 more by number."""
    reasons = [f"Row {problem.row}: {problem.message}" for problem in problems[:limit]]
    numbers = [str(problem.row) for problem in problems[limit : limit + _LISTED_NUMBERS]]
    rest = len(problems) - limit - len(numbers)
    if numbers:
        reasons.append(f"Also rows {', '.join(numbers)}{f' and {rest} more' if rest > 0 else ''}.")
    return " ".join(reasons)


def _explain(line: bytes, error: msgspec.ValidationError) -> str:
    if b'"preferred_output"' in line:
        return (
            "This is a preference row, and only supervised rows can be trained on: give the better reply as messages."
        )
    if _uses_tools(line):
        return (
            "It has tools, and rows with tools can't be trained on, since each model's template writes calls in a way "
            "of its own. Leave out the keys about tools and functions, and the turns with calls and results."
        )
    if any(word in line for word in (b'"refusal"', b'"audio"')):
        return f"{error}. Only text in `content` is learnt: write a refusal there, and leave out sound."
    return (
        f"{error}. A row is "
        '{"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}.'
    )


def _uses_tools(line: bytes) -> bool:
    """Tell whether a line speaks of tools otherwise than with nulls and empty lists, as SDKs write them."""
    try:
        row = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    if not isinstance(row, dict):
        return False
    fields = cast("dict[str, Any]", row)
    messages: list[Any] = fields["messages"] if isinstance(fields.get("messages"), list) else []
    turns = [cast("dict[str, Any]", message) for message in messages if isinstance(message, dict)]
    return (
        any(fields.get(name) for name in ("tools", "functions"))
        or any(turn.get("role") in ("tool", "function") for turn in turns)
        or any(turn.get(name) for turn in turns for name in ("tool_calls", "function_call", "tool_call_id"))
    )


def _unlearn_greeting(messages: list[Message]) -> list[Message]:
    """Return the messages with an assistant's that nothing comes before as context: no request asks for it."""
    if messages and messages[0].is_target:
        return [msgspec.structs.replace(messages[0], weight=0), *messages[1:]]
    return messages


def _find_fault(messages: list[Message]) -> str | None:
    for index, message in enumerate(messages):
        if message.weight is not None and message.role != "assistant":
            return f"messages[{index}] is a {message.role}'s and has a weight. Only assistant turns can have one."
        if message.role == "assistant" and not message.text.strip():
            return f"messages[{index}] is an empty reply. Write the reply that is to be learnt, or remove the turn."
    if not messages or messages[-1].role != "assistant":
        return "The last message is not an assistant's. End the row with the reply that is to be learnt."
    if len(messages) == 1:
        return "An assistant's is the first turn, so nothing is answered. Put the user's message before it."
    if not any(message.is_target for message in messages):
        return "All assistant turns have weight 0, so there is nothing to learn. Remove the row, or a weight."
    return None

"""Training rows in OpenAI's fine-tuning format, checked so that each problem names its row."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol, TypeVar, cast

import msgspec
from msgspec import Meta

from training.repeated_names import describe_repeated_name, find_repeated_name, may_repeat_names

__all__ = [
    "DatasetReport",
    "Message",
    "Nothing",
    "Problem",
    "Row",
    "RowContext",
    "RowPassage",
    "TextPart",
    "check_rows",
    "decode_object",
    "describe_problems",
    "explain_messages",
    "find_fault",
    "iterate_rows",
    "read_lines",
    "read_rows",
    "split_lines",
    "split_off_problems",
]

_Text = Annotated[str, Meta(min_length=1)]
Nothing = Annotated[list[None], Meta(max_length=0)] | None
"""An empty list or null, as SDKs write what isn't there."""


class _Quoting(Protocol):
    @property
    def plain_quotes(self) -> int: ...
    def count_quotes(self) -> int: ...


_Line = TypeVar("_Line", bound=_Quoting)
_Sound = TypeVar("_Sound")

_LISTED_NUMBERS = 100

_OTHER_PARTS = {
    "image_url": "a picture",
    "input_image": "a picture",
    "image": "a picture",
    "input_audio": "sound",
    "file": "a file",
    "input_file": "a file",
}
"""Parts of contents in chats and in Responses, by their types."""


class TextPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A piece of text content; pictures and sound can't be trained on here."""

    type: Literal["text"]
    text: str


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One turn of a conversation.

    Attributes:
        weight: 0 or 1, and only an assistant's turn has one: 0 keeps the turn as context without learning it.
        refusal: This and the calls are null, as SDKs write a message down; a reply is in its content.
        annotations: This, an `id` and thoughts come with a message that an API answered, and nothing of them is learnt.
    """

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]
    name: str | None = None
    weight: float | None = None
    refusal: None = None
    audio: None = None
    annotations: list[dict[str, Any]] | None = None
    id: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: Nothing = None
    function_call: None = None
    tool_call_id: None = None

    def count_quotes(self) -> int:
        """Return the quotation marks that the turn has at least; what is null is left out."""
        inside = 2 if isinstance(self.content, str) else 8 * len(self.content)
        return 6 + inside + (0 if self.name is None else 4) + (0 if self.weight is None else 2)

    def __post_init__(self) -> None:
        if self.weight is None:
            return
        if self.weight not in (0, 1):
            raise ValueError(f"`weight` is 0 or 1, and here {self.weight:g}")
        msgspec.structs.force_setattr(self, "weight", int(self.weight))  # tables with gaps write 1.0

    @property
    def text(self) -> str:
        """The content as one text, its parts joined by line breaks as vLLM joins them."""
        return self.content if isinstance(self.content, str) else "\n".join(part.text for part in self.content)

    @property
    def is_target(self) -> bool:
        """Whether the turn is learnt."""
        return self.role == "assistant" and self.weight != 0


class RowPassage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A passage for the row's prompt."""

    title: str
    text: _Text


class RowContext(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Braid's own addition to a row; `written_by` is the model that wrote it, where no person did."""

    passages: list[RowPassage] | None = None
    written_by: _Text | None = None

    def count_quotes(self) -> int:
        """Return the quotation marks that it has at least, with its own name."""
        passages = 0 if self.passages is None else 2 + 8 * len(self.passages)
        return 2 + passages + (0 if self.written_by is None else 4)


class _Chat(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A row; its `metadata` is its owner's, as in stored completions, and nothing of it is learnt."""

    messages: list[Message]
    metadata: Any = None
    braid: RowContext | None = None
    tools: Nothing = None
    functions: Nothing = None
    parallel_tool_calls: bool | None = None

    @property
    def plain_quotes(self) -> int:
        """The quotation marks of a row of roles and texts alone."""
        return 2 + 8 * len(self.messages)

    def count_quotes(self) -> int:
        turns = sum(message.count_quotes() for message in self.messages)
        return 2 + turns + (self.braid.count_quotes() if self.braid else 0)


@dataclass(frozen=True, slots=True)
class Row:
    """A sound row.

    Attributes:
        number: The row's line in the file, from 1.
        passages: The passages for its prompt: None where the row says nothing of them (it is served without retrieval),
            empty for a search that found nothing.
        written_by: The model that wrote the row; None where the row says nothing of one.
    """

    number: int
    messages: list[Message]
    passages: list[RowPassage] | None
    written_by: str | None = None


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
    return split_off_problems(iterate_rows(data))


def split_off_problems(rows: Iterable[_Sound | Problem]) -> tuple[list[_Sound], list[Problem]]:
    """Read all rows, and list the sound ones and the problems of the others apart."""
    sound: list[_Sound] = []
    problems: list[Problem] = []
    for row in rows:
        if isinstance(row, Problem):
            problems.append(row)
        else:
            sound.append(row)
    return sound, problems


def iterate_rows(data: bytes) -> Iterator[Row | Problem]:
    """Read a JSONL file row by row, of which none is held: each as it is sound, or its problem."""
    for number, content in read_lines(data, _Chat, _explain):
        if isinstance(content, Problem):
            yield content
            continue
        messages = _unlearn_greeting(content.messages)
        fault = find_fault(messages)
        context = content.braid or RowContext()
        yield Problem(number, fault) if fault else Row(number, messages, context.passages, context.written_by)


def read_lines(
    data: bytes, type: type[_Line], explain: Callable[[bytes, msgspec.ValidationError], str]
) -> Iterator[tuple[int, _Line | Problem]]:
    """Yield each line that isn't blank, with its number from 1: decoded, or its problem.

    Args:
        data: JSONL.
        type: Of a line.
        explain: Returns the problem of a line that is JSON and not of that type.
    """
    for number, line in split_lines(data):
        try:
            row = msgspec.json.decode(line, type=type)
            name = None
            if may_repeat_names(line, row.plain_quotes) and may_repeat_names(line, row.count_quotes()):
                name = find_repeated_name(line)
            yield number, row if name is None else Problem(number, describe_repeated_name(name))
        except msgspec.ValidationError as error:
            yield number, Problem(number, explain(line, error))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            yield number, Problem(number, f"It is not one JSON object per line: {error}.")


def split_lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield each line that isn't blank, with its number from 1; a list of all would be the file once more."""
    start = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    number = 0
    while start < len(data):
        number += 1
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        line = data[start:end]
        if line.strip():
            yield number, line
        start = end + 1


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
        return "This is a preference row: make the job with the method dpo, or give the better reply as messages."
    row = decode_object(line)
    messages: list[Any] = row["messages"] if isinstance(row.get("messages"), list) else []
    return explain_messages(line, error, row, messages) or (
        f"{error}. A row is "
        '{"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}.'
    )


def decode_object(line: bytes) -> dict[str, Any]:
    """Return a line's JSON object, or an empty one where it is none."""
    try:
        row = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return cast("dict[str, Any]", row) if isinstance(row, dict) else {}


def explain_messages(
    line: bytes, error: msgspec.ValidationError, request: Mapping[str, Any], messages: Sequence[Any]
) -> str | None:
    """Return why a line isn't learnt that has more than text in it; None where that isn't its fault.

    Nulls and empty lists, as SDKs write them, are no tools.

    Args:
        line: The whole of it.
        error: Of the line.
        request: The object that may have tools.
        messages: All turns, of any type.
    """
    turns = [cast("dict[str, Any]", message) for message in messages if isinstance(message, dict)]
    if (
        any(request.get(name) for name in ("tools", "functions"))
        or any(turn.get("role") in ("tool", "function") for turn in turns)
        or any(turn.get(name) for turn in turns for name in ("tool_calls", "function_call", "tool_call_id"))
    ):
        return (
            "It has tools, and rows with tools can't be trained on, since each model's template writes calls in a way "
            "of its own. Leave out the keys about tools and functions, and the turns with calls and results."
        )
    parts = [
        part for turn in turns if isinstance(turn.get("content"), list) for part in cast("list[Any]", turn["content"])
    ]
    kinds = {cast("dict[str, Any]", part).get("type") for part in parts if isinstance(part, dict)}
    if other := next((f"{label} ({kind})" for kind, label in _OTHER_PARTS.items() if kind in kinds), None):
        return (
            f"It has {other}, and only text is learnt: adapters are trained on a base model's language part alone. "
            "Leave out that part, and the row where its reply is about it."
        )
    if any(word in line for word in (b'"refusal"', b'"audio"')):
        return f"{error}. Only text in `content` is learnt: write a refusal there, and leave out sound."
    return None


def _unlearn_greeting(messages: list[Message]) -> list[Message]:
    """Return the messages with an assistant's that nothing comes before as context: no request asks for it."""
    if messages and messages[0].is_target:
        return [msgspec.structs.replace(messages[0], weight=0), *messages[1:]]
    return messages


def find_fault(messages: Sequence[Message]) -> str | None:
    """Return why a conversation can't be learnt, and what to do; None where it can."""
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

"""Training rows as the engine will see them: rendered with the release's own prompt, by what serving renders with."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import prompts
from training.dataset import Message, Problem, Row, iterate_rows
from training.preference_rows import PreferenceRow, iterate_preference_rows
from training.rendered_rows import RenderedFileWriter

__all__ = ["RenderedFile", "RowShares", "RowsUnusable", "render_preferences", "render_rows"]

_Row = TypeVar("_Row", Row, PreferenceRow)

_NOTHING_LEARNT = (
    "Only the reply to the last question is learnt of a row with passages or a worded question, and it has weight 0. "
    "Give it weight 1, or end the row with the reply that is to be learnt."
)


class RowsUnusable(Exception):
    """Some rows can't be trained on; `problems` name them by line, from 1, and `rows` is how many there are."""

    def __init__(self, rows: int, problems: Sequence[Problem]) -> None:
        super().__init__(f"{len(problems)} of {rows} rows can't be used")
        self.rows = rows
        self.problems = problems


@dataclass(frozen=True, slots=True)
class RowShares:
    """The rows of a file by what they say of retrieval.

    Attributes:
        grounded: Rows with passages.
        empty: Rows with `"passages": []`: a search that found nothing.
        ungrounded: Rows that say nothing of passages; they are learnt as served without retrieval.
        context_replies: Replies that are read and not learnt, because serving would show them behind another prompt.
        written_rows: Rows that a model wrote, whatever they say of passages.
    """

    grounded: int = 0
    empty: int = 0
    ungrounded: int = 0
    context_replies: int = 0
    written_rows: int = 0


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """The rows of one file: their number, and the file that the trainer reads, see `training.rendered_rows`.

    Attributes:
        prompt_digest: SHA-256 of the template that they were rendered with; "" where they stayed as they are.
        without_system: The numbers of the rows that have no system text.
    """

    count: int
    content: bytes
    shares: RowShares
    prompt_digest: str
    without_system: Sequence[int] = ()


def render_rows(
    data: bytes,
    source: str | None,
    variables: Mapping[str, Any] | None = None,
    markers: prompts.Markers = prompts.GENERIC,
) -> RenderedFile:
    """Check and render a training file.

    Each row is rendered as serving would: with its passages, with the words for a search that found nothing where it
    has `"passages": []`, and without retrieval where it says nothing of passages. Where there is neither a prompt nor
    any row with passages, rows stay as they are.

    Args:
        data: JSONL in OpenAI's fine-tuning format, each row optionally with `"braid": {"passages": […]}`.
        source: The prompt's template; None takes the built-in one, if any row speaks of passages.
        variables: The values of the template's own names.
        markers: What the base takes for more than text.

    Raises:
        RowsUnusable: With every problem of every row.
    """
    rendering = _Rendering(_choose_template(data, source, iterate_rows), variables or {}, markers)
    context_replies = 0
    for row in rendering.pass_sound(iterate_rows(data)):
        messages = rendering.render(row, row.number)
        if messages is None:
            continue
        replies = sum(message["role"] == "assistant" and message.get("weight") != 0 for message in messages)
        context_replies += sum(message.is_target for message in row.messages) - replies
        if replies:
            rendering.count(row, messages)
            rendering.writer.add_row(row.number, messages)
        else:
            rendering.problems.append(Problem(row.number, _NOTHING_LEARNT))
    return rendering.close(context_replies)


def render_preferences(
    data: bytes,
    source: str | None,
    variables: Mapping[str, Any] | None = None,
    markers: prompts.Markers = prompts.GENERIC,
) -> RenderedFile:
    """Check and render a file of preferences: the better reply and the worse one behind one prompt.

    The prompt is what `render_rows` makes of the row with either reply. Earlier replies are read and not learnt.

    Args:
        data: JSONL in OpenAI's DPO format, each row optionally with `"braid": {"passages": […]}`.
        source: See `render_rows`.
        variables: See there.
        markers: See there.

    Raises:
        RowsUnusable: With every problem of every row.
    """
    rendering = _Rendering(_choose_template(data, source, iterate_preference_rows), variables or {}, markers)
    for row in rendering.pass_sound(iterate_preference_rows(data)):
        better, worse = (rendering.render(half, row.number) for half in (row.better, row.worse))
        if better is None or worse is None:
            continue
        prompt = [_bare(message) for message in better[:-1]]
        rendering.count(row, prompt)
        rendering.writer.add_preference(row.number, prompt, better[-1], worse[-1])
    return rendering.close(0)


class _Rendering:
    """The rendering of one file, row by row: beside the file only what is made of it is held."""

    def __init__(
        self, template: prompts.Template | None, variables: Mapping[str, Any], markers: prompts.Markers
    ) -> None:
        self.writer = RenderedFileWriter()
        self.problems: list[Problem] = []
        self._template = template
        self._variables = variables
        self._markers = markers
        self._rows = Counter[str]()
        self._written_rows = 0
        self._without_system: list[int] = []

    def pass_sound(self, rows: Iterable[_Row | Problem]) -> Iterator[_Row]:
        """Yield the sound rows, and keep the problems of the others."""
        for row in rows:
            if isinstance(row, Problem):
                self.problems.append(row)
            else:
                yield row

    def render(self, row: Row, number: int) -> list[dict[str, Any]] | None:
        """Return a row's messages; None, and its problem is kept, where the prompt can't render it."""
        try:
            return _render(row, self._template, self._variables, self._markers)
        except prompts.PromptError as error:
            if not self.problems or self.problems[-1].row != number:
                self.problems.append(Problem(number, error.message))
            return None

    def count(self, row: Row | PreferenceRow, messages: Sequence[Mapping[str, Any]]) -> None:
        """Count a row by what it says of retrieval and of its writer, and note that it has no system text."""
        self._rows["grounded" if row.passages else "ungrounded" if row.passages is None else "empty"] += 1
        self._written_rows += row.written_by is not None
        if all(message["role"] != "system" for message in messages):
            self._without_system.append(row.number)

    def close(self, context_replies: int) -> RenderedFile:
        """Return the file.

        Raises:
            RowsUnusable: Some rows have problems.
        """
        count = self._rows.total()
        if self.problems:
            raise RowsUnusable(count + len(self.problems), sorted(self.problems, key=lambda problem: problem.row))
        digest = self._template.digest if self._template else ""
        shares = RowShares(**self._rows, context_replies=context_replies, written_rows=self._written_rows)
        return RenderedFile(count, self.writer.close(), shares, digest, self._without_system)


def _choose_template(
    data: bytes, source: str | None, read: Callable[[bytes], Iterator[Row | PreferenceRow | Problem]]
) -> prompts.Template | None:
    """Return the prompt behind which rows stand: the tenant's, or the built-in one where any row has passages."""
    if source:
        return prompts.compile(source)
    if b"passages" not in data and b"\\u00" not in data:
        return None  # without a look at each row
    rows = (row for row in read(data) if not isinstance(row, Problem))
    return prompts.compile(prompts.DEFAULT) if any(row.passages is not None for row in rows) else None


def _render(
    row: Row, template: prompts.Template | None, variables: Mapping[str, Any], markers: prompts.Markers
) -> list[dict[str, Any]]:
    messages = [_message(message) for message in row.messages]
    if template is None:
        return [{"role": message.role, "content": message.content, **message.fields} for message in messages]
    passages = None
    if row.passages is not None:
        passages = [prompts.NumberedPassage(number, one.title, one.text) for number, one in enumerate(row.passages, 1)]
    conversation = prompts.render_row(template, messages, passages, variables=variables, markers=markers)
    question = max(index for index, message in enumerate(messages) if message.role == "user")
    unlike = [
        index
        for index, message in enumerate(row.messages[:question])
        if message.is_target
        and (passages is not None or not _is_served_so(template, messages[:index], variables, markers, conversation))
    ]
    if not unlike:
        return conversation
    for index in unlike:
        message = messages[index]
        messages[index] = prompts.Message(message.role, message.content, {**message.fields, "weight": 0})
    return prompts.render_row(template, messages, passages, variables=variables, markers=markers)


def _is_served_so(
    template: prompts.Template,
    before: Sequence[prompts.Message],
    variables: Mapping[str, Any],
    markers: prompts.Markers,
    conversation: Sequence[Mapping[str, Any]],
) -> bool:
    """Tell whether a request with the messages before an earlier reply has the prompt that the whole row shows it.

    Not so where the template words its question (it stands in the history without those words), where a later message
    adds to the system text, and where there were passages: the row has only those of its last question.
    """
    if not any(message.role == "user" for message in before):
        return False
    request = prompts.render_row(template, before, None, variables=variables, markers=markers)
    return [_bare(message) for message in request] == [_bare(message) for message in conversation[: len(request)]]


def _bare(message: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name != "weight"}


def _message(message: Message) -> prompts.Message:
    optional = {"name": message.name, "weight": message.weight}
    fields = {name: value for name, value in optional.items() if value is not None}
    return prompts.Message("system" if message.role == "developer" else message.role, message.text, fields)

"""Training rows as the engine will see them: rendered with the release's own prompt, by what serving renders with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import prompts
from training.dataset import Message, Problem, Row, read_rows
from training.preference_rows import PreferenceRow, read_preference_rows
from training.rendered_rows import encode_rendered_preferences, encode_rendered_rows

__all__ = ["RenderedFile", "RowShares", "RowsUnusable", "render_preferences", "render_rows"]

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
    """

    grounded: int = 0
    empty: int = 0
    ungrounded: int = 0
    context_replies: int = 0


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
    rows, problems = read_rows(data)
    template = _choose_template(rows, source)
    messages: dict[int, list[dict[str, Any]]] = {}
    context_replies = 0
    for row in rows:
        try:
            messages[row.number] = _render(row, template, variables or {}, markers)
        except prompts.PromptError as error:
            problems.append(Problem(row.number, error.message))
            continue
        learnt = sum(message["role"] == "assistant" and message.get("weight") != 0 for message in messages[row.number])
        context_replies += sum(message.is_target for message in row.messages) - learnt
        if not learnt:
            problems.append(Problem(row.number, _NOTHING_LEARNT))
            del messages[row.number]
    if problems:
        raise RowsUnusable(len(messages) + len(problems), sorted(problems, key=lambda problem: problem.row))
    shares = _count_shares(rows, context_replies)
    digest = template.digest if template else ""
    return RenderedFile(len(messages), encode_rendered_rows(messages), shares, digest, _list_without_system(messages))


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
    rows, problems = read_preference_rows(data)
    template = _choose_template(rows, source)
    preferences: dict[int, tuple[list[dict[str, Any]], dict[str, Any], dict[str, Any]]] = {}
    for row in rows:
        try:
            better, worse = (_render(half, template, variables or {}, markers) for half in (row.better, row.worse))
        except prompts.PromptError as error:
            problems.append(Problem(row.number, error.message))
        else:
            preferences[row.number] = ([_bare(message) for message in better[:-1]], better[-1], worse[-1])
    if problems:
        raise RowsUnusable(len(preferences) + len(problems), sorted(problems, key=lambda problem: problem.row))
    without_system = _list_without_system({number: prompt for number, (prompt, *_) in preferences.items()})
    content = encode_rendered_preferences(preferences)
    digest = template.digest if template else ""
    return RenderedFile(len(preferences), content, _count_shares(rows, 0), digest, without_system)


def _choose_template(rows: Sequence[Row] | Sequence[PreferenceRow], source: str | None) -> prompts.Template | None:
    with_retrieval = any(row.passages is not None for row in rows)
    return prompts.compile(source or prompts.DEFAULT) if source or with_retrieval else None


def _count_shares(rows: Sequence[Row] | Sequence[PreferenceRow], context_replies: int) -> RowShares:
    return RowShares(
        grounded=sum(bool(row.passages) for row in rows),
        empty=sum(row.passages == [] for row in rows),
        ungrounded=sum(row.passages is None for row in rows),
        context_replies=context_replies,
    )


def _list_without_system(rows: Mapping[int, Sequence[Mapping[str, Any]]]) -> list[int]:
    return [number for number, turns in rows.items() if all(turn["role"] != "system" for turn in turns)]


def _render(
    row: Row, template: prompts.Template | None, variables: Mapping[str, Any], markers: prompts.Markers
) -> list[dict[str, Any]]:
    messages = [_message(message) for message in row.messages]
    if template is None:
        return [{"role": message.role, "content": message.content, **message.fields} for message in messages]
    passages = None
    if row.passages is not None:
        passages = [prompts.NumberedPassage(number, one.title, one.text) for number, one in enumerate(row.passages, 1)]
    rendered = prompts.render_row(template, messages, passages, variables=variables, markers=markers)
    question = max(index for index, message in enumerate(messages) if message.role == "user")
    unlike = [
        index
        for index, message in enumerate(row.messages[:question])
        if message.is_target
        and (passages is not None or not _is_served_so(template, messages[:index], variables, markers, rendered))
    ]
    if not unlike:
        return rendered
    for index in unlike:
        message = messages[index]
        messages[index] = prompts.Message(message.role, message.content, {**message.fields, "weight": 0})
    return prompts.render_row(template, messages, passages, variables=variables, markers=markers)


def _is_served_so(
    template: prompts.Template,
    before: Sequence[prompts.Message],
    variables: Mapping[str, Any],
    markers: prompts.Markers,
    rendered: Sequence[Mapping[str, Any]],
) -> bool:
    """Tell whether a request with the messages before an earlier reply has the prompt that the whole row shows it.

    Not so where the template words its question (it stands in the history without those words), where a later message
    adds to the system text, and where there were passages: the row has only those of its last question.
    """
    if not any(message.role == "user" for message in before):
        return False
    request = prompts.render_row(template, before, None, variables=variables, markers=markers)
    return [_bare(message) for message in request] == [_bare(message) for message in rendered[: len(request)]]


def _bare(message: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name != "weight"}


def _message(message: Message) -> prompts.Message:
    optional = {"name": message.name, "weight": message.weight}
    fields = {name: value for name, value in optional.items() if value is not None}
    return prompts.Message("system" if message.role == "developer" else message.role, message.text, fields)

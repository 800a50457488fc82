"""Training rows as the engine will see them: rendered with the release's own prompt, by what serving renders with."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import prompts
from training.dataset import Message, Problem, Row, read_rows
from training.rendered_rows import encode_rendered_rows

__all__ = ["RenderedFile", "RowsUnusable", "render_rows"]


class RowsUnusable(Exception):
    """Some rows can't be trained on; `problems` name them by line, from 1, and `rows` is how many there are."""

    def __init__(self, rows: int, problems: Sequence[Problem]) -> None:
        super().__init__(f"{len(problems)} of {rows} rows can't be used")
        self.rows = rows
        self.problems = problems


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """The rows of one file: their number, and the file that the trainer reads, see `training.rendered_rows`."""

    count: int
    content: bytes


def render_rows(data: bytes, source: str | None) -> RenderedFile:
    """Check and render a training file.

    A file in which some rows have passages is for releases with retrieval: its other rows are rendered as a search that
    found nothing. Without passages and without a prompt, rows stay as they are.

    Args:
        data: JSONL in OpenAI's fine-tuning format, each row optionally with `"braid": {"passages": […]}`.
        source: The prompt's template; None takes the built-in one, if there are passages.

    Raises:
        RowsUnusable: With every problem of every row.
    """
    rows, problems = read_rows(data)
    grounded = any(row.passages for row in rows)
    template = prompts.compile(source or prompts.DEFAULT) if source or grounded else None
    messages: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        try:
            messages[row.number] = _render(row, template, grounded)
        except prompts.PromptError as error:
            problems.append(Problem(row.number, error.message))
    if problems:
        raise RowsUnusable(len(messages) + len(problems), sorted(problems, key=lambda problem: problem.row))
    return RenderedFile(len(messages), encode_rendered_rows(messages))


def _render(row: Row, template: prompts.Template | None, grounded: bool) -> list[dict[str, Any]]:
    messages = [_message(message) for message in row.messages]
    if template is None:
        return [{"role": message.role, "content": message.content, **message.fields} for message in messages]
    passages = [prompts.Evidence(number, one.title, one.text) for number, one in enumerate(row.passages, 1)]
    return prompts.render_row(template, messages, passages if grounded else None)


def _message(message: Message) -> prompts.Message:
    optional = {"name": message.name, "weight": message.weight}
    fields = {name: value for name, value in optional.items() if value is not None}
    return prompts.Message("system" if message.role == "developer" else message.role, message.text, fields)

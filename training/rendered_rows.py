"""The rows of one run with all prompts rendered: what a job's creation writes once, and what the trainer learns.

The file is JSONL in OpenAI's fine-tuning format, of chats or of preferences, without any additions, so that it can be
trained on anywhere. Line n of it is line n of the file that its owner uploaded (blank where that line had no row), and
a row's number stays the owner's; lines behind the last of those are the base's own answers. Its identity is the
SHA-256 of its bytes.
"""

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta

from training.dataset import Problem, Row, describe_problems, read_rows
from training.errors import TrainingError
from training.preference_rows import PreferenceRow, read_preference_rows

__all__ = [
    "RenderedFileWriter",
    "RenderedRows",
    "RowPrompt",
    "RowsFile",
    "add_rendered_rows",
    "encode_rendered_rows",
    "read_rendered_preferences",
    "read_rendered_rows",
]

_Row = TypeVar("_Row", Row, PreferenceRow)


class RowsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of rendered rows, as a spec names it.

    Attributes:
        path: Where it lies.
        digest: SHA-256 of its bytes, 64 hex digits; None takes the file as it is found.
    """

    path: str
    digest: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")] | None = None


class RowPrompt(msgspec.Struct, frozen=True, kw_only=True):
    """The prompt that rows were rendered with, for a release to be held against.

    Attributes:
        name: `name@version` where its owner gave it one.
        digest: SHA-256 of its template; "" for rows that stayed as they are.
        builtin: That of the built-in template, whose blocks stand in for those that it leaves out.
        variables: The values of its own names.
    """

    name: str | None = None
    digest: str
    builtin: str
    variables: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class RenderedRows(Generic[_Row]):
    """The rows of a file.

    Attributes:
        digest: SHA-256 of the bytes that they were read from.
    """

    rows: list[_Row]
    digest: str


def encode_rendered_rows(rows: Mapping[int, Sequence[Mapping[str, Any]]]) -> bytes:
    """Return the bytes of a file, see `RenderedFileWriter`.

    Args:
        rows: The final messages of each row, by the row's number: its line in the owner's file, from 1.
    """
    writer = RenderedFileWriter()
    for number in sorted(rows):
        writer.add_row(number, rows[number])
    return writer.close()


def add_rendered_rows(content: bytes, rows: Sequence[Sequence[Mapping[str, Any]]]) -> bytes:
    """Return the bytes of a file with rows behind its own that stand in no owner's file."""
    return content + encode_rendered_rows(dict(enumerate(rows, 1)))


class RenderedFileWriter:
    """Writes such a file row by row, so that of all rows only their bytes are held.

    Rows come in the order of their numbers, and the lines between them are blank.
    """

    def __init__(self) -> None:
        self._file = io.BytesIO()
        self._lines = 0

    def add_row(self, number: int, messages: Sequence[Mapping[str, Any]]) -> None:
        """Write the final messages (`role`, `content`, and `name` or `weight` where the row has them) of a row."""
        self._add_line(number, {"messages": messages})

    def add_preference(
        self,
        number: int,
        prompt: Sequence[Mapping[str, Any]],
        better: Mapping[str, Any],
        worse: Mapping[str, Any],
    ) -> None:
        self._add_line(
            number, {"input": {"messages": prompt}, "preferred_output": [better], "non_preferred_output": [worse]}
        )

    def close(self) -> bytes:
        """Return the file's bytes; equal rows give equal bytes."""
        return self._file.getvalue()

    def _add_line(self, number: int, row: Mapping[str, Any]) -> None:
        self._file.write(b"\n" * (number - 1 - self._lines) + msgspec.json.encode(row) + b"\n")
        self._lines = number


def read_rendered_rows(file: RowsFile, *, code: str) -> RenderedRows[Row]:
    """Read a file and prove that it is the one that was meant.

    Args:
        file: Its path, and the digest that its bytes must have.
        code: Of the error for a file that can't be trained on.

    Raises:
        TrainingError: `code` for a file that isn't there or has bad rows; `rows_changed` for other bytes.
    """
    return _read(file, code, read_rows)


def read_rendered_preferences(file: RowsFile, *, code: str) -> RenderedRows[PreferenceRow]:
    """Read a file of preferences; see `read_rendered_rows`."""
    return _read(file, code, read_preference_rows)


def _read(file: RowsFile, code: str, read: Callable[[bytes], tuple[list[_Row], list[Problem]]]) -> RenderedRows[_Row]:
    try:
        data = Path(file.path).read_bytes()
    except OSError as error:
        raise TrainingError(code, f"The rows can't be read: {error}. Write them there and start again.") from error
    digest = hashlib.sha256(data).hexdigest()
    if file.digest not in (None, digest):
        message = (
            f"The rows in {file.path} are not those that this run was made for: their digest is {digest[:12]}…, and "
            f"{str(file.digest)[:12]}… was promised. Make the job again."
        )
        raise TrainingError("rows_changed", message)
    rows, problems = read(data)
    problems += [
        Problem(row.number, "Its passages are in no prompt yet. Render the row first.")
        for row in rows
        if row.passages is not None
    ]
    if problems:
        problems.sort(key=lambda problem: problem.row)
        raise TrainingError(code, f"Rows can't be trained on. {describe_problems(problems, 5)}", problems)
    return RenderedRows(rows, digest)

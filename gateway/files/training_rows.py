"""The check of a training file, of chats or of preferences, in blocks of lines, so that its size doesn't matter."""

from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator
from pathlib import Path

from gateway.errors import BadRequest
from training.dataset import Problem, check_rows, describe_problems
from training.preference_rows import check_preference_rows, has_preferences

__all__ = ["check_training_file"]

_BLOCK_BYTES = 4 * 1024 * 1024
_LINE_BYTES = 16 * 1024 * 1024
_MOST_SHOWN = 20


def check_training_file(path: Path) -> None:
    """Check the rows of a JSONL file, all of the kind of its first one; it blocks, so call it in a thread.

    Raises:
        BadRequest: There are no rows, or bad ones; the message has their numbers (lines of the file, from 1).
    """
    rows = 0
    problems: list[Problem] = []
    prefers: bool | None = None
    for first, block in _blocks(path):
        prefers = has_preferences(block) if prefers is None else prefers
        report = check_preference_rows(block) if prefers else check_rows(block)
        rows += report.rows
        problems += [Problem(problem.row + first, problem.message) for problem in report.problems]
        if len(problems) > _MOST_SHOWN:
            break
    if problems:
        more = " There may be more." if len(problems) > _MOST_SHOWN else ""
        if rows == len(problems):
            more += " If they are another program's rows, 'braid styles convert' makes such of them."
        raise BadRequest(
            "The training file has rows that can't be trained on, so it wasn't kept. "
            f"{describe_problems(problems, _MOST_SHOWN)}{more} Correct them and upload it again.",
            param="file",
            code="invalid_training_file",
        )
    if not rows:
        raise BadRequest(
            "The training file has no rows. Each line must be one JSON object with 'messages', or a preference.",
            param="file",
            code="invalid_training_file",
        )


def _blocks(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield whole lines of about `_BLOCK_BYTES`, each block with the number of lines before it."""
    before = 0
    with path.open("rb") as file:
        if file.read(2) in (BOM_UTF16_LE, BOM_UTF16_BE):
            raise BadRequest(
                "The training file is in UTF-16, as PowerShell writes what is sent to a file. Save it in UTF-8 "
                "(Out-File -Encoding utf8), and upload it again.",
                param="file",
                code="invalid_training_file",
            )
        file.seek(0)
        while lines := file.readlines(_BLOCK_BYTES):
            for number, line in enumerate(lines, 1):
                if len(line) > _LINE_BYTES:
                    raise BadRequest(
                        f"Row {before + number} of the training file is longer than {_LINE_BYTES} bytes. Shorten it.",
                        param="file",
                        code="invalid_training_file",
                    )
            yield before, b"".join(lines)
            before += len(lines)

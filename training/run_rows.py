"""The rows of a run: read, proven to be those that were meant, and tokenized as its method asks for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

from training.dataset import Problem, describe_problems
from training.errors import TrainingError
from training.events import Event, Notice, TokenizedPrompt
from training.objective import Example
from training.preferences import TokenizedPair, tokenize_pairs
from training.rendered_rows import RowsFile, read_rendered_preferences, read_rendered_rows
from training.spec import COMFORTABLE_ROWS, MINIMUM_ROWS, Recipe, TrainSpec
from training.tokenization import RowTokenizer, TokenizedRow

__all__ = ["RunRows", "count_rows", "read_run_rows", "sample_prompts"]

_LISTED_ROWS = 5
_COMPARED_ROWS = 8


@dataclass(frozen=True, slots=True)
class RunRows:
    """The rows of a run: `TokenizedRow`s, or `TokenizedPair`s where preferences are learnt.

    Attributes:
        rows: To train on.
        dropped: Rows that were left out, with the reasons.
        digest: SHA-256 of the file of them.
        validation: Measured after each epoch; may be empty.
        validation_digest: Of their file; None without one.
    """

    rows: Sequence[Example]
    dropped: list[Problem]
    digest: str
    validation: Sequence[Example]
    validation_digest: str | None

    @property
    def pairs(self) -> list[TokenizedPair]:
        """All pairs of a run that learns preferences, in the order of their places."""
        return [cast("TokenizedPair", row) for row in [*self.rows, *self.validation]]

    @property
    def learnt_rows(self) -> list[TokenizedRow]:
        """The rows to train on; of pairs the better ones."""
        return [row.better if isinstance(row, TokenizedPair) else cast("TokenizedRow", row) for row in self.rows]


def read_run_rows(spec: TrainSpec, tokenizer: RowTokenizer, recipe: Recipe, send: Callable[[Event], None]) -> RunRows:
    """Read and tokenize the rows of a spec; notices tell what was left out, and whether there are few.

    Raises:
        TrainingError: `too_few_rows`, `unsupported_chat_template`, and see `read_rendered_rows`.
    """
    rows, dropped, digest = _tokenize_file(spec.rows, tokenizer, recipe, code="invalid_training_file")
    _check_size(rows, dropped, send)
    if spec.validation_rows is None:
        return RunRows(rows, dropped, digest, [], None)
    validation, left_out, validation_digest = _tokenize_file(
        spec.validation_rows, tokenizer, recipe, code="invalid_validation_file", first=len(rows)
    )
    if left_out:
        message = f"Validation rows were left out. {describe_problems(left_out, _LISTED_ROWS)}"
        send(Notice(code="validation_rows_dropped", message=message))
    return RunRows(rows, dropped, digest, validation, validation_digest)


def _tokenize_file(
    file: RowsFile, tokenizer: RowTokenizer, recipe: Recipe, *, code: str, first: int = 0
) -> tuple[Sequence[Example], list[Problem], str]:
    if recipe.method == "dpo":
        preferences = read_rendered_preferences(file, code=code)
        pairs, dropped = tokenize_pairs(tokenizer, preferences.rows, recipe.max_length, first=first)
        return pairs, dropped, preferences.digest
    replies = read_rendered_rows(file, code=code)
    rows, dropped = tokenizer.tokenize_rows(replies.rows, recipe.max_length)
    return rows, dropped, replies.digest


def _check_size(rows: Sequence[Example], dropped: list[Problem], send: Callable[[Event], None]) -> None:
    if dropped:
        send(Notice(code="rows_dropped", message=f"Rows were left out. {describe_problems(dropped, _LISTED_ROWS)}"))
    count = count_rows(rows)
    if count < MINIMUM_ROWS:
        message = (
            f"There are {count} usable rows, and training takes at least {MINIMUM_ROWS}; from about "
            f"{COMFORTABLE_ROWS} on style is learnt reliably. Add rows, or put the style into the prompt instead."
        )
        raise TrainingError("too_few_rows", message, dropped)
    if count < COMFORTABLE_ROWS:
        message = (
            f"There are only {count} rows: they may be learnt by heart rather than by style. From about "
            f"{COMFORTABLE_ROWS} on results are reliable; compare with the style in the prompt before using it."
        )
        send(Notice(code="few_rows", message=message))


def sample_prompts(rows: Sequence[TokenizedRow]) -> list[TokenizedPrompt]:
    """Return the prompts of a few rows: the shortest, the longest, and some between."""
    last = {row.number: row for row in rows}  # of a row in several sequences the one with its last reply
    by_length = sorted(last.values(), key=lambda row: (len(row.tokens), row.number))
    most = max(1, min(_COMPARED_ROWS, len(by_length)) - 1)
    places = sorted({index * (len(by_length) - 1) // most for index in range(most + 1)})
    return [
        TokenizedPrompt(row.number, row.tokens[: _find_last_reply(row)]) for row in map(by_length.__getitem__, places)
    ]


def _find_last_reply(row: TokenizedRow) -> int:
    """Return the place of the first token of a row's last learnt reply."""
    start = len(row.tokens) - 1 - row.loss_mask[::-1].index(True)
    while start and row.loss_mask[start - 1]:
        start -= 1
    return start


def count_rows(rows: Sequence[Example]) -> int:
    """Return the number of rows in their owner's file that these are of."""
    return len({row.number for row in rows})

"""Direct preference optimisation: the better reply of each pair gains on the worse one, near the model of the start.

Rafailov et al. 2023, "Direct Preference Optimization: Your Language Model is Secretly a Reward Model", equation 7.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from training.batches import split_batch
from training.dataset import Problem
from training.model import AdaptedModel, Measurement
from training.preference_rows import PreferenceRow
from training.process_group import ProcessGroup
from training.spec import Recipe
from training.tokenization import RowTokenizer, TokenizedRow

__all__ = ["PreferenceObjective", "TokenizedPair", "compute_preference_loss", "tokenize_pairs"]

_REFERENCE = "objective.reference"


@dataclass(frozen=True, slots=True)
class TokenizedPair:
    """Two rows with the same prompt; see `training.objective.Example`.

    Attributes:
        place: Among all pairs of the run, from 0.
    """

    number: int
    place: int
    better: TokenizedRow
    worse: TokenizedRow

    @property
    def length(self) -> int:
        return self.better.length + self.worse.length

    @property
    def width(self) -> int:
        return 2 * max(self.better.width, self.worse.width)

    @property
    def replies(self) -> int:
        return self.better.replies + self.worse.replies

    @property
    def weight(self) -> int:
        return 1


def tokenize_pairs(
    tokenizer: RowTokenizer, rows: Sequence[PreferenceRow], max_length: int, *, first: int = 0
) -> tuple[list[TokenizedPair], list[Problem]]:
    """Tokenize both halves of each row as `RowTokenizer.tokenize_rows` does, and say why others are dropped.

    Args:
        tokenizer: Of the base model.
        rows: What it tokenizes.
        max_length: Most tokens per half.
        first: The place of the first pair.

    Raises:
        TrainingError: See there.
    """
    better, problems = tokenizer.tokenize_rows([row.better for row in rows], max_length)
    worse, more = tokenizer.tokenize_rows([row.worse for row in rows], max_length)
    # Where a prompt is at fault, both halves are for the same reason.
    dropped = {problem.row: problem for problem in [*more, *problems]}
    worse_by_number = {row.number: row for row in worse}
    whole = [row for row in better if row.number in worse_by_number]
    pairs = [
        TokenizedPair(row.number, first + place, row, worse_by_number[row.number]) for place, row in enumerate(whole)
    ]
    return pairs, sorted(dropped.values(), key=lambda problem: problem.row)


def compute_preference_loss(logprobs: Tensor, reference: Tensor, beta: float) -> Measurement:
    """Return the loss of some pairs: `-log sigmoid` of the rewards' difference, summed.

    A reply's reward is `beta` times what its log-probability has gained over the reference.

    Args:
        logprobs: Of the replies, in nats, one row per pair: of the better one, of the worse one.
        reference: The same of the model of the start.
        beta: Of the recipe.
    """
    rewards = beta * (logprobs - reference)
    margins = rewards[:, 0] - rewards[:, 1]
    loss = -nn.functional.logsigmoid(margins).sum()
    margins = margins.detach()
    return Measurement(loss, int((margins > 0).sum()), len(margins), float(margins.sum()))


class PreferenceObjective:
    """Learns preferences; the reference is the model as it is before the first step, scored once.

    Args:
        model: The model that is trained.
        recipe: Gives `beta`, see `compute_preference_loss`, `anchor` and `micro_batch_tokens`.
        pairs: All of the run, in the order of their places: for training, then for validation.
        group: The processes that train together: each scores a share of the pairs.
    """

    def __init__(
        self,
        model: AdaptedModel,
        recipe: Recipe,
        pairs: Sequence[TokenizedPair],
        group: ProcessGroup | None = None,
    ) -> None:
        self._model = model
        self._recipe = recipe
        self._pairs = pairs
        self._group = group or ProcessGroup()
        self._reference = torch.empty(0, 2)

    def measure(self, rows: Sequence[TokenizedPair]) -> Measurement:
        logprobs = self._score(rows)
        reference = self._reference[[pair.place for pair in rows]].to(logprobs.device)
        measurement = compute_preference_loss(logprobs, reference, self._recipe.beta)
        if self._recipe.anchor == 0:
            return measurement
        lengths = torch.tensor([pair.better.replies for pair in rows], device=logprobs.device)
        anchor = -self._recipe.anchor * (logprobs[:, 0] / lengths).sum()
        # Its gradient alone: what is reported, and chooses the epoch, stays the loss of preferences.
        return replace(measurement, loss=measurement.loss + anchor - anchor.detach())

    def prepare(self) -> None:
        """Score all pairs with the present model."""
        self._model.train(False)
        reference = torch.zeros(len(self._pairs), 2)
        pairs = self._group.share(self._pairs)
        with torch.no_grad():
            for part in split_batch([pair.width for pair in pairs], range(len(pairs)), self._recipe.micro_batch_tokens):
                scores = self._score([pairs[index] for index in part]).cpu()
                reference[[pairs[index].place for index in part]] = scores
        self._reference = self._group.add_up(reference)

    def collect(self) -> Mapping[str, Tensor]:
        return {_REFERENCE: self._reference}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        self._reference = tensors[_REFERENCE]

    def _score(self, pairs: Sequence[TokenizedPair]) -> Tensor:
        halves = [half for pair in pairs for half in (pair.better, pair.worse)]
        return self._model.score(halves).view(-1, 2)

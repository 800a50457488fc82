"""The objective of a run: what is measured on its examples, and what that takes besides the model."""

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from torch import Tensor

from training.model import AdaptedModel, Measurement
from training.tokenization import TokenizedRow

__all__ = ["Example", "Objective", "ReplyObjective"]


class Example(Protocol):
    """The smallest part of a batch, whose loss can be measured alone: a tokenized row, or a pair of them.

    Attributes:
        number: The row's line in its owner's file, from 1.
        length: Tokens that go through the model.
        width: The same with the padding inside the example.
        replies: Reply tokens to learn.
        weight: What the example counts for in a mean over examples.
    """

    @property
    def number(self) -> int: ...

    @property
    def length(self) -> int: ...

    @property
    def width(self) -> int: ...

    @property
    def replies(self) -> int: ...

    @property
    def weight(self) -> int: ...


_Example = TypeVar("_Example", bound=Example, contravariant=True)


class Objective(Protocol[_Example]):
    """The loss of a run. Its tensors are saved with the run's state."""

    def measure(self, rows: Sequence[_Example]) -> Measurement:
        """Run examples through the model together."""
        ...

    def prepare(self) -> None:
        """Compute what the loss takes, with the model as it is before the first step."""
        ...

    def collect(self) -> Mapping[str, Tensor]:
        """Return what `prepare` computed, by names that begin with `objective.`."""
        ...

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `collect` returned."""
        ...


class ReplyObjective:
    """Learns replies: the loss is the cross-entropy of their tokens."""

    def __init__(self, model: AdaptedModel) -> None:
        self._model = model

    def measure(self, rows: Sequence[TokenizedRow]) -> Measurement:
        return self._model.measure(rows)

    def prepare(self) -> None:
        """Do nothing: the rows are all that it takes."""

    def collect(self) -> Mapping[str, Tensor]:
        return {}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Do nothing: there is no state."""

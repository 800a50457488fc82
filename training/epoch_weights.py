"""An adapter's weights at the ends of epochs: those of the best epoch, and of the newest others."""

from collections.abc import Mapping, Sequence

from torch import Tensor

__all__ = ["EpochWeights"]

_PREFIX = "epoch"


class EpochWeights:
    """The weights after some steps, in the machine's memory.

    Args:
        others: Epochs whose weights stay besides those of the best one.
    """

    def __init__(self, others: int = 0) -> None:
        self.others = others
        self._weights: dict[int, Sequence[Tensor]] = {}

    @property
    def steps(self) -> list[int]:
        """The steps with which the epochs ended, in order."""
        return sorted(self._weights)

    def get(self, step: int) -> Sequence[Tensor]:
        """Return the weights after a step that is in `steps`."""
        return self._weights[step]

    def add(self, step: int, weights: Sequence[Tensor], best: int | None) -> None:
        """Take the weights at the end of an epoch, and drop the oldest that are too many.

        Args:
            step: The last of the epoch, later than all before.
            weights: Copies.
            best: The step after which the weights were the best so far; None where that is the newest one.
        """
        self._weights[step] = weights
        others = [other for other in self.steps if other != (best or step)]
        for old in others[: max(0, len(others) - self.others)]:
            del self._weights[old]

    def collect(self) -> dict[str, Tensor]:
        """Return all tensors by name."""
        return {
            f"{_PREFIX}.{step}.{number}": tensor
            for step, weights in self._weights.items()
            for number, tensor in enumerate(weights)
        }

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what `collect` returned, out of more."""
        numbered: dict[int, dict[int, Tensor]] = {}
        for name, tensor in tensors.items():
            kind, _, rest = name.partition(".")
            if kind == _PREFIX:
                step, _, number = rest.partition(".")
                numbered.setdefault(int(step), {})[int(number)] = tensor
        self._weights = {step: [one[number] for number in sorted(one)] for step, one in numbered.items()}

"""The error that ends a command with a reason its caller can act on, and the end of a process that others wait for."""

from collections.abc import Sequence

from training.dataset import Problem

__all__ = ["PeerLost", "TrainingError"]


class TrainingError(Exception):
    """Ends the command; becomes the last event, `failed`.

    Attributes:
        code: Stable, machine-readable, such as `too_few_rows`.
        message: The event, its reason and the next step, in sentences.
        problems: Rows at fault, where rows are.
    """

    def __init__(self, code: str, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.problems = list(problems)


class PeerLost(Exception):
    """Another of the processes that train together is gone; the one that started them all knows why, and says so."""

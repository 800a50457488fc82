"""The base model's answers to gates: each asks it the same again, and it says the same at temperature 0."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["BaseAnswers"]

_SECONDS = 3600.0  # engines elsewhere may get other weights under the same name
_MOST = 10_000


class BaseAnswers:
    """A worker's memory of the base model's answers, by the question's digest, for an hour.

    Args:
        clock: Seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._answers: dict[str, tuple[float, Any]] = {}

    async def recall(self, key: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """Return what the base said within the hour, or do the work and remember what it returns."""
        self._evict()
        if key not in self._answers:
            self.note(key, await work())
        return self._answers[key][1]

    def note(self, key: str, answer: Any) -> None:
        """Remember an answer from now on, unless there is one."""
        self._answers.setdefault(key, (self._clock(), answer))
        if len(self._answers) > _MOST:
            del self._answers[next(iter(self._answers))]

    def _evict(self) -> None:
        """Evict what is too old; the oldest stand first."""
        oldest = self._clock() - _SECONDS
        while self._answers and self._answers[key := next(iter(self._answers))][0] < oldest:
            del self._answers[key]

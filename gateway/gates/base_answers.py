"""What the base model said to gates lately: each asks it the same again, and it says the same at temperature 0."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["BaseAnswers"]

_SECONDS = 3600.0  # engines elsewhere may get other weights under the same name
_MOST = 5000


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
        now = self._clock()
        noted = self._answers.get(key)
        if noted is not None and now - noted[0] < _SECONDS:
            return noted[1]
        answer = await work()
        self._answers.pop(key, None)  # the newest stand last
        self._answers[key] = now, answer
        if len(self._answers) > _MOST:
            del self._answers[next(iter(self._answers))]
        return answer

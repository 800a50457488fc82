"""A server that has no room for more points: one document after a pause finds out whether it has some again."""

import time

from retrieval.errors import IndexFull

__all__ = ["Shortage"]

_FIRST_SECONDS, _LONGEST_SECONDS = 5.0, 60.0
_STALE_SECONDS = 3 * _LONGEST_SECONDS
"""Nothing was written since: nobody knows whether there is room by now."""


class Shortage:
    """Remembers a refusal for want of room. Documents are read and embedded for nothing meanwhile, so most aren't."""

    def __init__(self) -> None:
        self._problem = ""
        self._refused_at = self._until = 0.0
        self._pause = 0.0

    @property
    def problem(self) -> str:
        """The refusal in words; "" where there was none lately."""
        return self._problem if time.monotonic() < self._refused_at + _STALE_SECONDS else ""

    def check(self) -> None:
        """Let one pass per pause.

        Raises:
            IndexFull: There was no room lately.
        """
        now = time.monotonic()
        if now < self._until:
            raise IndexFull(self._problem)
        if self._pause:
            self._until = now + self._pause  # whoever comes next waits for the end of this one

    def note_refusal(self, problem: str) -> None:
        """Take down a refusal, of whatever point: the next pause is longer."""
        self._problem, self._refused_at = problem, time.monotonic()
        self._pause = min(max(2 * self._pause, _FIRST_SECONDS), _LONGEST_SECONDS)
        self._until = self._refused_at + self._pause

    def note_room(self) -> None:
        """Take down that a document's points were written."""
        self._problem = ""
        self._until = self._pause = 0.0

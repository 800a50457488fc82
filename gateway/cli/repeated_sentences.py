"""What is said of many files at once: a long sentence that ends several messages is said with the first of them."""

__all__ = ["RepeatedSentences"]

_LONG = 80
"""Characters of a sentence that a reader doesn't want twice."""


class RepeatedSentences:
    """The long sentences that were said so far."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def shorten(self, message: str) -> str:
        """Return a message without its last sentence, where that is long and was said before."""
        before, gap, last = message.rpartition(". ")
        if not gap or len(last) < _LONG:
            return message
        if last in self._said:
            return f"{before}."
        self._said.add(last)
        return message

"""Citation marks in an answer's text, and the passages that they cite."""

import re
from dataclasses import dataclass, field

__all__ = ["Citation", "MarkFilter"]

_MARK = re.compile(r"\[(\d{1,3})\]")
_UNFINISHED = re.compile(r"\[\d{0,3}$")


@dataclass(frozen=True, slots=True)
class Citation:
    """A mark `[number]` at characters `start` to `end` of the answer's text."""

    number: int
    start: int
    end: int


@dataclass(slots=True)
class MarkFilter:
    """Lets an answer's text through, piece by piece, with only those marks whose passages were in the prompt.

    Text from a `[` on is withheld, four characters at most, until it is a mark or can't become one. A mark of an
    unknown passage is left out, so that nothing can be cited that the model didn't read.
    """

    known: frozenset[int]
    citations: list[Citation] = field(default_factory=list[Citation])
    _pending: str = ""
    _length: int = 0

    def feed(self, text: str) -> str:
        """Take the next piece; return the text that may be sent now."""
        text = self._pending + text
        unfinished = _UNFINISHED.search(text)
        if unfinished is None:
            self._pending = ""
        else:
            self._pending = text[unfinished.start() :]
            text = text[: unfinished.start()]
        return self._check(text)

    def finish(self) -> str:
        """Return the text that was still withheld."""
        text, self._pending = self._pending, ""
        return self._check(text)

    def _check(self, text: str) -> str:
        if "[" not in text:
            self._length += len(text)
            return text
        pieces: list[str] = []
        at = 0
        for mark in _MARK.finditer(text):
            before = text[at : mark.start()]
            pieces.append(before)
            self._length += len(before)
            at = mark.end()
            number = int(mark.group(1))
            if number in self.known:
                pieces.append(mark.group())
                self.citations.append(Citation(number, self._length, self._length + len(mark.group())))
                self._length += len(mark.group())
        pieces.append(text[at:])
        self._length += len(text) - at
        return "".join(pieces)

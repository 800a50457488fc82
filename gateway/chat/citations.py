"""Citation marks in an answer: which passages it cites, and where in its text."""

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
    """Passes an answer's text through, piece by piece, and keeps only marks of passages that were in the prompt.

    Text from a `[` on is held back, four characters at most, until it is a mark or can't become one. A mark of an
    unknown passage is left out, so nothing can be cited that the model wasn't shown.
    """

    known: frozenset[int]
    citations: list[Citation] = field(default_factory=list[Citation])
    _held: str = ""
    _length: int = 0

    def feed(self, text: str) -> str:
        """Take the next piece; return what may be sent now."""
        text = self._held + text
        unfinished = _UNFINISHED.search(text)
        if unfinished is None:
            self._held = ""
        else:
            self._held = text[unfinished.start() :]
            text = text[: unfinished.start()]
        return self._pass(text)

    def finish(self) -> str:
        """Return what was still held back."""
        text, self._held = self._held, ""
        return self._pass(text)

    def _pass(self, text: str) -> str:
        if "[" not in text:
            self._length += len(text)
            return text
        out: list[str] = []
        at = 0
        for mark in _MARK.finditer(text):
            before = text[at : mark.start()]
            out.append(before)
            self._length += len(before)
            at = mark.end()
            number = int(mark.group(1))
            if number in self.known:
                out.append(mark.group())
                self.citations.append(Citation(number, self._length, self._length + len(mark.group())))
                self._length += len(mark.group())
        out.append(text[at:])
        self._length += len(text) - at
        return "".join(out)

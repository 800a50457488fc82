"""Citation marks in an answer's text, and the passages that they cite."""

import re
from dataclasses import dataclass, field

__all__ = ["Citation", "MarkFilter"]

_STEP = re.compile(r"\[([0-9]{1,3})\]|`+|~{3,}|\n")
_MARK = r"\[(?:[0-9]{1,3}\]?)?"
# What can't be judged before more has come: a mark's beginning, or one that has just ended; a run of backticks.
_UNFINISHED = re.compile(rf"(?:{_MARK}|`+|~+)$")
_UNFINISHED_OR_SPACE = re.compile(rf"(?: ?{_MARK}| |`+|~+)$")
_FENCE = 3
_WITHOUT_SPACES = 0x0E00  # from here on, most scripts put no spaces between words: Thai, Chinese, Japanese …


@dataclass(frozen=True, slots=True)
class Citation:
    """A mark `[number]` at characters `start` to `end` of the answer's text."""

    number: int
    start: int
    end: int


@dataclass(slots=True)
class MarkFilter:
    """Lets an answer's text through, piece by piece, and finds the marks of the passages in it.

    A number in brackets is a mark unless it stands in Markdown code, follows a word as an index does (`list[1]`), or
    begins a word or a link (`[1](…)`). A mark of a passage that was in the prompt is a citation; any other is text
    like any other. Where no passage was in the prompt, no mark can be meant for the reader: it is left out, with the
    space before it. What can't be judged yet is withheld, six characters at most and runs of backticks.

    Attributes:
        known: The numbers of the passages that were in the prompt.
        citations: Those that were found so far, at their places in the text that was let through.
    """

    known: frozenset[int]
    citations: list[Citation] = field(default_factory=list[Citation])
    _pending: str = ""
    _length: int = 0
    _last: str = "\n"
    _after_mark: bool = False
    _line: str = ""
    _fence: str = ""
    _inline: int = 0

    def feed(self, text: str) -> str:
        """Take the next piece; return the text that may be sent now."""
        text = self._pending + text
        unfinished = (_UNFINISHED if self.known else _UNFINISHED_OR_SPACE).search(text)
        self._pending = "" if unfinished is None else text[unfinished.start() :]
        return self._check(text, len(text) - len(self._pending))

    def finish(self) -> str:
        """Return the text that was still withheld."""
        text, self._pending = self._pending, ""
        return self._check(text, len(text))

    def _check(self, text: str, end: int) -> str:
        """Judge `text[:end]`; what follows it is only looked at."""
        pieces: list[str] = []
        at = 0
        for step in _STEP.finditer(text, 0, end):
            self._pass(text[at : step.start()], pieces)
            at = step.end()
            if step.group(1) is not None and self._is_mark(text[at : at + 1]):
                self._mark(int(step.group(1)), step.group(), pieces)
            else:
                self._pass(step.group(), pieces)
                self._follow(step.group())
        self._pass(text[at:end], pieces)
        return "".join(pieces)

    def _pass(self, text: str, pieces: list[str]) -> None:
        if text:
            pieces.append(text)
            self._length += len(text)
            self._last, self._after_mark = text[-1], False
            if not self._line:
                self._line = text.lstrip(" ")

    def _mark(self, number: int, text: str, pieces: list[str]) -> None:
        if not self.known:
            if pieces and pieces[-1].endswith(" "):
                pieces[-1] = pieces[-1][:-1]
                self._length -= 1
        elif number in self.known:
            self.citations.append(Citation(number, self._length, self._length + len(text)))
            self._pass(text, pieces)
        else:
            self._pass(text, pieces)
        self._after_mark = True

    def _is_mark(self, following: str) -> bool:
        if self._fence or self._inline or following == "(" or _is_word(following):
            return False
        return self._after_mark or not (_is_word(self._last) or self._last == "]")

    def _follow(self, text: str) -> None:
        """Note where Markdown's code begins and ends: fences on lines of their own, and spans within a line."""
        if text == "\n":
            self._line, self._inline = "", 0
        elif len(text) >= _FENCE and text[0] in "`~" and self._line == text:
            if not self._fence:
                self._fence, self._inline = text, 0
            elif text.startswith(self._fence):
                self._fence = ""
        elif text[0] == "`" and not self._fence:
            if not self._inline:
                self._inline = len(text)
            elif self._inline == len(text):
                self._inline = 0


def _is_word(character: str) -> bool:
    """Whether a character is part of a word of a script that puts spaces between words."""
    return character == "_" or (character.isalnum() and ord(character) < _WITHOUT_SPACES)

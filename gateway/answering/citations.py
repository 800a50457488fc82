"""Citation marks in an answer's text, and the passages that they cite."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.answering.markdown_code import MaskedText

__all__ = ["Citation", "MarkFilter", "shows_marks"]

_NUMBER = r"[1-9][0-9]{0,2}"
_NUMBERS = rf"{_NUMBER}(?: ?[,;] ?{_NUMBER}){{0,9}}"
# The wide brackets of East Asian texts, and what models write that learnt the marks of OpenAI's search: 【4:0†source】.
_WIDE_NUMBERS = rf"{_NUMBER}(?: ?[,;，、] ?{_NUMBER}){{0,9}}"
_SOURCE = r"†[^【】\n]{0,60}"
_WIDE = rf"【(?:(?P<wide>{_WIDE_NUMBERS})(?P<source>{_SOURCE})?|[0-9]{{1,3}}:[0-9]{{1,3}}{_SOURCE})】"
_ONE_STEP = rf"\[(?P<numbers>{_NUMBERS})\]|{_WIDE}|<(?P<end>/?)(?:pre|code)\b[^<>]*>"
_STEP = re.compile(_ONE_STEP, re.I)
_STEP_OR_TWICE = re.compile(rf"\[\[(?P<twice>{_NUMBER})\]\]|{_ONE_STEP}", re.I)
_MARK = (
    rf"(?:\[\[?(?:{_NUMBERS}(?:\]\]? ?| ?[,;]? ?)?)?"
    rf"|【(?:[0-9]{{1,3}}(?: ?[,;，、:] ?[0-9]{{1,3}}){{0,9}}(?: ?[,;，、:]? ?|{_SOURCE})?)?)"
)
_TAG = r"<(?:/?(?:p(?:re?)?|c(?:o(?:de?)?)?)?|/?(?:pre|code)\b[^<>]{0,100})"
# What can't be judged before more has come: a mark's beginning, or one that has just ended; a tag around code.
_UNFINISHED = re.compile(rf"(?:{_MARK}|{_TAG})$", re.I)
_UNFINISHED_OR_SPACE = re.compile(rf"(?: ?{_MARK}| |{_TAG})$", re.I)
_WITHOUT_SPACES = 0x0E00  # from here on, most scripts put no spaces between words: Thai, Chinese, Japanese …
_LETTER = rf"[^\W{chr(_WITHOUT_SPACES)}-{chr(0x10FFFF)}]"
# A mark in a client's message, or what stands for one where marks are explained. A bracket in front is found fastest.
_SHOWN_LABEL = re.compile(
    rf"\[(?<!{_LETTER}\[)(?:{_NUMBER}|[nNi#]|number)\](?!{_LETTER}|\()"
    rf"|【(?:{_NUMBER}|[nNi#]|number)(?:†[^【】]{{0,60}})?】"
)
_LINE_BEGINNING = re.compile(r"\n[ \t#>*-]*$")
_OPERATORS_BEFORE = frozenset("=+%^<\\@$")
_OPERATORS_AFTER = frozenset("=+%^")
_PERCENTAGE = re.compile(r"[0-9][ \xa0\u202f]?%$")
_KEY = re.compile(r"[\"']:$")
_CALL = re.compile(r"(?:[\w\])]\(|\(\))$")
_EACH = re.compile(_NUMBER)


@dataclass(frozen=True, slots=True)
class Citation:
    """A mark `[number]` at characters `start` to `end` of the answer's text."""

    number: int
    start: int
    end: int


@dataclass(slots=True)
class MarkFilter:
    """Lets a masked text through, piece by piece, and finds the marks of the passages in it.

    A number in brackets, from 1 on, is a mark unless it is in code (Markdown's, or between the tags `pre` and `code`),
    follows a word as an index does (`list[1]`), stands at an operator (`a [1] = [2]`), begins a word or a link
    (`[1](…)`), is a call's (`print([1])`), or is a list in JSON (`{"ids": [1]}`, `[[1], [2]]`, `"[1]"`). A mark of a
    passage that was in the prompt is a citation, and so is each of `[1, 2]` if all are; any other is text like any
    other. Where no passage was in the prompt, no mark can be meant for the
    reader: it is left out, with the space before it, unless the answer says nothing else.

    A mark may have wide brackets, and a dagger with a source's name (`【1†source】`). At the beginning of a line
    `【1】` is the number of a heading.

    Attributes:
        passage_numbers: The numbers of the passages that were in the prompt.
        citations: Those that were found so far, at their places in the text that was let through.
    """

    passage_numbers: frozenset[int]
    citations: list[Citation] = field(default_factory=list[Citation])
    _pending: str = ""
    _pending_marks: str = ""
    _length: int = 0
    _before: str = "\n"
    _after_mark: bool = False
    _after_list: bool = False
    _in_series: bool = False
    _tags: int = 0
    _left_out: str = ""

    @property
    def is_idle(self) -> bool:
        """Whether nothing is withheld."""
        return not self._pending

    def note(self, text: str) -> None:
        """Take a piece without a sign of a mark while it is idle."""
        self._pass(text, [])

    def feed(self, piece: MaskedText) -> str:
        """Take the next piece; return the text that may be sent now."""
        text, marks = self._pending + piece.text, self._pending_marks + piece.marks
        unfinished = (_UNFINISHED if self.passage_numbers else _UNFINISHED_OR_SPACE).search(marks)
        end = len(text) if unfinished is None else unfinished.start()
        self._pending, self._pending_marks = text[end:], marks[end:]
        return self._check(text, marks, end)

    def finish(self) -> str:
        """Return the text that was still withheld."""
        text, self._pending = self._pending, ""
        rest = self._check(text, self._pending_marks, len(text))
        return rest if self._length else self._left_out

    def _check(self, text: str, marks: str, end: int) -> str:
        """Judge `text[:end]`; what follows it is only looked at."""
        pieces: list[str] = []
        at = 0
        for step in (_STEP if self.passage_numbers else _STEP_OR_TWICE).finditer(marks, 0, end):
            self._pass(text[at : step.start()], pieces)
            at = step.end()
            mark, numbers = step.group(), step["numbers"] or (None if self.passage_numbers else step["twice"])
            if mark[0] == "<":
                self._tags = max(0, self._tags + (-1 if step["end"] else 1))
                self._pass(text[step.start() : at], pieces)
            elif mark[0] == "【":
                self._take_wide(step, pieces)
            elif self._is_list(marks[at : at + 1]):
                self._pass(mark, pieces)
                self._after_list = True
            elif self._is_mark(marks[at : at + 2]):
                self._mark(_read_numbers(numbers), mark, pieces)
            else:
                self._pass(mark, pieces)
        self._pass(text[at:end], pieces)
        return "".join(pieces)

    def _pass(self, text: str, pieces: list[str]) -> None:
        if text:
            pieces.append(text)
            self._length += len(text)
            if self._after_list:  # it goes on behind one comma, which may come by itself
                comma = text.strip()
                self._after_list = not comma or (comma == "," and not self._before.rstrip().endswith(","))
            self._in_series = self._in_series and not text.strip(" \t\r\n,;&/")
            self._before, self._after_mark = (self._before + text[-8:])[-8:], False

    def _take_wide(self, step: re.Match[str], pieces: list[str]) -> None:
        is_plain = step["wide"] is not None and step["source"] is None
        if self._tags or (is_plain and _LINE_BEGINNING.search(self._before)):
            self._pass(step.group(), pieces)
        else:
            numbers = _read_numbers(step["wide"])
            # What a source's name stands behind is no list.
            self._mark(numbers if is_plain or self.passage_numbers else numbers[:1], step.group(), pieces)

    def _mark(self, numbers: Sequence[int], text: str, pieces: list[str]) -> None:
        if not self.passage_numbers and len(numbers) < 2:  # of several a text may speak as of a list
            if pieces and pieces[-1].endswith(" ") and not self._after_mark:
                pieces[-1] = pieces[-1][:-1]
                self._length -= 1
                self._left_out += " "
            self._left_out += text
        elif numbers and self.passage_numbers.issuperset(numbers):
            self.citations += [Citation(number, self._length, self._length + len(text)) for number in numbers]
            self._pass(text, pieces)
        else:
            self._pass(text, pieces)
        self._after_mark = self._in_series = True

    def _is_list(self, following: str) -> bool:
        """Tell whether brackets are JSON's or a program's: the value of a key, in another list, or quoted."""
        before = self._before.rstrip()
        if self._after_list or _KEY.search(before):
            return True
        if before.endswith("["):
            return following != "]"  # `[[1]]` is a mark that somebody doubled
        if before.endswith(",") and following == "," and not self._in_series:
            return True
        return following in ("]", "}") or (following in ('"', "'") and self._before.endswith(following))

    def _is_mark(self, following: str) -> bool:
        if self._tags or following[:1] == "(" or _is_word(following[:1]):
            return False
        if self._after_mark:
            return True
        before = self._before.rstrip(" \t")
        if _CALL.search(self._before):
            return False
        if _is_word(self._before[-1:]) or self._before.endswith("]"):
            return False
        if before[-1:] in _OPERATORS_BEFORE and not _PERCENTAGE.search(before):
            return False
        return following.lstrip(" ")[:1] not in _OPERATORS_AFTER or not following.strip(" ")


def _read_numbers(text: str | None) -> list[int]:
    return [int(number) for number in _EACH.findall(text or "")]


def shows_marks(text: str) -> bool:
    """Tell whether a message has a mark, or `[n]` for one, that is no index (`list[1]`) and no link (`[1](…)`)."""
    return _SHOWN_LABEL.search(text) is not None


def _is_word(character: str) -> bool:
    """Tell whether a character is part of a word of a script that puts spaces between words."""
    return character == "_" or (character.isalnum() and ord(character) < _WITHOUT_SPACES)

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
# Without passages, marks are judged with up to three that follow, what joins them, and how the clause goes on.
_ANY_MARK = rf"(?:\[\[?{_NUMBERS}\]\]?|{_WIDE.replace('?P<wide>', '?:').replace('?P<source>', '?:')})"
_JOINT = r" ?(?:[,;，；、/&–—-] ?)?"
_CLOSING = r"[\"'”’»)*]"
_STOP, _WIDE_STOP = r"[.,;:!?…]", r"[。，、；：！？）」』]"
_UNFINISHED_ALONE = re.compile(
    rf"(?:(?:{_JOINT}{_ANY_MARK}){{1,4}}(?:{_JOINT}|[ \t]{{0,2}}|{_CLOSING}{{0,2}}{_STOP}?)"
    rf"|(?:{_JOINT}{_ANY_MARK}){{0,4}}{_JOINT}{_MARK}| |{_TAG})$",
    re.I,
)
_CLAUSE_END = re.compile(
    rf"(?:{_JOINT}{_ANY_MARK}){{0,3}}(?:[ \t]{{0,2}}(?:[\n\r|]|\Z)"
    rf"|{_CLOSING}{{0,2}}(?:{_STOP}(?:\s|{_CLOSING}|\Z)|{_WIDE_STOP})|{_CLOSING}{{1,2}}(?:\s|\Z))"
)
_JOINT_ALONE = re.compile(_JOINT)
# A word or an amount that isn't a program's name: no single letter, no member of another, nothing of a call.
_PROSE = re.compile(
    r"(?:[\s\"'“‘«„*|>–—/-]|(?<![\w\])])\()"
    r"(?:[^\W_](?:[^\W_]|['’-](?=[^\W_]))*[^\W_]|[€$£¥]?[0-9]+(?:[.,][0-9]+)*)$"
)
_CLAUSE_BEGINNING = re.compile(r"(?:\n[ \t#>*-]*|[:,;][ \t]+|[：，、；][ \t]*)$")
_EMPHASES_AND_QUOTES = frozenset("*_\"'“„«‘(€$£¥")
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
_BEFORE = 80  # characters, of which rules about what stands before a mark know: more than most words have
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
    other.

    Where no passage was in the prompt, no mark can be meant for the reader: it is left out, with the space before it
    and with what joins it to another (`[1]–[3]`), unless the answer says nothing else. So are several numbers
    (`[1, 2]`), and one right behind a word (`31 months[1].`), if a clause ends there: else the text speaks of a list,
    or of an element. What counts things stays: at the beginning of a line or of a clause before a word (`Sizes: [1]
    small, [2] large`), and the next number of such a line.

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
    _enumeration: int = 0
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
        unfinished = (_UNFINISHED if self.passage_numbers else _UNFINISHED_ALONE).search(marks)
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
            between, at = text[at : step.start()], step.end()
            if self._goes_with_last(between, step, marks):
                self._left_out += between
                self._mark([], step.group(), pieces)
                continue
            self._pass(between, pieces)
            if step.group()[0] == "<":
                self._tags = max(0, self._tags + (-1 if step["end"] else 1))
                self._pass(text[step.start() : at], pieces)
            elif step.group()[0] == "【":
                self._take_wide(step, marks, pieces)
            elif self._is_list(marks[at : at + 1]):
                self._pass(step.group(), pieces)
                self._after_list = True
            elif self._counts(numbers := self._read_numbers(step), marks[at : at + 2]):
                self._pass_count(numbers[0], step.group(), pieces)
            elif self._is_mark(numbers, marks, at):
                self._mark(numbers, step.group(), pieces)
            else:
                self._pass(step.group(), pieces)
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
            self._before, self._after_mark = (self._before + text[-_BEFORE:])[-_BEFORE:], False
            self._enumeration = 0 if "\n" in text else self._enumeration

    def _pass_count(self, number: int, text: str, pieces: list[str]) -> None:
        self._pass(text, pieces)
        self._enumeration = number

    def _take_wide(self, step: re.Match[str], marks: str, pieces: list[str]) -> None:
        is_plain = step["wide"] is not None and step["source"] is None
        numbers = _find_numbers(step["wide"])
        is_number = is_plain and (len(numbers) == 1 or bool(self.passage_numbers))
        if self._tags or (is_number and _LINE_BEGINNING.search(self._before)):
            self._pass(step.group(), pieces)
        elif is_number and self._counts(numbers, marks[step.end() : step.end() + 2]):
            self._pass_count(numbers[0], step.group(), pieces)
        else:
            self._mark(numbers, step.group(), pieces)

    def _mark(self, numbers: Sequence[int], text: str, pieces: list[str]) -> None:
        if not self.passage_numbers:
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

    def _read_numbers(self, step: re.Match[str]) -> list[int]:
        return _find_numbers(step["numbers"] or (None if self.passage_numbers else step["twice"]))

    def _goes_with_last(self, between: str, step: re.Match[str], marks: str) -> bool:
        """Tell whether a mark goes together with the one before it and with what joins them."""
        if self.passage_numbers or not (self._after_mark and between and _JOINT_ALONE.fullmatch(between)):
            return False
        if self._tags or step.group()[0] == "<":
            return False
        if step.group()[0] == "【":
            return True
        return not self._is_list(marks[step.end() : step.end() + 1]) and self._is_mark([], marks, step.end())

    def _counts(self, numbers: Sequence[int], following: str) -> bool:
        """Tell whether a number in brackets counts things: it stands before the first word of one."""
        if self.passage_numbers or self._after_mark or len(numbers) != 1:
            return False
        is_apart = following[:1] in (" ", "\t")
        first = following[is_apart : 1 + is_apart]
        if not first.isalnum() and not (is_apart and first in _EMPHASES_AND_QUOTES):
            return False
        return numbers[0] == self._enumeration + 1 > 1 or _CLAUSE_BEGINNING.search(self._before) is not None

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

    def _is_mark(self, numbers: Sequence[int], marks: str, end: int) -> bool:
        following = marks[end : end + 2]
        if self._tags or following[:1] == "(" or _is_word(following[:1]):
            return False
        if self._after_mark:
            return True
        before = self._before.rstrip(" \t")
        if _CALL.search(self._before) or self._before.endswith("]"):
            return False
        if _is_word(self._before[-1:]):
            return not self.passage_numbers and bool(_PROSE.search(self._before) and _CLAUSE_END.match(marks, end))
        if before[-1:] in _OPERATORS_BEFORE and not _PERCENTAGE.search(before):
            return False
        if following.lstrip(" ")[:1] in _OPERATORS_AFTER and following.strip(" "):
            return False
        if self.passage_numbers or len(numbers) < 2:
            return True
        return not before.endswith((":", "：")) and _CLAUSE_END.match(marks, end) is not None


def _find_numbers(text: str | None) -> list[int]:
    return [int(number) for number in _EACH.findall(text or "")]


def shows_marks(text: str) -> bool:
    """Tell whether a message has a mark, or `[n]` for one, that is no index (`list[1]`) and no link (`[1](…)`)."""
    return _SHOWN_LABEL.search(text) is not None


def _is_word(character: str) -> bool:
    """Tell whether a character is part of a word of a script that puts spaces between words."""
    return character == "_" or (character.isalnum() and ord(character) < _WITHOUT_SPACES)

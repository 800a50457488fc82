"""The lines of a growing Markdown text: which of them are code, and where paragraphs end.

After CommonMark 0.31, sections 4 and 5: what a line is follows from the containers (quotes, items of lists) and the
block that are open, and from how it begins.
"""

import re
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["BlockReader", "Line"]

_QUOTE = 0
_TAB = 4
_CODE_INDENT = 4
_MARKER = re.compile(r"([-+*]|\d{1,9}[.)])( +|$)")
_FENCE = re.compile(r"(`{3,})[^`]*$|(~{3,})")
_BREAK = re.compile(r"([-*_])(?: *\1){2,} *$")
_UNDERLINE = re.compile(r"(?:=+|-+) *$")
_HEADING = re.compile(r"#{1,6}(?: |$)")
_TAG = re.compile(r"<(?![A-Za-z][A-Za-z0-9+.-]+:)[A-Za-z/!?]")
# What a line's beginning may still turn into something else: containers, then a run of what blocks begin with.
_CONTAINERS = r"(?:[ \t>]++|[-+*](?=[ \t\n]|$)|\d{1,9}(?:[.)](?=[ \t\n]|$)|$))*"
_UNDECIDED = re.compile(
    rf"{_CONTAINERS}(?:`{{1,2}}|`{{3,}}[^`\n]*|~{{1,2}}|~{{3,}}[^\n]*|[-*_=+:| \t]*|#{{1,6}}|<[A-Za-z0-9+.-]*)?\Z"
)


@dataclass(frozen=True, slots=True)
class Line:
    """A line's part in the text: `begin` is where its content begins, behind what opens or continues containers.

    Attributes:
        kind: `code`, `fence` (the line that opens it) and `indented` are code; `tag` begins with what may be HTML.
        continues: It goes on with the paragraph of the line before.
        ends: Nothing goes on with its text.
    """

    kind: Literal["code", "fence", "indented", "text", "tag"]
    begin: int = 0
    continues: bool = False
    ends: bool = False


@dataclass(slots=True)
class BlockReader:
    """Reads a text line by line.

    Attributes:
        containers: The open ones from the outermost: 0 for a quote, or the columns that an item's content stands in.
    """

    containers: list[int] = field(default_factory=list[int])
    _fence: str = ""
    _paragraph: bool = False
    _empty_item: bool = False

    def is_undecided(self, beginning: str) -> bool:
        """Tell whether a line that begins like this may become one of several kinds."""
        return _UNDECIDED.match(beginning) is not None

    def read(self, line: str) -> Line:
        """Take the next line, or so much of it that it isn't undecided any more; without its end."""
        if not self.containers and not self._fence and line[:1].isalpha():
            return self._read_words(Line("text", 0, self._paragraph))  # as most are
        columns = line.expandtabs(_TAB)
        if self._empty_item:
            self._empty_item = False
            if not columns.strip(" "):
                self.containers.pop()  # an item may begin with one blank line, not with two
        depth, at = self._continue(columns)
        matched = depth == len(self.containers)
        if self._fence:
            if matched:
                return self._read_fenced(columns[at:])
            self._fence = ""
        return self._read_block(line, columns, depth, at)

    def _read_words(self, line: Line) -> Line:
        self._paragraph = True
        return line

    def _continue(self, columns: str) -> tuple[int, int]:
        """Return how many of the open containers the line goes on with, and the column after their marks."""
        at = 0
        for depth, container in enumerate(self.containers):
            rest = columns[at:]
            indent = len(rest) - len(rest.lstrip(" "))
            if container == _QUOTE:
                if indent >= _CODE_INDENT or rest[indent : indent + 1] != ">":
                    return depth, at
                at += indent + 1
                at += columns[at : at + 1] == " "
            elif indent >= container:
                at += container
            elif rest.strip(" "):
                return depth, at
        return len(self.containers), at

    def _read_fenced(self, rest: str) -> Line:
        stripped = rest.strip(" ")
        indent = len(rest) - len(rest.lstrip(" "))
        if indent < _CODE_INDENT and stripped.startswith(self._fence) and not stripped.strip(self._fence[0]):
            self._fence = ""
        return Line("code")

    def _read_block(self, line: str, columns: str, depth: int, at: int) -> Line:
        paragraph, matched = self._paragraph, depth == len(self.containers)
        containers, at, has_new = self._open(columns, self.containers[:depth], at, interrupts=paragraph and matched)
        rest = columns[at:]
        indent = len(rest) - len(rest.lstrip(" "))
        rest = rest[indent:]
        continues = paragraph and not has_new
        if not rest:
            self.containers, self._paragraph = containers, False
            self._empty_item = has_new and containers[-1] != _QUOTE
            return Line("text", ends=True)
        if indent >= _CODE_INDENT:
            if not continues:
                self.containers, self._paragraph = containers, False
                return Line("indented")
        elif fence := _FENCE.match(rest):
            self.containers, self._paragraph, self._fence = containers, False, fence.group(1) or fence.group(2)
            return Line("fence")
        elif (continues and matched and _UNDERLINE.match(rest)) or _BREAK.match(rest) or _HEADING.match(rest):
            self.containers, self._paragraph = containers, False
            return Line("text", _find(line, at + indent), ends=True)
        if not continues:
            self.containers = containers
        self._paragraph = True
        kind = "tag" if indent < _CODE_INDENT and _TAG.match(rest) else "text"
        return Line(kind, _find(line, at + indent), continues)

    def _open(self, columns: str, containers: list[int], at: int, *, interrupts: bool) -> tuple[list[int], int, bool]:
        """Open the line's new containers; return all, the column after them, and whether there are any.

        `interrupts` says that a first list would interrupt a paragraph, which an empty item and a number can't.
        """
        has_new = False
        while True:
            rest = columns[at:]
            indent = len(rest) - len(rest.lstrip(" "))
            rest = rest[indent:]
            if indent >= _CODE_INDENT:
                break
            if rest.startswith(">"):
                at += indent + 1
                at += columns[at : at + 1] == " "
                containers.append(_QUOTE)
            elif (item := _MARKER.match(rest)) and not _BREAK.match(rest):
                marker, content = len(item.group(1)), rest[item.end() :]
                if interrupts and not has_new and (not content or (marker > 1 and item.group(1)[:-1] != "1")):
                    break
                gap = len(item.group(2))
                gap = 1 if not content or gap > _CODE_INDENT else gap
                at += indent + marker + gap
                containers.append(indent + marker + gap)
            else:
                break
            has_new = True
        return containers, at, has_new


def _find(line: str, column: int) -> int:
    """Return where a column is in a line with tabs."""
    if "\t" not in line[:column]:
        return column
    reached = 0
    for at, character in enumerate(line):
        if reached >= column:
            return at
        reached += _TAB - reached % _TAB if character == "\t" else 1
    return len(line)

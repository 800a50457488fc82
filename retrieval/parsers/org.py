"""Org: the text stays as written, without comments, properties, keywords and what its author doesn't export."""

import re
from bisect import bisect_right
from collections.abc import Sequence

from retrieval.parsers.org_macros import Macros
from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits
from retrieval.parsers.text import clean_visible
from retrieval.parsers.text_page import TextPage, measure_indent

__all__ = ["parse_org"]

_TITLE = re.compile(r"(\*+)[ \t]+(\S.*)")
_STATE_NAMES = frozenset(
    ("TODO", "DONE", "NEXT", "WAITING", "HOLD", "STARTED", "IN-PROGRESS", "SOMEDAY", "CANCELED", "CANCELLED")
)
"""The states of Org and of most users' settings; a file names others in `#+TODO:`."""
_STATES = re.compile(r"#\+(?:TODO|SEQ_TODO|TYP_TODO):(.*)", re.I)
_PRIORITY = re.compile(r"\[#\w\] ?")
_TAGS = re.compile(r" (:[\w@#%:]+:)\Z")
_COUNTS = re.compile(r" ?\[(?:\d{0,9}/\d{0,9}|\d{0,9}%)\](?= |\Z)")
_COMMENTED = re.compile(r"COMMENT(?:[ \t]+|\Z)")
_UNEXPORTED = ":noexport:"
_KEYWORD = re.compile(r"[ \t]*#\+(?P<name>[A-Za-z][\w-]*(?:\[[^\]]*\])?):[ \t]*(?P<value>.*)")
_SHOWN_KEYWORDS = frozenset(("subtitle", "author", "date", "email", "caption", "include", "description"))
"""Keywords whose values a reader sees, beside the title."""
_BEGIN = re.compile(r"[ \t]*#\+begin_(?P<kind>\w+)(?:[ \t].*)?", re.I)
_VERBATIM = frozenset(("src", "example", "export"))
_COMMENT = re.compile(r"[ \t]*#(?:[ \t]+(.*)|\Z)")
_DRAWER = re.compile(r"[ \t]*:(?!end:)([\w-]+):", re.I)
_HIDDEN = frozenset(("properties", "logbook", "clockbook"))
"""Drawers that Org doesn't export; what authors keep in others is text."""
_DRAWER_END = re.compile(r"[ \t]*:end:", re.I)
_TABLE = re.compile(r"[ \t]*\|")
_RULE = re.compile(r"[ \t]*\|-")
_FIXED = re.compile(r"[ \t]*:(?:[ \t]|\Z)")
_ITEM = re.compile(r"(?:[-+]|[ \t]+\*|[ \t]*(?:\d{1,4}|[A-Za-z])[.)]|[ \t]+[-+])[ \t]+\S")
_ESCAPED = re.compile(r"^([ \t]*),(?=,*(?:\*|#\+))")
"""The comma before what would be a heading or a keyword in code."""
_MARKS = re.compile(
    r"\[\[[^\[\]]*\]\[([^\[\]]*)\]\]|\[\[([^\[\]]*)\]\]|<<<?([^<>]*)>>>?"
    r"|(?<![\w*/_=~+])([*/_=~+])(?![\s])([^*/=~+]{1,200}?)(?<!\s)\4(?![\w*/=~+])"
)


def parse_org(content: FileContent, _limits: ParseLimits) -> ParsedDocument:
    """Find headings, code, tables and lists; leave out comments, properties, and subtrees that are commented out.

    Raises:
        DocumentUnreadable: Nothing visible is in it.
    """
    reader = _Reader(clean_visible(content.text).split("\n"))
    reader.read()
    return reader.page.to_parsed(content.media_type)


class _Reader:
    """Goes through the lines of a file, each of which is on the page, or means something for those that are."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.page = TextPage()
        self._lines = [line.rstrip() for line in lines]
        self._macros = Macros(self._lines)
        self._ends: dict[str, list[int]] = {}
        self._at = 0
        self._states = set(_STATE_NAMES)
        self._above = 0  # 1 where the file has a title, which all headings are below
        self._outer: list[tuple[str, int]] = []  # the line that ends each open block, and its first line on the page
        self._drawer_ends = set[int]()  # the lines that end the drawers whose text is read
        self._caption: int | None = None  # the line of a caption that stands right above
        self._heads = [number for number, line in enumerate(self._lines) if _TITLE.fullmatch(line)]
        for number, line in reversed(list(enumerate(self._lines))):
            if line.lstrip().lower().startswith("#+end_") or _DRAWER_END.fullmatch(line):
                self._ends.setdefault(line.strip().lower(), []).append(number)

    def read(self) -> None:
        while self._at < len(self._lines):
            line = self._lines[self._at]
            title = _TITLE.fullmatch(line)
            if title is not None:
                self._read_heading(len(title[1]), self._macros.fill_in(title[2]))
            elif not (self._skip(line) or self._read_block(line)):
                self._add_line(line)
        self.page.close_list()

    def _read_heading(self, level: int, words: str) -> None:
        self.page.close_list()
        self._outer = []
        first, _, rest = " ".join(words.split()).partition(" ")
        words = _PRIORITY.sub("", rest if first in self._states else f"{first} {rest}".rstrip(), count=1)
        tags = _TAGS.search(words)
        if tags is not None:
            words = words[: tags.start()]
        if _COMMENTED.match(words) or (tags is not None and _UNEXPORTED in tags[1]):
            end = self._find_next(level)
            self.page.comments.append("\n".join(self._lines[self._at : end]))
            self._at = end
            return
        if words := _read_words(_COUNTS.sub("", words)):
            self.page.add_title(words, level + self._above)
        self._at += 1

    def _find_next(self, level: int) -> int:
        """Return where the subtree of a heading of a level ends."""
        for place in range(bisect_right(self._heads, self._at), len(self._heads)):
            title = _TITLE.match(self._lines[self._heads[place]])
            if title is not None and len(title[1]) <= level:
                return self._heads[place]
        return len(self._lines)

    def _skip(self, line: str) -> bool:
        """Read a line of which nothing is on the page but what a keyword shows: a keyword, a comment, a drawer."""
        if (keyword := _KEYWORD.fullmatch(line)) is not None and not _BEGIN.fullmatch(line):
            name = keyword["name"].partition("[")[0].lower()
            self._read_keyword(name, self._macros.fill_in(keyword["value"]), line)
        elif (comment := _COMMENT.fullmatch(line)) is not None:
            self.page.comments.append(comment[1] or "")
        elif self._at in self._drawer_ends:
            pass
        elif (drawer := _DRAWER.fullmatch(line)) is not None and (end := self._find_close(":end:")):
            if drawer[1].lower() in _HIDDEN:
                self._at = end
            else:
                self._drawer_ends.add(end)
        else:
            return False
        self._at += 1
        return True

    def _read_keyword(self, name: str, value: str, line: str) -> None:
        if name == "title" and value:
            self._add_file_title(value)
        elif (states := _STATES.fullmatch(line)) is not None:
            self._states |= {word.partition("(")[0] for word in states[1].split() if word != "|"}
        elif name in _SHOWN_KEYWORDS and value:
            if name == "caption":
                self._caption = len(self.page.lines)
            self.page.lines.append(line.strip() if name == "include" else value)

    def _add_file_title(self, value: str) -> None:
        """Add the file's title; a second one goes on with it, and one below headings is text."""
        if self._above or (self._heads[:1] and self._heads[0] < self._at):
            self.page.lines.append(value)
        elif words := _read_words(value):
            self.page.add_title(words, 1)
            self._above = 1

    def _read_block(self, line: str) -> bool:
        """Read a block between two lines, or one by what its lines begin with: a table, or code."""
        if self._outer and line.strip().lower() == self._outer[-1][0]:
            self.page.close_list()
            self.page.close_block(self._outer.pop()[1], "list")
            self._at += 1
            return True
        begin = _BEGIN.fullmatch(line)
        if begin is not None:
            return self._begin_block(begin["kind"].lower(), line)
        pattern = next((one for one in (_TABLE, _FIXED) if one.match(line)), None)
        if pattern is None:
            return False
        self._close_list_before(line)
        end = self._at
        while end < len(self._lines) and pattern.match(self._lines[end]):
            end += 1
        lines = self._lines[self._at : end]
        head = 0
        if pattern is _TABLE:
            lines = list(map(self._macros.fill_in, lines))
            rules = [number for number, row in enumerate(lines) if _RULE.match(row)]
            head = next((number + 1 for number in rules if number and number + 1 < len(lines)), 0)
        self._add_block(lines, "table" if pattern is _TABLE else "code", head)
        self._at = end
        return True

    def _begin_block(self, kind: str, line: str) -> bool:
        closing = f"#+end_{kind}"
        end = self._find_close(closing)
        if not end:
            return False
        self._close_list_before(line)
        if kind == "comment":
            self.page.comments.append("\n".join(self._lines[self._at + 1 : end]))
            self._at = end
        elif kind in _VERBATIM:
            code = [_ESCAPED.sub(r"\1", one) for one in self._lines[self._at : end + 1]]
            self._add_block(code, "code", 1, self._lines[end].strip())
            self._at = end
        else:
            self._outer.append((closing, len(self.page.lines)))
        self._at += 1
        return True

    def _add_block(self, lines: Sequence[str], kind: str, head: int, closing: str = "") -> None:
        """Add lines as a block, with the caption above them."""
        first = len(self.page.lines) if self._caption is None else self._caption
        head = len(self.page.lines) + head if head else first
        self.page.lines += lines
        self.page.close_block(first, "table" if kind == "table" else "code", head, closing)
        self._caption = None

    def _find_close(self, closing: str) -> int:
        """Return the line that closes what one opens, or 0: what is never closed hides nothing.

        A heading ends all that is open above it.
        """
        ends = self._ends.get(closing, [])
        while ends and ends[-1] <= self._at:
            ends.pop()
        if not ends:
            return 0
        heads = bisect_right(self._heads, self._at)
        return 0 if self._heads[heads : heads + 1] and self._heads[heads] < ends[-1] else ends[-1]

    def _add_line(self, line: str) -> None:
        if not line:
            self._caption = None
        elif _ITEM.match(line):
            if self.page.open_list is None:
                self.page.open_list = len(self.page.lines)
        else:
            self._close_list_before(line)
        self.page.lines.append(self._macros.fill_in(line))
        self._at += 1

    def _close_list_before(self, line: str) -> None:
        """Close the open list, unless a line is indented, as what belongs to an item is."""
        if not measure_indent(line):
            self.page.close_list()


def _read_words(line: str) -> str:
    """Return the words of a title, without marks."""
    return " ".join(_MARKS.sub(lambda match: match[match.lastindex or 0], line).split())

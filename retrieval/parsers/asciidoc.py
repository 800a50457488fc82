"""AsciiDoc: the text stays as written, without comments and settings; what attributes stand for takes their place."""

import re
from bisect import bisect_right
from collections.abc import Container, Sequence

from retrieval.parsers.asciidoc_attributes import Attributes
from retrieval.parsers.asciidoc_tables import read_asciidoc_table
from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits
from retrieval.parsers.text import clean_visible
from retrieval.parsers.text_page import TextPage, measure_columns

__all__ = ["parse_asciidoc"]

_TITLE = re.compile(r"(={1,6}|#{1,6})[ \t]+(\S.*)")
_RULES = {"=": 1, "-": 2, "~": 3, "^": 4, "+": 5}
"""The levels of titles by the sign of the line under them."""
_RULE = re.compile(r"(?:={2,}|-{2,}|~{2,}|\^{2,}|\+{2,})[ \t]*")
_VERBATIM = re.compile(r"(?:-{4,}|\.{4,}|\+{4,}|/{4,})[ \t]*|(?P<fence>```)[\w,+#-]*[ \t]*")
_TABLE = re.compile(r"(?P<sign>[|,:!])={3,}[ \t]*")
_OUTER = re.compile(r"(?:={4,}|\*{4,}|_{4,}|--)[ \t]*")
"""Lines around examples, sidebars, quotes and open blocks, which may have other blocks in them."""
_COMMENT = re.compile(r"//(?!/)(.*)")
_CONDITION = re.compile(r"(?:(?P<text>ifn?def)|ifeval|endif)::[^\[\]]*\[(.*)\][ \t]*")
_SETTINGS = re.compile(r"\[(?:\[[^\[\]]*\]|(?=[^\W\d_]|[\]{,.#\"'%])(?:[^\[\]\"]|\"[^\"]*\")*)\]")
_CODE = re.compile(r"\[(?:source|listing|literal)\b|\[,[ \t]*\w|\[%[\w%]+,[ \t]*\w")
_SPOKEN = re.compile(r"\[(?:NOTE|TIP|IMPORTANT|WARNING|CAUTION|(?:quote|verse)\b[^,\]]*,.*\w)", re.I)
"""Settings of a block that a reader sees something of: what kind of a note it is, who is quoted."""
_COMMENTED = re.compile(r"\[comment[ \t]*[\],.#%]")
_TITLE_SETTING = re.compile(r"[\[,][ \t]*title[ \t]*=[ \t]*(?:\"([^\"]+)\"|'([^']+)'|([^,\]\"']+))")
"""The caption of a block among its settings, `[title="Prices",cols="1,2"]`."""
_CAPTION = re.compile(r"\.(?![\s.])(.+)")
_ITEM = re.compile(r"[ \t]*(?:-|\*{1,5}|\.{1,5}|\d{1,3}\.|[A-Za-z]\.|<[.\d]+>)[ \t]+\S|(?!//)\S.*?:{2,4}(?:[ \t]|\Z)")
_MARKS = re.compile(
    r"\[\[[^\[\]]*\]\]|\[#[^\[\]]*\](?=\s*\Z)|(?:link|xref|mailto|https?|kbd|btn):[^\s\[\]]{0,300}\[([^\[\]]{0,300})\]"
    r"|<<[^<>,]*,([^<>]*)>>|``?([^`]+)``?|(?<![\w*])\*{1,2}(?![\s*])([^*]+)(?<!\s)\*{1,2}(?![\w*])"
    r"|(?<!\w)_{1,2}(?![\s_])([^_]+)(?<!\s)_{1,2}(?!\w)|(?<!\w)\+(\S[^+]*)\+(?!\w)"
)


def parse_asciidoc(content: FileContent, _limits: ParseLimits) -> ParsedDocument:
    """Find titles, code, tables and lists, and leave comments and the settings of blocks out.

    Raises:
        DocumentUnreadable: Nothing visible is in it.
    """
    reader = _Reader(clean_visible(content.text).split("\n"))
    reader.read()
    return reader.page.to_parsed(content.media_type, reader.attributes.get_value("doctitle"))


class _Reader:
    """Goes through the lines of a file, each of which is on the page, or means something for those that are."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.page = TextPage()
        self.attributes = Attributes()
        self._lines = [line.rstrip() for line in lines]
        self._places: dict[str, list[int]] = {}
        for number, line in enumerate(self._lines):
            if _VERBATIM.fullmatch(line) or _TABLE.fullmatch(line) or _OUTER.fullmatch(line):
                self._places.setdefault(line, []).append(number)
        self._at = 0
        self._outer: list[tuple[str, int]] = []  # the line that ends each open block, and its first line on the page
        self._open: dict[str, int] = {}  # the places of those lines in `_outer`
        self._is_head = False  # whether all lines so far are of the head: the title, who wrote it, the revision
        self._begins = True  # whether no paragraph is open
        self._joins = False  # whether a `+` above holds what follows to its list
        self._settings: list[str] = []
        self._captions = 0

    def read(self) -> None:
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if not line:
                self._add_blank()
            elif not (self._skip(line) or self._read_block(line) or (self._begins and self._read_beginning(line))):
                self._add_line(line)
        self.page.close_list()

    def _add_blank(self) -> None:
        if self.page.lines and self.page.lines[-1]:
            self.page.lines.append("")
        self._begins = True
        self._is_head = False
        self._at += 1

    def _add_line(self, line: str) -> None:
        text = self.attributes.fill_in(line)
        if _ITEM.match(line):
            if self.page.open_list is None:
                self.page.open_list = len(self.page.lines) - self._captions
        elif self._begins and not self._joins and not line[0].isspace():
            self.page.close_list()
        self.page.lines.append(text)
        self._begins = self._joins = False
        self._forget()
        self._at += 1

    def _skip(self, line: str) -> bool:
        """Read a line of which nothing is on the page: a comment, an attribute, a condition, a block's settings."""
        if (comment := _COMMENT.match(line)) is not None:
            self.page.comments.append(comment[1])
        elif (condition := _CONDITION.fullmatch(line)) is not None:
            if condition["text"] and condition[2]:
                self.page.lines.append(self.attributes.fill_in(condition[2]))
        elif line == "+" and self.page.open_list is not None:
            self._joins = True
        elif (self._begins or self._is_head) and (length := self.attributes.read(self._lines, self._at)):
            self._at += length
            return True
        elif _SETTINGS.fullmatch(line) and (self._begins or self._is_above_block()):
            self._settings.append(line)
            self._begins = True
            if _SPOKEN.match(line):
                self._add_caption(line)
            title = None if _COMMENTED.match(line) else _TITLE_SETTING.search(line)
            if title is not None and (caption := title[title.lastindex or 0].strip()):
                self._add_caption(self.attributes.fill_in(caption))
        else:
            return False
        self._at += 1
        return True

    def _add_caption(self, line: str) -> None:
        """Add a line that stands above the block that follows, and belongs to it."""
        self._close_list_unless_joined()
        self.page.lines.append(line)
        self._captions += 1

    def _is_above_block(self) -> bool:
        """Tell whether a block follows a line, with no more than other settings and its caption between them."""
        for line in self._lines[self._at + 1 : self._at + 5]:
            if line in self._places:
                return True
            if not (_SETTINGS.fullmatch(line) or _CAPTION.fullmatch(line)):
                return False
        return False

    def _read_block(self, line: str) -> bool:
        """Read what is between two lines of signs, or such a line of an outer block."""
        if line not in self._places:
            return False
        if line in self._open:
            self._end_outer(self._open[line])
            return True
        end = self._find_close(line, self._at)
        if _VERBATIM.fullmatch(line) and end:
            self._close_list_unless_joined()
            self._read_verbatim(line, end)
        elif (table := _TABLE.fullmatch(line)) is not None and end:
            self._close_list_unless_joined()
            self._read_table(table["sign"], end)
        elif end and _OUTER.fullmatch(line):
            self._close_list_unless_joined()
            if any(map(_COMMENTED.match, self._settings)):
                self.page.comments.append("\n".join(self._lines[self._at + 1 : end]))
                self._at = end
            else:
                self._open[line] = len(self._outer)
                self._outer.append((line, len(self.page.lines) - self._captions))
            self._forget()
            self._joins = False
        else:
            return False
        self._at += 1
        self._begins = True
        return True

    def _end_outer(self, place: int) -> None:
        self.page.close_list()
        while len(self._outer) > place:
            line, first = self._outer.pop()
            del self._open[line]
            self.page.close_block(first, "list")
        self._begins = True
        self._at += 1

    def _find_close(self, line: str, at: int) -> int:
        """Return the line that closes what one of signs at a line opens, or 0: what is never closed hides nothing."""
        fence = _VERBATIM.fullmatch(line)
        places = self._places.get("```" if fence is not None and fence["fence"] else line, [])
        behind = bisect_right(places, at)
        return places[behind] if behind < len(places) else 0

    def _read_verbatim(self, line: str, end: int) -> None:
        inside = self._lines[self._at + 1 : end]
        self._at = end
        if line.startswith("/") or any(map(_COMMENTED.match, self._settings)):
            self.page.comments.append("\n".join(inside))
        elif line.startswith("+"):
            self.page.lines += inside
        else:
            self._add_code([line, *self._fill_in_code(inside), self._lines[end]], 1, self._lines[end])
        self._forget()
        self._joins = False

    def _fill_in_code(self, lines: list[str]) -> list[str]:
        """Put values in the places of attributes, which code has only where it says so."""
        if any("subs=" in one and re.search(r"attributes|normal", one) for one in self._settings):
            return list(map(self.attributes.fill_in, lines))
        return lines

    def _add_code(self, lines: list[str], head: int, closing: str = "") -> None:
        language = [one for one in self._settings if _CODE.match(one)][-1:]
        first = len(self.page.lines) - self._captions
        self.page.lines += [*language, *lines]
        head += self._captions + len(language)
        self.page.close_block(first, "code", first + head, closing)

    def _read_table(self, sign: str, end: int) -> None:
        inside = list(map(self.attributes.fill_in, self._lines[self._at + 1 : end]))
        rows, heads = read_asciidoc_table(inside, sign, " ".join(self._settings))
        first = len(self.page.lines) - self._captions
        self.page.lines += rows or inside
        if rows:
            self.page.close_block(first, "table", first + self._captions + heads if heads else 0)
        self._at = end
        self._forget()
        self._joins = False

    def _read_beginning(self, line: str) -> bool:
        """Read what only stands where no paragraph is open: a title, a caption, code that is indented."""
        if not self._outer and (length := self._read_title(line)):
            self._at += length
            return True
        if (caption := _CAPTION.fullmatch(line)) is not None and self._has_next():
            self._add_caption(self.attributes.fill_in(caption[1]))
            self._at += 1
            return True
        if any(map(_COMMENTED.match, self._settings)):
            end = self._find_end(self._places)
            self.page.comments.append("\n".join(self._lines[self._at : end]))
            self._forget()
            self._at = end
            return True
        is_code = any(map(_CODE.match, self._settings)) and not _ITEM.match(line)
        if is_code or (line[0].isspace() and self.page.open_list is None and not _ITEM.match(line)):
            end = self._find_end()
            self._add_code(self._lines[self._at : end], 0)
            self._forget()
            self._at = end
            return True
        return False

    def _find_end(self, bounds: Container[str] = ()) -> int:
        """Return where a paragraph ends: at a blank line, or at a bound."""
        lines = self._lines
        return next((n for n in range(self._at, len(lines)) if not lines[n] or lines[n] in bounds), len(lines))

    def _has_next(self) -> bool:
        return self._at + 1 < len(self._lines) and self._lines[self._at + 1] != ""

    def _read_title(self, line: str) -> int:
        """Read a title, if one begins at a line; return the number of its lines."""
        if (title := _TITLE.fullmatch(line)) is not None:
            signs, words = title[1], title[2].removesuffix(title[1]).rstrip()
            self._add_title(words, len(signs))
            is_closed = self._is_underlined(words) and not self._find_close(self._lines[self._at + 1], self._at + 1)
            return 2 if is_closed else 1
        is_text = not line[0].isspace() and not line.endswith(":") and not _CAPTION.match(line)
        if is_text and self._is_underlined(line):
            self._add_title(line, _RULES[self._lines[self._at + 1][0]])
            return 2
        return 0

    def _is_underlined(self, line: str) -> bool:
        """Tell whether the next line is one of signs and as long as this one, which has a word."""
        under = self._lines[self._at + 1] if self._has_next() else ""
        return (
            bool(_RULE.fullmatch(under))
            and abs(len(under) - measure_columns(line)) <= 1
            and any(map(str.isalnum, line))
        )

    def _add_title(self, line: str, level: int) -> None:
        self.page.close_list()
        self._forget()
        self._joins = False
        words = " ".join(_MARKS.sub(_find_words, self.attributes.fill_in(line)).split())
        self._is_head = not self.page.lines
        if words:
            self.page.add_title(words, level)

    def _close_list_unless_joined(self) -> None:
        if not self._joins:
            self.page.close_list()

    def _forget(self) -> None:
        """Leave behind what was said of the block that has been read."""
        self._settings = []
        self._captions = 0


def _find_words(mark: re.Match[str]) -> str:
    """Return the words of what is marked in a title: of a link without any, where it leads."""
    words = mark[mark.lastindex] if mark.lastindex else ""
    if words or not mark.lastindex:
        return words
    return mark[0].partition("[")[0].removeprefix("link:").removeprefix("xref:")

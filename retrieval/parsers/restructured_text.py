"""reStructuredText: the text stays as written, without comments; its titles are headings, their lines of signs go."""

import re
from collections.abc import Sequence

from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits
from retrieval.parsers.substitutions import Substitutions
from retrieval.parsers.text import clean_visible
from retrieval.parsers.text_page import TextPage, find_end, measure_columns, measure_indent

__all__ = ["parse_restructured_text"]

_RULE = re.compile(r"([!-/:-@\[-`{-~])\1+[ \t]*\Z")
"""A line of one sign, under a title or above and under it."""

_SHORTEST_RULE = 4
"""Signs that are enough under a title that is longer; one that is as short as its title always is."""

_EXPLICIT = re.compile(r"(?P<indent>[ \t]*)\.\.(?:[ \t]+(?P<rest>\S.*)?)?\Z")
_DIRECTIVE = re.compile(r"(?:\|[^|]+\|[ \t]+)?(?P<name>[^\W_][\w:+.-]*?)[ \t]?::(?:[ \t]|\Z)")
_REFERENCE = re.compile(r"_\S.*:|__|\[[^\]]+\][ \t]|\[[^\]]+\]\Z")
_LABEL = re.compile(r"_[^:]*:\Z")
"""A place that others link to; one with an address behind it is a link."""

_CODE = re.compile(r"(?:code|code-block|sourcecode|parsed-literal|highlight|prompt|doctest|testcode|ipython)\Z")
_TABLE = re.compile(r"[ \t]*(?:\+[-=]+(?:\+[-=]+)*\+|=+(?:[ \t]+=+)+)[ \t]*\Z")
_HEAD_RULE = re.compile(r"[ \t]*[+=][=+ \t]*\Z")
_ROLE = re.compile(r":[A-Za-z][\w:+.-]{0,80}:(?=`)")
_QUOTED = re.compile(
    r"``([^`]+)``|`[~!]?([^`]+?)(?:\s<[^<>`]*>)?`_{0,2}|(?<![\w*])\*{1,2}(?![\s*])([^*]+)(?<!\s)\*{1,2}(?![\w*])"
)
_ESCAPE = re.compile(r"\\(\S)")


def parse_restructured_text(content: FileContent, _limits: ParseLimits) -> ParsedDocument:
    """Find titles, code and tables, and leave comments and labels out.

    Raises:
        DocumentUnreadable: Nothing visible is in it.
    """
    lines = clean_visible(content.text).split("\n")
    substitutions = Substitutions(lines)
    page = _Page(substitutions)
    _read(lines, page)
    if substitutions.hide_used():  # which those are is known only now: code has none
        page = _Page(substitutions)
        _read(lines, page)
    return page.to_parsed(content.media_type)


class _Page(TextPage):
    """A page whose titles have a level by their style: the place at which that came first."""

    def __init__(self, substitutions: Substitutions) -> None:
        super().__init__()
        self.substitutions = substitutions
        self._styles: list[tuple[str, bool]] = []

    def add_styled_title(self, line: str, style: tuple[str, bool]) -> None:
        if style not in self._styles:
            self._styles.append(style)
        self.add_title(_read_words(self.substitutions.fill_in(line)), self._styles.index(style) + 1)

    def close_directives(self, directives: list[tuple[int, int]], indent: int) -> None:
        """Make blocks of the directives that end at a line which is as deep as `indent`."""
        while directives and directives[-1][0] >= indent:
            self.close_block(directives.pop()[1], "list")


def _read(lines: Sequence[str], page: _Page) -> None:
    at = 0
    directives: list[tuple[int, int]] = []  # the depth of each that is open, and its first line on the page
    while at < len(lines):
        line = lines[at]
        if line.strip():
            page.close_directives(directives, measure_indent(line))
        if (end := page.substitutions.ends.get(at)) is not None:
            at = end
        elif (explicit := _EXPLICIT.match(line)) is not None:
            at = _read_explicit(lines, at, explicit, page, directives)
        elif length := _read_title(lines, at, page) or _read_table(lines, at, page):
            at += length
        else:
            page.lines.append(page.substitutions.fill_in(line))
            at += 1
            if line.rstrip().endswith("::"):
                at = _read_literal(lines, at, measure_indent(line), page)
    page.close_directives(directives, 0)


def _read_title(lines: Sequence[str], at: int, page: _Page) -> int:
    """Read a title, if one begins at a line; return the number of its lines."""
    if at and lines[at - 1].strip() and not page.ends_with_title() and not _EXPLICIT.match(lines[at - 1]):
        return 0
    first, second, third = (*lines[at : at + 3], "", "", "")[:3]
    above = _RULE.match(first)
    if above is None:
        under = _RULE.match(second)
        if under is None or first[:1].isspace() or not first.strip() or not _fits(first, second):
            return 0
        page.add_styled_title(first, (under[1], False))
        return 2
    if third.rstrip() != first.rstrip() or not second.strip() or not _fits(second.strip(), first):
        return 0
    page.add_styled_title(second, (above[1], True))
    return 3


def _fits(title: str, rule: str) -> bool:
    """Tell whether a line of signs is long enough for a title."""
    signs = len(rule.rstrip())
    return signs >= _SHORTEST_RULE or signs >= measure_columns(title.rstrip())


def _read_table(lines: Sequence[str], at: int, page: _Page) -> int:
    """Read a table that is drawn, if one begins at a line; return the number of its lines."""
    if _TABLE.match(lines[at]) is None:
        return 0
    is_grid = "+" in lines[at]
    end = at + 1
    rules = [at]
    while end < len(lines) and (lines[end].strip() or not is_grid):
        if _HEAD_RULE.match(lines[end]):
            rules.append(end)
            if not is_grid and (len(rules) > 2 or end + 1 == len(lines) or not lines[end + 1].strip()):
                end += 1
                break
        end += 1
    if not is_grid and len(rules) < 2:  # no table, since nothing ends it
        return 0
    has_head = len(rules) > (1 if is_grid else 2)
    page.add_block([*map(page.substitutions.fill_in, lines[at:end])], "table", rules[1] + 1 - at if has_head else 0)
    return end - at


def _read_literal(lines: Sequence[str], at: int, indent: int, page: _Page) -> int:
    """Read the code that a paragraph's `::` announces, and return where it ends."""
    start = at
    while start < len(lines) and not lines[start].strip():
        start += 1
    end = find_end(lines, start, indent)
    if end > start:
        page.lines += lines[at:start]
        page.add_block(lines[start:end], "code")
        return end
    return at


def _read_explicit(
    lines: Sequence[str], at: int, explicit: re.Match[str], page: _Page, directives: list[tuple[int, int]]
) -> int:
    """Read what begins with two dots, and return where it ends."""
    rest = explicit["rest"] or ""
    indent = len(explicit["indent"])
    directive = _DIRECTIVE.match(rest)
    if directive is None and _REFERENCE.match(rest):
        if not _LABEL.match(rest):
            page.lines.append(lines[at])
        return at + 1
    if directive is None and _follows_text(lines, at, indent, page):
        page.lines.append(lines[at])
        return at + 1
    if directive is not None and not _CODE.match(directive["name"]):
        directives.append((indent, len(page.lines)))
        page.lines.append(page.substitutions.fill_in(lines[at]))
        return at + 1
    is_empty = not rest and (at + 1 == len(lines) or not lines[at + 1].strip())  # ends what is indented above it
    end = at + 1 if is_empty else find_end(lines, at + 1, indent)
    if directive is None:
        page.comments.append("\n".join([rest, *lines[at + 1 : end]]))
    else:
        page.add_block(lines[at:end], "code", 1)
    return end


def _follows_text(lines: Sequence[str], at: int, indent: int, page: _Page) -> bool:
    """Tell whether a line goes on with the paragraph above it: what stands there is text, also behind two dots."""
    above = lines[at - 1] if at else ""
    is_block = _EXPLICIT.match(above) or page.ends_with_title()
    return bool(above.strip()) and measure_indent(above) == indent and not is_block


def _read_words(line: str) -> str:
    """Return the words of a title, without marks."""
    plain = _QUOTED.sub(lambda match: match[match.lastindex or 0], _ROLE.sub("", line.strip()))
    return _ESCAPE.sub(r"\1", plain).strip()

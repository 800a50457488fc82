"""Markdown: the text stays as written, without comments; its headings are for the chunks."""

import re

from retrieval.parsers.parsed import FileContent, Heading, Parsed, ParseLimits
from retrieval.parsers.text import clean_visible

__all__ = ["parse_markdown"]

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_NOT_PARAGRAPH = re.compile(r" {0,3}(?:[-*+][ \t]|\d+[.)][ \t]|>|\||#)|\s*$| {4}|\t")
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.S)
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(?:.*\n)*?(?:---|\.\.\.)[ \t]*\n")
_LINK = re.compile(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])")
_MARKS = re.compile(r"[*`]+|(?<!\w)_+|_+(?!\w)")


def parse_markdown(content: FileContent, _limits: ParseLimits) -> Parsed:
    """Find the headings of Markdown, ATX and underlined, outside code and front matter.

    Raises:
        DocumentUnreadable: Nothing visible is in it.
    """
    text = clean_visible(_strip_comments(content.text.replace("\r\n", "\n")))
    headings = _find_headings(text)
    title = headings[0].title if headings and headings[0].level == 1 else ""
    return Parsed(content.media_type, title, text, headings)


def _find_headings(text: str) -> list[Heading]:
    front = _FRONT_MATTER.match(text)
    offset = front.end() if front else 0
    headings: list[Heading] = []
    fence = ""
    before: tuple[int, str] | None = None  # Start and text of a paragraph line that an underline would make a heading.
    for line in text[offset:].splitlines(keepends=True):
        start, offset, bare = offset, offset + len(line), line.rstrip("\n")
        mark = _FENCE.match(bare)
        if fence:
            if mark and mark[1].startswith(fence) and not bare.strip().strip(fence[0]):
                fence = ""
            continue
        if mark:
            fence, before = mark[1], None
        elif atx := _ATX.match(bare):
            before = None
            if title := _strip_marks(atx[2] or ""):
                headings.append(Heading(start, len(atx[1]), title))
        elif before and (underline := _UNDERLINE.match(bare)):
            headings.append(Heading(before[0], 1 if underline[1][0] == "=" else 2, _strip_marks(before[1])))
            before = None
        else:
            before = None if _NOT_PARAGRAPH.match(bare) else (start, bare)
    return headings


def _strip_comments(text: str) -> str:
    """Leave out HTML comments, which no rendered page shows, but not those in fenced code."""
    parts: list[str] = []
    fence = ""
    outside: list[str] = []
    for line in text.splitlines(keepends=True):
        mark = _FENCE.match(line)
        if not fence and mark:
            parts.append(_COMMENT.sub("", "".join(outside)))
            outside, fence = [], mark[1]
            parts.append(line)
        elif fence:
            parts.append(line)
            if mark and mark[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
        else:
            outside.append(line)
    parts.append(_COMMENT.sub("", "".join(outside)))
    return "".join(parts)


def _strip_marks(title: str) -> str:
    return _MARKS.sub("", _LINK.sub(r"\1", title)).strip()

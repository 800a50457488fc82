"""Markdown: the text stays as written, without comments; its headings are for the chunks."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import unescape
from itertools import accumulate
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.token import Token

from retrieval.parsers.document_title import find_top_heading, pick_title
from retrieval.parsers.parsed_document import Block, FileContent, Heading, ParsedDocument, ParseLimits
from retrieval.parsers.text import clean_visible, describe_comments
from retrieval.parsers.text_writer import join_words

__all__ = ["parse_markdown"]

_FRONT_MATTER = re.compile(
    r"\A---[ \t]*\n(?P<data>(?>[\w\"'-][^\n]*?:(?:[ \t][^\n]*)?\n)(?:.*\n)*?)(?:---|\.\.\.)[ \t]*(?:\n|\Z)"
)
_NOT_DATA = re.compile(r"\n[ \t]*\n#{1,6}[ \t]|^(?![ \t]|[\w\"'.-][^\n]*?:(?:[ \t]|$)|-[ \t]|[#\]}]|$)", re.M)
_TOML = re.compile(r"\A\+\+\+[ \t]*\n(?P<data>[^\n=]*=[^\n]*\n(?:.*\n)*?)\+\+\+[ \t]*(?:\n|\Z)")
# YAML's value goes on in deeper lines; a text without quotation marks ends at a comment.
_TITLE = re.compile(r"^title[ \t]*[:=][ \t]*(?P<value>.*(?:\n[ \t]+\S.*)*)", re.M)
_QUOTED = re.compile(r"([\"'])(.*?)\1[ \t]*(?:#.*)?\Z")
_COMMENT_BEHIND = re.compile(r"(?:\A|[ \t])#.*")
_SCALAR = re.compile(r"\A[>|][-+0-9]*[ \t]*(?:#.*)?\n")

# What CommonMark reads inside a block, in the order of the text: an escape, a code span, a run of backticks that opens
# none, the beginning of a comment.
_INLINE = re.compile(r"\\[\\`<{]|(?<!`)(?P<ticks>`+)(?!`).*?(?<!`)(?P=ticks)(?!`)|`+|(?P<comment><!--|\{/\*)", re.S)
_COMMENT = re.compile(r"(?P<comment><!--|\{/\*)")
_ENDS = {"<!--": "-->", "{/*": "*/}"}
"""The ends of comments by their beginnings: of HTML, and of MDX, which is Markdown with expressions in braces."""
_RULE_ABOVE = re.compile(r"\A(=+|-+|~+|#+)[ \t]*\n")
"""The upper one of two lines around a title, as reStructuredText has them."""
_ATTRIBUTES = re.compile(r"\{:?[ \t]*[#.][\w.:-]+(?:[ \t][^{}\n]*)?\}[ \t]*\Z")
"""The id and the classes with which a heading may end for generators of pages: `{#prices .wide}`."""
_PAGE_HEADING = re.compile(r"<h([1-6])\b([^<>]*)>((?:(?!<h[1-6]\b).)*?)</h\1\s*>", re.S | re.I)
_UNSEEN = re.compile(r"\shidden(?![\w-])|aria-hidden\s*=\s*[\"']?true|display\s*:\s*none", re.I)
_QUOTED_PAGE = re.compile(r"[ \t]*<(?:pre|script|style|textarea)\b", re.I)
"""A block in which tags are text, or of no page."""
_TAG = re.compile(r"<[a-z/!][^<>]*>", re.I)
_PICTURE_WORDS = re.compile(r"<img\b[^<>]*?\salt=([\"'])([^<>]*?)\1", re.I)
_SIGNS = re.compile(r"[\\`*_\[\]<>&!\n]")

_BLOCK_KINDS: dict[str, Literal["list", "table", "code"]] = {
    "ordered_list_open": "list",
    "bullet_list_open": "list",
    "table_open": "table",
    "fence": "code",
    "code_block": "code",
}

_READER = MarkdownIt("commonmark").enable("table").disable("inline")
_INLINE_READER = MarkdownIt("commonmark")

_Span = tuple[int, int]


def parse_markdown(content: FileContent, _limits: ParseLimits) -> ParsedDocument:
    """Find the headings of Markdown, ATX and underlined, outside code, quotes, lists and front matter.

    Raises:
        DocumentUnreadable: Nothing visible is in it.
    """
    text = clean_visible(content.text)
    warnings: list[str] = []
    if any(opening in text for opening in _ENDS):
        text, comments = _strip_comments(text)
        text = clean_visible(text)
        warnings += filter(None, [describe_comments(comments)])
    blocks = _Blocks.read(text)
    headings = list(_find_headings(blocks))
    title = pick_title(_read_title(text, blocks.body), find_top_heading(headings, text))
    return ParsedDocument(
        content.media_type, title, text, headings, warnings=warnings, blocks=list(_find_blocks(blocks))
    )


@dataclass(frozen=True, slots=True)
class _Blocks:
    """The blocks of a text; `starts` are the offsets of its lines after the front matter, which ends at `body`."""

    text: str
    body: int
    tokens: Sequence[Token]
    starts: Sequence[int]

    @classmethod
    def read(cls, text: str) -> "_Blocks":
        body = _find_body(text)
        lines = text[body:].split("\n")
        starts = list(accumulate((len(line) + 1 for line in lines), initial=body))
        return cls(text, body, _READER.parse(text[body:]), starts)

    def locate(self, token: Token) -> _Span:
        """Return a block's span, whole lines."""
        first, last = token.map or (0, 0)
        return self.starts[first], min(self.starts[min(last, len(self.starts) - 1)], len(self.text))


def _find_body(text: str) -> int:
    """Return where front matter ends: 0 without it. A rule `---` with prose after it is none."""
    if (toml := _TOML.match(text)) is not None:
        return toml.end()
    front = _FRONT_MATTER.match(text)
    return front.end() if front and not _NOT_DATA.search(front["data"]) else 0


def _read_title(text: str, body: int) -> str:
    """Return the title in the front matter, which ends at `body`; "" where it has none."""
    match = _TITLE.search(text, 0, body)
    if match is None:
        return ""
    value, scalars = _SCALAR.subn("", match["value"])
    value = " ".join(value.split())
    if scalars:
        return value
    quoted = _QUOTED.match(value)
    return quoted[2].strip() if quoted else _COMMENT_BEHIND.sub("", value).strip()


def _find_headings(blocks: _Blocks) -> Iterator[Heading]:
    for token, following in zip(blocks.tokens, [*blocks.tokens[1:], None], strict=False):
        if token.type == "html_block" and not token.level:
            yield from _find_page_headings(blocks, token)
        if token.type != "heading_open" or token.level or following is None:
            continue
        words = _ATTRIBUTES.sub("", _RULE_ABOVE.sub("", following.content, count=1))
        if title := _read_inline(words):
            yield Heading(blocks.locate(token)[0], int(token.tag[1:]), title)


def _find_page_headings(blocks: _Blocks, token: Token) -> Iterator[Heading]:
    """Find headings as pages have them, `<h1 align="center">Kestrel</h1>`, by their words or their picture's."""
    start, end = blocks.locate(token)
    if _QUOTED_PAGE.match(blocks.text, start):
        return
    at = start
    for heading in _PAGE_HEADING.finditer(blocks.text, start, end):
        words = join_words(unescape(_TAG.sub(" ", heading[3])))
        if not words and (picture := _PICTURE_WORDS.search(heading[3])) is not None:
            words = join_words(unescape(picture[2]))
        if words and not _UNSEEN.search(heading[2]):
            at = max(at, blocks.text.rfind("\n", at, heading.start()) + 1)
            yield Heading(at, int(heading[1]), words)


def _find_blocks(blocks: _Blocks) -> Iterator[Block]:
    """Find tables, code and outermost lists, also in quotes; what is in a list comes after it."""
    lists = 0
    for token in blocks.tokens:
        if token.type in ("ordered_list_close", "bullet_list_close"):
            lists -= 1
        elif token.map is not None and token.type in _BLOCK_KINDS:
            kind = _BLOCK_KINDS[token.type]
            lists += kind == "list"
            if kind != "list" or lists == 1:
                yield _make_block(blocks, token, kind)


def _make_block(blocks: _Blocks, token: Token, kind: Literal["list", "table", "code"]) -> Block:
    start, end = blocks.locate(token)
    end = start + len(blocks.text[start:end].rstrip())
    head_lines = {"table_open": 2, "fence": 1}.get(token.type, 0)  # A table's second line is its rule.
    line = (token.map or (0,))[0] + head_lines
    head = min(blocks.starts[min(line, len(blocks.starts) - 1)], end)
    return Block(start, end, kind, head, token.markup if token.type == "fence" else "")


def _read_inline(content: str) -> str:
    """Return the words of a heading, without marks, as one line."""
    if not _SIGNS.search(content):
        return " ".join(content.split())
    parts: list[str] = []
    for token in _INLINE_READER.parseInline(content)[0].children or []:
        if token.type in ("text", "code_inline", "image"):
            parts.append(token.content)
        elif token.type in ("softbreak", "hardbreak"):
            parts.append(" ")
    return join_words("".join(parts))  # Also of what is written as a reference, such as `&shy;`.


def _strip_comments(text: str) -> tuple[str, list[str]]:
    """Take out comments, which no rendered page shows, but not what only looks like one; return them as well.

    Code keeps its own, in blocks and in spans; what is never closed hides nothing, so that nothing is lost.
    """
    blocks = _Blocks.read(text)
    comments: list[_Span] = []
    for token in blocks.tokens:
        if token.map is None or (comments and blocks.locate(token)[1] <= comments[-1][1]):
            continue
        if token.type in ("inline", "tr_open"):
            comments += _find_comments(_INLINE, text, blocks.locate(token))
        elif token.type == "html_block":
            comments += _find_comments(_COMMENT, text, blocks.locate(token))
    parts: list[str] = []
    at = 0
    for start, end in comments:
        parts.append(text[at:start])
        at = max(at, end)
    return "".join(parts) + text[at:], [text[start:end].strip("<!->{/*}") for start, end in comments]


def _find_comments(pattern: re.Pattern[str], text: str, span: _Span) -> Iterator[_Span]:
    at, end = span
    endless = set[str]()  # of the two kinds those that nothing closes from here on
    while len(endless) < len(_ENDS) and (match := pattern.search(text, at, end)) is not None:
        at = match.end()
        kind = match["comment"]
        if kind and kind not in endless:
            close = text.find(_ENDS[kind], match.start() + 2, end)  # `<!-->` is a whole comment.
            if close < 0:
                endless.add(kind)
                continue
            at = close + 3
            yield match.start(), at

"""Source code: the text stays as it is; functions and classes, told by their first lines, are sections."""

import re
from collections.abc import Iterator

from retrieval.parsers.parsed_document import Block, FileContent, Heading, ParsedDocument, ParseLimits
from retrieval.parsers.text import clean_visible

__all__ = ["LANGUAGES", "parse_source_code"]

LANGUAGES = {
    **{
        ".py": "text/x-python",
        ".pyi": "text/x-python",
        ".rb": "text/x-ruby",
        ".php": "text/x-php",
        ".pl": "text/x-perl",
    },
    **{".js": "text/javascript", ".mjs": "text/javascript", ".jsx": "text/javascript", ".vue": "text/x-vue"},
    **{".ts": "application/typescript", ".tsx": "application/typescript", ".css": "text/css", ".scss": "text/css"},
    **{".c": "text/x-c", ".h": "text/x-c", ".cpp": "text/x-c++", ".cc": "text/x-c++", ".hpp": "text/x-c++"},
    **{".cs": "text/x-csharp", ".java": "text/x-java", ".kt": "text/x-kotlin", ".scala": "text/x-scala"},
    **{".go": "text/x-golang", ".rs": "text/x-rust", ".swift": "text/x-swift", ".dart": "text/x-dart"},
    **{".sh": "application/x-sh", ".bash": "application/x-sh", ".lua": "text/x-lua", ".r": "text/x-r"},
    **{".sql": "text/x-sql", ".tex": "text/x-tex"},
}
"""Media types of languages, by the extensions of their files."""

_MODIFIERS = (
    r"(?:(?:public|private|protected|internal|static|final|abstract|sealed|override|virtual|async|export|default|open|"
    r"data|pub(?:\(\w+\))?|unsafe|const|extern|inline|partial|readonly|declare)\s+)"
)
_TYPES = (
    rf"{_MODIFIERS}*(?:class|interface|struct|enum|record|trait|impl|namespace|object|protocol|union|type)\s+[^;=]*$"
)
_FUNCTIONS = rf"{_MODIFIERS}*(?:func|fn|fun|function\*?|def|sub)\b[^;]*$"
_METHODS = rf"{_MODIFIERS}+[\w<>\[\],.?&* ]+\([^;]*$"
_ARROWS = rf"{_MODIFIERS}*(?:const|let|var)\s+\w+\s*=\s*(?:async\s*)?(?:function\b|\([^()]*\)\s*(?::[^=]*)?=>|\w+\s*=>)"
_C_FUNCTIONS = (
    r"(?!(?:if|else|for|while|switch|return|do|typedef|using|case)\b)[A-Za-z_][\w:<>,*& ]*[\s*&~:]\w+\s*\([^;]*$"
)

_BRACES = re.compile(rf"[ \t]*(?:{_TYPES}|{_FUNCTIONS}|{_METHODS}|{_ARROWS})|{_C_FUNCTIONS}")
_LINES = {
    "text/x-python": re.compile(r"[ \t]*(?:async\s+def|def|class)\s+\w+"),
    "text/x-ruby": re.compile(r"[ \t]*(?:class|module|def)\s+\S+"),
    "application/x-sh": re.compile(r"[ \t]*(?:function\s+[\w.-]+|[\w.-]+\s*\(\s*\))\s*\{?\s*$"),
    "text/x-sql": re.compile(
        r"\s*create\s+(?:or\s+replace\s+)?(?:table|view|function|procedure|trigger|index)\b", re.I
    ),
    "text/css": re.compile(r"(?!)"),
}
"""The first line of a section, by media type; other languages have braces."""

_LATEX = re.compile(
    r"\s*\\(part|chapter|section|subsection|subsubsection|paragraph)\*?\s*(?:\[[^\]]*\])?\{(.+?)\}\s*(?:%.*|\\label.*)?$"
)
_LATEX_LEVELS = {name: n for n, name in enumerate("part chapter section subsection subsubsection paragraph".split(), 1)}
_ABOVE = re.compile(r"[ \t]*(?:@|#|//|/\*|\*|--|\[[A-Z]\w*|\*/)")
"""Comments, decorators and attributes belong to what they stand above."""

_LONGEST = 300  # characters of a line; longer ones are made by programs
_LONGEST_TITLE = 120


def parse_source_code(content: FileContent, _limits: ParseLimits) -> ParsedDocument:
    """Take code as it is written. Each piece of a long function has its first line.

    Raises:
        DocumentUnreadable: Nothing visible is in it.
    """
    text = clean_visible(content.text)
    language = content.media_type.partition(";")[0]
    lines = text.split("\n")
    if language == "text/x-tex":
        return ParsedDocument(content.media_type, "", text, list(_find_chapters(lines)))
    headings: list[Heading] = []
    firsts: list[tuple[int, int]] = []
    for start, end, level, above in _find_sections(lines, _LINES.get(language, _BRACES)):
        headings.append(Heading(above, level, text[start:end].strip().rstrip("{: ")[:_LONGEST_TITLE]))
        firsts.append((start, end))
    ends = [*(heading.start for heading in headings), len(text)][1:]
    blocks: list[Block] = []
    for (start, line_end), end in zip(firsts, ends, strict=True):
        end = start + len(text[start:end].rstrip())
        blocks.append(Block(start, end, "code", min(line_end + 1, end)))
    return ParsedDocument(content.media_type, "", text, headings, blocks=blocks)


def _find_sections(lines: list[str], pattern: re.Pattern[str]) -> Iterator[tuple[int, int, int, int]]:
    """Yield the first line of each section: its offset, its end, its level, and the offset of the comments above it."""
    indents: list[int] = []
    at = above = 0
    for line in lines:
        if len(line) <= _LONGEST and pattern.match(line):
            indent = len(line) - len(line.lstrip())
            while indents and indents[-1] >= indent:
                indents.pop()
            indents.append(indent)
            yield at, at + len(line), len(indents), above
        at += len(line) + 1
        if not _ABOVE.match(line):
            above = at


def _find_chapters(lines: list[str]) -> Iterator[Heading]:
    at = 0
    for line in lines:
        if len(line) <= _LONGEST and (match := _LATEX.match(line)):
            yield Heading(at, _LATEX_LEVELS[match[1]], match[2].strip())
        at += len(line) + 1

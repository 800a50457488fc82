"""The headlines of chunks: the lines of headings with which one begins, as far as its path of headings says them.

Who shows the path leaves them out, or a model would read "Kestrel K2 > Warranty: # Kestrel K2 ## Warranty It lasts".
"""

import html
import re
from collections.abc import Sequence

from retrieval.blocks import BlockMap
from retrieval.parsers.parsed_document import ParsedDocument

__all__ = ["HeadlineMap"]

_SPACE = re.compile(r"\s*")
_LINE = re.compile(r"[^\n\f]*[\n\f]?")
_UNDERLINE = re.compile(r"[ \t]*(?:=+|-+)[ \t]*(?:\n|\Z)")
_WORD = re.compile(r"[^\W_]+")
_COMMAND = re.compile(r"\\[A-Za-z]+\*?(?=\{)")
"""The command that LaTeX has in the place of Markdown's `#`."""


class HeadlineMap:
    """Headings by their place in the text."""

    def __init__(self, document: ParsedDocument, blocks: BlockMap) -> None:
        self._text = document.text
        self._blocks = blocks
        self._titles = {self._skip_space(heading.start): heading.title for heading in document.headings}

    def measure(self, start: int, end: int, path: Sequence[str]) -> int:
        """Return how many characters of a chunk are its headline, with the white space behind that.

        A line counts that says no word but those of a title in the path. The first line of code is no headline, though
        a heading is made of it: the code would be torn. A chunk that is nothing but headings has none.
        """
        at = start
        while at < end and (title := self._titles.get(at)) in path and not self._is_in_block(at):
            behind = self._find_body(at, end, title or "")
            if behind == at:
                break
            at = behind
        return at - start if at < end else 0

    def _is_in_block(self, at: int) -> bool:
        return self._blocks.is_beginning(at) or self._blocks.breaks(at)

    def _find_body(self, start: int, end: int, title: str) -> int:
        """Return where the text under a heading begins: `start`, if its lines say anything else than its title."""
        words = _read_words(title)
        line_words: list[str] = []
        at = start
        while at < end and len(line_words) < len(words):
            line = _LINE.match(self._text, at, end)
            if line is None:
                break
            line_words += _read_words(line[0])
            at = line.end()
        if line_words != words:
            return start
        underline = None if self._text.startswith("#", start) else _UNDERLINE.match(self._text, at, end)
        return self._skip_space(at if underline is None else underline.end())

    def _skip_space(self, at: int) -> int:
        space = _SPACE.match(self._text, at)
        return at if space is None else space.end()


def _read_words(text: str) -> list[str]:
    return _WORD.findall(_COMMAND.sub(" ", html.unescape(text)))

"""An answer's text on its way to the client: its code is told from its prose, links are checked, marks are found."""

import re
from collections.abc import Callable, Sequence

from gateway.answering.citations import Citation, MarkFilter
from gateway.answering.links import BEGINNING, LinkFilter
from gateway.answering.markdown_code import CodeScanner

__all__ = ["AnswerText"]

_SIGNS = re.compile(r"[\[\]【】<>!:`\\\r\n]| \Z")
_LONGEST_BEGINNING = 9  # of an address, with the character before


class AnswerText:
    """One text of an answer, taken piece by piece: any cut gives the same text, citations and removed links.

    Args:
        passage_numbers: The numbers of the passages that may be cited; None where marks are text like any other.
        read_given: Returns the texts whose addresses may be linked to; None where any may.
    """

    def __init__(self, passage_numbers: frozenset[int] | None, read_given: Callable[[], str] | None) -> None:
        self._scanner = CodeScanner()
        self._links = None if read_given is None else LinkFilter(read_given)
        self._marks = None if passage_numbers is None else MarkFilter(passage_numbers)
        self._stages = [stage for stage in (self._scanner, self._links, self._marks) if stage is not None]
        self._idle = False

    def feed(self, text: str) -> str:
        """Take the next piece; return the text that may be sent now."""
        if self._idle and text and not (_SIGNS.search(text) or BEGINNING.search(text[-_LONGEST_BEGINNING:])):
            for stage in self._stages:  # as most pieces
                stage.note(text)
            return text
        piece = self._scanner.feed(text)
        if self._links is not None:
            piece = self._links.feed(piece)
        out = piece.text if self._marks is None else self._marks.feed(piece)
        self._idle = all(stage.is_idle for stage in self._stages)
        return out

    def finish(self) -> str:
        """Return the text that was still withheld."""
        self._idle = False
        piece = self._scanner.finish()
        if self._links is not None:
            piece = self._links.feed(piece) + self._links.finish()
        return piece.text if self._marks is None else self._marks.feed(piece) + self._marks.finish()

    @property
    def citations(self) -> Sequence[Citation]:
        """The citations so far, at their places in the text that was let through."""
        return () if self._marks is None else self._marks.citations

    @property
    def may_cite(self) -> bool:
        """Whether it has citations, or withholds what may be one."""
        return self._marks is not None and (bool(self._marks.citations) or not self._idle)

    @property
    def removed_links(self) -> int:
        return 0 if self._links is None else self._links.removals

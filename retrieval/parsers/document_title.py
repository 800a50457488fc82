"""The title of a document: what somebody gave it, or its one heading above all others."""

import re
from collections.abc import Sequence

from retrieval.parsers.parsed_document import Heading

__all__ = ["find_top_heading", "pick_title"]

# A program's title when nobody gave one: its default, or the name of a file.
_NO_TITLE = re.compile(
    r"(?:untitled(?: document| page)?|unknown title|document|(?:powerpoint )?presentation|slide|doc)\s*\d*"
    r"|\(anonymous\)|about:blank|unnamed|unbenannt|sans titre|sin título|senza titolo|sem título|naamloos"
    r"|(?:book|mappe|classeur|libro|do[ck]ument|pr[äé]sentation)\s*\d+"
    r"|\S+\.(?:docx?|dotx?|odt|rtf|pptx?|odp|xlsx?|ods|pdf|x?html?|txt|md|tex|dvi|indd|qxp|pages)",
    re.I,
)
_WORD = re.compile(r"[^\W_]+")


def pick_title(*titles: str) -> str:
    """Return the first of some titles, in one line each, that somebody gave; "" if nobody did."""
    return next((title for title in titles if title and not _NO_TITLE.fullmatch(title)), "")


def find_top_heading(headings: Sequence[Heading], text: str) -> str:
    """Return the heading that all of a text is under: the only one of the first level, or a first one with no text.

    Of several chapters none names the document: `Returns` would stand under `Warranty`. Its file's name does.
    """
    top = [heading for heading in headings if heading.level == 1]
    if len(top) == 1 or (len(top) > 1 and _is_bare(headings, text)):
        return top[0].title
    return ""


def _is_bare(headings: Sequence[Heading], text: str) -> bool:
    """Tell whether the first heading is of the first level and has the next one, of that level, right below it."""
    first, second = headings[0], headings[1]
    words = _WORD.findall(text[first.start : second.start])
    return first.level == second.level == 1 and words == _WORD.findall(first.title)

"""The words of a PDF's page: in the order in which they are read, and in lines, apart where a wide gap parts them."""

import re
from collections.abc import Iterator
from itertools import accumulate

from retrieval.parsers.pdf_letters import PageLetters, count_units
from retrieval.parsers.pdf_marks import restore_marks
from retrieval.parsers.pdf_order import restore_order
from retrieval.parsers.pdf_tables import GAP, Cell, Word
from retrieval.parsers.text import clean

__all__ = ["read_layer", "split_cells"]


def read_layer(letters: PageLetters) -> str:
    """Return a page's text with the characters that are meant, in their order."""
    text = letters.text
    units = list(accumulate((1 + (sign > "\uffff") for sign in text), initial=0))
    raw = restore_order(text, lambda place: letters.find_ends(units[place]))

    def measure_drop(before: int, after: int) -> float:
        units = count_units(raw[:before]), count_units(raw[:after])
        size = letters.measure_size(units[0])
        return (letters.find_base(units[0]) - letters.find_base(units[1])) / size if size else 0.0

    return restore_marks(raw, measure_drop)


def split_cells(letters: PageLetters, line: str, units: int, size: float) -> Iterator[Cell]:
    """Split a line in type of a size where its words are far apart; `units` is where it begins in the page."""
    words: list[Word] = []
    base = 0.0
    for match in re.finditer(r"\S+", line):
        text = clean(match[0])
        at = units + count_units(line[: match.start()])
        ends = *letters.find_ends(at), *letters.find_ends(units + count_units(line[: match.end() - 1]))
        word = Word(text, min(ends), max(ends))
        gap = max(word.left - words[-1].right, words[-1].left - word.right) if words else 0.0
        if gap > size * GAP > 0:
            yield Cell(words, base, base, size)
            words = []
        base = base if words else letters.find_base(at)
        words = [*words, word] if text else words
    if words:
        yield Cell(words, base, base, size)

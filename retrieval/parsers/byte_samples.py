"""The lines of a text by which its older encoding is told, and that encoding where letters tell it by themselves."""

import re

from retrieval.parsers.double_byte import find_double_byte
from retrieval.parsers.single_byte import find_single_byte

__all__ = ["find_by_letters", "is_latin_text", "take_sample"]

_HIGH = bytes(range(0x80, 0x100))
_SAMPLE = 64 * 1024
_WORD = re.compile(rb"[A-Za-z\x80-\xff]+")


def find_by_letters(data: bytes) -> str:
    """Return the encoding of a text in Latin script by the letters that it would have; "" where that isn't sure.

    It takes nothing but Python: who reads texts in other scripts too uses `encodings.decode_legacy`.
    """
    sample = take_sample(data)
    if not is_latin_text(sample) or find_double_byte(sample):
        return ""
    return find_single_byte(sample, is_latin=True)


def is_latin_text(sample: bytes) -> bool:
    """Tell whether most words with bytes beyond ASCII have ASCII letters too. One byte alone is a sign."""
    words = [word for word in _WORD.findall(sample) if not word.isascii() and len(word) > 1]
    mixed = sum(len(word.translate(None, _HIGH)) * 3 >= len(word) for word in words)
    return mixed * 2 >= len(words)


def take_sample(data: bytes) -> bytes:
    """Take lines that have bytes beyond ASCII: the others tell nothing, and the recogniser's time grows with length."""
    lines: dict[bytes, None] = {}  # Each once: what is repeated tells no more.
    length = 0
    for line in data.splitlines():
        if length < _SAMPLE and not line.isascii() and (start := line[:_SAMPLE]) not in lines:
            lines[start] = None
            length += len(start)
    return b"\n".join(lines)

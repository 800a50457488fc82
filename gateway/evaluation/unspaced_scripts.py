"""Scripts without spaces between words: Chinese, Japanese, Thai, Lao, Khmer, Burmese; and Korean, whose endings follow.

Patterns for values end them at letters, which is right where a space parts words: `v2` isn't in `dev2`. In these
scripts a value stands right among letters, so that theirs must be none to a pattern.
"""

import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise

__all__ = ["MARKED_LETTERS", "count_words", "join_words", "mark_letters", "split_pairs", "split_words"]

_LETTERS = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ecd\u1000-\u103f\u1050-\u109f\u1780-\u17d3\u3005-\u3007\u3040-\u30fa"
    "\u30fc-\u30ff\u3100-\u312f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U000323af"
)
"""Thai, Lao, Burmese, Khmer, Japanese, Chinese."""

_KOREAN = "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af"
_FULL_WIDTH = "\uff01-\uff0b\uff0d\uff0f-\uff5d"
_OTHER_WIDTH = {"\u3000": " ", "￡": "£", "￥": "¥", "￦": "₩"}
_SIGNS = re.compile(
    rf"(?P<letters>[{_LETTERS}{_KOREAN}]+)"
    rf"|(?P<signs>[{_FULL_WIDTH}{''.join(_OTHER_WIDTH)}]+|(?<=[\uff10-\uff19])[\uff0c\uff0e](?=[\uff10-\uff19]))"
    r"|(?P<digit>(?![0-9])\d)"
)
"""Commas and points of full width part sentences, unless they stand between digits of full width."""

_PRIVATE, _OTHER = 0xF0000, "\ue000"
"""Unicode's area for private use, whose signs are no letters to patterns."""

MARKED_LETTERS = f"{_OTHER}{chr(_PRIVATE)}-{chr(_PRIVATE + 0xFFFF)}"
"""These letters in a marked text, as a pattern's class has them."""

_WORD = re.compile(rf"[{_LETTERS}]|[^\W{_LETTERS}]+")
_JOINED_WORD = re.compile(rf"{_WORD.pattern}(?:['’.:-][^\W{_LETTERS}]+)*")
_LETTER = re.compile(f"[{_LETTERS}]")


def mark_letters(text: str) -> str:
    """Return a text with as many signs, where these scripts' letters are no letters, and all digits are ASCII.

    What a pattern has of them has to be marked likewise.
    """
    return text if text.isascii() else _SIGNS.sub(_mark, text)


def split_words(text: str, *, joined: bool = False) -> list[str]:
    """Return a text's words in lower case; in scripts without spaces each letter is one.

    `joined` are those with a sign within, such as `don't` and `12:30`, else they are two.
    """
    return (_JOINED_WORD if joined else _WORD).findall(text.casefold())


def split_pairs(text: str) -> list[str]:
    """Return a text's words; in scripts without spaces each two neighbours, which mean more than a letter does."""
    words = split_words(text)
    if text.isascii():
        return words
    pairs = [first + second for first, second in pairwise(words) if _parts(first, second)]
    return [word for word in words if not _LETTER.match(word)] + pairs


def count_words(words: Sequence[str]) -> int:
    """Return how many words some are, where two letters of a script without spaces count as one."""
    letters = sum(_LETTER.match(word) is not None for word in words)
    return len(words) - letters + (letters + 1) // 2


def join_words(words: Sequence[str]) -> str:
    """Return words as a text, without spaces between letters of these scripts."""
    pieces = [
        word if previous is None or _parts(previous, word) else f" {word}"
        for previous, word in zip([None, *words], words, strict=False)
    ]
    return "".join(pieces)


def _parts(first: str, second: str) -> bool:
    return _LETTER.match(first) is not None and _LETTER.match(second) is not None


def _mark(match: re.Match[str]) -> str:
    text = match[0]
    if match["letters"]:
        return "".join(_OTHER if sign > "\uffff" else chr(_PRIVATE + ord(sign)) for sign in text)
    if match["digit"]:
        return str(unicodedata.decimal(text))
    return "".join(_OTHER_WIDTH.get(sign) or chr(ord(sign) - 0xFEE0) for sign in text)

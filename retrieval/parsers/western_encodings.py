"""Recognition of texts whose words have ASCII letters too, by what each encoding makes of the bytes beyond ASCII.

Three kinds of text pass for Windows-1252, which has a character for nearly every byte: one of DOS (cp850), one of old
Macs, and one in Big5 or Shift-JIS, whose characters may end in an ASCII letter. Each shows by signs within words that
no language of Western Europe has. Without such a sign they can't be told: `schšn` may be `schön` of a Mac.
"""

import re

__all__ = ["find_double_byte", "find_western"]

_DOUBLE_BYTE = ("big5", "cp932")
_RUN = re.compile(rb"[\x40-\xff]*[\x80-\xff][\x40-\xff]*")
_CJK = re.compile("[\u3000-\u30ff\u4e00-\u9fff\uff01-\uff5e]")

_COMMON = frozenset("äöüßéèàçñåæøáíóúêôã’")
_RARER = frozenset("âëîïìòùûõœÿ¿¡«»“”„‘–—…€£§°")
_WORDS = frozenset("àáéèíóåøæÀÉØÅ")
"""Letters that are words, signs or units alone."""

_SIGNS = frozenset("ªºµ")  # To Python, these are letters.
_NEVER = frozenset("\ufffdˆ˜¨´¸ƒ¤¦Ÿ")
_OPENING = frozenset("„‚")
_IN_WORDS = frozenset("’‘–—…·")
_ALIKE, _APART = 0.8, 0.2
"""What a reading must score to be taken (1 for common letters in their places), and by how much more than another."""

_LEAST = 3
"""Bytes of a text from which it can be told, where it has no letter of ASCII, or is strange."""

_ENDS_SHARE = 0.15
"""Share of characters that end in an ASCII byte: 0.4 of Big5's, half of those of katakana."""

_SIGNS_SHARE = 0.1
"""Share of strange characters, of those beyond ASCII, from which a text isn't in Windows-1252."""


def find_double_byte(sample: bytes) -> str:
    """Return the encoding in which words with bytes beyond ASCII are Chinese or Japanese throughout; "" if none.

    Half of the characters must begin with a byte that is a sign and no letter in Western encodings, and some must end
    in an ASCII one, as no text in another encoding of several bytes has. One character alone, `°C`, tells nothing.
    """
    runs = _RUN.findall(sample)
    for encoding in _DOUBLE_BYTE:
        try:
            words = [word for run in runs if len(word := run.decode(encoding)) > 1]
        except UnicodeDecodeError:
            continue
        pairs = [character.encode(encoding) for character in _CJK.findall("".join(words))]
        signs = sum(pair[0] < 0xC0 for pair in pairs)
        ends = sum(pair[-1] <= 0x7F for pair in pairs)
        if len(pairs) * 2 > len("".join(words)) and signs * 2 >= len(pairs) and ends >= len(pairs) * _ENDS_SHARE:
            return encoding
    return ""


def find_western(sample: bytes) -> str:
    """Return the Western encoding of a text; "" where it is none for sure."""
    text = sample.decode("cp1252", "replace")
    if not any(character.isascii() and character.isalpha() for character in text) and len(sample.strip()) < _LEAST:
        return ""
    if sum(map(_is_strange, *_split(text))) <= _SIGNS_SHARE * sum(character > "\x7f" for character in text):
        return "cp1252"
    if len(sample.strip()) < _LEAST:
        return ""
    scores = {encoding: _score(sample.decode(encoding)) for encoding in ("cp850", "mac_roman")}
    (first, best), (_, second) = sorted(scores.items(), key=lambda item: -item[1])
    return first if best >= _ALIKE and best - second >= _APART else ""


def _split(text: str) -> tuple[str, str, str]:
    """Return the characters before, those of the text, and those after, one for one."""
    return f" {text[:-1]}", text, f"{text[1:]} "


def _is_strange(before: str, character: str, after: str) -> bool:
    """Tell whether a character can't stand where it does: a sign within a word, a capital after a small letter.

    Neither can an accent without its letter, nor a letter alone that is no word.
    """
    if character <= "\x7f":
        return False
    if character in _NEVER or (character in _OPENING and before.isalpha()):
        return True
    if character.isalpha() and character not in _SIGNS:
        alone = not before.isalpha() and not after.isalpha() and character not in _WORDS
        return alone or (character.isupper() and before.islower())
    return before.isalpha() and after.isalpha() and character not in _IN_WORDS


def _score(text: str) -> float:
    """Return the mean weight of the characters beyond ASCII, 0 to 1."""
    weights = [_weigh(*three) for three in zip(*_split(text), strict=True) if three[1] > "\x7f"]
    return sum(weights) / len(weights)


def _weigh(before: str, character: str, after: str) -> float:
    if _is_strange(before, character, after):
        return 0.0
    small = character.lower()
    return 1.0 if small in _COMMON else 0.6 if small in _RARER else 0.0

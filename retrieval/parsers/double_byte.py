"""Recognition of Chinese and Japanese in an encoding of two bytes whose second may be a letter of ASCII.

Big5 and Shift-JIS pass for Windows-1252, which has a character for nearly every byte, and for Latin script: words have
ASCII letters in them.
"""

import re

__all__ = ["find_double_byte"]

_DOUBLE_BYTE = ("big5", "cp932")
_RUN = re.compile(rb"[\x40-\xff]*[\x80-\xff][\x40-\xff]*")
_CJK = re.compile("[\u3000-\u30ff\u4e00-\u9fff\uff01-\uff5e]")

_ENDS_SHARE = 0.15
"""Share of characters that end in an ASCII byte: 0.4 of Big5's, half of those of katakana."""


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

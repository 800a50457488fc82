"""RTF as tokens: control words, bytes in the font's encoding, groups; and what its words and charsets stand for."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

__all__ = ["CHARACTERS", "CHARSETS", "SKIPPED", "Token", "read_tokens"]

CHARSETS = {
    **{77: "mac_roman", 128: "cp932", 129: "cp949", 134: "gb18030", 136: "big5", 161: "cp1253", 162: "cp1254"},
    **{163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874", 238: "cp1250"},
}
"""Encodings by a font's charset; others are in that of the document."""

CHARACTERS = {
    **{"tab": "\t", "line": "\n", "emdash": "—", "endash": "–", "bullet": "•", "lquote": "‘", "rquote": "’"},
    **{"ldblquote": "“", "rdblquote": "”", "emspace": " ", "enspace": " ", "~": " ", "_": "-", "softline": "\n"},
    **{"\\": "\\", "{": "{", "}": "}", "qmspace": " "},
}

SKIPPED = frozenset(
    "listtable listoverridetable pict object header headerl headerr headerf footer footerl footerr footerf "
    "xe tc rxe txe sp shprslt nonshppict private revtbl filetbl fldinst bkmkstart bkmkend template annotation "
    "generator colortbl stylesheet fonttbl info".split()
)
"""Groups that begin with one of these words have no text of the document."""

_TOKEN = re.compile(
    rb"\\(?P<word>[A-Za-z]{1,32})(?P<value>-?\d{1,10})? ?|\\'(?P<hex>[0-9A-Fa-f]{2})|\\(?P<symbol>[^A-Za-z])"
    rb"|(?P<brace>[{}])|(?P<text>[^\\{}\r\n]+)|[\r\n]+|\\"
)


@dataclass(frozen=True, slots=True)
class Token:
    """A control word or symbol and its number, bytes of text, or the beginning or end of a group."""

    kind: Literal["word", "text", "open", "close"]
    word: str = ""
    value: int | None = None
    data: bytes = b""


def read_tokens(data: bytes) -> Iterator[Token]:
    at = 0
    while match := _TOKEN.match(data, at):
        at = match.end()
        if (word := match["word"]) is not None:
            value = int(match["value"]) if match["value"] is not None else None
            if word == b"bin":  # Raw bytes follow.
                at += max(value or 0, 0)
            yield Token("word", word.decode(), value)
        elif match["hex"] is not None:
            yield Token("text", "'", data=bytes.fromhex(match["hex"].decode()))
        elif match["symbol"] is not None:
            symbol = match["symbol"].decode("latin-1")
            yield Token("word", "par" if symbol in "\r\n" else symbol)
        elif match["brace"] is not None:
            yield Token("open" if match["brace"] == b"{" else "close")
        elif match["text"] is not None:
            yield Token("text", data=match["text"])

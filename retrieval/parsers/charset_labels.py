"""Names of encodings as pages and mails declare them, by what they mean in practice: WHATWG's Encoding Standard.

Programs have long written more than the declared encoding has: quotation marks of Windows as `iso-8859-1`, characters
of GBK as `gb2312`. Each label stands for the encoding with all of these.
"""

import codecs
import re

__all__ = ["extends_ascii", "find_encoding"]

_SUPERSETS = {
    **{"ascii": "cp1252", "iso8859-1": "cp1252", "iso8859-9": "cp1254"},
    **{"shift_jis": "cp932", "gb2312": "gb18030", "gbk": "gb18030", "euc_kr": "cp949", "big5": "big5hkscs"},
    **{"cp950": "big5hkscs", "tis-620": "cp874", "iso8859-11": "cp874"},
}
"""By Python's own names, under which it has most of the standard's labels."""

_UNKNOWN = {
    **{
        "x-sjis": "cp932",
        "windows-31j": "cp932",
        "x-x-big5": "big5hkscs",
        "x-gbk": "gb18030",
        "gb_2312-80": "gb18030",
        "gb_2312": "gb18030",
    },
    **{"csiso58gb231280": "gb18030", "iso-ir-58": "gb18030", "iso-ir-149": "cp949", "korean": "cp949"},
    **{"ks_c_5601-1989": "cp949", "ksc5601": "cp949", "ksc_5601": "cp949", "windows-949": "cp949"},
    **{"iso-8859-8-i": "iso8859-8", "iso-8859-8-e": "iso8859-8", "csiso88598i": "iso8859-8", "logical": "iso8859-8"},
    **{"iso-8859-6-i": "iso8859-6", "iso-8859-6-e": "iso8859-6", "sun_eu_greek": "iso8859-7"},
    **{"windows-874": "cp874", "dos-874": "cp874", "x-mac-cyrillic": "mac_cyrillic", "x-mac-ukrainian": "mac_cyrillic"},
    **{"x-mac-roman": "mac_roman", "x-euc-jp": "euc_jp", "koi": "koi8_r", "koi8": "koi8_r", "koi8-ru": "koi8_u"},
    **{"iso88591": "cp1252", "iso88592": "iso8859-2", "iso885911": "cp874", "csisolatin9": "iso8859-15"},
    **{"visual": "iso8859-8", "mac": "mac_roman", "csmacintosh": "mac_roman", "csgb2312": "gb18030"},
    **{"cn-big5": "big5hkscs", "cseucpkdfmtjapanese": "euc_jp", "cseuckr": "cp949", "csksc56011987": "cp949"},
    **dict.fromkeys(("unicode-1-1-utf-8", "unicode11utf8", "unicode20utf8", "x-unicode20utf8"), "utf-8"),
    **{"xmacce": "mac_latin2", "macce": "mac_latin2", "maccentraleurroman": "mac_latin2", "macgreek": "mac_greek"},
    **{"macturkish": "mac_turkish", "macicelandic": "mac_iceland", "maccroatian": "mac_croatian", "utf8mb4": "utf-8"},
    **{"macjapanese": "cp932", "maccyrillic": "mac_cyrillic", "macukrainian": "mac_cyrillic", "macroman": "mac_roman"},
    **{"sjis": "cp932", "ms932": "cp932", "windows31j": "cp932", "unicode": "utf-16", "unicode11utf7": "utf-7"},
}
"""Labels of the standard that Python doesn't know."""

_NO_CHARSETS = frozenset(("unicode-escape", "raw-unicode-escape", "punycode", "idna", "undefined"))
"""Codecs of Python that decode bytes and are no character sets."""

_SIGNS = re.compile(r"[^a-z0-9]")
_CODE_PAGE = re.compile(r"(?:cp|ibm|ms|dos|oem|win|windows|codepage|mswin|ansi)?(\d{3,5})")
_ISO = re.compile(r"iso8859(1[013-6]|[1-9])(?!\d)")

_CODE_PAGES = {
    **{"932": "cp932", "943": "cp932", "936": "gb18030", "949": "cp949", "950": "big5hkscs", "874": "cp874"},
    **{"10000": "mac_roman", "10007": "mac_cyrillic", "10029": "mac_latin2", "20127": "cp1252", "20866": "koi8_r"},
    **{"21866": "koi8_u", "51932": "euc_jp", "51949": "cp949", "54936": "gb18030", "65001": "utf-8"},
    **{f"{28590 + part}": f"iso8859-{part}" for part in (2, 3, 4, 5, 6, 7, 8, 13, 15)},
    **{"28591": "cp1252", "28599": "cp1254", "50220": "iso2022_jp", "50222": "iso2022_jp"},
}
"""Windows' numbers of encodings that Python doesn't have under them, or that mean more there."""

_PRINTABLE = bytes(range(0x20, 0x7F))


def find_encoding(label: str) -> str | None:
    """Return the name of Python's codec for a declared encoding, in any case; None for what is none.

    Programs write the same name in many ways: `cp-850`, `x-ibm850`, `DOS 850`, `win1251`, `ISO8859_15`.
    """
    label = label.strip().strip("\"'").lower()
    bare = _SIGNS.sub("", label.removeprefix("x-"))
    page = _CODE_PAGE.fullmatch(bare)
    part = _ISO.match(bare)
    spellings = [label, bare, *([f"cp{page[1]}"] if page else []), *([f"iso8859-{part[1]}"] if part else [])]
    if page and page[1] in _CODE_PAGES:
        return _CODE_PAGES[page[1]]
    return next((name for spelling in spellings if (name := _look_up(spelling)) is not None), None)


def _look_up(label: str) -> str | None:
    if label in _UNKNOWN:
        return _UNKNOWN[label]
    try:
        name = codecs.lookup(label).name
    except (LookupError, ValueError):  # Also a label with a zero byte in it.
        return None
    # Python has codecs that decode bytes and are no character sets, and some of bytes to bytes.
    return _SUPERSETS.get(name, name) if name not in _NO_CHARSETS else None


def extends_ascii(encoding: str) -> bool:
    """Tell whether an encoding has ASCII as it is: a declaration that could be read says nothing else truly."""
    try:
        return _PRINTABLE.decode(encoding) == _PRINTABLE.decode()
    except (LookupError, ValueError):
        return False

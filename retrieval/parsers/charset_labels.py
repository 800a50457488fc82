"""Names of encodings as pages and mails declare them, by what they mean in practice: WHATWG's Encoding Standard.

Programs have long written more than the declared encoding has: quotation marks of Windows as `iso-8859-1`, characters
of GBK as `gb2312`. Each label stands for the encoding with all of these.
"""

import codecs

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
    **{f"x-cp{number}": f"cp{number}" for number in range(1250, 1259)},
}
"""Labels of the standard that Python doesn't know."""

_NO_CHARSETS = frozenset(("unicode-escape", "raw-unicode-escape", "punycode", "idna", "undefined"))
"""Codecs of Python that decode bytes and are no character sets."""

_PRINTABLE = bytes(range(0x20, 0x7F))


def find_encoding(label: str) -> str | None:
    """Return the name of Python's codec for a declared encoding, in any case; None for what is none."""
    label = label.strip().lower()
    if label in _UNKNOWN:
        return _UNKNOWN[label]
    try:
        name = codecs.lookup(label).name
    except (LookupError, ValueError):  # Also a label with a zero byte in it.
        return None
    return _SUPERSETS.get(name, name) if name not in _NO_CHARSETS else None


def extends_ascii(encoding: str) -> bool:
    """Tell whether an encoding has ASCII as it is: a declaration that could be read says nothing else truly."""
    try:
        return _PRINTABLE.decode(encoding) == _PRINTABLE.decode()
    except (LookupError, ValueError):
        return False

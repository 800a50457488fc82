"""Feet and inches by their marks: `5'10"`, a `27" monitor`; and by `in` behind feet, which is a word elsewhere."""

import re

from gateway.evaluation.number_notation import FRACTION_SIGNS, MIXED, Notation, clean_number

__all__ = ["MARKED_LENGTH", "read_marked_length"]

_UNITS = {**dict.fromkeys("'′’", "foot"), **dict.fromkeys(("''", *'"″”'), "inch")}
MARKED_LENGTH = re.compile(
    r"""(?=[0-9])(?:(?:(?<![\w.,:/⁄£€$'’"“°′-])|(?<=[0-9]['’′]))"""
    rf"""(?P<marked>{MIXED}|\d{{1,3}}(?:[.,]\d{{1,2}}|[ ]?[{FRACTION_SIGNS}])?)(?P<mark>''|['’′"”″])"""
    r"""(?:(?![\w'"])|(?=\d{1,2}(?:[.,]\d)?["”″])|(?<=['’′])(?=\d{1,2}(?![\w.,'’"”″])))"""
    r"|(?<=[0-9]['’′])(?<!\d\d['’′])(?P<unmarked>\d|1[01])(?![\w.,'’\"”″])"
    r"|(?:(?<=\bft )|(?<=\bft[.] )|(?<=\bfeet )|(?<=\bfoot ))(?P<inches>\d{1,2}(?:[.]\d)?)[ ]?in\b"
    r"(?![ ](?:the|an?|this|our|all|every)\b))"
)
_QUOTE = re.compile(r"""(?<!\d)\"""")
_SINGLE_QUOTE = re.compile(r"(?<!\w)['‘](?!\d\ds\b|n['’]|em\b|til\b)")
_QUOTED_LENGTH = 200


def read_marked_length(match: re.Match[str], notation: Notation) -> tuple[str, ...]:
    """Return `quantity:27 inch`, and the bare number besides: a mark may be a quotation's."""
    if inches := match["inches"] or match["unmarked"]:
        return (f"quantity:{clean_number(inches)} inch",)
    if _ends_quotation(match):
        return ()
    numbers = notation.read(match["marked"])
    unit = _UNITS[match["mark"]]
    return (*(f"quantity:{one} {unit}" for one in numbers), *(f"number:{one}" for one in numbers))


def _ends_quotation(match: re.Match[str]) -> bool:
    line = match.string[max(0, match.start() - _QUOTED_LENGTH) : match.start()].rpartition("\n")[2]
    match match["mark"]:
        case '"':
            return len(_QUOTE.findall(line)) % 2 == 1
        case "”":
            return line.rfind("“") > line.rfind("”")
        case "'" | "’":
            return _SINGLE_QUOTE.search(line) is not None
        case _:
            return False

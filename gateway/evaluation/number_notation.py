"""The notation of numbers in a text: which sign parts thousands and which a fraction, as far as the text itself tells.

`1.500` is fifteen hundred in German and one and a half in English. Where a text has a number that can be read in one
way only, such as `12,5 kg` or `1.000.000`, all of it is read so; else such a number has both readings.
"""

import re
import unicodedata
from functools import cached_property

from gateway.evaluation.units import CURRENCY, UNIT

__all__ = ["FRACTION_SIGNS", "GROUPED", "MIXED", "NUMBER", "Notation", "clean_number"]

_SPACES = " \u00a0\u2009\u202f"
GROUPED = (
    r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{1,3}(?:\.\d{3})+(?:,\d+)?|\d{1,2}(?:,\d\d)+,\d{3}(?:\.\d+)?"
    rf"|\d{{1,3}}(?:(?:['’]\d{{3}})+|(?:[{_SPACES}]\d{{3}})+)(?:[.,]\d+)?"
)
"""A number with signs between thousands, those of India (`1,00,000`) and Switzerland (`1'000`) among them."""

FRACTION_SIGNS = "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞"
NUMBER = rf"(?:(?:\d+[ ]?)?[{FRACTION_SIGNS}]|{GROUPED}|\d+(?:[.,]\d+)?)"

_FRACTION = r"(?:1[/⁄][2-8]|2[/⁄][35]|3[/⁄][458]|4[/⁄]5|5[/⁄][68]|7[/⁄]8)(?![\d/⁄])"
MIXED = rf"(?:\d{{1,3}}[ -]{_FRACTION}|(?=\d⁄){_FRACTION})"
"""`1 1/2`, of what isn't money: a price may stand before `1/2 hour`. `1/2` alone may be a date or a page of two."""
_BROKEN = re.compile(rf"(?:(\d+)[ -]?)?({_FRACTION}|[{FRACTION_SIGNS}])")

_AMBIGUOUS = re.compile(r"[1-9]\d{0,2}([.,])\d{3}")
_TELLING = re.compile(
    rf"(?i)(?<![\w.,])\d+(?P<before>[.,])\d{{1,2}}[ \u00a0]?(?:{CURRENCY}|(?!h\b)(?:{UNIT}))(?!\w)"  # not `18.15 h`
    rf"|(?<!\w)(?:{CURRENCY})[ \u00a0]?\d+(?P<behind>[.,])\d{{1,2}}(?![\d]|[.,]\d)"
    r"|(?<![\w.,])\d{1,3}(?P<thousands>[.,])\d{3}(?:(?P=thousands)\d{3})+(?![\w]|[.,]\d{1,3}[.,])"
    r"|(?<![\w.,])\d{1,3}(?:,\d{3}(?P<point>\.)|\.\d{3}(?P<comma>,))\d"
)


class Notation:
    """Reads the numbers of a text whose letters are marked."""

    def __init__(self, text: str) -> None:
        self._text = text

    def read(self, number: str) -> tuple[str, ...]:
        """Return a number's spellings, as of `clean_number`: two where it can be read in two ways, the likelier first.

        In English that is `1,500` for fifteen hundred, and `1.500` for one and a half.
        """
        match = _AMBIGUOUS.fullmatch(number)
        if match is None:
            return (clean_number(number),)
        thousands, fraction = number.replace(match[1], ""), clean_number(number.replace(match[1], "."))
        if self._decimal_sign:
            return (fraction if match[1] == self._decimal_sign else thousands,)
        return (thousands, fraction) if match[1] == "," else (fraction, thousands)

    @cached_property
    def _decimal_sign(self) -> str:
        """The sign before fractions; "" where nothing in the text tells, or it has both."""
        signs = set(map(_read_sign, _TELLING.finditer(self._text)))
        return signs.pop() if len(signs) == 1 else ""


def clean_number(text: str) -> str:
    """Return a number's one spelling: without separators of thousands, with a point, without trailing zeros.

    Of `1,500` and `1.500` as English has them; `1½` and `1 1/2` are `1.5`.
    """
    if match := _BROKEN.fullmatch(text):
        part, of = re.split("[/⁄]", unicodedata.normalize("NFKC", match[2]))
        return f"{match[1] or 0}{f'{int(part) / int(of):.4f}'[1:].rstrip('0')}"
    text = re.sub(rf"['’{_SPACES}]", "", text)
    if "," in text and "." in text:
        thousands, decimal = (",", ".") if text.rfind(".") > text.rfind(",") else (".", ",")
        text = text.replace(thousands, "").replace(decimal, ".")
    elif text.count(",") > 1 or text.count(".") > 1 or re.fullmatch(r"-?[1-9]\d{0,2},\d{3}", text):
        text = text.replace(",", "").replace(".", "")
    text = text.replace(",", ".")
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    sign = "-" if whole.startswith("-") else ""
    whole = whole.lstrip("-").lstrip("0") or "0"
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def _read_sign(match: re.Match[str]) -> str:
    fields = match.groupdict()
    if fields["thousands"]:
        return "." if fields["thousands"] == "," else ","
    return next(sign for sign in fields.values() if sign)

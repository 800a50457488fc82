"""Phone numbers in texts: by how they are written, and by the numbering plans of all countries.

The plans say which numbers with a country code there are, and, where a region is named, which of its own without one.
"""

import re
from collections.abc import Iterator

import phonenumbers

from gateway.evaluation.unspaced_scripts import mark_letters

__all__ = ["find_phones", "is_region"]

_FORM = re.compile(
    r"(?<![\w.,/+#:-])"
    r"(?:\+(?:\d\d++|\d(?![ ./-]{2}|/))(?:[ .-]?\(0\))?+(?:[ .-]?\(\d{1,5}\))?+|\(0\d{1,5}\)|\(\d{3}\)|0\d++)"
    r"(?:[ ./-]{0,2}\d++)?(?:[ ./-]{1,2}\d++){0,6}(?!\w|,[\w,]*\d)"
    r"|(?<![\w.,/+#:-])(?<!\d )(?:1[ .-])?(?:\([2-9]\d\d\)[ ]?|[2-9]\d\d[ .-])\d{3}[ .-]\d{4}(?![ .,-]?\d|\w)"
)
"""With its country code, with the 0 or the brackets of an area, and as North America writes it (`415-555-2671`).

Runs of digits are taken whole: cut anywhere, one of thousands could be read in tens of thousands of ways.
"""

_ENOUGH_DIGITS = re.compile(r"(?:\d[ ()./-]{0,3}){7}")
_FEWEST_DIGITS, _MOST_DIGITS = 8, 15  # E.164 has the second
_DATE = re.compile(r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|\d{4}[./-]\d{1,2}[./-]\d{1,2}")
_OTHER_NUMBER = re.compile(
    r"(?i)(?:order|ticket|invoice|ref|reference|case|customer|account|article|item|serial|tracking|parcel|booking|contract"
    r"|bestell\w*|auftrags?\w*|rechnungs?\w*|kunden\w*|vorgangs?\w*|sendungs?\w*|vertrags?\w*|artikel\w*"
    + mark_letters(r"|commande|facture|pedido|factura|ordine|fattura|订单|訂單|注文|주문)(?:番号|[号號]码?|[ ]?번호)?")
    + r"(?:[ _-]?(?:number|no|nr|num|id|code))?[ ]?(?:[.:#]|is|was|ist|lautet)?[ ]?#?$"
)
_LOOK_BACK = 48


def find_phones(text: str, region: str | None = None) -> Iterator[tuple[int, int]]:
    """Find phone numbers; without a region (`US`) of those without a country code only what is written like one.

    What follows a word for another kind of number, as in `order 0301234567`, is none.
    """
    marked_text = mark_letters(text)
    if _ENOUGH_DIGITS.search(marked_text) is None:
        return
    for match in _FORM.finditer(marked_text):
        if _is_phone(match[0]) and not _is_other(marked_text, match.start()):
            yield match.span()
    for number in phonenumbers.PhoneNumberMatcher(marked_text, region):
        if _DATE.fullmatch(number.raw_string) is None and not _is_other(marked_text, number.start):
            yield number.start, number.end


def is_region(code: str) -> bool:
    """Tell whether numbering plans are known for a region, by its two letters."""
    return code in phonenumbers.SUPPORTED_REGIONS


def _is_phone(text: str) -> bool:
    """Tell a phone number from a date or an amount, and one for abroad (`0049…`) from zeros before another number."""
    digits = re.sub(r"\D", "", text)
    if not _FEWEST_DIGITS <= len(digits) <= _MOST_DIGITS or _DATE.fullmatch(text):
        return False
    return not text.startswith("00") or _is_valid(f"+{digits[2:]}")


def _is_valid(number: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return False


def _is_other(text: str, start: int) -> bool:
    return text[start] != "+" and _OTHER_NUMBER.search(text[max(0, start - _LOOK_BACK) : start]) is not None

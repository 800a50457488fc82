"""Numbers, amounts of money and quantities, each in one spelling; see `values`."""

import re

from gateway.evaluation.facts import UNITS

__all__ = [
    "MONEY_PATTERNS",
    "QUANTITY_PATTERNS",
    "find_currency",
    "find_unit",
    "read_money",
    "read_number",
    "read_quantity",
]

_NUMBER = r"\d{1,3}(?:[,.' \u00a0\u202f]\d{3})+(?:[.,]\d{1,2})?|\d+(?:[.,]\d+)?"
_CURRENCIES = {
    "GBP": "£|gbp|pounds?(?: sterling)?|quid",
    "EUR": "€|eur|euros?",
    "USD": r"us\$|\$|usd|dollars?|bucks",
    "CHF": "chf|fr\\.|franken",
    "JPY": "¥|jpy|yen",
    "SEK": "sek|kronor",
}
_CURRENCY = "|".join(_CURRENCIES.values())
_SCALES = {"thousand": 3, "k": 3, "million": 6, "m": 6, "billion": 9}
_SCALE = r"(?:[ ]?(?P<scale>thousand|million|billion)\b|(?P<letter>[km])\b)?"

MONEY_PATTERNS = (
    re.compile(rf"(?i)(?<![\w£€$¥])(?P<currency>{_CURRENCY})[ \u00a0]?(?P<number>{_NUMBER}){_SCALE}(?![\w]|[.,]\d)"),
    re.compile(rf"(?i)(?<![\w.,:/])(?P<number>{_NUMBER}){_SCALE}[ \u00a0-]?(?P<currency>{_CURRENCY})(?![\w])"),
    re.compile(r"(?i)(?<![\w.,:/])(?P<number>\d+)(?P<pence>p|[ ]pence|[ ]?ct|[ ]cents?)(?!\w)"),
)

_MORE_UNITS = {
    "year": "years?|yrs?|jahre?n?|ans?|años?|anni|anno",
    "month": "monate?n?|mois|meses|mes",
    "week": "wochen?|semaines?|semanas?",
    "day": "tage?n?|jours?|días?",
    "hour": "stunden?|heures?|horas?",
    "gigabyte": "gb|gigabytes?",
    "megabyte": "mb|megabytes?",
    "terabyte": "tb|terabytes?",
    "millimetre": "mm|millimetres?|millimeters?",
    "centimetre": "cm|centimetres?|centimeters?",
    "kilometre": "km|kilometres?|kilometers?",
    "gram": "g|grams?|grammes?",
    "millilitre": "ml|millilitres?|milliliters?",
    "watt": "w|watts?",
    "kilowatt": "kw|kilowatts?",
    "volt": "v|volts?",
    "celsius": "°c|degrees? celsius|grad",
    "seat": "seats?|users?|people|persons?|personen",
    "percent": "percent|prozent|pour cent",
}
_UNITS = [(unit, spellings) for table in (UNITS, _MORE_UNITS) for unit, spellings in table.items()]
_UNIT = "|".join(sorted((one for _, spellings in _UNITS for one in spellings.split("|")), key=len, reverse=True))
_ADJECTIVES = r"(?:(?:business|working|calendar|full|whole|consecutive|werktage?|volle?)[ ])?"
_WORDS = {
    **{word: number for number, word in enumerate("one two three four five six seven eight nine ten".split(), 1)},
    **{"eleven": 11, "twelve": 12, "fourteen": 14, "fifteen": 15, "eighteen": 18, "twenty": 20, "twenty-four": 24},
    **{"thirty": 30, "thirty-six": 36, "sixty": 60, "ninety": 90},
}
_PARTS = {"year": ("month", 12), "week": ("day", 7)}
_WORD = "|".join(sorted(_WORDS, key=len, reverse=True))

QUANTITY_PATTERNS = (
    re.compile(
        rf"(?i)(?<![\w.,:/£€$])(?P<number>{_NUMBER}|\b(?:{_WORD})\b)"
        rf"(?:[ ]?(?:-|–|to|bis|à|a)[ ]?(?P<last>\d+|\b(?:{_WORD})\b))?"
        rf"[ \u00a0-]?{_ADJECTIVES}(?P<unit>{_UNIT})(?![\w])"
    ),
)


def read_number(text: str) -> str:
    """Return a number's one spelling: without separators of thousands, with a point, without trailing zeros."""
    text = re.sub(r"[' \u00a0\u202f]", "", text)
    if "," in text and "." in text:
        thousands, decimal = (",", ".") if text.rfind(".") > text.rfind(",") else (".", ",")
        text = text.replace(thousands, "").replace(decimal, ".")
    elif re.fullmatch(r"-?\d{1,3}(?:,\d{3})+|-?\d{1,3}(?:\.\d{3}){2,}", text):
        text = text.replace(",", "").replace(".", "")
    text = text.replace(",", ".")
    whole, _, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    sign = "-" if whole.startswith("-") else ""
    whole = whole.lstrip("-").lstrip("0") or "0"
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def read_money(match: re.Match[str]) -> tuple[str, ...]:
    """Return `money:GBP 7.4`; hundredths alone (`50p`, `20 cents`) may be of any currency that has them."""
    fields = match.groupdict()
    if fields.get("pence"):
        amount = read_number(f"{int(fields['number']) / 100:.2f}")
        pence = fields["pence"].strip().casefold()
        return tuple(f"money:{code} {amount}" for code in (("GBP",) if pence[0] == "p" else ("EUR", "USD")))
    spelled = fields["currency"].casefold()
    code = next(code for code, spellings in _CURRENCIES.items() if re.fullmatch(spellings, spelled))
    number = fields["number"]
    if code == "EUR" and re.fullmatch(r"\d{1,3}(?:\.\d{3})+", number):
        number = number.replace(".", "")  # nobody writes euros to three places
    return (f"money:{code} {_scale(read_number(number), fields.get('scale') or fields.get('letter'))}",)


def read_quantity(match: re.Match[str]) -> tuple[str, ...]:
    """Return `quantity:24 month`; of a range `quantity:3-5 day`, which only the same range supports.

    Years are months too, and weeks days.
    """
    spelled = match["unit"].casefold()
    unit = next(unit for unit, spellings in _UNITS if re.fullmatch(spellings, spelled))
    first, last = match["number"], match["last"]
    if first.casefold() == "one" and unit not in ("year", "month", "week", "hour"):
        return ()  # "one day" may be any
    numbers = [_read_counted(first), *([_read_counted(last)] if last else [])]
    readings = [f"quantity:{'-'.join(numbers)} {unit}"]
    if unit in _PARTS and all(number.isdigit() for number in numbers):
        part, times = _PARTS[unit]
        readings.append(f"quantity:{'-'.join(str(int(number) * times) for number in numbers)} {part}")
    return tuple(readings)


def find_unit(unit: str, text: str) -> bool:
    """Tell whether a text has a unit in any of its spellings."""
    spellings = "|".join(spellings for name, spellings in _UNITS if name == unit)
    return re.search(rf"(?i)(?<![a-z])(?:{spellings})(?![a-z])", text) is not None


def find_currency(code: str, text: str) -> bool:
    """Tell whether a text has a currency in any of its spellings."""
    return re.search(rf"(?i)(?<![a-z])(?:{_CURRENCIES[code]})(?![a-z])", text) is not None


def _read_counted(text: str) -> str:
    word = text.casefold()
    return str(_WORDS[word]) if word in _WORDS else read_number(text)


def _scale(number: str, scale: str | None) -> str:
    if scale is None:
        return number
    whole, _, fraction = number.partition(".")
    zeros = _SCALES[scale.casefold()]
    digits = f"{whole}{fraction.ljust(zeros, '0')[:zeros]}.{fraction[zeros:]}"
    return read_number(digits.rstrip("."))

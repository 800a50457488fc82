"""Numbers, amounts of money and quantities, each in one spelling; see `values`."""

import re
from collections.abc import Iterator
from fractions import Fraction

from gateway.evaluation.marked_lengths import MARKED_LENGTH, read_marked_length
from gateway.evaluation.number_notation import FRACTION_SIGNS, MIXED, NUMBER, Notation, clean_number
from gateway.evaluation.number_words import (
    CHARACTERS,
    MORE_WORDS,
    NUMBER_WORDS,
    read_characters,
    read_more_words,
    read_words,
)
from gateway.evaluation.sizes import counts_working_days, list_sizes
from gateway.evaluation.units import CURRENCY, UNIT, WORD_UNIT, list_currencies, read_unit
from gateway.evaluation.unspaced_scripts import mark_letters

__all__ = [
    "MONEY_PATTERNS",
    "NUMBER_PATTERNS",
    "QUANTITY_PATTERNS",
    "list_amounts_in_words",
    "list_former_readings",
    "read_money",
    "read_number",
    "read_quantity",
]

_WORDS = {
    3: r"thousand|tausend|tsd\.?|mille|miles|mil|tys\.?|duizend|тыс\.?|тысяч[аи]?",
    6: r"million(?:en|s|i)?|millón|millones|milione|milioni|milhão|milhões|miljoen|mil(?:ion(?:y|ów)?)|mio\.?|mln\.?"
    r"|млн\.?|миллион(?:а|ов)?",
    9: r"billion|bn|milliarden?|milliards?|miliard[oiy]?|miliardów|mil millones|bilhão|bilhões|miljard|mrd\.?|mld\.?"
    r"|млрд\.?|миллиард(?:а|ов)?",
}
"""Zeros by the words for them; `Billion` is read as in English."""
_SCALES = {
    **{"k": 3, "m": 6},
    **{mark_letters(sign): zeros for sign, zeros in {"千": 3, "천": 3, "万": 4, "萬": 4, "만": 4}.items()},
    **{mark_letters(sign): 8 for sign in "亿億억"},
}
_MYRIAD = f"[{mark_letters('万萬만亿億억')}]"
_OF = r"(?:[ ](?:de|di|of)\b|[ ]d['’](?=\w))?"
_SCALE_WORD = rf"[ \u00a0]?(?P<scale>{_WORDS[9]}|{_WORDS[6]}|{_WORDS[3]})(?!\w)"
_SCALE = rf"(?:{_SCALE_WORD}{_OF}|(?P<letter>[km])\b|(?P<myriad>{_MYRIAD}|{mark_letters('[千천]')}))?"
_ROUGHLY = "".join(rf"(?<!\b{word} )" for word in ("under", "over", "about", "around", "nearly", "almost", "roughly"))
_AT_NUMBER = f"(?=[0-9{FRACTION_SIGNS}])"
_BEFORE_NUMBER = f"(?=[^0-9{FRACTION_SIGNS}]{{1,26}}[0-9{FRACTION_SIGNS}])"
"""A quick look: the longest currency is `british pounds sterling`."""

MONEY_PATTERNS = (
    re.compile(
        rf"(?i)(?<![\w£€$¥₩฿₹]){_BEFORE_NUMBER}(?P<currency>{CURRENCY})[ \u00a0]?"
        rf"(?P<number>{NUMBER}){_SCALE}(?![\w]|[.,]\d)"
    ),
    re.compile(
        rf"(?i){_AT_NUMBER}(?<![\w.,:/])(?P<number>{NUMBER})(?:,(?:--?|–))?{_SCALE}"
        rf"[ \u00a0-]?(?P<currency>{CURRENCY})(?![\w])"
    ),
    re.compile(rf"(?i)(?=[aefnostz])(?<![\w-]){_ROUGHLY}(?P<words>{NUMBER_WORDS})[ -](?P<currency>{CURRENCY})(?![\w])"),
    re.compile(r"(?i)(?=[0-9])(?<![\w.,:/])(?P<number>\d+)(?P<pence>p|[ ]pence|[ ]?ct|[ ]cents?)(?!\w)"),
)

_OTHER_NUMBER = re.compile(r"(?i)\d[ ](?:pound|dollar|euro|franken)")
"""A currency's word behind a number, which belongs to that."""
_BEHIND_WEIGHT = re.compile(
    r"(?i)[ ](?:of[ ](?!(?:the|your|our|my|their|its?|his|her|this|that|these|every|each|any|all)\b"
    r"|(?:[a-z'’-]+[ ]){0,2}(?:credits?|discounts?|savings?|vouchers?|refunds?|debts?|fees?|rent|money|cash|prize"
    r"|winnings|sales?|damages?|compensation|benefits?|donations?|arrears|costs?|payments?|wages|pay|salary|bonus|bets?"
    r"|stock|shares?|shopping|cashback|value|postage|change|spend\w*|spent|profits?|tax|income|funding|investments?)\b)[^\W\d_]"
    r"|(?:heavy|heavier|lighter|overweight|in[ ]weight)\b|\d{1,2}[ ](?:oz|ounces?)\b)"
)
_BEFORE_WEIGHT = re.compile(
    r"(?i)\b(?:weigh(?:s|ed|ing|t)?|payload):?"
    r"(?:[ ](?:is|was|of|limit|may|be|about|only|just|around|roughly|nearly|almost|over|under|at|up|to|least|most|less"
    r"|more|than|between|exactly|an?|the|capacity|in)){0,5}[ ]$"
)
"""Words around pounds of weight: `5 pounds of flour`, `it weighs 30 pounds`. Others may be money or weight."""
_NEAR_WEIGHT = 30
_POUNDS = re.compile(r"(?i)(\d[\d.,]*)[ -]pounds?")
_MILLIONS = re.compile(r"(\d[\d.,]*)[ \u00a0]M[ \u00a0]")

_ADJECTIVES = r"(?:(?:business|working|calendar|full|whole|consecutive|werktage?|volle?)[ ])?"
_PARTS = {"year": ("month", 12), "week": ("day", 7)}

_TO = rf"[ ]?(?:-|–|〜|to|bis|à|a|{mark_letters('[～至到]')})[ ]?"
_DEGREES = rf"(?:{MIXED}|{NUMBER})(?:{_TO}\d+)?[ \u00a0]?(?:°[cf]|[℃℉]|grad|degrees? (?:celsius|fahrenheit))"
_BELOW_NOUGHT = rf"(?P<sign>(?<![\w)–-])(?:[-−]|minus[ ])(?={_DEGREES}))?"
"""Of temperatures; a dash before others begins the item of a list."""

_MANY = rf"(?:{_SCALE_WORD}{_OF}(?=[ \u00a0-])|(?P<letter>k|(?-i:[ \u00a0]?M))(?=[ \u00a0])|(?P<myriad>{_MYRIAD}))?"
"""`5 million km`, `1.2k users`, `5 M users`; without a space behind it a letter may be one of the unit's."""

QUANTITY_PATTERNS = (
    MARKED_LENGTH,
    re.compile(
        rf"(?i)(?:(?<=\bbetween )|(?<=\bzwischen ))(?P<number>{NUMBER})[ ](?:and|und)[ ](?P<last>\d+)"
        rf"[ \u00a0-]?{_ADJECTIVES}(?P<unit>{UNIT})(?!\w)"
    ),
    re.compile(
        rf"(?i)(?=[0-9{FRACTION_SIGNS}aefmnostz−-])(?<![\w.,:/⁄£€$]){_BELOW_NOUGHT}(?=[\d{FRACTION_SIGNS}aefnostz])"
        rf"(?!{mark_letters('(?:19|20)[0-9][0-9]年')})(?:(?P<number>{MIXED}|{NUMBER}){_MANY}"
        rf"|(?P<words>{NUMBER_WORDS}))"
        rf"(?:{_TO}(?P<last>\d+|{NUMBER_WORDS}))?"
        rf"[ \u00a0-]?{_ADJECTIVES}(?P<unit>{UNIT})(?![\w])"
    ),
    re.compile(rf"(?P<characters>{CHARACTERS})(?P<unit>{WORD_UNIT})"),
)

_TIME = (
    "(?:s|secs?|seconds?|sek|min|minutes?|h|hrs?|hours?|std|stunde|days?|tag|weeks?|woche|months?|monat|mo|years?|yr"
    "|jahr)"
)
NUMBER_PATTERNS = (
    re.compile(
        rf"(?i)(?=[0-9{FRACTION_SIGNS}m−-])"
        rf"(?<![\w.,#/⁄:])(?P<sign>[-−]|(?<!\d )minus[ ])?(?P<number>{MIXED}|{NUMBER})"
        rf"(?:{_SCALE_WORD}|(?P<myriad>{_MYRIAD}))?(?![\w⁄:]|/(?![ ]?{_TIME}(?!\w))|[.,]\d)"
    ),
)


_AMOUNT_IN_WORDS = re.compile(
    rf"(?i)(?P<words>{MORE_WORDS})(?:[ ](?:to|or|bis|oder|à|ou|a|o)[ ](?P<last>{MORE_WORDS}))?[ -]"
    r"(?:(?!(?:per|pro|par|por|je|an?|each|every|im|al|for|für|in|of|to|or|and)\b)[^\W\d_]+[ ])?"
    rf"(?:(?P<unit>{UNIT})|(?P<currency>{CURRENCY}))(?!\w)"
)
"""Also with a word between them: `three free months`, `zwei weitere Wochen`."""


_HALF_HOUR = re.compile(
    mark_letters(
        r"(?i)\bhalf(?:[ ]an)?[ -]hour\b|\bhalbe[nr]?[ ]stunde|\bdemi-heure|\bmedia[ ]hora\b|半[个個]?小[时時]"
    )
)


def list_amounts_in_words(text: str) -> Iterator[str]:
    """Yield the readings of the amounts that a marked text says in words, which no value of it may be: `zwei Euro`."""
    if _HALF_HOUR.search(text):
        yield from list_sizes(("quantity:30 minute",), "")
    for match in _AMOUNT_IN_WORDS.finditer(text):
        number = "-".join(str(read_more_words(one)) for one in match.group("words", "last") if one)
        if match["currency"]:
            yield from (f"money:{code} {number}" for code in list_currencies(match["currency"]))
        elif number != "1":
            unit = read_unit(match["unit"])
            yield f"quantity:{number} {unit}"
            if not counts_working_days(match[0]):
                yield from list_sizes((f"quantity:{number} {unit}",), "")


def list_former_readings(kind: str, text: str) -> tuple[str, ...]:
    """Return what earlier versions read of a value, by which facts that were learnt then are known again."""
    if kind != "quantity":
        return ()
    if match := _POUNDS.fullmatch(text):
        return (f"money:GBP {clean_number(match[1])}",)
    match = _MILLIONS.match(text)
    return (f"number:{clean_number(match[1])}",) if match else ()


def read_number(match: re.Match[str], notation: Notation) -> tuple[str, ...]:
    """Return `number:1500`; both readings where its sign may part thousands or a fraction."""
    sign = "-" if match["sign"] else ""
    return tuple(
        f"number:{sign}{_scale(one, match['scale'] or match['myriad'])}" for one in notation.read(match["number"])
    )


def read_money(match: re.Match[str], notation: Notation) -> tuple[str, ...]:
    """Return `money:GBP 7.4`; more readings where the currency's spelling is that of several.

    Hundredths alone (`50p`, `20 cents`) may be of any currency that has them.
    """
    fields = match.groupdict()
    if fields.get("pence"):
        amount = clean_number(f"{int(fields['number']) / 100:.2f}")
        pence = fields["pence"].strip().casefold()
        return tuple(f"money:{code} {amount}" for code in (("GBP",) if pence[0] == "p" else ("EUR", "USD")))
    if match.start("currency") == match.start() and _OTHER_NUMBER.match(match.string, match.start() - 2):
        return ()  # `5 dollars 20 cents`
    amounts = _read_amounts(fields, notation)
    is_pound = (fields["currency"] or "").casefold() in ("pound", "pounds")
    if is_pound and _says_weight(match):
        return ()
    money = [f"money:{code} {amount}" for amount in amounts for code in list_currencies(fields["currency"] or "")]
    return (*money, *(f"quantity:{amount} pound" for amount in amounts if is_pound))


def read_quantity(match: re.Match[str], notation: Notation) -> tuple[str, ...]:
    """Return `quantity:24 month`; of a range `quantity:3-5 day`, which only the same range supports.

    Only temperatures are below nought (`-18 °C`). Years are months too, and weeks days, but for working ones. `9h` is a
    time as well.
    """
    if match.re is MARKED_LENGTH:
        return read_marked_length(match, notation)
    fields = match.groupdict()
    unit = read_unit(fields["unit"])
    words, last = fields.get("words"), fields.get("last")
    if words and words.casefold() == "one" and unit not in ("year", "month", "week", "hour"):
        return ()  # "one day" may be any
    if characters := fields.get("characters"):
        firsts = [str(read_characters(characters))]
    elif words:
        firsts = [str(read_words(words))]
    else:
        scale = fields.get("scale") or fields.get("letter") or fields.get("myriad")
        firsts = [_scale(one, scale) for one in notation.read(fields["number"])]
    if fields.get("sign"):
        firsts = [f"-{one}" for one in firsts]
    working = counts_working_days(match[0])
    readings: list[str] = []
    for first in firsts:
        numbers = [first, *([last if last.isdigit() else str(read_words(last))] if last else [])]
        readings.append(f"quantity:{'-'.join(numbers)} {unit}")
        part, times = _PARTS.get(unit, ("", 0))
        counts = [Fraction(number) * times for number in numbers]
        if part and not working and all(count.denominator == 1 for count in counts):  # `1½ years` are `18 months`
            readings.append(f"quantity:{'-'.join(map(str, counts))} {part}")
    if re.fullmatch(r"(?:1?\d|2[0-3])[ ]?h", match[0]):
        readings.append(f"time:{firsts[0]:0>2}:00")  # `de 9h à 17h30`
    return tuple(readings)


def _says_weight(match: re.Match[str]) -> bool:
    near = max(0, match.start() - _NEAR_WEIGHT)
    return (
        _BEHIND_WEIGHT.match(match.string, match.end()) is not None
        or _BEFORE_WEIGHT.search(match.string, near, match.start()) is not None
    )


def _read_amounts(fields: dict[str, str | None], notation: Notation) -> tuple[str, ...]:
    number, words = fields.get("number"), fields.get("words")
    if number is None:
        return (str(read_words(words or "")),)
    scale = fields["scale"] or fields["letter"] or fields["myriad"]
    if scale is None and re.fullmatch(r"[1-9]\d{0,2}[.,]\d{3}", number):
        return (re.sub("[.,]", "", number),)  # nobody writes money to three places
    return tuple(_scale(one, scale) for one in notation.read(number))


def _scale(number: str, scale: str | None) -> str:
    if scale is None:
        return number
    whole, _, fraction = number.partition(".")
    zeros = (
        next((some for some, words in _WORDS.items() if re.fullmatch(words, scale, re.IGNORECASE)), None)
        or _SCALES[scale.strip().casefold()]
    )
    digits = f"{whole}{fraction.ljust(zeros, '0')[:zeros]}.{fraction[zeros:]}"
    return clean_number(digits.rstrip("."))

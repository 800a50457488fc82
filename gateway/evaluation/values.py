"""The values in a text, which are its facts: amounts, dates, times, quantities, versions, codes, addresses, numbers.

Each is brought to one spelling, so that `1,000` is `1000` and `2 Feb 2026` is `2026-02-02`. Numbers that say no fact
are none: places in a list, steps, citations, ordinals, and idioms such as `24/7`. Names aren't found: there is no
packaged model for them.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations

from gateway.evaluation.calendar_values import (
    DATE_PATTERNS,
    MONTH,
    TIME_PATTERNS,
    imply_date,
    read_date,
    read_short_date,
    read_time,
)
from gateway.evaluation.number_notation import FRACTION_SIGNS, Notation
from gateway.evaluation.number_values import (
    MONEY_PATTERNS,
    NUMBER_PATTERNS,
    QUANTITY_PATTERNS,
    list_amounts_in_words,
    list_former_readings,
    read_money,
    read_number,
    read_quantity,
)
from gateway.evaluation.number_words import CHARACTERS, list_numbers_in_words
from gateway.evaluation.rated_values import RATED, read_rates
from gateway.evaluation.rates import LOOSE, TIMES, list_apart, mentions_time, read_counted, split_reading, to_rate
from gateway.evaluation.sizes import counts_working_days, list_sizes, read_span
from gateway.evaluation.units import find_currency, find_unit
from gateway.evaluation.unspaced_scripts import MARKED_LETTERS, mark_letters
from gateway.evaluation.value import KINDS, Kind, Value

__all__ = ["KINDS", "Kind", "TextValues", "Value", "find_values"]

_NO_FACTS = re.compile(
    rf"(?im)^[ \t]*(?:\d{{1,2}}[、．](?!\d)|\d{{1,2}}\.(?=[{MARKED_LETTERS}]))"  # a place in a list, without a space
    + mark_letters(r"|(?:步[骤驟]|ステップ|手順|ขั้นตอนที่)[ ]?\d{1,2}|第[ ]?\d{1,3}|\d{1,3}(?:番目|번째|단계|째)")
    + rf"|^[ \t]*(?:[-*•][ \t]*)?\(?\d{{1,2}}(?:[):]|\.(?![ ](?:{MONTH})(?![a-zà-ü])))(?=\s)"  # with one
    r"|\[\d+(?:[ ]?[,;–-][ ]?\d+)*\]"  # a citation
    r"|\b(?=[a-zé.]{2,9}[ ]#?[0-9])(?:"
    r"(?:steps?|parts?|chapters?|sections?|points?|items?|options?|figures?|pages?|questions?|lines?|rows?|no\.|schritte?"
    r"|punkte?|étapes?|pasos?)[ ]#?\d{1,3}(?:(?:[ ]?(?:,|and|und|et|y|to|of|–|-)[ ]?)\d{1,3})*"
    r"(?![\d.,]*\d|[ ]?%)\b"
    r"|(?:sections?|chapters?|figures?)[ ]\d{1,2}(?:\.\d{1,2}){1,3}(?![\d.,]*\d|[ ]?%)\b"
    r"|press[ ]\d\b|hi[ ]\d\b|top[ ]\d{1,3}\b|(?:number|no\.)[ ]1\b)"
    r"|(?=[0-9])(?:(?<![\w.,'’])24[/ ]7(?:[/ ]?365)?\b(?![.,]?\d)|\b9[ ]?(?:to|-|–)[ ]?5\b|\b50[/-]50\b"
    r"|\b360[ °-]*(?:degrees?)?(?=[ ]*(?:view|support))"
    r"|\b(?:100|110)[ ]?(?:%|percent|per cent)[ ](?:sure|certain|right|committed|behind|agree|understand|happy)"
    r"|\b\d[ -](?:in)[ -]\d\b)"
    r"|(?<!\w)#1\b"
)
_ORDINALS = re.compile(
    r"(?i)(?=[0-9])(?:(?<![\d#])\d{1,3}(?:(?:st|nd|rd|th|er|ère|ème)\b|\.?[ºª])"
    r"|(?:(?<=\b(?:im|zu) )|(?<=\b(?:de[rmn]|die|das|zu[rm]) )|(?<=\bbeim ))\d{1,2}\.(?=[ ][^\W\d_])"
    + mark_letters(r"|(?<!\d)\d{1,2}[月월](?!\d))")
)
"""And months alone. Looked for once dates are found, which have them too."""

_NO_ADDRESS = rf"\s<>\"'()\[\]、。「」『』【】《》，；：！？…{MARKED_LETTERS}"
_TOP = "com|org|net|info|edu|gov|io|eu|de|fr|es|nl|pl|uk|ch|se|dk|fi|cz|jp|cn|br|ca|au|app|dev|shop|store|example"
"""Ends of host names that are no English words: a full stop without a space behind it isn't one's point."""
_URL = re.compile(
    rf"(?i:\b(?:https?://|www\.)[^{_NO_ADDRESS}]*[^{_NO_ADDRESS}.,;:!?])"
    rf"|(?<![\w@./+-])(?:[a-z0-9][a-z0-9-]*\.)+(?:{_TOP})(?![\w@-]|\.\w)(?:/(?:[^{_NO_ADDRESS}]*[^{_NO_ADDRESS}.,;:!?])?)?"
)
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]+@(?:[\w-]+\.)+[a-zA-Z]{2,}")
_PRE = r"(?:-(?:alpha|beta|rc|pre|dev)[.-]?\d*)?"
_VERSION = re.compile(
    r"(?i)(?=[v\d])(?:\bv\d+(?:\.\d+)*(?:[a-z]|-\w+(?:\.\d+)*)?\b"
    rf"|(?:(?<=\bversion )|(?<=\bfirmware )|(?<=\bbuild ))\d+(?:\.\d+)*(?:[a-z]\b|{_PRE}\b)"
    r"|(?<=\brelease )\d+(?:\.\d+)+\b"
    r"|(?<![\w.,])(?!\d{1,3}(?:\.\d{3})+(?![\w.]|,\d{3}))"  # not 1.000.000
    rf"\d+\.\d+\.\d+(?:\.\d+)*{_PRE}(?!\w|[.,]\d))"
)
_PHONE = re.compile(
    r"(?<![\w.,/+#-])(?<!\d )(?:(?=[+(]?(?:[ /()-]{0,3}\d){6})"
    r"(?:\+\d{1,3}(?:[ ]?\(0\)[ ]?\d{2,8})?|\(?0\d{1,5}\)?)(?:[ /()-]{1,2}\d{2,8}){1,5}"
    r"|\+[1-9]\d{8,14}"
    r"|(?:\(\d{3}\)[ ]?|\d{3}-)\d{3}-\d{4})(?![\w]|[.,:]\d|-\d)"
)
_CODE = re.compile(
    r"(?<![\w/.@-])(?:#\d{3,}(?!\w)"
    r"|[A-Z]{2}\d\d(?:[ ][A-Z0-9]{4}){2,7}(?:[ ][A-Z0-9]{1,3})?(?![\w-])"  # an IBAN
    r"|(?=[A-Z0-9-]*[A-Z])(?=[A-Z0-9-]*\d)[A-Z0-9]+(?:-[A-Z0-9]+)*(?![\w-])"
    r"|[a-z]{1,6}\d{3,}[a-z0-9]{0,8}(?![\w-])"  # as people write `HX562C`
    r"|(?=\w*_)(?=\w*[A-Z])[A-Z0-9]+(?:_[A-Z0-9]+)+(?!\w))"
)
_BESIDE = re.compile(r"[ \u00a0]?")
_BETWEEN = re.compile(r"[ \u00a0]?|,?[ ](?:and|und|et|y|e|en)[ ]")
"""These stand between `2 years` and `6 months`; `2 kg and 500 g` are two packages."""
_MOST_APART = 6
_LONG = ("second", "minute", "hour", "day", "month")
_ONE = re.compile(r"(?i)\b(?:one|eine[rnms]?|une?|una)\b")
_FORMER_TIME = re.compile(r"(?i)\b(\d{1,2})[ ]?am[ ](?:tag|abend|mittag|nachmittag|wochenende|stück)\b")
_FORMER_YEARS = re.compile(r"(?i)\b(\d{1,3})[ ]an[ ]hour\b")
"""These were read as a time and as years once, by which facts that were learnt then are known again."""
_NUMERIC = re.compile(rf"[0-9{FRACTION_SIGNS}]")
_WITHOUT_NUMBERS: tuple[Kind, ...] = ("url", "e-mail", "money", "quantity", "code")
"""Of these kinds a value may be without a digit: `two years`, `ORDER_ID`."""
_ENDLESS = re.compile(r"[0-9](?:[0-9]{39,}|[0-9]{0,2}(?:[.,'’ \u00a0\u2009\u202f][0-9]{3}){13,})")
_ENDLESS_CHARACTERS = re.compile(f"{CHARACTERS.removesuffix('+')}{{40,}}")
"""Models that repeat themselves write such numbers; they are nobody's facts, and too long to be reckoned with."""
_MOST_REMEMBERED = 8_192
"""Characters; longer texts are read anew."""
_Place = tuple[int, int, tuple[str, ...]]
_Finder = Callable[[str, Notation], Iterator[_Place]]


def find_values(text: str) -> list[Value]:
    """Return a text's values in their order; none lies in another one."""
    return list(_find_again(text) if len(text) <= _MOST_REMEMBERED else _find(text))


def _find(text: str) -> tuple[Value, ...]:
    marked_text = mark_letters(text)
    has_number = _NUMERIC.search(marked_text) is not None
    notation = Notation(marked_text)
    masked_text = marked_text if text.isascii() else _ENDLESS_CHARACTERS.sub(_blank, marked_text)
    masked_text = _NO_FACTS.sub(_blank, _ENDLESS.sub(_blank, masked_text)) if has_number else masked_text
    values: list[Value] = []
    for kind in KINDS if has_number else _WITHOUT_NUMBERS:
        places = sorted(_FINDERS[kind](masked_text, notation))
        values += [Value(kind, text[start:end], start, end, readings) for start, end, readings in places]
        masked_text = _mask(masked_text, places) if places else masked_text
        if kind == "date":
            masked_text = _ORDINALS.sub(_blank, masked_text)
    whole_values = _join_parts(sorted(values, key=lambda value: value.start), marked_text)
    return read_rates(whole_values, text, marked_text)


_find_again = lru_cache(maxsize=512)(_find)
"""Of texts that were read lately: checks ask for a reply's and a passage's values many times."""


@dataclass(frozen=True, slots=True)
class TextValues:
    """A text that values are looked for in; make it by `of`.

    Attributes:
        readings: What it states: of a date with its year also the one without, of quantities their sizes, of them and
            money the bare number, and of rates what stands above their line.
    """

    readings: frozenset[str]
    text: str

    @classmethod
    def of(cls, text: str) -> "TextValues":
        """Read the values of a text."""
        values = find_values(text)
        readings = {reading for value in values for reading in value.readings}
        sizes = {size for value in values for size in value.sizes}
        implied = {less for one in readings for less in (*imply_date(one), *_imply_amount(one), *_imply_rate(one))}
        # Words around it may say the same: `Ein Kilo kostet 3 €`.
        led = {f"whole:{split_reading(reading)[0]}" for value in values if value.is_led for reading in value.readings}
        marked_text = mark_letters(text)
        words = {f"word:{number}" for number in list_numbers_in_words(marked_text)} | {
            *list_amounts_in_words(marked_text)
        }
        words |= {
            f"number:1 count/{name}"
            for one in _ONE.finditer(marked_text)
            if (name := read_counted(marked_text, one.end()))
        }
        former = {f"above:{reading}" for value in values for reading in list_former_readings(value.kind, value.text)}
        former |= {f"above:time:{one[1]:0>2}:00" for one in _FORMER_TIME.finditer(text)}
        former |= {f"above:quantity:{one[1]} year" for one in _FORMER_YEARS.finditer(text)}
        return cls(frozenset(readings | sizes | implied | led | words | former), text)

    def states(self, value: Value) -> bool:
        """Tell whether a value is in it, be it in another unit of a fixed size.

        Units and currencies may stand apart from numbers, as in a table's header; then they are the value's own.
        """
        return (
            not self.readings.isdisjoint((*value.readings, *value.sizes))
            or any(self._states_apart(reading) for reading in value.readings)
            or (value.kind in RATED and self._states_more(value))
        )

    def has_rate(self, value: Value) -> bool:
        """Tell whether an amount stands in it above a line, or was read of it once, which doesn't state it.

        As `5 km` does of `5 km/h`, and `£5` of `5 pounds of flour`.
        """
        return any(f"above:{reading}" in self.readings for reading in value.readings)

    def _states_more(self, value: Value) -> bool:
        """Tell whether it has a rate of which the value's own text says elsewhere, or leaves out, what it is per."""
        parts = [(reading, *split_reading(reading)) for reading in value.readings]
        some = sorted(value.apart)[:_MOST_APART]
        for more in (*combinations(some, 1), *combinations(some, 2)):
            if any(to_rate(above, tuple(sorted({*below, *more}))) in self.readings for _, above, below in parts):
                return True
        is_whole = value.headers.isdisjoint(TIMES) and all(TIMES.isdisjoint(below) for _, _, below in parts)
        return is_whole and any(
            f"whole:{above.replace('span:', 'quantity:')}" in self.readings for _, above, below in parts if not below
        )

    def _counts(self, number: str, below: Iterable[str]) -> bool:
        """Tell whether it has a number that it says no rate of, and the times below one of it in any words."""
        is_bare = not self.readings.isdisjoint(f"{kind}:{number}" for kind in ("bare", "amount", "code", "word"))
        return is_bare and all(
            mentions_time(self.text, one) or not self.readings.isdisjoint(list_sizes((f"quantity:1 {one}",), ""))
            for one in below
        )

    def _states_apart(self, reading: str) -> bool:
        above, below = split_reading(reading)
        if above.startswith("number:") and below:
            return self._counts(above.partition(":")[2], below)
        if above.startswith("per:"):
            return mentions_time(self.text, above.removeprefix("per:"))
        for count in range(1, len(below)):
            for own in combinations(below, count):
                if to_rate(above, own) in self.readings and _list_below(self.text).issuperset({*below} - {*own}):
                    return True
        if below and _list_below(self.text).issuperset(below):
            return above in self.readings or self._states_apart(above)
        return self._states_number(reading)

    def _states_number(self, reading: str) -> bool:
        """Tell whether it has the number of a value that is per nothing, and apart from it the unit or currency."""
        kind, _, rest = reading.partition(":")
        if kind == "code":  # `#40021` in a row, and `order 40021` in a document
            return rest.isdigit() and f"number:{rest}" in self.readings
        if kind == "number":
            return not self.readings.isdisjoint(f"{kind}:{rest}" for kind in ("code", "amount", "word"))
        if kind == "quantity":
            number, _, unit = rest.partition(" ")
            return f"number:{number}" in self.readings and find_unit(unit, self.text)
        if kind == "money" and "/" not in rest.partition(" ")[0]:
            code, _, number = rest.partition(" ")
            return f"number:{number}" in self.readings and find_currency(code, self.text)
        return False


def _imply_amount(reading: str) -> tuple[str, ...]:
    """Return the bare number of a quantity or of money, as `amount:200`; nothing of what is neither."""
    kind, _, rest = reading.partition(":")
    words = rest.split(" ")
    return (f"amount:{words[-1 if kind == 'money' else 0]}",) if kind in ("quantity", "money") else ()


def _imply_rate(reading: str) -> tuple[str, ...]:
    above, below = split_reading(reading)
    kind, _, rest = above.partition(":")
    if not below:
        return (f"bare:{rest}",) if kind == "number" else ()
    if kind == "number":
        return f"above:{above}", above
    above = f"quantity:{rest}" if kind == "span" else above
    return (f"above:{above}", f"whole:{above}") if LOOSE.issuperset(below) else (f"above:{above}",)


def _join_parts(values: list[Value], text: str) -> list[Value]:
    """Return values in their order, where those that are one together have its reading too."""
    whole_values: list[Value] = []
    place = 0
    while place < len(values):
        last = place + 1
        span = ""
        while last < len(values) and _may_join(values[last - 1]) and _may_join(values[last]):
            between = text[values[last - 1].end : values[last].start]
            longer = read_span([one.readings[0] for one in values[place : last + 1]])
            if not longer or not (_BETWEEN if _is_long(longer) else _BESIDE).fullmatch(between):
                break
            span, last = longer, last + 1
        whole_values += [replace(one, readings=(*_list_own(one), span)) if span else one for one in values[place:last]]
        place = last
    return whole_values


@lru_cache(maxsize=64)
def _list_below(text: str) -> frozenset[str]:
    """Return what amounts may be per that isn't part of a value, as in a table's header."""
    values = [(value.start, value.end, ()) for value in find_values(text)]
    return frozenset(name for _, _, name in list_apart(_mask(mark_letters(text), values)))


def _may_join(value: Value) -> bool:
    return value.kind == "quantity" and not counts_working_days(value.text)


def _list_own(value: Value) -> list[str]:
    """Return a part's readings in its own unit: of `2 years and 6 months` the former are no 24 months by themselves."""
    unit = value.readings[0].rpartition(" ")[2]
    return [one for one in value.readings if one.endswith(f" {unit}")]


def _is_long(span: str) -> bool:
    return span.endswith(_LONG)


def _mask(text: str, places: Iterable[_Place]) -> str:
    """Return a text with marks in some places of it, which are in order and apart."""
    pieces: list[str] = []
    last = 0
    for start, end, _ in places:
        pieces += [text[last:start], "~" * (end - start)]
        last = end
    return "".join([*pieces, text[last:]])


def _blank(match: re.Match[str]) -> str:
    return "~" * len(match[0])


def _find_by(pattern: re.Pattern[str], read: Callable[[str], tuple[str, ...]]) -> _Finder:
    return lambda text, _notation: (
        (match.start(), match.end(), read(match[0])) for match in pattern.finditer(text) if "~" not in match[0]
    )


def _find_dated(patterns: Iterable[re.Pattern[str]], read: Callable[[re.Match[str]], tuple[str, ...]]) -> _Finder:
    return _find_all(patterns, lambda match, _notation: read(match))


def _find_all(
    patterns: Iterable[re.Pattern[str]], read: Callable[[re.Match[str], Notation], tuple[str, ...]]
) -> _Finder:
    def find(text: str, notation: Notation) -> Iterator[_Place]:
        for pattern in patterns:
            places = [
                (match.start(), match.end(), readings)
                for match in pattern.finditer(text)
                if (readings := read(match, notation))
            ]
            yield from places
            text = _mask(text, places) if places else text

    return find


def _read_url(text: str) -> tuple[str, ...]:
    address = re.sub(r"^(?:https?://)?(?:www\.)?", "", text.casefold())
    return (f"url:{address.rstrip('/')}",)


def _read_version(text: str) -> tuple[str, ...]:
    """Return `version:2.1.0`; of `31.3.26` the date as well."""
    return (f"version:{text.casefold().removeprefix('v')}", *read_short_date(text))


def _read_phone(text: str) -> tuple[str, ...]:
    return (f"phone:{re.sub(r'[^+0-9]', '', text.replace('(0)', ''))}",)


_FINDERS: dict[Kind, _Finder] = {
    "url": _find_by(_URL, _read_url),
    "e-mail": _find_by(_EMAIL, lambda text: (f"e-mail:{text.casefold()}",)),
    "date": _find_dated(DATE_PATTERNS, read_date),
    "time": _find_dated(TIME_PATTERNS, read_time),
    "money": _find_all(MONEY_PATTERNS, read_money),
    "version": _find_by(_VERSION, _read_version),
    "phone": _find_by(_PHONE, _read_phone),
    "quantity": _find_all(QUANTITY_PATTERNS, read_quantity),
    "code": _find_by(_CODE, lambda text: (f"code:{text.casefold().lstrip('#').replace(' ', '')}",)),
    "number": _find_all(NUMBER_PATTERNS, read_number),
}

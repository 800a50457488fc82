"""The sizes of quantities, by which `2 m` and `200 cm` are known as one, beside the spellings that tell them apart.

Units of one dimension with a fixed factor alone, and degrees: months have no number of days, so that they and years
stand by themselves, a gigabyte is a thousand megabytes and a gibibyte 1,024 mebibytes, and money is never converted.
"""

import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import lru_cache

__all__ = ["counts_working_days", "list_sizes", "read_span"]

_DIMENSIONS: Mapping[str, Mapping[str, Fraction]] = {
    "length": {
        "millimetre": Fraction(1, 1000),
        "centimetre": Fraction(1, 100),
        "decimetre": Fraction(1, 10),
        "metre": Fraction(1),
        "kilometre": Fraction(1000),
        "inch": Fraction(254, 10_000),
        "foot": Fraction(3048, 10_000),
        "yard": Fraction(9144, 10_000),
        "mile": Fraction(1_609_344, 1000),
    },
    "area": {"square_metre": Fraction(1)},
    "mass": {
        "microgram": Fraction(1, 10**6),
        "milligram": Fraction(1, 1000),
        "gram": Fraction(1),
        "kilogram": Fraction(1000),
        "tonne": Fraction(10**6),
        "ounce": Fraction(45_359_237, 1_600_000),
        "pound": Fraction(45_359_237, 100_000),
    },
    "volume": {
        "millilitre": Fraction(1, 1000),
        "centilitre": Fraction(1, 100),
        "decilitre": Fraction(1, 10),
        "litre": Fraction(1),
        "cubic_metre": Fraction(1000),
    },
    "time": {
        "second": Fraction(1),
        "minute": Fraction(60),
        "hour": Fraction(3600),
        "day": Fraction(86_400),
        "week": Fraction(604_800),
    },
    "months": {"month": Fraction(1), "year": Fraction(12)},
    "data": {
        "byte": Fraction(1),
        "kilobyte": Fraction(10**3),
        "megabyte": Fraction(10**6),
        "gigabyte": Fraction(10**9),
        "terabyte": Fraction(10**12),
    },
    "bits": {
        "bit": Fraction(1),
        "kilobit": Fraction(10**3),
        "megabit": Fraction(10**6),
        "gigabit": Fraction(10**9),
    },
    "binary": {
        "kibibyte": Fraction(2**10),
        "mebibyte": Fraction(2**20),
        "gibibyte": Fraction(2**30),
        "tebibyte": Fraction(2**40),
    },
    "share": {"permille": Fraction(1, 1000), "percent": Fraction(1, 100)},
    "power": {"watt": Fraction(1), "kilowatt": Fraction(1000)},
    "energy": {"watthour": Fraction(1), "kilowatthour": Fraction(1000)},
    "temperature": {"celsius": Fraction(1), "fahrenheit": Fraction(5, 9)},
}
_FACTORS = {unit: (name, factor) for name, units in _DIMENSIONS.items() for unit, factor in units.items()}
_NOUGHTS = {"celsius": Fraction(27_315, 100), "fahrenheit": Fraction(45_967, 100)}
"""Degrees from absolute nought to the scale's own."""

_QUANTITY = re.compile(r"(?:quantity|span):(-?\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))? (\w+)(?:/(?:(100)_)?(\w+))?")
_WORKING_DAY = re.compile(r"(?i)business|working|werktag|arbeitstag")


def counts_working_days(text: str) -> bool:
    """Tell whether a value's days or weeks are working days, which are none of 24 hours."""
    return _WORKING_DAY.search(text) is not None


@lru_cache(maxsize=4096)
def list_sizes(readings: tuple[str, ...], text: str) -> frozenset[str]:
    """Return a value's sizes in base units, as `size:length 2`; none where its unit is of no dimension.

    Of a part of `1 h 30 min` that of the whole. `text` is the value as it stands.
    """
    spans = [one for one in readings if one.startswith("span:")]
    return frozenset(size for one in spans or readings for size in _read_sizes(one, text))


def read_span(parts: Sequence[str]) -> str:
    """Return the reading of quantities that are one together: `span:90 minute` of one hour and thirty minutes.

    It is "" where they aren't: each unit has to be smaller than the one before, and each number but the first too small
    to be written in that.
    """
    total, before, unit = Fraction(0), ("", Fraction(0)), ""
    for part in parts:
        match = _QUANTITY.fullmatch(part)
        if match is None or match[2] or match[5] or match[3] not in _FACTORS:
            return ""
        unit = match[3]
        dimension, factor = _FACTORS[unit]
        amount = Fraction(match[1]) * factor
        if before[0] and (dimension != before[0] or not 0 < amount < before[1]):
            return ""
        total, before = total + amount, (dimension, factor)
    number = total / before[1]
    return f"span:{_write(number)} {unit}"


def _read_sizes(reading: str, text: str) -> set[str]:
    match = _QUANTITY.fullmatch(reading)
    if (
        match is None
        or match[3] not in _FACTORS
        or (not {match[3], match[5]}.isdisjoint(("day", "week")) and counts_working_days(text))
    ):
        return set()
    dimension, factor = _FACTORS[match[3]]
    if below := match[5]:
        if below not in _FACTORS:
            return set()
        dimension = f"{dimension}/{_FACTORS[below][0]}"
        factor /= _FACTORS[below][1] * int(match[4] or 1)
        dimension = "bits" if dimension == "bits/time" else dimension  # a line of 50 Mbit has 50 Mbit/s; files have MB
    nought = Fraction(0) if below else _NOUGHTS.get(match[3], Fraction(0))
    meanings = [_list_meanings(number) for number in match.groups()[:2] if number]
    return {
        f"size:{dimension} {'-'.join(str((one + nought) * factor) for one in numbers)}"
        for numbers in zip(*meanings, strict=True)
    }


def _list_meanings(number: str) -> tuple[Fraction, Fraction]:
    """Return what a number means; one of four places, as `1⅓` is spelt, is also the thirds or eighths next to it."""
    exact = Fraction(number)
    near = exact.limit_denominator(8)
    is_cut = len(number.partition(".")[2]) == 4 and abs(near - exact) < Fraction(1, 15_000)
    return exact, near if is_cut else exact


def _write(number: Fraction) -> str:
    if number.denominator == 1:
        return str(number.numerator)
    return f"{float(number):.6f}".rstrip("0").rstrip(".")

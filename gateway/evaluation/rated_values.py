"""Amounts of a text that are per something, behind them, before them, or behind the last of a list of them."""

import re
from bisect import bisect_left, bisect_right
from dataclasses import replace

from gateway.evaluation.rates import list_apart, read_rate, share_rates, split_reading, to_rate
from gateway.evaluation.value import Kind, Value

__all__ = ["RATED", "read_rates"]

RATED: tuple[Kind, ...] = ("money", "quantity")
"""The kinds of which a value may be per something."""
_MOST_SHARED = 8
"""Amounts of one list that is per something."""
_NEAR = 40
"""Characters between `monthly` and the price that it says something of."""
_OTHER_AMOUNT = re.compile(r"[\d.!?;\n|]|\bthen\b|\bdann\b")


def read_rates(values: list[Value], text: str, marked: str) -> tuple[Value, ...]:
    """Return values in their order, where amounts that are per something end behind that and are no plain ones."""
    apart = list(list_apart(marked)) if any(value.kind in RATED for value in values) else []
    places = [place for place, _ in apart]
    rates: list[Value] = []
    below_lines = {name for _, name in apart}
    end = 0
    for value in values:
        if value.start < end:
            continue  # below the line of the one before
        if value.kind not in RATED or value.is_part:
            rates.append(value)
            continue
        end, below = read_rate(marked, value.end, value.readings[0])
        if below:
            below_lines.update(below)
            rated = [one for reading in value.readings if (one := to_rate(reading, below))]
            _share(rates, value, below, text)
            rates.append(Value(value.kind, text[value.start : end], value.start, end, tuple(rated)))
            continue
        if value.kind == "money":
            near = apart[bisect_left(places, value.start - _NEAR) : bisect_right(places, value.start)]
            names = [name for place, name in near if _is_before(text, place, value)]
            value = replace(value, readings=(*value.readings, *_rate_all(value, names[-1:])))
        rates.append(value)
    elsewhere = frozenset(below_lines)
    return tuple(replace(one, apart=elsewhere) if elsewhere and one.kind in RATED else one for one in rates)


def _share(before: list[Value], last: Value, below: tuple[str, ...], text: str) -> None:
    """Give amounts right before one that is per something readings as such too: `€5, €9 and €19 per month`."""
    for place in reversed(range(max(0, len(before) - _MOST_SHARED), len(before))):
        one = before[place]
        is_same = one.kind == last.kind and _get_unit(one) == _get_unit(last) and not split_reading(one.readings[-1])[1]
        if not is_same or not share_rates(text[one.end : last.start]):
            return
        before[place] = last = replace(one, readings=(*one.readings, *_rate_all(one, list(below))))


def _get_unit(value: Value) -> str:
    """Return the currency of money, or the unit of a quantity."""
    words = value.readings[0].split(" ")
    return words[0 if value.kind == "money" else -1]


def _rate_all(value: Value, below: list[str]) -> list[str]:
    return [to_rate(one, tuple(below)) for one in value.readings] if below else []


def _is_before(text: str, place: int, value: Value) -> bool:
    """Tell whether a place is before a value in its sentence, without another number between: `monthly fee of $5`."""
    return 0 <= value.start - place <= _NEAR and _OTHER_AMOUNT.search(text, place, value.start) is None

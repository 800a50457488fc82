"""Amounts of a text that are per something, behind them, before them, or behind the last of a list of them."""

import re
from bisect import bisect_left, bisect_right
from dataclasses import replace

from gateway.evaluation.number_words import CHARACTERS
from gateway.evaluation.rates import (
    TIMES,
    denies_lead,
    list_apart,
    list_leads,
    read_counted,
    read_rate,
    share_rates,
    split_reading,
    to_rate,
)
from gateway.evaluation.unspaced_scripts import MARKED_LETTERS
from gateway.evaluation.value import Kind, Value

__all__ = ["RATED", "read_rates"]

RATED: tuple[Kind, ...] = ("money", "quantity")
"""The kinds of which a value may be per something."""
_RATED_OR_NUMBER: tuple[Kind, ...] = (*RATED, "number")
_YEAR = re.compile(r"(?:19|20)\d\d")
_NAME = re.compile(
    r"(?:(?<=[^\W_] )[A-ZÄÖÜ](?!ie |hnen |hr )[^\W\d_]*|[^\W\d_]+[A-Z][^\W\d_]*"
    r"|(?i:\b(?:rooms?|halls?|ext(?:ension|[.])|gates?|platform|track|lines?|bus|tram|train|levels?|type|form|chapter|version|class|grade|stage|phase|zone|building|floor"
    r"|house|table|box|unit|model|windows|formula|raum|halle|zimmer|saal|durchwahl|gleis|linie|typ|stufe|klasse|formel"
    r"|stock|tisch|haus|gruppe|group|team|salle|ligne|quai|voie|niveau|chambre|sala|línea|andén|nivel|tipo|clase"
    r"|aula|planta|edificio|formulario|ticket|order|bestellung|auftrag|rechnung|invoice|commande|pedido|factura)))[ ]$"
)
"""A word right before a number that is its name: `in hall 5 every week`, `how Windows 11 updates monthly`."""
_LONGEST_NAME = 24
_AMOUNT_BEHIND = re.compile(rf"[{MARKED_LETTERS}]{{0,4}}?(?:[¥$€]?[0-9]|{CHARACTERS}[{MARKED_LETTERS}])")
"""Behind 一天 it says that this is no day, as in 一天三次."""
_MOST_SHARED = 8
"""Amounts of one list that is per something."""
_NEAR = 40
"""Characters between `monthly` and the price that it says something of."""
_ONCE = re.compile(
    r"(?i)\b(?:set-?up|install(?:ation|ing)|activation|one-(?:time|off)|once|upfront|deposit|shipping|delivery|joining"
    r"|einmalig\w*|\w*einrichtung\w*|\w*anschluss\w*|aktivierung\w*|kaution|versand\w*|lieferung|mise en service"
    r"|caution|livraison|instalación|alta|envío|fianza)\b[^\d.;\n|]{0,24}$"
)
"""These say of an amount behind them that it is paid once, whatever the next one is per."""
_OTHER_AMOUNT = re.compile(r"[\d.!?;\n|]|\bthen\b|\bdann\b")


def read_rates(values: list[Value], text: str, marked_text: str) -> tuple[Value, ...]:
    """Return values in their order, where amounts that are per something end behind that and are no plain ones."""
    apart = list(list_apart(marked_text)) if any(value.kind in _RATED_OR_NUMBER for value in values) else []
    leads = dict(reversed(list(list_leads(marked_text, apart)))) if apart else {}  # the first of several has them all
    places = [place for place, _, _ in apart]
    spans = {(start, end): name for start, end, name in apart}
    rates: list[Value] = []
    below_lines: set[str] = set()
    assigned: set[int] = set()
    end = 0
    for value in values:
        if value.start < end:
            continue  # below the line of the one before
        if value.kind not in _RATED_OR_NUMBER:
            rates.append(value)
            continue
        if value.kind == "number":
            rates.append(_count(value, marked_text, leads.get(value.start, (-1, ())), end))
            continue
        name = spans.get((value.start, value.end))
        if name and _AMOUNT_BEHIND.match(marked_text, value.end):
            rates.append(replace(value, readings=(*value.readings, f"per:{name}")))
            continue
        before, (end, below) = end, read_rate(marked_text, value.end, value.readings[0])
        if below:
            below_lines.update(below)
            assigned.update(range(bisect_left(places, value.end), bisect_left(places, end)))
            if value.is_part:
                _rate_parts(rates, value, below)
            else:
                _share(rates, value, below, text)
            rates.append(replace(_rate(value, below), text=text[value.start : end], end=end))
            continue
        place, names = leads.get(value.start, (-1, ()))
        if place >= before and not denies_lead(value.readings[0], names) and not value.is_part:
            assigned.add(bisect_left(places, place))
            below_lines.update(names)
            rates.append(replace(_rate(value, names), is_led=True))
            continue
        if value.kind == "money":
            near = range(bisect_left(places, value.start - _NEAR), bisect_right(places, value.start))
            own = [index for index in near if _is_before(text, places[index], value)]
            assigned.update(own[-1:])
            names = [apart[index][2] for index in own[-1:]]
            value = replace(value, readings=(*value.readings, *_rate_all(value, names)))
        rates.append(value)
    elsewhere = frozenset((*below_lines, *(name for _, _, name in apart)))
    headers = frozenset(name for index, (_, _, name) in enumerate(apart) if index not in assigned)
    return tuple(
        replace(one, apart=elsewhere, headers=headers) if elsewhere and one.kind in RATED else one for one in rates
    )


def _count(value: Value, marked_text: str, lead: tuple[int, tuple[str, ...]], end: int) -> Value:
    """Return a bare number as that of things in a time, where it is one: `100 requests per minute`."""
    if _YEAR.fullmatch(value.text):
        return value
    name = read_counted(marked_text, value.end)
    if name and not _NAME.search(marked_text, max(0, value.start - _LONGEST_NAME), value.start):
        return _rate(value, (name,))
    place, below = lead
    return _rate(value, below) if place >= end and below and TIMES.issuperset(below) else value


def _rate(value: Value, below: tuple[str, ...]) -> Value:
    return replace(value, readings=tuple(one for reading in value.readings if (one := to_rate(reading, below))))


def _rate_parts(before: list[Value], last: Value, below: tuple[str, ...]) -> None:
    """Give the parts of `1 h 30 min per day` before its last what all of it is per."""
    for place in reversed(range(len(before))):
        if before[place].readings[-1] != last.readings[-1]:
            return
        before[place] = _rate(before[place], below)


def _share(before: list[Value], last: Value, below: tuple[str, ...], text: str) -> None:
    """Give amounts right before one that is per something readings as such too: `€5, €9 and €19 per month`."""
    for place in reversed(range(max(0, len(before) - _MOST_SHARED), len(before))):
        one = before[place]
        is_same = one.kind == last.kind and _get_unit(one) == _get_unit(last) and not split_reading(one.readings[-1])[1]
        is_once = _ONCE.search(text, max(0, one.start - _NEAR), one.start) is not None
        if not is_same or is_once or not share_rates(text[one.end : last.start]):
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

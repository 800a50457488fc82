"""Rates: what an amount is per, as in `km/h`, `€ per kg`, `$5 per user per month`, `9,99 € im Monat`.

A rate isn't the amount above its line, so that `50 km/h` is no `50 km`. Words that have another meaning behind an
amount (`50 € per PayPal`, `$5 per our policy`) say no rate.
"""

import re
from collections.abc import Iterator

from gateway.evaluation.calendar_values import MONTH
from gateway.evaluation.units import UNIT, read_unit
from gateway.evaluation.unspaced_scripts import mark_letters

__all__ = ["list_apart", "read_rate", "split_reading", "to_rate"]

_MOST = 3
"""Words below the line of one rate, as in `$5 per user per device per month`."""

_THINGS = {
    "second": r"(?-i:s)|sec",
    "minute": "minut",
    "hour": r"std\.?|heure|ora|hora",
    "day": "tag|giorno|día|dia|dag",
    "week": "woche|semaine|semana|settimana",
    "month": r"mo\.?|mtl\.?|mies\.?|monat|mese|maand|mês",
    "year": r"yr|annum|anno|an|año|jahr|ano|jaar",
    "seat": "nutzer(?:in)?|benutzer(?:in)?|person(?:ne|a)?|mitarbeiter(?:in)?|utilisateur|usuario|usuário|utente"
    "|gebruiker|head|kopf|guest|gast|employee|member|mitglied|agent",
    "item": r"items?|pieces?|pcs?\.?|stück|stk\.?|st\.|units?|einheit|artikel|pièce|pieza|unidad|pezzo|stuk|szt\.?",
    "order": "orders?|bestellung|commande|pedido|ordine",
    "night": "nights?|nacht|übernachtung|nuit|noche|notte",
    "licence": "licen[cs]e|lizenz|licencia|licenza",
    "device": "device|gerät|appareil|dispositivo",
    "account": "account|konto",
    "parcel": "parcel|package|paket|shipment|sendung|colis|paquete",
    "request": "request|call|anfrage",
    "room": "room|zimmer|chambre|habitación|camera",
    "page": "page|seite",
}
_THING_PATTERNS = {name: re.compile(some, re.IGNORECASE) for name, some in _THINGS.items()}
_THING = "|".join(f"(?:{some})" for some in _THINGS.values())
_BELOW = rf"(?:(?P<hundred>100)[ ]?)?(?:(?P<unit>{UNIT})|(?P<thing>{_THING}))(?![\w²³]|['’]\w)"
_TIMES = "second|minute|hour|day|night|week|month|year|annum"
_IN_TIME = (
    rf"(?:an?|each|every)[ ](?:{_TIMES})(?![ ](?:ago|later|earlier|before|after|or|and)\b)"
    rf"|(?:im|pro)[ ](?:monat|jahr|quartal)(?![ ]\d|[ ]{MONTH})|in[ ]der[ ](?:woche|stunde)|am[ ]tag"
    r"|al[ ](?:mes|mese|año|día|giorno)|all['’](?:anno|ora)|a[ ]la[ ]semana|a[ ]settimana"
)
_OFTEN = {
    "day": "daily|täglich|giornaliero|diario",
    "hour": "hourly|stündlich",
    "week": "weekly|wöchentlich",
    "month": r"monthly|monatlich(?:e[rnms]?)?|mtl\.|mensuel(?:le)?s?|mensuales?|mensual|mensile|miesięcznie",
    "year": r"yearly|annually|annual|jährlich(?:e[rnms]?)?|p\.[ ]?a\.|annuel(?:le)?s?|anual|anuales|annuale",
}
_OFTEN_PATTERNS = {name: re.compile(some, re.IGNORECASE) for name, some in _OFTEN.items()}
_ADVERB = "|".join(_OFTEN.values())
_TIME_WORDS = {
    "second": "second", "minute": "minute", "hour": "hour|stunde|ora", "day": "day|tag|día|giorno", "night": "night",
    "week": "week|woche|semana|settimana", "month": "month|monat|mes|mese", "year": "year|annum|jahr|año|anno",
}  # fmt: skip
_TIME_PATTERNS = {name: re.compile(rf"(?:{some})$", re.IGNORECASE) for name, some in _TIME_WORDS.items()}

_PER = "(?:per|pro|je|par|por|each|and|und)[ \u00a0]"
_NEXT = re.compile(mark_letters(
    rf"(?i)(?:(?:[ \u00a0]?/[ \u00a0]?|[ \u00a0]{_PER}){_BELOW}"
    rf"|[ \u00a0](?P<time>{_IN_TIME})(?!\w)|[ \u00a0](?P<adverb>{_ADVERB})(?!\w))"
))  # fmt: skip
_APART = re.compile(mark_letters(rf"(?i)(?:(?:(?<!\w){_PER}|/[ ]?){_BELOW}|(?<!\w)(?P<adverb>{_ADVERB})(?!\w))"))
_QUICK = re.compile(r"(?i)/|\bp(?:er|ro|ar|or)\b|\bje\b|ly\b|ich|annual|mens|anu|mtl|p\. ?a\.|annue|mies")
_CONJUNCTION = re.compile(r"(?i)[ \u00a0](?:and|und)\b")


def read_rate(text: str, end: int) -> tuple[int, tuple[str, ...]]:
    """Return where an amount's rate ends that itself ends before `end`, and what it is per; `end` and () of none."""
    below: list[str] = []
    while len(below) < _MOST:
        match = _NEXT.match(text, end)
        if match is None or (not below and _CONJUNCTION.match(text, end)):
            break
        below.append(_name(match))
        end = match.end()
    return end, tuple(sorted(set(below)))


def list_apart(text: str) -> Iterator[tuple[int, str]]:
    """Yield what amounts may be per that stands elsewhere, as in a table's header or before them, with its place."""
    if _QUICK.search(text):
        for match in _APART.finditer(text):
            if not match[0].casefold().startswith(("and", "und")):
                yield match.start(), _name(match)


def to_rate(reading: str, below: tuple[str, ...]) -> str:
    """Return an amount's reading as that of a rate: `money:EUR/kilogram 3`, `quantity:50 kilometre/hour`."""
    kind, _, rest = reading.partition(":")
    joined = "".join(f"/{one}" for one in below)
    if kind == "money":
        code, _, number = rest.partition(" ")
        return f"money:{code}{joined} {number}"
    return f"{reading}{joined}" if kind == "quantity" else ""


def split_reading(reading: str) -> tuple[str, tuple[str, ...]]:
    """Return the reading of the amount above the line, and what it is per; () of what is no rate."""
    kind, _, rest = reading.partition(":")
    if kind == "money":
        code, _, number = rest.partition(" ")
        code, *below = code.split("/")
        return f"money:{code} {number}", tuple(below)
    if kind == "quantity":
        amount, *below = rest.split("/")
        return f"quantity:{amount}", tuple(below)
    return reading, ()


def _name(match: re.Match[str]) -> str:
    fields = match.groupdict()
    if adverb := fields.get("adverb"):
        return _find(_OFTEN_PATTERNS, adverb)
    if words := fields.get("time"):
        return next(name for name, pattern in _TIME_PATTERNS.items() if pattern.search(words))
    if unit := fields.get("unit"):
        return f"{'100_' if fields['hundred'] else ''}{read_unit(unit)}"
    return f"{'100_' if fields['hundred'] else ''}{_find(_THING_PATTERNS, fields['thing'] or '')}"


def _find(patterns: dict[str, re.Pattern[str]], spelling: str) -> str:
    return next(name for name, pattern in patterns.items() if pattern.fullmatch(spelling))

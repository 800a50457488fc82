"""Rates: what an amount is per, as in `km/h`, `€ per kg`, `$5 per user per month`, `9,99 € im Monat`, `每月50元`.

A rate isn't the amount above its line, so that `50 km/h` is no `50 km`. Words that have another meaning behind an
amount (`50 € per PayPal`, `$5 per our policy`) say no rate.
"""

import re
from collections.abc import Iterable, Iterator

from gateway.evaluation.calendar_values import MONTH
from gateway.evaluation.units import UNIT, read_unit
from gateway.evaluation.unspaced_scripts import MARKED_LETTERS, mark_letters

__all__ = [
    "LOOSE",
    "TIMES",
    "denies_lead",
    "list_apart",
    "list_leads",
    "mentions_time",
    "read_counted",
    "read_rate",
    "share_rates",
    "split_reading",
    "to_rate",
]

_MOST = 3
"""Words below the line of one rate, as in `$5 per user per device per month`."""

_THINGS = {
    "second": r"(?-i:s)|sec",
    "minute": "minut|分",
    "hour": r"std\.?|heure|ora|hora|[时時]",
    "day": "tag|giorno|día|dia|dag|[天日]",
    "week": "woche|semaine|semana|settimana|[周週]",
    "month": r"mo\.?|mth|mon\.|mtl\.?|mies\.?|monat|mese|maand|mês|月",
    "quarter": "quarter|quartal|trimest(?:re|er)",
    "year": r"yr|annum|anno|an|año|jahr|ano|jaar|年",
    "seat": "nutzer(?:in)?|benutzer(?:in)?|person(?:ne|a)?|mitarbeiter(?:in)?|utilisateur|usuario|usuário|utente"
    "|gebruiker|head|kopf|guest|gast|employee|member|mitglied|agent|人|用[户戶]",
    "item": r"items?|pieces?|pcs?\.?|stück|stk\.?|st\.|units?|einheit|artikel|pièce|pieza|unidad|pezzo|stuk|szt\.?"
    "|[件个個枚台]",
    "order": "orders?|bestellung|commande|pedido|ordine",
    "night": "nights?|nacht|übernachtung|nuit|noche|notte|[晚泊]",
    "licence": "licen[cs]e|lizenz|licencia|licenza",
    "device": "device|gerät|appareil|dispositivo",
    "account": "account|konto",
    "parcel": "parcel|package|paket|shipment|sendung|colis|paquete",
    "request": "request|call|anfrage",
    "room": "room|zimmer|chambre|habitación|camera",
    "page": "page|seite",
    "occasion": "[次回]",
}
TIMES = frozenset(("second", "minute", "hour", "day", "night", "week", "month", "quarter", "year"))
LOOSE = frozenset((*_THINGS, "day", "week", "month", "year", "seat")) - {"second", "minute", "hour"}
"""People leave these out where they are clear: `€5` for what costs `€5 per month` misleads nobody, but `5 km`
for `5 km/h` does."""
_THING_PATTERNS = {name: re.compile(mark_letters(some), re.IGNORECASE) for name, some in _THINGS.items()}
_THING = "|".join(f"(?:{some})" for some in _THINGS.values())
_BELOW = (
    rf"(?:(?P<hundred>100)[ ]?)?(?:(?P<unit>{UNIT})|(?P<thing>{_THING}))(?:(?<=[{MARKED_LETTERS}])|(?![\w²³]|['’]\w))"
)
_PERIODS = "second|minute|hour|day|night|week|month|quarter|year|annum"
_IN_TIME = (
    rf"(?:an?|each|every)[ ](?:{_PERIODS})(?![ ](?:ago|later|earlier|before|after|or|and)\b)"
    rf"|(?:im|pro)[ ](?:monat|jahr|quartal)(?![ ](?:\d|{MONTH}))|in[ ]der[ ](?:woche|stunde)"
    r"|am[ ]tag(?![ ](?:de[rs]|vor|nach|zuvor|davor|danach|darauf)\b)"
    r"|(?:die[ ](?:woche|stunde|nacht)|den[ ](?:monat|tag)|das[ ]jahr)"
    r"(?![ ](?:de[rs]|vor|nach|zuvor|davor|danach|darauf)\b)"
    r"|al[ ](?:mes|mese|año|día|giorno)|all['’](?:anno|ora)|a[ ]la[ ]semana|a[ ]settimana"
)
_FEE = "(?:gebühr|preis|beitrag|miete|rate|kosten|pauschale|lohn|gehalt|satz|entgelt|limit|budget)"
_OFTEN = {
    "seat": r"(?-i:p\.[ ]?P\.)",
    "item": "apiece",
    "day": rf"day rate|tages{_FEE}|daily|täglich|giornaliero|diario",
    "hour": rf"stunden{_FEE}|hourly|stündlich",
    "week": "weekly|wöchentlich",
    "month": rf"monats{_FEE}|monthly|monatlich(?:e[rnms]?)?|mtl\.|(?-i:p\.[ ]?M\.)"
    r"|mensuel(?:le)?(?:s|ment)?|mensuales?|mensual(?:mente)?|mensile|miesięcznie|月[额額费費租薪々]",
    "quarter": "quarterly|vierteljährlich|trimestriel(?:le)?",
    "year": rf"jahres{_FEE}|yearly|annually|annual|jährlich(?:e[rnms]?)?|p\.[ ]?a\."
    r"|annuel(?:le)?(?:s|ment)?|anual(?:mente)?|anuales|annuale|年[额額费費薪]",
}
_OFTEN_PATTERNS = {name: re.compile(mark_letters(some), re.IGNORECASE) for name, some in _OFTEN.items()}
_ADVERB = "|".join(_OFTEN.values())
_TIME_WORDS = {
    "second": "second",
    "minute": "minute",
    "hour": "hour|stunde|ora",
    "day": "day|tag|día|giorno",
    "night": "night|nacht",
    "week": "week|woche|semana|settimana",
    "month": "month|monat|mes|mese",
    "quarter": "quarter|quartal",
    "year": "year|annum|jahr|año|anno",
}
_TIME_PATTERNS = {name: re.compile(rf"(?:{some})$", re.IGNORECASE) for name, some in _TIME_WORDS.items()}

_MENTIONS = {
    name: re.compile(mark_letters(some), re.IGNORECASE)
    for name, some in {
        "second": r"sec|sek|seg|\bs\b|[frtq]ps\b|hz\b|秒|초",
        "minute": r"min|[rbpu]pm\b|u/m|分|분",
        "hour": r"hour|stund|heure|\bh\b|\dh\b|hr|std|hor[ae]|\bor[ae]\b|[时時]|시간",
        "day": r"day|dai|tag|täg|jour|quotid|d[ií]a|giorn|dag|[天日]|일",
        "night": "night|nacht|nächt|nuit|noche|notte|[晚夜泊]|박",
        "week": "week|woche|wöch|semain|hebdo|seman|settiman|[周週]|星期|주",
        "month": r"month|mon\.|mo\b|monat|mois|mens|mes|maand|mês|p\. ?m\.|月|월",
        "quarter": "quarter|quartal|viertelj|trimest|季",
        "year": r"year|yr|jahr|jähr|\bans?\b|ann|año|anu|p\. ?a\.|jaar|年|년",
    }.items()
}  # fmt: skip
_MOST_COUNTED = 4
"""Letters of Chinese between a number and its rate, or half as many words."""
_COUNTED_LENGTH = 64
_COUNTED_THING = re.compile(
    rf"(?i)(?P<sign>[{MARKED_LETTERS}])"
    r"|-?mal\b|[x×]\b|[ -](?!(?:is|are|was|were|costs?|has|have|we|you|it|the|for|from|at|with"
    r"|after|and|or|ist|sind|kostet|kosten|hat|wir|sie|der|die|das|den|dem|für|ab|mit|nach|und|oder|bei|est|sont|coûte|et|ou"
    r"|es|son|cuesta|y|o|in|within|on|by|to|als|innerhalb|dans|en|sur)\b)[^\W\d_][\w'’-]*"
)
_BEGINNING = re.compile(rf"[ \u00a0-]?(?:[^\W\d_]|[/{MARKED_LETTERS}])|×")
"""A quick look, which numbers in lists and tables fail."""
_TIMED = re.compile(
    r"(?i)/|\b(?:an?|per|pro|je|par|por|each|every|jede[rnms]?|chaque|cada|i[mn]|am|al|a la|die|den|das|p\.)[ \u00a0]"
    r"|(?:ly|lich|lich\w\w?|annuels?|mensuels?|mensual|anual|diario|ment)\b" + mark_letters("|[每毎]")
)

_ALSO = "(?:and|und|et|y|e)"
_EACH = "[ ]?[每毎][个個一]?"
_PER_WORDS = "per|pro|je|par|por|each|every|jede[mnrs]?|chaque|cada"
_PER = f"(?:(?:{_ALSO}[ ])?(?:{_PER_WORDS})|and|und|auf(?=[ ]100[ ]))[ \u00a0]"
_PER_ALONE = f"(?:{_PER_WORDS}|auf(?=[ ]100[ ]))[ \u00a0]"
_ARTICLE = r"(?:an?|die|das|den|der|le|la|el|il)[ ](?=[^\W\d_]{3})|(?:de[ ])?l['’](?=[^\W\d_]{3})"
"""`$3 a kilo`, `5 € la nuit`; before a letter alone it is another word."""
_ONE = "(?:an?|one|eine?|une?|una?|uno)[ ]"
_COST = r"[ ](?:costs?|kostet|coûte|cuesta|costa|is[ ][£€$])"
_BELOW_NAME = rf"(?:{UNIT}|{_THING})"
"""`Ein Kilo kostet 3 €` says the same as `3 € pro Kilo`."""
_TAX = (
    r"(?:[ ](?:brutto|netto|gross|net|brut|bruto|neto|h[.]?t[.]?|ttc|(?:plus|[+]|incl[.]?|excl[.]?|ex)[ ]vat"
    r"|(?:zzgl|inkl)[.]?[ ](?:mwst|ust)[.]?))?"
)
"""Between an amount and what it is per: `3.000 € brutto im Monat`."""
_NEXT = re.compile(mark_letters(
    rf"(?i){_TAX}(?:(?:[ \u00a0]?/[ \u00a0]?|[ \u00a0]{_PER}|{_EACH}){_BELOW}"
    rf"|[ \u00a0](?P<time>{_IN_TIME})(?!\w)|[ \u00a0](?P<adverb>{_ADVERB})(?!\w))"
))  # fmt: skip
_APART = re.compile(mark_letters(
    rf"(?i)(?:(?:(?<!\w){_PER_ALONE}|/[ ]?|{_EACH}|(?<!第)一[个個]?|(?<!\w){_ONE}(?={_BELOW_NAME}{_COST})){_BELOW}"
    rf"|(?<!\w)(?P<adverb>{_ADVERB})(?!\w))"
))  # fmt: skip
_LEAD = re.compile(mark_letters(
    r"(?i)[ \u00a0]?[:：]?[ \u00a0]?(?:(?:nur|only|just|from|ab|ca\.|about|max(?:\.|imal|imum)?|up[ ]to|bis[ ]zu"
    r"|höchstens|at[ ]most|à[ ]partir[ ]de|jusqu['’]à|desde|hasta)[ \u00a0]|最多|仅需?|只需?|约|大约|需?支?付)?"
))  # fmt: skip
"""Between what an amount is per and the amount: `monatlich 9,99 €`, `per month: only $5`, `每分钟最多100次`."""
_QUICK = re.compile(
    r"(?i)/|\bp(?:er|ro|ar|or)\b|\bje\b|ly\b|ich|annu|mens|anu|mtl|p\. ?[amp]\.|mies|each|every|jede"
    rf"|chaque|cada|apiece|day rate|s{_FEE}|n{_FEE}|diario|giornaliero"
    r"|\bcosts?\b|kostet|coûte|cuesta|costa|\bis [£€$]" + mark_letters("|[每毎一]|[月年][额額费費租薪々]")
)
_THAT = "derni[eè]re?|prochaine?|suivante?|même|pasad[oa]|siguiente|próxim[oa]|danach|davor|darauf|zuvor"
_BEHIND_PRICE = re.compile(
    mark_letters(rf"(?i)[ \u00a0](?:{_ARTICLE}){_BELOW}(?![ ](?:ago|later|earlier|before|after|de[rs]|{_THAT})\b)")
)
_CONJUNCTION = re.compile(rf"(?i)[ \u00a0]{_ALSO}\b")
_WITHIN_LIST = re.compile(
    r"[ ]?(?:[,–-]|,?[ ](?:and|und|et|y|e|or|oder|ou|o|to|bis|à|a)\b)[ ]?(?:[A-ZÄÖÜ]\w*:?[ ]){0,2}|[ ]?[/–-][ ]?"
)
"""Between amounts of which the last alone says what all are per: `€5, €9 and Pro €19 per month`."""
_BITS = re.compile(r" ([KMG])b$")
_PREFIXES = {"K": "kilo", "M": "mega", "G": "giga"}
_PARTS_OF_100 = ("gram", "kilogram", "millilitre", "litre")


def read_rate(text: str, end: int, reading: str) -> tuple[int, tuple[str, ...]]:
    """Return where an amount's rate ends that itself ends before `end`, and what it is per; `end` and () of none."""
    below: list[str] = []
    unit = reading.rpartition(" ")[2]
    while len(below) < _MOST:
        match = _NEXT.match(text, end) or (_BEHIND_PRICE.match(text, end) if reading.startswith("money:") else None)
        if match is None or (not below and (_CONJUNCTION.match(text, end) or _denies_rate(match, unit))):
            break
        below.append(_name(match))
        end = match.end()
    return end, tuple(sorted(set(below)))


def _denies_rate(match: re.Match[str], unit: str) -> bool:
    """Tell whether words behind an amount in a unit say no rate of it.

    `25 Grad am Tag` are degrees by day, a `12-month annual plan` is paid each year, and `5 GB / 100 GB` are in use.
    """
    fields = match.groupdict()
    if fields.get("time"):
        return unit in ("celsius", "fahrenheit")
    if fields.get("adverb"):
        is_yearly = _OFTEN_PATTERNS["year"].fullmatch(fields["adverb"]) is not None
        return unit in ("week", "month", "year") or (unit == "day" and is_yearly)
    return bool(fields.get("hundred")) and _name(match) == f"100_{unit}" and unit not in _PARTS_OF_100


def denies_lead(reading: str, below: Iterable[str]) -> bool:
    """Tell whether words right before an amount say no rate of it: `monthly 30-day notice` is about one of the days."""
    return reading.rpartition(" ")[2] in ("day", "week", "month", "year") and not {"week", "month", "year"}.isdisjoint(
        below
    )


def list_apart(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield what amounts may be per that stands elsewhere, as in a table's header or before them, with its place."""
    if _QUICK.search(text):
        for match in _APART.finditer(text):
            yield match.start(), match.end(), _name(match)


def list_leads(text: str, apart: Iterable[tuple[int, int, str]]) -> Iterator[tuple[int, tuple[int, tuple[str, ...]]]]:
    """Yield where amounts begin right behind what they are per, with where that begins, and what it is."""
    for start, end, name in apart:
        below = [name]
        while len(below) < _MOST and (match := _NEXT.match(text, end)):
            below.append(_name(match))
            end = match.end()
        lead = _LEAD.match(text, end)
        yield lead.end() if lead else end, (start, tuple(sorted(set(below))))


def read_counted(text: str, end: int) -> str:
    """Return the time in which a number before `end` is counted, the minute of `100 API requests per minute`; or ""."""
    if _BEGINNING.match(text, end) is None or _TIMED.search(text, end, end + _COUNTED_LENGTH) is None:
        return ""
    budget = _MOST_COUNTED
    while (match := _NEXT.match(text, end)) is None:
        item = _COUNTED_THING.match(text, end)
        if item is None or budget <= 0:
            return ""
        budget -= 1 if item["sign"] else _MOST_COUNTED // 2
        end = item.end()
    name = _name(match)
    return name if name in TIMES else ""


def mentions_time(text: str, name: str) -> bool:
    """Tell whether a text has a time in any form, as the minute in `rpm`: a rate may be told in many ways."""
    return _MENTIONS[name].search(mark_letters(text)) is not None


def share_rates(between: str) -> bool:
    """Tell whether amounts with this between them are all per what the last of them is."""
    return _WITHIN_LIST.fullmatch(between) is not None


def to_rate(reading: str, below: tuple[str, ...]) -> str:
    """Return an amount's reading as that of a rate: `money:EUR/kilogram 3`, `quantity:50 kilometre/hour`."""
    kind, _, rest = reading.partition(":")
    units = "".join(f"/{one}" for one in below)
    if kind == "number":
        return f"number:{rest} count{units}"
    if kind == "money":
        code, _, number = rest.partition(" ")
        return f"money:{code}{units} {number}"
    if below == ("second",):  # `Mb/s` are no megabytes, with whatever `Mb` is by itself
        reading = _BITS.sub(lambda match: f" {_PREFIXES[match[1]]}bit", reading)
    return f"{reading}{units}" if kind in ("quantity", "span") else ""


def split_reading(reading: str) -> tuple[str, tuple[str, ...]]:
    """Return the reading of the amount above the line, and what it is per; () of what is no rate."""
    kind, _, rest = reading.partition(":")
    if kind == "money":
        code, _, number = rest.partition(" ")
        code, *below = code.split("/")
        return f"money:{code} {number}", tuple(below)
    if kind in ("quantity", "span", "number"):
        amount, *below = rest.split("/")
        return f"{kind}:{amount.removesuffix(' count')}", tuple(below)
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

"""Units and currencies by their spellings, for texts whose letters are marked (`unspaced_scripts.mark_letters`)."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from gateway.evaluation.facts import UNITS
from gateway.evaluation.unspaced_scripts import mark_letters

__all__ = ["CURRENCY", "UNIT", "WORD_UNIT", "find_currency", "find_unit", "list_currencies", "read_unit"]

_CURRENCIES = {
    "GBP": "£|gbp|(?:british )?pounds?(?: sterling)?|quid|英[镑鎊]|ポンド|파운드",
    "EUR": "€|eur|euros?|[欧歐]元|ユーロ|유로",
    "USD": r"us\$|\$|usd|(?:u\.?s\.? )?dollars?|bucks|美元|美金|米?ドル|달러",
    "CHF": r"chf|fr\.|(?:schweizer )?franken|swiss francs?",
    "JPY": "¥|jpy|yen|円|日[元圆圓]",
    "CNY": "¥|cny|rmb|元|[块塊]钱?|人民[币幣]|위안",
    "TWD": r"nt\$|twd|ntd|元|新?[台臺][币幣]",
    "HKD": r"hk\$|hkd|元|港[元币幣]",
    "KRW": "₩|krw|원",
    "THB": "฿|thb|baht|บาท",
    "INR": r"₹|inr|rs\.?|rupees?",
    "SEK": r"sek|kronor|swedish kronor|svenska kronor|kr\.?",
    "NOK": r"nok|kroner|norwegian kroner|norske kroner|kr\.?",
    "DKK": r"dkk|kroner|danish kroner|danske kroner|kr\.?",
    "PLN": "pln|zł|złotych|zlotys?",
    "CZK": "czk|kč|korun|(?:czech )?crowns",
    "BRL": r"brl|r\$",
    "AUD": r"aud|au?\$|australian dollars?",
    "CAD": r"cad|ca?\$|canadian dollars?",
    "NZD": r"nzd|nz\$",
    "SGD": r"sgd|s\$",
    "MXN": r"mxn|mex\$|pesos",
    "HUF": "huf|forints?",
    "TRY": "₺|tl|lira",
    "UAH": "₴|uah|hryvnias?",
    "ILS": "₪|shekels?",
    "RUB": r"₽|rubles?|roubles?|руб\.?",
    "VND": "₫|vnd",
    "AED": "aed|dirhams?",
}
"""A spelling of several currencies, such as `¥`, is read as each of them."""

_MORE_UNITS = {
    "year": "years?|yrs?|jahre?n?|ans?(?! hour)|años?|anni|anno|年间?|年間|년간?|ปี",
    "month": "monate?n?|mois|meses|mes|mesi|mese|maanden?|[个個箇ヶケか]月间?間?|カ月間?|ヵ月間?|개월간?|달간?|เดือน",
    "week": "wochen?|semaines?|semanas?|settimana|settimane|weken|周(?!年)|星期|[週礼禮][間拜]?|주간?|สัปดาห์",
    "day": "tage?n?|werktage?n?|arbeitstage?n?|kalendertage?n?|jours?|días?|dias?|giorno|giorni|dagen|天"
    "|日[间間]?(?![本元])|일간?|วัน",
    "hour": r"stunden?|stdn?\.?|heures?|horas?|ore|uur|[个個]?小[时時]|時間|시간|ชั่วโมง",
    "minute": "minuten|minutos?|minuti|minuto|minuut|分[钟鐘間]?|분간?|นาที",
    "second": "sekunden?|secondes?|segundos?|secondi|secondo|秒[钟鐘間]?|초|วินาที",
    "byte": "bytes?",
    "kilobyte": "kb|kilobytes?",
    "gigabyte": "gb|gigabytes?",
    "megabyte": "mb|megabytes?",
    "terabyte": "tb|terabytes?",
    "Kb": "Kb",
    "Mb": "Mb",
    "Gb": "Gb",
    "Tb": "Tb",
    "bit": "bits?",
    "kilobit": "kbits?|kilobits?",
    "megabit": "mbits?|megabits?",
    "gigabit": "gbits?|gigabits?",
    "kilobit/second": "kbps",
    "megabit/second": "mbps",
    "gigabit/second": "gbps",
    "mile/hour": "mph|mi/hr?|miles per hour",
    "mile/gallon": "mpg",
    "kilometre/hour": "kmh|kph",
    "kibibyte": "kib|kibibytes?",
    "mebibyte": "mib|mebibytes?",
    "gibibyte": "gib|gibibytes?",
    "tebibyte": "tib|tebibytes?",
    "metre": "mètres?|metros?|metri|metro|米(?![国國ド])|公尺|メートル|미터",
    "millimetre": "mm|millimetres?|millimeters?|毫米|ミリ(?:メートル)?|밀리미터",
    "centimetre": "cm|centimetres?|centimeters?|zentimeter|厘米|公分|センチ(?:メートル)?|센티미터",
    "decimetre": "dm|decimetres?|decimeters?|dezimeter",
    "kilometre": "km|kilometres?|kilometers?|公里|千米|キロメートル|킬로미터",
    "inch": "inch(?:es)?|zoll",
    "foot": "ft|feet|foot",
    "yard": "yards?|yd",
    "mile": "miles?|meilen?",
    "square_metre": "m²|m2|qm|sqm|square metres?|square meters?|quadratmeter",
    "cubic_metre": "m³|m3|cbm|cubic metres?|cubic meters?|kubikmeter",
    "ounce": "oz|ounces?|unzen?",
    "fluid_ounce": "fl[.]? ?oz|fluid ounces?",
    "pound": "lbs?|pounds?",
    "gallon": "gallons?|gal",
    "microgram": "µg|μg|mcg|micrograms?|mikrogramm",
    "milligram": "mg|milligrams?|milligrammes?|milligramm|毫克|ミリグラム|밀리그램",
    "gram": "g|grams?|grammes?|gramm|克|グラム|그램",
    "tonne": "t|tonnes?|tonnen|公?吨|公?噸|トン|톤",
    "kilogram": "kilogramm|公斤|千克|キロ(?:グラム)?|킬로그램",
    "litre": "公?升|リットル|리터|ลิตร",
    "decilitre": "dl|decilitres?|deciliters?|deziliter",
    "centilitre": "cl|centilitres?|centiliters?|zentiliter",
    "millilitre": "ml|millilitres?|milliliters?|毫升|ミリリットル|밀리리터",
    "watt": "w|watts?|瓦特?|ワット|와트|วัตต์",
    "kilowatt": "kw|kilowatts?|千瓦",
    "watthour": "wh|watt-?hours?|wattstunden?",
    "kilowatthour": "kwh|kilowatt-?hours?|kilowattstunden?",
    "volt": "v|volts?|伏特?|ボルト|볼트",
    "celsius": "°c|℃|degrees? celsius|grad|[摄攝]氏度",
    "fahrenheit": "°f|℉|degrees? fahrenheit|grad fahrenheit|fahrenheit",
    "seat": "seats?|users?|people|persons?|personen|人(?![民气気])|名|명|คน",
    "permille": "‰|promille|per mille|per mil|pour mille|por mil|permil",
    "percent": "percent|prozent|pour cent|por ciento|por cento|per cento|procent|pct|パーセント|퍼센트|เปอร์เซ็นต์",
}
_SMALL_LETTERS = {"g": "g", "h": "h", "m": "m", "dm": "dm", "t": "t(?!-[a-z])"} | {
    **{f"{one}b": f"{one}b|{one.upper()}B|{one}B" for one in "kmgt"},
    **{f"{one}b": f"{one}b" for one in "KMGT"},
    **{f"{one}bps": f"{one}bps|{one.upper()}bps" for one in "kmg"},
}
"""Units by the case of their letters, in which others say something else: `5G`, `10M`, `10 DM`. `5 t-shirts` are no
tonnes. `Mb` is megabits, or megabytes by those who don't know better, and so a unit by itself."""


def _guard(spelling: str) -> str:
    return f"(?-i:{_SMALL_LETTERS[spelling]})" if spelling in _SMALL_LETTERS else spelling


def _list_units() -> Mapping[str, tuple[str, ...]]:
    spellings: dict[str, list[str]] = {}
    for table in (UNITS, _MORE_UNITS):
        for unit, some in table.items():
            spellings.setdefault(unit, []).extend(_guard(mark_letters(one)) for one in some.split("|"))
    return {unit: tuple(some) for unit, some in spellings.items()}


def _join(spellings: Iterable[str]) -> str:
    """Return a pattern of them, the longest first: behind one of a script without spaces there is no border."""
    return "|".join(sorted(set(spellings), key=len, reverse=True))


_LETTER = r"[^\W\d_]"
_UNITS = _list_units()
_CURRENCY_SPELLINGS = {code: mark_letters(some) for code, some in _CURRENCIES.items()}
UNIT = _join(one for some in _UNITS.values() for one in some)
CURRENCY = _join(one for some in _CURRENCY_SPELLINGS.values() for one in some.split("|"))
WORD_UNIT = mark_letters(
    "天|日間|[个個]月|[ヶかカヵ]月間?|周(?!年)|[週星][間期]|年[间間]?(?![级級代])|[个個]?小[时時]|時間|分[钟鐘]"
)
"""Units behind a number in Chinese characters, which are other words in front of others: 十分 is *very*."""

_UNIT_PATTERNS = {unit: re.compile("|".join(some), re.IGNORECASE) for unit, some in _UNITS.items()}
_CURRENCY_PATTERNS = {code: re.compile(some, re.IGNORECASE) for code, some in _CURRENCY_SPELLINGS.items()}


def read_unit(spelling: str) -> str:
    """Return the unit of a spelling that `UNIT` matched."""
    return next(unit for unit, pattern in _UNIT_PATTERNS.items() if pattern.fullmatch(spelling))


def list_currencies(spelling: str) -> list[str]:
    """Return the codes of the currencies that a spelling which `CURRENCY` matched may mean."""
    return [code for code, pattern in _CURRENCY_PATTERNS.items() if pattern.fullmatch(spelling)]


def find_unit(unit: str, text: str) -> bool:
    """Tell whether a text, marked or not, has a unit in any of its spellings; most rates have none."""
    return unit in _UNIT_PATTERNS and _find(_UNIT_PATTERNS[unit].pattern, text)


def find_currency(code: str, text: str) -> bool:
    """Tell whether a text, marked or not, has a currency in any of its spellings."""
    return _find(_CURRENCY_SPELLINGS[code], text)


@lru_cache(maxsize=64)
def _find(spellings: str, text: str) -> bool:
    """Tell whether a text has one that is no part of a word, as `t` of `don't` and `h` of `früh` are."""
    whole = rf"(?i)(?<!{_LETTER})(?<!{_LETTER}['’])(?:{spellings})(?!['’]?{_LETTER})"
    return re.search(whole, mark_letters(text)) is not None

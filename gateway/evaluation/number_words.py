"""Numbers in words: English ones below a thousand millions (`one hundred and twenty`), and Chinese characters.

Of German, French and Spanish the smaller and round ones, in texts that replies are held against; there also how often.
"""

import re

from gateway.evaluation.unspaced_scripts import mark_letters

__all__ = [
    "CHARACTERS",
    "MORE_WORDS",
    "NUMBER_WORDS",
    "list_numbers_in_words",
    "read_characters",
    "read_more_words",
    "read_words",
]

_ONES = "one two three four five six seven eight nine".split()
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_NUMBERS = {
    **{word: number for number, word in enumerate([*_ONES, *_TEENS], 1)},
    **{word: 10 * number for number, word in enumerate(_TENS, 2)},
    **{"zero": 0, "a": 1},
}
_SCALES = {"thousand": 1000, "million": 1_000_000}

_ONE = "|".join(_ONES)
_BELOW_100 = rf"(?:(?:{'|'.join(_TENS)})(?:[ -](?:{_ONE}))?|{'|'.join(reversed(_TEENS))}|{_ONE}|zero)"
_BELOW_1000 = rf"(?:(?:{_ONE}|a)[ -]hundred(?:[ -](?:and[ -])?{_BELOW_100})?|{_BELOW_100})"
_THOUSANDS = rf"(?:(?:{_BELOW_1000}|a)[ -]thousand(?:,?[ -](?:and[ -])?{_BELOW_1000})?|{_BELOW_1000})"
_FIRST = "(?=one|t(?:w|en|h[ir])|f(?:our|or|i[vf])|s(?:ix|ev)|e(?:ig|l)|nin|zer|a[ -])"
"""A quick look, which most words fail."""
NUMBER_WORDS = rf"(?:\b{_FIRST}(?:(?:{_BELOW_1000}|a)[ -]million(?:,?[ -](?:and[ -])?{_THOUSANDS})?|{_THOUSANDS})\b)"
"""A pattern, in lower case."""

_SMALL = {
    word: number
    for words in (
        "zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn",
        "deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize",
        "dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince",
    )
    for number, word in enumerate(words.split(), 2)
    if word not in ("six", "once")  # English words
} | {
    word: 10 * number
    for words in (
        "zwanzig dreissig vierzig fünfzig sechzig siebzig achtzig neunzig",
        "vingt trente quarante cinquante soixante",
        "veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa",
    )
    for number, word in enumerate(words.split(), 2)
}
_SMALL_WORDS = "|".join(_SMALL).replace("ss", "(?:ß|ss)")
MORE_WORDS = rf"(?:{NUMBER_WORDS}|\b(?:{_SMALL_WORDS})\b)"
_OFTEN = {"twice": 2, "thrice": 3, "a dozen": 12, "dutzend": 12}
_IN_WORDS = re.compile(
    rf"(?i){MORE_WORDS}|\b(?:{'|'.join(_OFTEN)})\b|\b(?P<times>{_SMALL_WORDS})mal\b|\b(?P<digits>\d{{1,2}})[x×]\b"
)

_DIGITS = {**{sign: number for number, sign in enumerate("〇一二三四五六七八九")}, "零": 0, "两": 2, "兩": 2}
_POWERS = {"十": 10, "百": 100, "千": 1000}
CHARACTERS = mark_letters(f"[{''.join(_DIGITS)}{''.join(_POWERS)}]+")
"""A pattern for marked texts."""
_CHARACTER = CHARACTERS.removesuffix("+")
_COUNTED_CHARACTERS = re.compile(
    rf"(?<!{_CHARACTER})({_CHARACTER}{{1,6}}){mark_letters('[次回片粒颗顆件份杯台名位个個种種]')}"
)

_BY_MARK = {mark_letters(sign): number for sign, number in [*_DIGITS.items(), *_POWERS.items()]}


def _fold(text: str) -> str:
    """Return words in lower case with the letters that a pattern in any case takes for `i` and `s` as these."""
    return text.casefold().replace("i\u0307", "i").replace("ı", "i")


def read_words(text: str) -> int:
    """Return the number that English words say."""
    total = current = 0
    for word in re.findall("[a-z]+", _fold(text)):
        if word == "hundred":
            current *= 100
        elif word in _SCALES:
            total, current = total + current * _SCALES[word], 0
        elif word != "and":
            current += _NUMBERS[word]
    return total + current


def read_more_words(text: str) -> int:
    """Return the number that words say which `MORE_WORDS` matched."""
    return _SMALL.get(_fold(text)) or read_words(text)


def list_numbers_in_words(text: str) -> set[int]:
    """Return the numbers above one that a marked text says otherwise, as `three visits`, `zweimal`, `3x` and 三次."""
    numbers = {read_characters(match[1]) for match in _COUNTED_CHARACTERS.finditer(text)}
    for match in _IN_WORDS.finditer(text):
        words = _fold(match["times"] or match[0])
        numbers.add(int(match["digits"] or _OFTEN.get(words, 0)) or read_more_words(words))
    return {number for number in numbers if number > 1}


def read_characters(text: str) -> int:
    """Return the number that Chinese characters of a marked text say: of 三十六 36, of 二〇 20."""
    numbers = [_BY_MARK[sign] for sign in text]
    if not any(number >= 10 for number in numbers):
        return int("".join(map(str, numbers)))
    total, digit = 0, 0
    for number in numbers:
        if number >= 10:
            total, digit = total + (digit or 1) * number, 0
        else:
            digit = number
    return total + digit

"""A number of a spreadsheet as its cell shows it: by the cell's number format."""

import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache

__all__ = ["BUILT_IN", "show_number"]

BUILT_IN = {
    **{1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 9: "0%", 10: "0.00%", 11: "0.00E+00", 12: "# ?/?", 13: "# ??/??"},
    # Their look depends on the machine's country: the form that reads the same everywhere.
    **{14: "yyyy-mm-dd", 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm AM/PM", 19: "h:mm:ss AM/PM", 20: "h:mm"},
    **{21: "h:mm:ss", 22: "yyyy-mm-dd h:mm", 37: "#,##0", 38: "#,##0", 39: "#,##0.00", 40: "#,##0.00"},
    **{45: "mm:ss", 46: "[h]:mm:ss", 47: "mm:ss.0", 48: "0.0E+0", 49: "@"},
}
"""Formats by their ids, which files don't write out."""

_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"|\\(?P<escaped>.)|_.|\*.|\[\$(?P<currency>[^\]-]*)(?:-[^\]]*)?\]|\[(?P<elapsed>h+|m+|s+)\]|\[[^\]]*\]'
    r"|(?P<ampm>AM/PM|A/P)|(?P<date>y+|m+|d+|h+|s+(?:\.0+)?)|(?P<digits>[#0?][#0?,.]*|\.[#0?]+)|(?P<power>E[+-]0+)"
    r"|(?P<other>.)",
    re.I | re.S,
)
_CONDITION = re.compile(r"(?:\[[^\]]*\])*?\[(?P<sign><=|>=|<>|<|>|=)\s*(?P<limit>-?\d{1,15}(?:\.\d{1,15})?)\]")
"""The condition of the numbers that a section is for, maybe behind a colour: `[Red][<=9999999]`."""
_COMPARISONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq}
_COMPARISONS["<>"] = operator.ne
_EPOCH = datetime(1899, 12, 30)
_SHIFT_1904 = 1462
_LAST_DAY = 2_958_465  # 9999-12-31
_MONTHS = "January February March April May June July August September October November December".split()
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_MOST_DIGITS = 30
_EXACT = 15  # digits that a spreadsheet's number has


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


def show_number(value: str, code: str, *, since_1904: bool = False) -> str:
    """Return a number, written as in the file, as a format's code shows it; without a format, with all its digits."""
    try:
        number = Decimal(value)
        if not number.is_finite() or abs(number.adjusted()) > _MOST_DIGITS:
            return value
        exact = Decimal(f"{float(value):.{_EXACT}g}") if len(value) > _EXACT else number
    except (InvalidOperation, ValueError, OverflowError):
        return value
    sections = _split_sections(code)
    section, number = _choose_section(sections, exact)
    tokens = _tokenise(section)
    if not tokens or section.strip().lower() in ("general", "@", "standard"):
        return _show_plain(exact)
    if any(token.kind in ("date", "ampm", "elapsed") for token in tokens):
        return _show_date(number, tokens, since_1904) or _show_plain(exact)
    return _show_digits(number, tokens) or _show_plain(exact)


def _show_plain(number: Decimal) -> str:
    if number == number.to_integral_value() and abs(number) < Decimal(10) ** 21:
        return str(int(number))
    return f"{number.normalize():f}" if abs(number) >= Decimal("1e-9") else str(number.normalize())


@lru_cache
def _split_sections(code: str) -> Sequence[str]:
    return re.findall(r'(?:"[^"]*"|\\.|\[[^\]]*\]|[^;"\\\[])+', code, re.S) or [""]


def _choose_section(sections: Sequence[str], number: Decimal) -> tuple[str, Decimal]:
    """Return the section for a number (positive; negative; zero), and what it shows of it: a negative's size.

    Where sections say themselves which numbers they are for, it is the first that takes the number.
    """
    conditions = [_CONDITION.match(section.strip()) for section in sections]
    if any(conditions):
        for section, condition in zip(sections, conditions, strict=True):
            if condition is None or _COMPARISONS[condition["sign"]](number, Decimal(condition["limit"])):
                return section, number
        return "", number
    if number < 0 and len(sections) > 1:
        return sections[1], -number
    if number == 0 and len(sections) > 2:
        return sections[2], number
    return sections[0], number


@lru_cache
def _tokenise(section: str) -> Sequence[_Token]:
    tokens: list[_Token] = []
    for match in _TOKEN.finditer(section):
        kind = match.lastgroup or "skipped"
        if kind in ("quoted", "escaped", "currency", "other"):
            tokens.append(_Token("literal", match[kind]))
        elif kind != "skipped":
            tokens.append(_Token(kind, match[kind]))
        elif match[0].startswith("_"):
            tokens.append(_Token("literal", " "))
    # `General` within a section would read as letters.
    return tokens if "general" not in section.lower() else []


def _show_digits(number: Decimal, tokens: Sequence[_Token]) -> str:
    """Write a number with a format's digits: decimals, thousands, percent, an exponent, and the words around it."""
    pattern = "".join(token.text for token in tokens if token.kind == "digits")
    literals = "".join(token.text for token in tokens if token.kind == "literal")
    if not pattern:
        return literals.strip() or ""
    if "/" in literals:
        return ""  # A fraction.
    number *= Decimal(100) ** literals.count("%")
    whole, _, decimals = pattern.rstrip(",").partition(".")
    number /= Decimal(1000) ** (len(pattern) - len(pattern.rstrip(",")))
    power = next((token.text for token in tokens if token.kind == "power"), "")
    groups = [token.text for token in tokens if token.kind == "digits"]
    if len(groups) > 1 and not power and not set(pattern) - set("0#?"):
        return _show_groups(number, tokens, groups)
    places = min(sum(character in "0#?" for character in decimals), 30)
    if power:
        mantissa, _, exponent = f"{number:.{places}E}".partition("E")
        digits = f"{mantissa}E{exponent[0]}{exponent[1:].zfill(power.count('0'))}"
    else:
        try:
            rounded = number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
        except InvalidOperation:
            return ""
        digits = f"{rounded:,f}" if "," in whole.strip(",") else f"{rounded:f}"
        digits = _trim_decimals(digits, sum(character == "0" for character in decimals))
        digits = _pad(digits, whole.count("0"))
    texts: list[str] = []
    for token in tokens:
        if token.kind == "literal":
            texts.append(token.text)
        elif token.kind == "digits":
            texts.append(digits)
            digits = ""
    return "".join(texts).strip()


def _show_groups(number: Decimal, tokens: Sequence[_Token], groups: Sequence[str]) -> str:
    """Write a whole number into several places for digits, from the right: `(415) 555-1234`, `123-45-6789`."""
    digits = f"{abs(number).quantize(Decimal(1), ROUND_HALF_UP):f}".lstrip("0")
    parts: list[str] = []
    for place, group in reversed(list(enumerate(groups))):
        part = digits if place == 0 else digits[-len(group) :]
        digits = digits[: len(digits) - len(part)]
        parts.append(part.rjust(len(group), "0") if "0" in group else part)
    text = "".join(token.text if token.kind == "literal" else parts.pop() for token in tokens)
    return f"-{text.strip()}" if number < 0 else text.strip()


def _pad(digits: str, zeros: int) -> str:
    """Write leading zeros, and none where the format has no digit before the point."""
    sign, digits = ("-", digits[1:]) if digits.startswith("-") else ("", digits)
    whole, point, decimals = digits.partition(".")
    if zeros > 1 and "," not in whole:
        whole = whole.zfill(zeros)
    return f"{sign}{whole}{point}{decimals}"


def _trim_decimals(digits: str, least: int) -> str:
    """Leave out zeros at the end that the format writes as `#`."""
    whole, point, decimals = digits.partition(".")
    while len(decimals) > least and decimals.endswith("0"):
        decimals = decimals[:-1]
    return f"{whole}{point}{decimals}" if decimals else whole


def _show_date(number: Decimal, tokens: Sequence[_Token], since_1904: bool) -> str:
    """Write a number of days since 1900 as a date or a time; "" if it is none."""
    days = number + (_SHIFT_1904 if since_1904 else 0)
    if not 0 <= days <= _LAST_DAY:
        return ""
    # In 1900, Excel counts a 29 February that there wasn't.
    moment = _EPOCH + timedelta(days=1 if 0 < days < 60 and not since_1904 else 0)
    smallest = max((len(token.text) - 2 - token.text.find(".") + 1 for token in tokens if "." in token.text), default=0)
    seconds = (days * 86_400).quantize(Decimal(1).scaleb(-min(smallest, 6)) if smallest else Decimal(1), ROUND_HALF_UP)
    moment += timedelta(seconds=int(seconds), microseconds=int(seconds % 1 * 1_000_000))
    half = any(token.kind == "ampm" for token in tokens)
    texts: list[str] = []
    for place, token in enumerate(tokens):
        if token.kind == "literal":
            texts.append(token.text)
        elif token.kind == "ampm":
            texts.append("AM" if moment.hour < 12 else "PM")
        elif token.kind == "elapsed":
            unit = {"h": 3600, "m": 60, "s": 1}[token.text[0].lower()]
            texts.append(str(int(seconds) // unit).zfill(len(token.text)))
        elif token.kind == "date":
            texts.append(_show_part(moment, token.text.lower(), half, _is_minute(tokens, place)))
        elif token.kind == "digits" and token.text.startswith("."):
            texts.append(f".{moment.microsecond:06d}"[: len(token.text)])
    return "".join(texts).strip()


def _is_minute(tokens: Sequence[_Token], place: int) -> bool:
    """Tell whether an `m` is of minutes: after hours, or before seconds."""
    others = ("date", "elapsed")
    before = next((token.text[0].lower() for token in reversed(tokens[:place]) if token.kind in others), "")
    after = next((token.text[0].lower() for token in tokens[place + 1 :] if token.kind in others), "")
    return before == "h" or after == "s"


def _show_part(moment: datetime, code: str, half: bool, minute: bool) -> str:
    letter, length = code[0], len(code)
    if letter == "y":
        return f"{moment.year:04d}" if length > 2 else f"{moment.year % 100:02d}"
    if letter == "m" and not minute:
        name = _MONTHS[moment.month - 1]
        return {1: str(moment.month), 2: f"{moment.month:02d}", 3: name[:3], 5: name[:1]}.get(length, name)
    if letter == "d":
        name = _DAYS[moment.weekday()]
        return {1: str(moment.day), 2: f"{moment.day:02d}", 3: name[:3]}.get(length, name)
    if letter == "s" and "." in code:
        whole, _, decimals = code.partition(".")
        return f"{moment.second:0{len(whole)}d}.{moment.microsecond:06d}"[: len(whole) + 1 + len(decimals)]
    number = {"h": (moment.hour % 12 or 12) if half else moment.hour, "m": moment.minute, "s": moment.second}[letter]
    return f"{number:02d}" if length > 1 else str(number)

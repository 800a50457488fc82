"""Other values of the same kind and form: `£1,240` for `£1,000`, `17 Feb 2026` for `2 Feb 2026`."""

import random
import re
import string

from gateway.evaluation.number_notation import FRACTION_SIGNS
from gateway.evaluation.unspaced_scripts import MARKED_LETTERS, mark_letters
from gateway.evaluation.values import Value

__all__ = ["draw_value", "rewrite_value"]

_NUMBER = re.compile(r"\d[\d,.'’ \u00a0\u2009\u202f]*\d|\d")


def draw_value(reading: str, rng: random.Random, *, whole_weeks: bool = False) -> str | None:
    """Return another value's reading; None for what isn't varied: ranges, dates without a day, addresses of hosts.

    By `whole_weeks` another date is of the same weekday, and so true beside its name.
    """
    kind, _, rest = reading.partition(":")
    match kind:
        case "money" | "quantity" | "number":
            place = -1 if kind == "money" else 0
            words = rest.split(" ")
            number = words[place].removeprefix("-")
            if re.fullmatch(r"\d+(?:\.\d+)?", number) is None:
                return None
            words[place] = words[place].removesuffix(number) + _draw_number(number, rng)
            return f"{kind}:{' '.join(words)}"
        case "date":
            month, _, day = rest.rpartition("-")
            return f"date:{month}-{_draw_day(int(day), rng, whole_weeks)}" if re.fullmatch(r".+-\d\d", month) else None
        case "time":
            return f"time:{rest[:3]}{rng.randint(0, 59):02}"
        case "version":
            head, dot, last = rest.rpartition(".")
            return f"version:{head}{dot}{_draw_number(last, rng)}" if last.isdigit() else None
        case "code":
            return f"code:{_draw_signs(rest, rng)}"
        case "phone":
            return f"phone:{rest[:-4]}{_draw_signs(rest[-4:], rng)}"
        case "e-mail":
            name, _, host = rest.partition("@")
            return f"e-mail:{_draw_signs(name, rng)}@{host}"
        case "url":
            head, slash, last = rest.rpartition("/")
            return f"url:{head}/{_draw_signs(last, rng)}" if slash and re.fullmatch(r"[\w.-]+", last) else None
        case _:
            return None


def rewrite_value(value: Value, reading: str, other: str) -> str | None:
    """Return a value's text with another one in its form; None where it is written in words."""
    kind, _, old = reading.partition(":")
    new = other.partition(":")[2]
    match kind:
        case "money" | "quantity" | "number":
            place = -1 if kind == "money" else 0
            numbers = _NUMBER.findall(value.text)
            if len(numbers) != 1 or any(sign in value.text for sign in FRACTION_SIGNS):
                return None
            return value.text.replace(numbers[0], _write_number(numbers[0], new.split(" ")[place].removeprefix("-")))
        case "date":
            return _write_day(value.text, int(old[-2:]), int(new[-2:]))
        case "time":
            return (
                re.sub(rf"(?<=\d[:.]){old[-2:]}", new[-2:], value.text) if re.search(r"\d[:.]\d", value.text) else None
            )
        case "version":
            return value.text[: len(value.text) - len(old.rpartition(".")[2])] + new.rpartition(".")[2]
        case _:
            return _write_signs(value.text, old, new)


def _draw_number(number: str, rng: random.Random) -> str:
    """Return a number of as many digits; small ones stay small, and none is 0 or 1, which words agree with."""
    whole, point, fraction = number.partition(".")
    least = max(2, 10 ** (len(whole) - 1))
    digits = "".join(rng.choice(string.digits) for _ in fraction[:-1]) + rng.choice("123456789") if fraction else ""
    return f"{rng.randint(least, 10 ** len(whole) - 1)}{point}{digits}"


def _draw_day(day: int, rng: random.Random, whole_weeks: bool) -> str:
    return f"{rng.choice(range((day - 1) % 7 + 1, 29, 7) if whole_weeks else range(1, 29)):02}"


def _draw_signs(text: str, rng: random.Random) -> str:
    """Return letters for letters and digits for digits; what stands between them stays."""
    pools = {True: string.digits, False: string.ascii_lowercase}
    return "".join(rng.choice(pools[sign.isdigit()]) if sign.isascii() and sign.isalnum() else sign for sign in text)


def _write_number(spelling: str, number: str) -> str:
    """Write a number as another one is written: with its signs between thousands, its point and its places."""
    whole, _, fraction = number.partition(".")
    ending = re.search(r"[.,](\d{1,2})$", spelling)
    point = ending[0][0] if ending else ("," if "," in spelling and "." in spelling else ".")
    rest = spelling[: ending.start()] if ending else spelling
    separator = next((sign for sign in rest if not sign.isdigit()), "")
    if separator:
        whole = re.sub(r"(?<=\d)(?=(?:\d{3})+$)", separator, whole)
    places = fraction.ljust(len(ending[1]), "0") if ending else fraction
    return f"{whole}{point}{places}" if places else whole


def _write_day(text: str, old: int, new: int) -> str | None:
    """Write another day into a date; a day with an ending, as in 2nd, isn't written."""
    marked_text = mark_letters(text)
    days = [match for match in re.finditer(r"(?<!\d)\d{1,2}(?![\d\w])", marked_text) if int(match[0]) == old]
    iso = re.fullmatch(r"\d{4}-\d\d-\d\d", marked_text)
    if iso:
        return f"{text[:-2]}{new:02}"
    if "/" in text or re.fullmatch(r"\d{1,2}-\d{1,2}-\d{4}", marked_text) or not days:
        return None
    is_last = re.match(rf"\d{{4}}|\d{{1,2}}[ ]?[{MARKED_LETTERS}]", marked_text)  # as in 2026年2月3日 and 2月3日
    day = days[-1 if is_last else 0]
    digits = f"{new:02}" if day[0].startswith("0") else str(new)
    return f"{text[: day.start()]}{digits}{text[day.end() :]}"


def _write_signs(text: str, old: str, new: str) -> str | None:
    """Write signs over a text from its end, where it has the old ones, in its own case."""
    signs: list[str] = []
    place = len(old)
    for sign in reversed(text):
        if place and sign.casefold() == old[place - 1]:
            place -= 1
            signs.append(new[place].upper() if sign.isupper() else new[place])
        else:
            signs.append(sign)
    return "".join(reversed(signs)) if place == 0 else None

"""Facts in answers: the right value is stated, and not another passage's.

Values are compared after writing both sides in one way: case, spacing, currency, units and clock times are brought to
one spelling, and a value counts only as a whole (31 is neither in 310 nor in 3.1).
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence

from gateway.evaluation.unspaced_scripts import mark_letters

__all__ = ["UNITS", "cites_only", "normalize", "score_facts", "states"]

_CITATION = re.compile(r"\[\d+(?:[ ]?[,;–-][ ]?\d+)*\]")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_MONEY_BEFORE = re.compile(r"(?:£|\bgbp)\s*(\d+(?:\.\d+)?)(?![\d.]*\d)")
_MONEY_AFTER = re.compile(r"(?<![\d.:£])(\d+(?:\.\d+)?)\s*(?:pounds?(?: sterling)?|gbp)\b")
_CLOCK_12 = re.compile(r"(?<![\d:.])(\d{1,2})(?:[:.](\d{2}))?\s*([ap])\.?m\b\.?")
_CLOCK_24 = re.compile(r"(?<![\d:.£])(\d{1,2}):(\d{2})(?![:\d])")
UNITS = {
    "month": "months?|mths?",
    "week": "weeks?|wks?",
    "day": "days?",
    "hour": "hours?|hrs?|h",
    "minute": "minutes?|mins?",
    "second": "seconds?|secs?",
    "litre": "litres?|liters?|l",
    "metre": "metres?|meters?|m",
    "kilogram": "kilograms?|kilogrammes?|kilos?|kgs?",
    "decibel": "decibels?|db",
    "percent": "per ?cent|%",
}
"""The spellings of each unit, as a regular expression."""

_UNIT_PATTERNS = [(re.compile(rf"(?<=\d)[\s-]*(?:{pattern})(?![a-z])"), f" {unit}") for unit, pattern in UNITS.items()]


def normalize(text: str) -> str:
    """Return a text with one spelling per meaning: of `GBP 7.4`, `£ 7.40`, `7.40 pounds`; of `6:15 pm`, `18:15`."""
    text = unicodedata.normalize("NFKC", text).casefold()
    text = re.sub(r"[‐‑‒–—−]", "-", _CITATION.sub(" ", text)).replace("*", "").replace("_", " ")
    text = _THOUSANDS.sub("", text)
    text = _MONEY_AFTER.sub(_format_pounds, _MONEY_BEFORE.sub(_format_pounds, text))
    text = _CLOCK_24.sub(_format_clock, _CLOCK_12.sub(_format_12_hour_clock, text))
    for pattern, unit in _UNIT_PATTERNS:
        text = pattern.sub(unit, text)
    return " ".join(text.split())


def states(text: str, value: str) -> bool:
    """Tell whether a text has a value as a whole, in any of its spellings."""
    escaped = re.escape(mark_letters(normalize(value)))
    pattern = rf"(?<![\w£])(?<!\d[.,:-]){escaped}(?!\w)(?![.,:]\d)(?!-\d)"
    return re.search(pattern, mark_letters(normalize(text))) is not None


def score_facts(answer: str, accepted: Iterable[str], wrong: Iterable[str]) -> int:
    """Return 1 if an accepted value is in the answer and no wrong one is, else 0.

    An answer with both values is of no use to the one who asked, so it scores like a wrong one.
    """
    right = any(states(answer, value) for value in accepted)
    return int(right and not any(states(answer, value) for value in wrong))


def cites_only(citations: Sequence[str], document: str) -> bool:
    """Tell whether an answer cites the expected document, and no other; the same one twice is fine.

    Where none is expected ("" for a question without an answer) it has to cite none.
    """
    return set(citations) == ({document} if document else set())


def _format_pounds(match: re.Match[str]) -> str:
    return f"£{float(match[1]):.2f}"


def _format_clock(match: re.Match[str]) -> str:
    return f"{int(match[1]):02}:{match[2]}"


def _format_12_hour_clock(match: re.Match[str]) -> str:
    hour = int(match[1]) % 12 + (12 if match[3] == "p" else 0)
    return f"{hour:02}:{match[2] or '00'}"

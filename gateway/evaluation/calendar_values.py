"""Dates and times of day, each in one spelling; see `values`."""

import re
from calendar import monthrange

__all__ = ["DATE_PATTERNS", "TIME_PATTERNS", "imply_date", "read_date", "read_time"]

_MONTHS = (
    "jan(?:uary|uar|\\.)?|janvier|enero|gennaio|januari",
    "feb(?:ruary|ruar|\\.)?|février|febrero|febbraio|februari",
    "mar(?:ch|\\.)?|märz|mars|marzo|maart",
    "apr(?:il|\\.)?|avril|abril|aprile",
    "may|mai|mayo|maggio|mei",
    "june?|juni|juin|junio|giugno",
    "july?|juli|juillet|julio|luglio",
    "aug(?:ust|\\.)?|août|agosto|augustus",
    "sep(?:t(?:ember)?|\\.)?\\.?|septembre|septiembre|settembre",
    "oct(?:ober|\\.)?|oktober|octobre|octubre|ottobre",
    "nov(?:ember|\\.)?|novembre|noviembre",
    "dec(?:ember|\\.)?|dezember|dez\\.?|décembre|diciembre|dicembre",
)
_MONTH = "|".join(_MONTHS)
_DAY = r"\d{1,2}"
_YEAR = r"(?:19|20)\d\d"

DATE_PATTERNS = (
    re.compile(rf"(?<![\w.,/-])(?P<year>{_YEAR})-(?P<number>\d\d)-(?P<day>\d\d)(?![\w-])"),
    re.compile(rf"(?<![\w.,/-])(?P<day>{_DAY})\.[ ]?(?P<number>\d{{1,2}})\.[ ]?(?P<year>{_YEAR})?(?![\w])"),
    re.compile(rf"(?<![\w.,/-])(?P<one>{_DAY})/(?P<two>{_DAY})/(?P<year>{_YEAR})(?![\w/])"),
    re.compile(
        rf"(?i)(?<![\w.,/])(?P<day>{_DAY})(?:st|nd|rd|th|\.)?[ ](?:of[ ]|de[ ])?(?P<month>{_MONTH})(?![a-zà-ü])"
        rf"(?:,?[ ](?:de[ ])?(?P<year>{_YEAR}))?(?!\d)"
    ),
    re.compile(
        rf"(?i)(?<![\w.])(?P<month>{_MONTH})[ ](?:the[ ])?(?P<day>{_DAY})(?:st|nd|rd|th)?"
        rf"(?:,?[ ](?P<year>{_YEAR}))?(?![\d:.]*\d|\w)"
    ),
    re.compile(rf"(?i)(?<![\w.])(?P<month>{_MONTH})[ ](?P<year>{_YEAR})(?!\w)"),
)
"""The day first where a number may be either: then both readings count."""

TIME_PATTERNS = (
    re.compile(r"(?i)(?<![\w.:])(?P<hour>\d{1,2})(?:[:.](?P<minute>[0-5]\d))?[ ]?(?P<half>[ap])\.?m\b\.?"),
    re.compile(r"(?i)(?<![\w.:])(?P<hour>\d{1,2})[:.](?P<minute>[0-5]\d)[ ]?(?:uhr|h|o'clock)(?!\w)"),
    re.compile(r"(?<![\w.:])(?P<hour>\d{1,2}):(?P<minute>[0-5]\d)(?!\w|:\d)"),
    re.compile(r"(?i)(?<![\w.:])(?P<hour>\d{1,2})[ ]?(?:uhr|o'clock)(?!\w)"),
)


def read_date(match: re.Match[str]) -> tuple[str, ...]:
    """Return `date:2026-02-02`, without a year `date:--02-02`, without a day `date:2026-02`; nothing if there is none.

    Of `02/03/2026` both readings.
    """
    fields = match.groupdict()
    year = fields.get("year") or "-"
    if fields.get("one"):
        pairs = dict.fromkeys(((fields["one"], fields["two"]), (fields["two"], fields["one"])))
        return tuple(one for day, month in pairs for one in _format(year, int(month), int(day)))
    if fields.get("number"):
        return _format(year, int(fields["number"]), int(fields["day"]))
    spelled = fields["month"].casefold()
    month = next(number for number, names in enumerate(_MONTHS, 1) if re.fullmatch(names, spelled))
    return _format(year, month, int(fields["day"])) if fields.get("day") else (f"date:{year}-{month:02}",)


def read_time(match: re.Match[str]) -> tuple[str, ...]:
    """Return `time:18:15`; nothing if there is no such time."""
    fields = match.groupdict()
    hour, minute = int(fields["hour"]), fields.get("minute") or "00"
    if half := fields.get("half"):
        if not 1 <= hour <= 12:
            return ()
        hour = hour % 12 + (12 if half.casefold() == "p" else 0)
    return (f"time:{hour:02}:{minute}",) if hour < 24 else ()


def imply_date(reading: str) -> tuple[str, ...]:
    """Return the less exact dates that a date implies: without its year, and without its day."""
    match = re.fullmatch(r"date:(\d{4})-(\d\d)-(\d\d)", reading)
    return (f"date:--{match[2]}-{match[3]}", f"date:{match[1]}-{match[2]}") if match else ()


def _format(year: str, month: int, day: int) -> tuple[str, ...]:
    days = monthrange(int(year) if year != "-" else 2024, month)[1] if 1 <= month <= 12 else 0
    return (f"date:{year}-{month:02}-{day:02}",) if 1 <= day <= days else ()

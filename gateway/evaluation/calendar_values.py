"""Dates and times of day, each in one spelling; see `values`."""

import re
from calendar import monthrange

from gateway.evaluation.number_notation import clean_number
from gateway.evaluation.unspaced_scripts import mark_letters

__all__ = [
    "DATE_PATTERNS",
    "MONTH",
    "TIME_PATTERNS",
    "imply_date",
    "names_weekday",
    "read_date",
    "read_short_date",
    "read_time",
]

_MONTHS = (
    "jan(?:uary|uar|\\.)?|janvier|enero|gennaio|januari|janeiro",
    "feb(?:ruary|ruar|\\.)?|février|febrero|febbraio|februari|fevereiro",
    "mar(?:ch|\\.)?|märz|mars|marzo|maart|março",
    "apr(?:il|\\.)?|avril|abril|aprile",
    "may|mai|mayo|maggio|mei|maio",
    "june?|juni|juin|junio|giugno|junho",
    "july?|juli|juillet|julio|luglio|julho",
    "aug(?:ust|\\.)?|août|agosto|augustus",
    "sep(?:t(?:ember)?|\\.)?\\.?|septembre|septiembre|settembre|setembro",
    "oct(?:ober|\\.)?|oktober|octobre|octubre|ottobre|outubro",
    "nov(?:ember|\\.)?|novembre|noviembre|novembro",
    "dec(?:ember|\\.)?|dezember|dez\\.?|décembre|diciembre|dicembre|dezembro",
)
MONTH = "|".join(_MONTHS)
"""A month's name, in any case."""

_WEEKDAY = re.compile(
    r"(?i)\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b|\b(?:mon|tue|wed|thu|fri|sat|sun)\b"
    r"|\b(?:montag|dienstag|mittwoch|donnerstag|freitag|samstag|sonnabend|sonntag)s?\b"
    r"|\b(?:mo|di|mi|do|fr|sa|so)\.?,?[ ]\d"
    r"|\b(?:lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche|lunes|martes|miércoles|jueves|viernes|sábado|domingo)\b"
    r"|\b(?:lunedì|martedì|mercoledì|giovedì|venerdì|sabato|domenica)\b"
    r"|\b(?:maandag|dinsdag|woensdag|donderdag|vrijdag|zaterdag|zondag)\b"
    + mark_letters("|(?:星期|[周週]|礼拜|禮拜)[一二三四五六日天]|[月火水木金土日](?:曜|[)）])|[월화수목금토일]요일")
    + mark_letters("|วัน(?:จันทร์|อังคาร|พุธ|พฤหัส|ศุกร์|เสาร์|อาทิตย์)")
)
_DAY = r"\d{1,2}"
_YEAR = r"(?:19|20)\d\d"

# What a value begins with is looked at first, before what may not stand before it: most places of a text are passed
# over so, in half of the time.
_AT_MONTH = "(?=[adefgjlmnos])"
_TO_DAY = mark_letters(rf"(?P<number>\d{{1,2}})[ ]?[月월][ ]?(?P<day>{_DAY})[ ]?[日号號일](?![间間])")

DATE_PATTERNS = (
    re.compile(rf"(?=[0-9])(?<![\w.,/-])(?P<year>{_YEAR})[ ]?{mark_letters('[年년]')}[ ]?{_TO_DAY}"),
    re.compile(rf"(?=[0-9])(?<![\w.,/-]){_TO_DAY}"),
    re.compile(mark_letters(rf"(?=[0-9])(?<![\w.,/-])(?P<year>{_YEAR})[ ]?[年년][ ]?(?P<number>\d{{1,2}})[ ]?[月월]")),
    re.compile(rf"(?=[0-9])(?<![\w.,/-])(?P<year>{_YEAR})/(?P<number>\d{{1,2}})/(?P<day>{_DAY})(?![\w/])"),
    re.compile(rf"(?=[0-9])(?<![\w.,/-])(?P<year>{_YEAR})\.[ ](?P<number>\d{{1,2}})\.[ ](?P<day>{_DAY})\.?(?![\w.])"),
    re.compile(rf"(?=[0-9])(?<![\w.,/-])(?P<year>{_YEAR})-(?P<number>\d\d)-(?P<day>\d\d)(?:(?=T\d\d:\d\d)|(?![\w-]))"),
    re.compile(rf"(?=[0-9])(?<![\w.,/-])(?P<day>{_DAY})\.[ ]?(?P<number>\d{{1,2}})\.[ ]?(?P<year>{_YEAR})?(?![\w])"),
    re.compile(
        rf"(?=[0-9])(?<![\w.,/-])(?P<one>{_DAY})(?P<sign>[/-])(?P<two>{_DAY})(?P=sign)(?P<year>{_YEAR})(?![\w/-])"
    ),
    re.compile(
        rf"(?i)(?=[0-9])(?<![\w.,/])(?P<day>{_DAY})(?:st|nd|rd|th|er|[.º])?[ ](?:of[ ]|de[ ])?"
        rf"(?P<month>{MONTH})(?![a-zà-ü])"
        rf"(?:,?[ ](?:de[ ])?(?P<year>{_YEAR}))?(?!\d)"
    ),
    re.compile(
        rf"(?i){_AT_MONTH}(?<![\w.])(?P<month>{MONTH})[ ](?:the[ ])?(?P<day>{_DAY})(?:st|nd|rd|th)?"
        rf"(?:,?[ ](?P<year>{_YEAR}))?(?![\d:.]*\d|\w)"
    ),
    re.compile(rf"(?i)(?=[0-9])(?<![\w.,/-])(?P<day>{_DAY})-(?P<month>{MONTH})-(?P<year>{_YEAR})(?![\w-])"),
    re.compile(rf"(?i){_AT_MONTH}(?<![\w.])(?P<month>{MONTH})[ ](?:de[ ])?(?P<year>{_YEAR})(?!\w)"),
)
"""The day first where a number may be either: then both readings count."""

_HALVES = mark_letters("(?:(?P<first>上午|早上|凌晨|午前|오전)|(?P<second>下午|晚上|午後|오후))")
_CLOCK = (
    r"[时時시点點][ ]?(?P<minute>[0-5]?\d)[ ]?[分분]|[时時시点點](?P<thirty>半|[ ]?반)|[时時시](?![间間速])"
    "|[点點](?=[整钟鐘前后後至到开開關关])"  # without either it may be a point among several
    "|(?(first)[点點]|(?(second)[点點]|(?!)))"
)

TIME_PATTERNS = (
    # As ISO writes it behind a date, which is blanked by then.
    re.compile(r"(?<=~)T(?P<hour>\d\d):(?P<minute>[0-5]\d)(?::[0-5]\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?(?!\w)"),
    re.compile(rf"(?:{_HALVES}[ ]?)?(?<![\w.:])(?P<hour>\d{{1,2}})[ ]?(?:{mark_letters(_CLOCK)})"),
    re.compile(rf"{_HALVES}[ ]?(?P<hour>\d{{1,2}}):(?P<minute>[0-5]\d)(?!\w|:\d)"),
    re.compile(
        r"(?i)(?=[0-9])(?<![\w.:])(?P<hour>\d{1,2})(?:[:.](?P<minute>[0-5]\d))?[ ]?"
        r"(?P<half>[ap])\.?m\b\.?(?![ ](?:tag|abend|mittag|nachmittag|wochenende|stück)\b)"
    ),
    re.compile(
        r"(?i)(?=[0-9])(?<![\w.,:])(?P<hour>\d{1,2})(?:[:.](?P<minute>[0-5]\d))?"
        r"(?=[ ]?(?:-|–|bis)[ ]?\d{1,2}(?:[:.][0-5]\d)?[ ]?uhr\b)"
    ),
    re.compile(r"(?i)(?=[0-9])(?<![\w.:])(?P<hour>\d{1,2})[:.](?P<minute>[0-5]\d)[ ]?(?:uhr|h|o'clock)(?!\w)"),
    re.compile(r"(?i)(?=[0-9])(?<![\w.,:])(?P<hour>\d{1,2})[ ]?h[ ]?(?P<minute>[0-5]\d)(?!\w|[.,:]\d|[ ]?min)"),
    re.compile(r"(?=[0-9])(?<![\w.:])(?P<hour>\d{1,2}):(?P<minute>[0-5]\d)(?!\w|:\d)"),
    re.compile(
        r"(?i)(?=[0-9])(?<![\w.:])(?P<hour>\d{1,2})[ ]?uhr[ ](?P<minute>[0-5]\d)(?!\w|[.,:]\d|[ ]?(?:€|euro|min))"
    ),
    re.compile(r"(?i)(?=[0-9])(?<![\w.:])(?P<hour>\d{1,2})[ ]?(?:uhr|o'clock)(?!\w)"),
)


def read_date(match: re.Match[str]) -> tuple[str, ...]:
    """Return `date:2026-02-02`, without a year `date:--02-02`, without a day `date:2026-02`; nothing if there is none.

    Of `02/03/2026` both readings, and of `17.2.` also the number.
    """
    fields = match.groupdict()
    year = fields.get("year") or "-"
    if fields.get("one"):
        pairs = dict.fromkeys(((fields["one"], fields["two"]), (fields["two"], fields["one"])))
        return tuple(one for day, month in pairs for one in _format(year, int(month), int(day)))
    if fields.get("number"):
        month = int(fields["number"])
        if "day" not in fields:
            return (f"date:{year}-{month:02}",) if 1 <= month <= 12 else ()
        dates = _format(year, month, int(fields["day"]))
        # At the end of a sentence: `am 17.2.`, and `iOS 17.2.`
        is_number = dates and re.fullmatch(r"\d{1,2}\.\d{1,2}\.", match[0])
        return (*dates, f"number:{clean_number(match[0][:-1])}") if is_number else dates
    name = fields["month"]
    month = next(number for number, names in enumerate(_MONTHS, 1) if re.fullmatch(names, name, re.IGNORECASE))
    return _format(year, month, int(fields["day"])) if fields.get("day") else (f"date:{year}-{month:02}",)


def read_short_date(text: str) -> tuple[str, ...]:
    """Return the date of `31.3.26`; nothing if there is none."""
    match = re.fullmatch(r"(\d{1,2})\.(\d{1,2})\.(\d\d)", text)
    return _format(f"20{match[3]}", int(match[2]), int(match[1])) if match else ()


def read_time(match: re.Match[str]) -> tuple[str, ...]:
    """Return `time:18:15`; nothing if there is no such time."""
    fields = match.groupdict()
    hour, minute = int(fields["hour"]), fields.get("minute") or ("30" if fields.get("thirty") else "00")
    if fields.get("second") or fields.get("first"):
        hour = hour % 12 + (12 if fields.get("second") else 0) if hour <= 12 else hour
    if half := fields.get("half"):
        if not 1 <= hour <= 12:
            return ()
        hour = hour % 12 + (12 if half.casefold() == "p" else 0)
    return (f"time:{hour:02}:{minute:0>2}",) if hour < 24 else ()


def imply_date(reading: str) -> tuple[str, ...]:
    """Return the less exact dates that a date implies: without its year, and without its day."""
    match = re.fullmatch(r"date:(\d{4})-(\d\d)-(\d\d)", reading)
    return (f"date:--{match[2]}-{match[3]}", f"date:{match[1]}-{match[2]}") if match else ()


def _format(year: str, month: int, day: int) -> tuple[str, ...]:
    days = monthrange(int(year) if year != "-" else 2024, month)[1] if 1 <= month <= 12 else 0
    return (f"date:{year}-{month:02}-{day:02}",) if 1 <= day <= days else ()


def names_weekday(text: str) -> bool:
    """Tell whether a text has a weekday's name, in full or short, in any of some languages."""
    return _WEEKDAY.search(mark_letters(text)) is not None

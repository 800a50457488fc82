"""The records of a file of JSON, however they are laid out: a list, a list under some name, or one per line."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice
from typing import Any, cast

import msgspec

from gateway.conversations.conversation import UnusableFile
from retrieval.parsers.byte_samples import find_by_letters
from training.dataset import Problem
from training.repeated_names import describe_repeated_name, find_repeated_name

__all__ = [
    "ROW_LISTS",
    "Record",
    "as_dict",
    "as_list",
    "as_text",
    "as_time",
    "decode_older",
    "decode_text",
    "is_object",
    "iterate_records",
    "read_records",
]

Record = dict[str, Any]

ROW_LISTS = ("data", "train", "rows", "examples")
"""Names under which a file of rows, rather than of a system's own things, has its list."""

_HEAD_BYTES = 1024
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_NAMES = {"cp1252": "Windows-1252", "cp1250": "Windows-1250", "mac_roman": "Mac OS Roman"}
_FEW_SIGNS = 4
"""One byte alone, such as a broken one, tells none of the rarer encodings."""
_LOOKED_AT = 20
_NO_TEXT = (
    "It is no text, such as a workbook, an archive, or a data set's `.arrow`. Give JSON, JSONL, CSV or Parquet: Excel "
    "saves 'CSV UTF-8', an archive is unpacked, and a data set of Hugging Face's has `to_json`."
)
_NOT_AN_OBJECT = "It is no JSON object."

_TIME = re.compile(
    r"\s*(\d{4})[-/](\d\d?)[-/](\d\d?)(?:[T ]+(\d\d?)(?::(\d\d)(?::(\d\d)(\.\d+)?)?)?)?"
    r"\s*(?:(Z|UTC|GMT)|([+-])(\d\d):?(\d\d)?)?\s*",
    re.IGNORECASE,
)
"""A date as exports write it: ISO's, with slashes, or with a space before the difference to UTC."""


def decode_text(data: bytes) -> str:
    """Decode a file: UTF-8, or UTF-16 with the mark before it that Excel's "Unicode text" has.

    Raises:
        UnusableFile: It is neither.
    """
    try:
        return data.decode("utf-16" if data.startswith(_UTF16_MARKS) else "utf-8-sig")
    except UnicodeDecodeError as error:
        if b"\0" in data[:_HEAD_BYTES]:
            raise UnusableFile(_NO_TEXT) from None
        line = data[: error.start].count(b"\n") + 1
        raise UnusableFile(
            f"Line {line} has a byte that UTF-8 doesn't have, and no older encoding is sure. Save the file as UTF-8: "
            "in Excel that is 'CSV UTF-8'."
        ) from None


def decode_older(data: bytes) -> tuple[bytes, str]:
    """Return a file as UTF-8 with the encoding that it had, where that is an older one for sure; else itself and "".

    Excel's plain CSV is in Windows-1252 in the west of Europe. A file with letters of UTF-8 in it has an accident.
    """
    try:
        data.decode("utf-16" if data.startswith(_UTF16_MARKS) else "utf-8-sig")
    except UnicodeDecodeError:
        has_utf8 = not data.decode("utf-8", "ignore").isascii()
        if data.startswith(_UTF16_MARKS) or has_utf8 or b"\0" in data or not (encoding := find_by_letters(data)):
            return data, ""
        if encoding not in _NAMES and len(data.translate(None, bytes(range(0x80)))) < _FEW_SIGNS:
            return data, ""
        try:
            return data.decode(encoding).encode(), _NAMES.get(encoding, encoding)
        except UnicodeDecodeError:
            pass
    return data, ""


def read_records(text: str, lists: Sequence[str] = ()) -> tuple[list[tuple[int, Record]], list[Problem]]:
    """Return the records with their numbers, and what is no record: bad JSON, or JSON of another kind.

    Args:
        text: A JSON value, or one per line.
        lists: Names under which an object may have its records, such as `tickets`.

    Raises:
        UnusableFile: It is a list, or one object over several lines, that can't be read: nothing tells its records.
    """
    problems: list[Problem] = []
    return list(iterate_records(text, lists, problems)), problems


def iterate_records(text: str, lists: Sequence[str], problems: list[Problem]) -> Iterator[tuple[int, Record]]:
    """Yield what `read_records` returns, of lines one by one, and add to the problems on the way.

    Raises:
        UnusableFile: See there; at the first record.
    """
    for number, value in _split(text, lists, problems):
        if isinstance(value, dict):
            yield number, cast("Record", value)
        else:
            problems.append(Problem(number, _NOT_AN_OBJECT))


def _split(text: str, lists: Sequence[str], problems: list[Problem]) -> Iterator[tuple[int, Any]]:
    """Yield each value as it is needed: what stands in a list is decoded one by one."""
    try:
        whole = msgspec.json.decode(text.encode(), type=list[msgspec.Raw] | dict[str, msgspec.Raw])
    except (msgspec.DecodeError, RecursionError) as error:
        if fault := _find_break(text, error):
            raise UnusableFile(fault) from None
        yield from _split_lines(text, problems)
        return
    repeated_name = find_repeated_name(text)
    if isinstance(whole, list):
        yield from _decode_each(cast("list[msgspec.Raw]", whole), {}, problems, repeated_name)
        return
    parts = {name: part for name, part in whole.items() if bytes(memoryview(part)[:1]) == b"["}
    inner = next((parts[name] for name in lists if name in parts), None)
    if inner is None:
        yield from _decode_each([msgspec.Raw(text)], {}, problems, repeated_name)
        return
    beside: Record = {name: msgspec.json.decode(part) for name, part in parts.items() if name not in lists}
    yield from _decode_each(msgspec.json.decode(inner, type=list[msgspec.Raw]), beside, problems, repeated_name)


def _decode_each(
    parts: Sequence[msgspec.Raw], beside: Record, problems: list[Problem], repeated_name: str | None
) -> Iterator[tuple[int, Any]]:
    """Decode records, each with what stands beside their list, such as the `users` of a page of tickets.

    Raises:
        UnusableFile: A name stands twice around the records, such as two lists of tickets.
    """
    twice = {
        number: one
        for number, part in enumerate(parts, 1)
        if repeated_name and (one := find_repeated_name(bytes(part)))
    }
    if repeated_name and not twice:
        raise UnusableFile(f"The file has no right form. {describe_repeated_name(repeated_name)}")
    for number, part in enumerate(parts, 1):
        if number in twice:
            problems.append(Problem(number, describe_repeated_name(twice[number])))
            continue
        record = msgspec.json.decode(part)
        yield number, {**beside, **cast("Record", record)} if isinstance(record, dict) else record


def _find_break(text: str, error: Exception) -> str | None:
    """Return where a value over several lines breaks off; None for a value per line, of which each is told by itself.

    Its first line says which of both it is: it is no value itself, and breaks off where that of a value per line is
    one, or has a fault inside.
    """
    head = text.lstrip()
    first = head.split("\n", 1)[0]
    if not head.startswith(("[", "{")) or len(first) == len(head) or not _breaks_off(first):
        return None
    if head.startswith("{") and any(map(is_object, islice(_yield_lines(head, len(first) + 1), _LOOKED_AT))):
        return None  # the first of several lines is cut
    what = "list" if head.startswith("[") else "value"
    place = re.search(r"\(byte (\d+)\)", str(error))
    if place is None:
        return f"The JSON {what} of the file breaks off at its end. Save it whole."
    before = text.encode(errors="replace")[: int(place[1])]
    reason = str(error).removeprefix("JSON is malformed: ")[: -len(place[0])].strip()
    if what == "value" and "trailing characters" in reason:
        reason = "another value begins, and several objects have to be in a list, or each on a line of its own"
    elif before.rstrip().endswith(b","):
        reason = "nothing follows the comma"
    return f"The JSON {what} of the file can't be read: in line {before.count(10) + 1}, {reason}. Mend it there."


def _breaks_off(line: str) -> bool:
    try:
        msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        return "truncated" in str(error)
    return False


def is_object(line: str) -> bool:
    """Tell whether a line is a JSON object."""
    try:
        return isinstance(msgspec.json.decode(line), dict)
    except (msgspec.DecodeError, RecursionError):
        return False


def _yield_lines(text: str, start: int) -> Iterator[str]:
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield text[start:end]
        start = end + 1


def _split_lines(text: str, problems: list[Problem]) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(_yield_lines(text, 0), 1):
        if not line.strip():
            continue
        try:
            value = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            problems.append(Problem(number, f"It is no JSON: {error}."))
            continue
        if name := find_repeated_name(line):
            problems.append(Problem(number, describe_repeated_name(name)))
        else:
            yield number, value


def as_text(value: Any) -> str:
    """Return a string as it is, a number as its digits, and anything else as nothing."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def as_time(value: Any) -> float | None:
    """Return a time in Unix seconds: a number as it is, a date by its zone, else as UTC; None where it is none."""
    text = as_text(value)
    try:
        if (match := _TIME.fullmatch(text)) is None:
            return float(text)
        numbers = [int(part or 0) for part in match.groups()[:6]]
        sign = -1 if match[9] == "-" else 1
        zone = timezone(sign * timedelta(hours=int(match[10] or 0), minutes=int(match[11] or 0))) if match[9] else UTC
        year, month, day, hour, minute, second = numbers
        return datetime(year, month, day, hour, minute, second, tzinfo=zone).timestamp() + float(match[7] or 0)
    except (ValueError, OverflowError):
        return None


def as_dict(value: Any) -> Record:
    """Return an object as it is, and anything else as one without members."""
    return cast("Record", value) if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """Return a list as it is, and anything else as an empty one."""
    return cast("list[Any]", value) if isinstance(value, list) else []

"""JSON and JSON Lines → a line per value, with its path; objects stay together, under the path to them."""

import json
import re
from collections.abc import Iterator
from typing import Any, cast

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.html_values import HtmlValues
from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits
from retrieval.parsers.text import clean, parse_text
from retrieval.parsers.text_writer import TextWriter, join_words

__all__ = ["parse_json", "parse_json_lines"]

_DEEPEST = 200
_LINE_END = re.compile(r"\r\n?|\n")
"""The end of a line, and none of the other characters that Python ends lines at, which strings may have in them."""


class _Number(str):
    """A number as it is written: a float would round it."""


def parse_json(content: FileContent, limits: ParseLimits) -> ParsedDocument:
    """Take the values of a JSON text; what isn't JSON is taken as the text that it is, with a warning.

    Raises:
        DocumentUnreadable: Nothing visible is in it, or it is nested too deeply.
    """
    writer = TextWriter()
    try:
        value = _load(content.text)
    except json.JSONDecodeError as error:
        if _looks_like_lines(content.text):
            return parse_json_lines(content, limits)
        plain = parse_text(content, limits)
        plain.warnings.append(f"The file isn't JSON ({error}) and is read as plain text.")
        return plain
    pages = HtmlValues(limits)
    _add_value(writer, value, "", pages)
    writer.warnings += pages.warnings
    return writer.finish(content.media_type)


def parse_json_lines(content: FileContent, limits: ParseLimits) -> ParsedDocument:
    """Take the value of each line; a line that isn't JSON is taken as it is, and told.

    Raises:
        DocumentUnreadable: Nothing visible is in it, or a line is nested too deeply.
    """
    writer = TextWriter()
    pages = HtmlValues(limits)
    broken: list[int] = []
    for number, line in enumerate(_LINE_END.split(content.text), 1):
        if not line.strip():
            continue
        try:
            _add_value(writer, _load(line), f"line {number}", pages)
        except json.JSONDecodeError:
            broken.append(number)
            writer.add_record(f"line {number}", [clean(line)])
    writer.warnings += pages.warnings
    if broken:
        writer.warnings.append(f"{len(broken)} lines aren't JSON and stand as they are; the first is line {broken[0]}.")
    return writer.finish(content.media_type)


def _load(text: str) -> Any:
    try:
        return json.loads(text.removeprefix("\ufeff"), parse_int=_Number, parse_float=_Number)
    except RecursionError as error:
        raise _to_too_deep() from error


def _looks_like_lines(text: str) -> bool:
    """Tell whether a text is one object per line, whatever its name says."""
    first, _, rest = text.lstrip().partition("\n")
    try:
        return first[:1] in "{[" and bool(rest.strip()) and isinstance(json.loads(first), (dict, list))
    except (json.JSONDecodeError, RecursionError):
        return False


def _add_value(writer: TextWriter, root: Any, path: str, pages: HtmlValues) -> None:
    """Add an object's own values as one record, and each object in a list as a record of its own."""
    pending: list[tuple[str, Any]] = [(path, root)]
    while pending:
        path, value = pending.pop()
        lines: list[str] = []
        inner: list[tuple[str, Any]] = []
        for name, leaf in _walk(value, "", 0):
            if _is_nested(leaf):
                inner.append((_join(path, name), leaf))
            else:
                values = cast("tuple[Any, ...]", leaf) if isinstance(leaf, tuple) else (leaf,)
                text = ", ".join(_write(pages.read(one) if isinstance(one, str) else one) for one in values)
                lines.append(f"{name}: {text}".rstrip() if name else text)
        lines = [line for line in lines if line]
        if lines or (path and not inner):
            writer.add_record(path, lines)
        pending += reversed(inner)


def _walk(value: Any, name: str, depth: int) -> Iterator[tuple[str, Any]]:
    """Yield the values of an object by their names, those of objects in it too; and the objects of its lists, whole.

    A list without objects is a tuple of its values.
    """
    if depth > _DEEPEST:
        raise _to_too_deep()
    if isinstance(value, dict):
        for key, child in cast("dict[str, Any]", value).items():
            yield from _walk(child, _join(name, join_words(key)), depth + 1)
    elif isinstance(value, list):
        items = cast("list[Any]", value)
        if any(map(_is_nested, items)):
            yield from ((f"{name}[{number}]", item) for number, item in enumerate(items))
        else:
            yield name, tuple(items)
    else:
        yield name, value
    if name and value == {}:
        yield name, ""


def _is_nested(value: Any) -> bool:
    return isinstance(value, (dict, list))


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path and not name.startswith("[") else f"{path}{name}"


def _write(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return clean(str(value)).strip().replace("\n", "\n  ")


def _to_too_deep() -> DocumentUnreadable:
    return DocumentUnreadable(
        "invalid_file", f"The JSON is nested more than {_DEEPEST} levels deep. Export it more simply."
    )

"""Jupyter notebooks → text: Markdown with its headings, code, and what the code printed, cell by cell."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.html import parse_html
from retrieval.parsers.markdown import parse_markdown
from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits
from retrieval.parsers.text import parse_text
from retrieval.parsers.text_writer import TextWriter

__all__ = ["parse_notebook"]

_COLOURS = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_OVERWRITTEN = re.compile(r"[^\r\n]*\r(?!\n)")
"""The text that a progress bar showed before its last state."""
_OBJECT = re.compile(r"<[^<>\n]+>|[\w.]+\(.*\)", re.S)
"""The names that Python gives what it shows as a picture or a widget."""
_LONGEST_OUTPUT = 20_000


def parse_notebook(content: FileContent, limits: ParseLimits) -> ParsedDocument:
    """Take the cells in their order, with the text of their outputs: printed lines, tables, results and errors.

    What is no notebook is taken as the text that it is, with a warning.

    Raises:
        DocumentUnreadable: Nothing visible is in it.
    """
    try:
        notebook = _as_dict(json.loads(content.text.removeprefix("\ufeff")))
    except (json.JSONDecodeError, RecursionError):
        notebook = {}
    sheets = [notebook, *map(_as_dict, _as_list(notebook.get("worksheets")))]
    cells = [_as_dict(cell) for sheet in sheets for cell in _as_list(sheet.get("cells"))]
    if not cells:
        plain = parse_text(content, limits)
        plain.warnings.append("The file isn't a notebook with cells and is read as plain text.")
        return plain
    reader = _Reader(limits)
    for cell in cells:
        reader.add(cell)
    title = _as_dict(notebook.get("metadata")).get("title")
    return reader.writer.finish(content.media_type, title if isinstance(title, str) else "", outlined=True)


class _Reader:
    def __init__(self, limits: ParseLimits) -> None:
        self.writer = TextWriter()
        self._limits = limits

    def add(self, cell: dict[str, Any]) -> None:
        kind, source = cell.get("cell_type"), _join(cell.get("source", cell.get("input")))
        if kind == "markdown":
            self._add(parse_markdown, source)
        elif kind == "heading":  # of notebooks before 2015
            level = cell.get("level")
            self.writer.add_heading(source, level if isinstance(level, int) else 1)
        elif kind == "code":
            self.writer.add_code(source)
            for output in map(_as_dict, _as_list(cell.get("outputs"))):
                self._add_output(output)
        else:
            self.writer.add_paragraph(source)

    def _add_output(self, output: dict[str, Any]) -> None:
        if output.get("ename"):
            self._add_lines(f"{output['ename']}: {_join(output.get('evalue'))}")
            return
        data: Mapping[str, Any] = _as_dict(output.get("data")) or {
            "text/html": output.get("html"),
            "text/plain": output.get("text"),
        }
        page, plain = _join(data.get("text/html")), _join(data.get("text/plain"))
        if "<table" in page:
            self._add(parse_html, page)
        elif markdown := _join(data.get("text/markdown")):
            self._add(parse_markdown, markdown)
        elif len(data) < 2 or not _OBJECT.fullmatch(plain.strip()):
            self._add_lines(plain)
        elif page:
            self._add(parse_html, page)

    def _add(self, parse: Any, text: str) -> None:
        try:
            self.writer.add_document(parse(FileContent(b"", "", text), self._limits), 0)
        except DocumentUnreadable:
            return  # nothing visible, as in a page that only draws

    def _add_lines(self, text: str) -> None:
        lines = _OVERWRITTEN.sub("", _COLOURS.sub("", text))
        if len(lines) > _LONGEST_OUTPUT:
            self.writer.warnings.append(f"An output of {len(lines)} characters was cut off after {_LONGEST_OUTPUT}.")
        self.writer.add_code(lines[:_LONGEST_OUTPUT])


def _join(value: Any) -> str:
    """Return a text, which notebooks have whole or as lines."""
    return "".join(_strings(value)) if isinstance(value, list) else value if isinstance(value, str) else ""


def _strings(values: Any) -> Iterator[str]:
    return (value for value in values if isinstance(value, str))


def _as_dict(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _as_list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []

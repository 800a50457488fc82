"""Flat OpenDocument (one XML file, not packed) → text, by the parsers of the packed kinds."""

from collections.abc import Mapping

from retrieval.errors import DocumentUnreadable
from retrieval.parsers.archive import Element, get_name
from retrieval.parsers.document_format import Parser
from retrieval.parsers.ods import parse_ods
from retrieval.parsers.opendocument import parse_flat
from retrieval.parsers.opendocument_text import parse_odp, parse_odt
from retrieval.parsers.parsed_document import FileContent, ParsedDocument, ParseLimits

__all__ = ["parse_flat_opendocument"]

_PARSERS: Mapping[str, Parser] = {"text": parse_odt, "spreadsheet": parse_ods, "presentation": parse_odp}
"""By the element in the body."""


def parse_flat_opendocument(content: FileContent, limits: ParseLimits) -> ParsedDocument:
    """Take the document as its packed kind is taken: a text, a spreadsheet or a presentation.

    Raises:
        DocumentUnreadable: Broken, over a limit, without visible text, or of another kind, such as a drawing.
    """
    parser = _find_parser(parse_flat(content.data))
    if parser is None:
        raise DocumentUnreadable(
            "unsupported_file", "The file is an OpenDocument file of another kind. Export it as PDF."
        )
    return parser(content, limits)


def _find_parser(root: Element) -> Parser | None:
    body = root.find("{*}body")
    kinds = [get_name(element) for element in body] if body is not None else []
    return next((_PARSERS[kind] for kind in kinds if kind in _PARSERS), None)

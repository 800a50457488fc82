"""Bytes of a document → text with headings, in a process that may die of them."""

from retrieval.parsers.forked_children import ForkedChildren
from retrieval.parsers.parsed_document import Heading, ParsedDocument
from retrieval.parsers.process import ParseLimits, parse

__all__ = ["ForkedChildren", "Heading", "ParseLimits", "ParsedDocument", "parse"]

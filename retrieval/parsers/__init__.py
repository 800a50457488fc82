"""Bytes of a document → text with headings, in a process that may die of them."""

from retrieval.parsers.forked_children import ForkedChildren
from retrieval.parsers.parsed import Heading, Parsed
from retrieval.parsers.process import ParseLimits, parse

__all__ = ["ForkedChildren", "Heading", "ParseLimits", "Parsed", "parse"]

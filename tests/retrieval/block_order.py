"""Blocks of a text that a parser took: what they are, and what holds for them and its chunks whatever its lines."""

from retrieval.chunks import split_into_chunks
from retrieval.parsers.parsed_document import ParsedDocument
from tests.retrieval.words import word_offsets

__all__ = ["check_blocks", "read_blocks"]


def check_blocks(parsed: ParsedDocument) -> None:
    """Fail where blocks are out of order or beyond the text, or a chunk isn't the text at its place."""
    starts = [(block.start, -block.end) for block in parsed.blocks]
    assert starts == sorted(starts)
    assert all(block.start <= block.head <= block.end <= len(parsed.text) for block in parsed.blocks)
    for chunk in split_into_chunks(parsed, word_offsets, max_tokens=20):
        assert chunk.text == parsed.text[chunk.start : chunk.end]


def read_blocks(parsed: ParsedDocument) -> list[tuple[str, str, str]]:
    """Return each block's kind, its head and the rest."""
    text = parsed.text
    return [(one.kind, text[one.start : one.head], text[one.head : one.end]) for one in parsed.blocks]

"""What holds for the blocks and chunks of any text that a parser took, whatever its lines."""

from retrieval.chunks import split_into_chunks
from retrieval.parsers.parsed import Parsed
from tests.retrieval.words import word_offsets

__all__ = ["check_blocks"]


def check_blocks(parsed: Parsed) -> None:
    """Fail where blocks are out of order or beyond the text, or a chunk isn't the text at its place."""
    starts = [(block.start, -block.end) for block in parsed.blocks]
    assert starts == sorted(starts)
    assert all(block.start <= block.head <= block.end <= len(parsed.text) for block in parsed.blocks)
    for chunk in split_into_chunks(parsed, word_offsets, max_tokens=20):
        assert chunk.text == parsed.text[chunk.start : chunk.end]

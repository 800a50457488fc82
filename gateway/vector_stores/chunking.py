"""How large the chunks of a document are, in the embedder's tokens."""

from typing import NamedTuple

__all__ = ["AUTO", "Chunking"]


class Chunking(NamedTuple):
    """`overlap_tokens` are repeated from the chunk before, at most half of `max_tokens`."""

    max_tokens: int
    overlap_tokens: int


AUTO = Chunking(160, 0)
"""What OpenAI's `auto` means here. Hosted, it is 800 with 400 repeated; the packaged embedder reads 256 tokens and
would not see the rest of such a chunk. Chunks begin at headings, so nothing is gained by repeating text."""

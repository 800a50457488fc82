"""The retriever's word on its index, for those who put what may be there already."""

from retrieval.client import Retriever, RetrieverError
from retrieval.messages import RetrieverInfo
from retrieval.patience import Patience

__all__ = ["describe_promptly"]

_PATIENCE_SECONDS = 2.0
"""Without its word the index of the store's last change counts."""


async def describe_promptly(retriever: Retriever, index: str | None) -> RetrieverInfo | None:
    """Return what has this index; None where the retriever doesn't say it at once, since no put waits for that."""
    try:
        async with Patience(_PATIENCE_SECONDS):
            return await retriever.describe(index)
    except (RetrieverError, TimeoutError):
        return None

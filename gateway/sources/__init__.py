"""Sources: folders, repositories, sites and buckets whose documents a vector store follows."""

from gateway.sources.tables import SourceItemRow, SourceRow

__all__ = ["SourceItemRow", "SourceRow"]

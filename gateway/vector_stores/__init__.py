"""Facts: vector stores, their documents with versions and index epochs, and the jobs that bring them into the index."""

from gateway.vector_stores.tables import DocumentRow, DocumentVersionRow, StoreRow

__all__ = ["DocumentRow", "DocumentVersionRow", "StoreRow"]

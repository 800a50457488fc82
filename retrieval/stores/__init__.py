"""The index. An implementation is imported by name, since each needs a package that the other doesn't."""

from retrieval.stores.protocol import Candidate, KeywordVector, Point, Store

__all__ = ["Candidate", "KeywordVector", "Point", "Store"]

"""Engines that keep an index's points. One is imported by its module, since each needs a package of its own."""

from retrieval.backends.protocol import RECORDS, Candidate, IndexBackend, KeywordVector, Point

__all__ = ["RECORDS", "Candidate", "IndexBackend", "KeywordVector", "Point"]

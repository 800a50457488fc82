"""What an index has to do. Two implement it: `edge` (in process) and `server` (Qdrant by URL)."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from retrieval.scope import Scope

__all__ = ["DENSE", "KEYWORDS", "Candidate", "KeywordVector", "Point", "Store"]

DENSE = "dense"
KEYWORDS = "bm25"
"""Names of the two vectors of each point."""

PAYLOAD_KEYWORDS = ("store", "document", "digest")
PAYLOAD_INTEGERS = ("from", "to")
"""Payload fields with an index of their own, beside the tenant's."""


class KeywordVector(Struct, frozen=True):
    """A BM25 vector: term ids and their weights, without the document frequencies, which the engine adds."""

    indices: list[int]
    values: list[float]


class Point(Struct, frozen=True):
    """What is stored; `payload` has at least tenant, store, document, digest, from and to."""

    id: str
    dense: list[float]
    keywords: KeywordVector
    payload: dict[str, Any]


class Candidate(Struct, frozen=True):
    """A found point with both of its scores: cosine, and BM25 with the document frequencies of the corpus."""

    id: str
    dense: float
    keyword: float
    payload: dict[str, Any]


class Store(Protocol):
    """Points under scopes. A write that returned survives `kill -9` and is seen by every later search."""

    async def search(
        self, scope: Scope, corpus: Scope, dense: Sequence[float], keywords: KeywordVector, candidates: int
    ) -> list[Candidate]:
        """The best points of `scope` by each vector, at most `candidates` by either, in no particular order.

        `corpus` holds the points whose document frequencies weigh the keywords, so that one tenant's vocabulary
        doesn't change another's ranking.
        """
        ...

    async def upsert(self, points: Sequence[Point]) -> None: ...

    async def vectors(self, scope: Scope, digests: Sequence[str]) -> dict[str, list[float]]:
        """The dense vectors of those digests that the scope has."""
        ...

    async def set_payload(self, scope: Scope, payload: Mapping[str, Any]) -> None:
        """Merge `payload` into that of every point of the scope."""
        ...

    async def delete(self, scope: Scope) -> None: ...

    async def count(self) -> int:
        """Points of all tenants, in every epoch: a size for the operator, approximate on a server."""
        ...

    async def close(self) -> None: ...

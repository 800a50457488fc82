"""The contract of an index backend. Two fulfil it: `embedded` (in this process) and `remote` (Qdrant by URL)."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from retrieval.filter_expressions import Condition
from retrieval.visibility import Visibility

__all__ = [
    "DENSE",
    "KEYWORDS",
    "PAYLOAD_INTEGERS",
    "PAYLOAD_KEYWORDS",
    "RECORDS",
    "Candidate",
    "IndexBackend",
    "KeywordVector",
    "Point",
]

DENSE = "dense"
KEYWORDS = "bm25"
"""Names of the two vectors of each point."""

RECORDS = "*index*"
"""Stands where the index's own records have their tenant. No tenant's id has such characters, so no search or change of
a tenant's points meets them."""

PAYLOAD_KEYWORDS = ("store", "document", "digest")
PAYLOAD_INTEGERS = ("from", "to")
"""Payload fields with an index of their own, beside the tenant's."""


@dataclass(frozen=True, slots=True)
class KeywordVector:
    """A BM25 vector: term ids and their weights, without the document frequencies, which the engine adds."""

    indices: list[int]
    values: list[float]


@dataclass(frozen=True, slots=True)
class Point:
    """A chunk as it is kept; `payload` has at least tenant, store, document, digest, from and to."""

    id: str
    dense: list[float]
    keywords: KeywordVector
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A point that may answer, with both scores.

    Attributes:
        dense: The cosine.
        keyword: The share of the BM25 score that the question could reach in the corpus, 0..1.
    """

    id: str
    dense: float
    keyword: float
    payload: dict[str, Any]


class IndexBackend(Protocol):
    """Points of all tenants, each reached by a `Visibility` only.

    A write that returned survives `kill -9` and is seen by every later search.
    """

    async def search(
        self,
        visibility: Visibility,
        corpus: Visibility,
        dense: Sequence[float],
        keywords: KeywordVector,
        candidates: int,
    ) -> list[Candidate]:
        """Return the best points of `visibility` by each vector, at most `candidates` by either, in no order.

        `corpus` holds the points whose document frequencies weigh the keywords, so that one tenant's vocabulary
        doesn't change another's ranking.
        """
        ...

    @property
    def is_shared(self) -> bool:
        """Whether other processes may write the same points, lose them, or begin anew with none."""
        ...

    @property
    def problem(self) -> str:
        """The reason why no document can be written now, as far as is known; "" where there is none."""
        ...

    def check_room(self) -> None:
        """Ask before a document is read.

        Raises:
            IndexFull: There was no room for one lately, and another one finds out whether there is now.
        """
        ...

    def limit_reads(self) -> AbstractAsyncContextManager[None]:
        """Return a block of several reads, which together take no longer than a single one may.

        Raises:
            IndexSilent: They took longer; raised by the block.
        """
        ...

    async def upsert(self, points: Sequence[Point]) -> None: ...

    async def add(self, point: Point, replaces: Condition | None = None) -> None:
        """Write a point unless there is one with its id that doesn't meet `replaces`, or any where that is None.

        This holds also where another process does the same at this moment.
        """
        ...

    async def find_vectors(self, visibility: Visibility, digests: Sequence[str]) -> dict[str, list[float]]:
        """Return the dense vectors of those digests that `visibility` has."""
        ...

    async def read(self, visibility: Visibility, fields: Sequence[str]) -> list[dict[str, Any]]:
        """Return those fields of the payload of every point of `visibility`, in no order."""
        ...

    async def set_payload(self, visibility: Visibility, payload: Mapping[str, Any]) -> None:
        """Merge `payload` into that of every point of `visibility`."""
        ...

    async def delete(self, visibility: Visibility) -> None: ...

    async def count(self) -> int:
        """Count the points of all tenants, in every index epoch: for the operator, approximate on a server."""
        ...

    async def hold(self) -> None:
        """Let changes wait until `resume`, and return when all before have been written; searches go on."""
        ...

    def resume(self) -> None: ...

    async def copy(self, folder: Path) -> None:
        """Copy the points, whose changes are on hold, as a backend of the same kind opens them.

        Raises:
            RetrieverFailed: They aren't on hold, or are kept elsewhere.
        """
        ...

    async def close(self) -> None: ...

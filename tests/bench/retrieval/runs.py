"""What the index had for each question of a set: the file between the two halves of this benchmark."""

from pathlib import Path

from msgspec import Struct

from tests.bench.retrieval.sources import CACHE

__all__ = ["AskedQuestion", "CandidateScore", "ChunkText", "Run", "run_file"]


class ChunkText(Struct, frozen=True, array_like=True):
    """What a passage shows, and where it is of its document."""

    document: str
    start: int
    heading: str
    text: str


class CandidateScore(Struct, frozen=True, array_like=True):
    """A chunk's document, its cosine, its share of BM25, and its number among the run's texts."""

    document: str
    dense: float
    keyword: float
    chunk: int = 0


class AskedQuestion(Struct, frozen=True, array_like=True):
    """A question's candidates, and the seconds for its vector and for the search."""

    id: str
    candidates: list[CandidateScore]
    embedding_seconds: float
    search_seconds: float


class Run(Struct, frozen=True):
    """All questions of a set against one index."""

    unrelated_cosine: float
    chunks: int
    documents: int
    questions: list[AskedQuestion]
    texts: list[ChunkText] = []


def run_file(name: str, embedder: str, variant: str) -> Path:
    return CACHE / "runs" / embedder / f"{name}-{variant}.msgpack"

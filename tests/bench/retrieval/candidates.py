"""The candidates that the index has for each question of a set, with both scores: what every fusion chooses from.

Documents are chunked, embedded and indexed by Braid's own parts, without a server: as they are, with the document's
title and headings in front of each chunk, as Braid indexes them, and with a line about the document besides. Runs in
the model environment, once for a set and an embedder; its results and all vectors stay in `.braid/bench`.
"""

import asyncio
import hashlib
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np

from retrieval.backends.embedded import EmbeddedBackend
from retrieval.embedder import Embedder
from retrieval.keyword_encoder import KeywordEncoder
from retrieval.messages import IngestRequest, SearchQuery
from retrieval.parsers import Heading, ParsedDocument
from retrieval.parsers.text import clean
from retrieval.points import ContextualChunk, contextualize, to_point
from retrieval.visibility import show_to_reader
from tests.bench.retrieval.context_lines import CONTEXTS
from tests.bench.retrieval.embedders import EMBEDDERS
from tests.bench.retrieval.models import Document
from tests.bench.retrieval.runs import AskedQuestion, CandidateScore, ChunkText, Run, run_file
from tests.bench.retrieval.sets import read_documents, write_set

_CANDIDATES = 100
_TENANT, _STORE = "bench", "vs_bench"
_BATCH = 8


class _Vectors:
    """Passages' vectors by their texts, kept on disk: sets share documents, and a second run shares everything."""

    def __init__(self, file: Path, embedder: Embedder) -> None:
        self._file = file
        self._embedder = embedder
        self._vectors: dict[str, np.ndarray] = {}
        if file.exists():
            with np.load(file) as saved:
                self._vectors = dict(zip(saved["keys"].tolist(), saved["vectors"], strict=True))

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        keys = [hashlib.sha256(text.encode()).hexdigest()[:32] for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._vectors}
        ordered = sorted(missing.items(), key=lambda item: len(item[1]))  # alike lengths: little padding
        started = time.monotonic()
        for first in range(0, len(ordered), _BATCH):
            batch = ordered[first : first + _BATCH]
            vectors = np.asarray(self._embedder.embed_passages([text for _, text in batch]), dtype=np.float32)
            self._vectors.update(zip((key for key, _ in batch), vectors, strict=True))
            if first % (32 * _BATCH) == 0:
                self._save()
                sys.stderr.write(f"   {first} of {len(ordered)} chunks, {time.monotonic() - started:.0f} s\n")
        if missing:
            self._save()
        return [self._vectors[key].tolist() for key in keys]

    def _save(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(self._file, keys=list(self._vectors), vectors=np.stack(list(self._vectors.values())))


def _to_request(document: Document) -> IngestRequest:
    return IngestRequest(
        tenant=_TENANT,
        store=_STORE,
        document=document.id,
        key=document.id,
        version=1,
        file_id=document.id,
        filename=f"{document.id}.md",
        path="",
        index_epoch=1,
    )


def _cut(document: Document, embedder: Embedder) -> list[ContextualChunk]:
    headings = [Heading(0, level, title) for level, title in enumerate(document.headings, 2)]
    parsed = ParsedDocument("text/markdown", document.title, clean(document.text), headings)
    return contextualize(parsed, _to_request(document), embedder.find_token_offsets, window=embedder.window)


def _cut_all(documents: Sequence[Document], embedder: Embedder) -> list[tuple[Document, ContextualChunk]]:
    return [(document, chunk) for document in documents for chunk in _cut(document, embedder)]


async def _index(
    folder: Path,
    chunks: Sequence[tuple[Document, ContextualChunk]],
    embedder: Embedder,
    vectors: _Vectors,
    variant: str,
) -> EmbeddedBackend:
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    backend = EmbeddedBackend.open(folder, embedder.dimensions)
    keywords = KeywordEncoder()
    texts = CONTEXTS[variant](chunks)
    dense = vectors.embed(texts)
    points = [
        to_point(chunk, _to_request(document), vector, keywords.encode_passages([text])[0])
        for (document, chunk), vector, text in zip(chunks, dense, texts, strict=True)
    ]
    for first in range(0, len(points), 256):
        await backend.upsert(points[first : first + 256])
    return backend


def open_vectors(name: str, embedder_name: str, embedder: Embedder) -> _Vectors:
    """Return the vectors that are kept of an embedder, for any set."""
    return _Vectors(run_file(name, embedder_name, "").parent / "vectors.npz", embedder)


async def index_documents(
    folder: Path, documents: Sequence[Document], embedder: Embedder, vectors: _Vectors
) -> EmbeddedBackend:
    """Index documents as Braid does: with title and headings in front of each chunk."""
    return await _index(folder, _cut_all(documents, embedder), embedder, vectors, "titled")


async def _ask(
    backend: EmbeddedBackend,
    embedder: Embedder,
    questions: Sequence[tuple[str, str]],
    places: Mapping[tuple[str, int], int],
) -> list[AskedQuestion]:
    """Search for questions, given by id and text; vectors are made of a few at once.

    `places` are the numbers of the chunks, by document and start.
    """
    keywords = KeywordEncoder()
    answered: list[AskedQuestion] = []
    for first in range(0, len(questions), _BATCH):
        batch = questions[first : first + _BATCH]
        started = time.perf_counter()
        vectors = embedder.embed_questions([clean(text) for _, text in batch])
        embedding_seconds = (time.perf_counter() - started) / len(batch)
        for (id, text), vector in zip(batch, vectors, strict=True):
            visibility = show_to_reader(SearchQuery(tenant=_TENANT, stores={_STORE: 1}, text=text))
            started = time.perf_counter()
            words = keywords.encode_question(clean(text))
            candidates = await backend.search(visibility, visibility, vector, words, _CANDIDATES)
            seconds = time.perf_counter() - started
            scores = [
                CandidateScore(
                    one.payload["document"],
                    one.dense,
                    one.keyword,
                    places[one.payload["document"], one.payload["start"]],
                )
                for one in candidates
            ]
            answered.append(AskedQuestion(id, scores, embedding_seconds, seconds))
    return answered


async def collect(name: str, embedder_name: str, embedder: Embedder, variants: Sequence[str]) -> None:
    """Write the runs of one set with one embedder, unless they are there."""
    folder = write_set(name)
    documents = read_documents(folder)
    queries = [msgspec.json.decode(line) for line in (folder / "queries.jsonl").read_bytes().splitlines()]
    vectors = open_vectors(name, embedder_name, embedder)
    chunks = _cut_all(documents, embedder)
    texts = [ChunkText(document.id, chunk.start, chunk.heading, chunk.text) for document, chunk in chunks]
    places = {(one.document, one.start): number for number, one in enumerate(texts)}
    for variant in CONTEXTS:
        backend: EmbeddedBackend | None = None
        for turns in ("", "-history") if name == "turns" else ("",):
            file = run_file(name, embedder_name, variant + turns)
            if file.exists() or variant not in variants:
                continue
            sys.stderr.write(f"{name}, {embedder_name}, {variant}{turns}: {len(documents)} documents\n")
            backend = backend or await _index(file.with_suffix(".index"), chunks, embedder, vectors, variant)
            questions = [
                (query["_id"], " ".join((*(query["metadata"]["history"] if turns else ()), query["text"])))
                for query in queries
            ]
            answered = await _ask(backend, embedder, questions, places)
            run = Run(embedder.unrelated_cosine, await backend.count(), len(documents), answered, texts)
            file.write_bytes(msgspec.msgpack.encode(run))
        if backend is not None:
            await backend.close()
            shutil.rmtree(run_file(name, embedder_name, variant).with_suffix(".index"), ignore_errors=True)


async def _main(embedder_name: str, variants: Sequence[str], names: Sequence[str]) -> None:
    embedder = EMBEDDERS[embedder_name]()
    for name in names:
        await collect(name, embedder_name, embedder, variants)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2].split(","), sys.argv[3:]))

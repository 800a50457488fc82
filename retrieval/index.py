"""Documents in, passages out: an index backend, an embedder and the order of their steps."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from weakref import WeakValueDictionary

from retrieval.answer_probability import MATCH_VERSION
from retrieval.backends import Candidate, IndexBackend, KeywordVector
from retrieval.content import read_pieces
from retrieval.document_names import find_names
from retrieval.embedder import Embedder
from retrieval.errors import IndexUnavailable, RetrieverBusy
from retrieval.filter_expressions import Between
from retrieval.filters import compile_filter
from retrieval.fusion import FUSION, fuse
from retrieval.identity import IndexIdentity
from retrieval.index_records import IndexRecords
from retrieval.keyword_encoder import KeywordEncoder
from retrieval.match_features import measure_matches
from retrieval.messages import (
    ContentRequest,
    CopyRequest,
    Embeddings,
    EmbedRequest,
    HoldRequest,
    IngestProgress,
    IngestRequest,
    IngestResult,
    MatchFeatures,
    ParsedText,
    ParseRequest,
    Passage,
    Queues,
    RetrieverInfo,
    SearchQuery,
    TextPiece,
    Writer,
)
from retrieval.parsers import ForkedChildren, parse
from retrieval.parsers.formats import FORMATS, list_parsers
from retrieval.parsers.ocr import find_program
from retrieval.parsers.text import clean
from retrieval.points import CHUNKER, contextualize, to_point
from retrieval.priority_threads import Priority, PriorityThreads
from retrieval.question_embedder import QuestionEmbedder
from retrieval.read_ahead import ReadAhead, ReadDocument
from retrieval.reranker import Reranker, rerank
from retrieval.text_embedder import TextEmbedder
from retrieval.visibility import (
    OPEN,
    Visibility,
    show_document,
    show_documents,
    show_store,
    show_to_reader,
    show_to_search,
)

__all__ = ["Index", "Report"]

Report = Callable[[IngestProgress], Awaitable[None]]
"""Told about each step of an ingest; an exception that it raises ends the ingest there."""

_WRITE_BATCH = 64
"""Chunks written in one go, at least: as many as are embedded in one go, if those are more."""

_MOST_PARSED = 3_000_000
"""Characters: in UTF-8 of four bytes each they fit into a frame."""

_MOST_SEARCHES = 128
"""Under way at once; at about 20 ms each (two slow cores) the last one waits for less than its caller's patience."""

_CANDIDATES_PER_PASSAGE = 4
_LEAST_CANDIDATES = 40
_RERANKED = 20
"""Passages that a reranker sees; on a CPU a small cross-encoder reads about so many in 0.3 s."""


_NO_KEYWORDS = KeywordVector([], [])


class Index:
    """Takes over the backend and closes it. Changes of a store run one after the other; searches never wait."""

    def __init__(self, backend: IndexBackend, embedder: Embedder, reranker: Reranker | None = None) -> None:
        self._backend = backend
        self._embedder = embedder
        self._reranker = reranker
        self._keywords = KeywordEncoder()
        self._threads = PriorityThreads("embedder", embedder.concurrency)
        self._questions = QuestionEmbedder(embedder, self._threads)
        self._texts = TextEmbedder(embedder, self._threads)
        self._records = IndexRecords(backend, embedder.identity, KeywordEncoder.identity, embedder.dimensions)
        self._parsers = ForkedChildren()
        self._ahead = ReadAhead(self._read_and_embed)
        self._searches = self._ingests = 0
        self._holding: asyncio.TimerHandle | None = None
        self._change_locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def close(self) -> None:
        self._resume()
        await self._ahead.close()
        await self._threads.close()
        await self._parsers.close()
        if self._reranker is not None:
            await self._reranker.close()
        await self._backend.close()

    async def describe(self) -> RetrieverInfo:
        has_ocr = await asyncio.to_thread(find_program) is not None  # it may be installed meanwhile
        async with self._backend.limit_reads():
            await self._records.renew()
            points, identity = await self._backend.count(), await self.identify()
        return RetrieverInfo(
            embedder=self._embedder.identity,
            dimensions=self._embedder.dimensions,
            points=points,
            ranking=f"{KeywordEncoder.identity}/{FUSION}/{MATCH_VERSION}",
            index=str(identity),
            chunker=self._name_chunker(f"parsers-{sum(format_.version for format_ in FORMATS)}"),
            chunkers=[self._name_chunker(parser) for parser in list_parsers(has_ocr=has_ocr)],
            matryoshka=self._embedder.matryoshka,
            problem=self._backend.problem,
        )

    async def read_queues(self) -> Queues:
        """See `retrieval.client.Retriever.read_queues`."""
        return Queues(
            searches=self._searches,
            questions=self._questions.waiting,
            ingests=self._ingests,
            embeddings=self._texts.requests,
            batches=sum(map(self._threads.count_waiting, (Priority.EDIT, Priority.INGEST))),
            ahead=self._threads.count_waiting(Priority.AHEAD),
        )

    def _name_chunker(self, parser: str) -> str:
        return f"{CHUNKER}/{self._embedder.window}/{parser}"

    async def identify(self) -> IndexIdentity:
        """Return the index's identity; a new index is given one."""
        return await self._records.identify()

    async def search(self, query: SearchQuery) -> list[Passage]:
        """See `retrieval.client.Retriever.search`."""
        filters = compile_filter(query.filters) if query.filters is not None else None
        if not query.stores and query.tenant:
            return []
        visibility = show_to_search(query, filters)
        await self._records.compare(query.indexes)
        if self._searches >= _MOST_SEARCHES:
            raise RetrieverBusy(f"{self._searches} searches are under way. Try again in a second.")
        self._searches += 1
        try:
            return await self._search(query, visibility)
        finally:
            self._searches -= 1

    async def _search(self, query: SearchQuery, visibility: Visibility) -> list[Passage]:
        # Cut before all else: whatever is long costs the others. Cleaned as documents are: what they don't have can't
        # be asked for.
        text = clean(await self._questions.cut(query.text))
        if query.limit < 1 or not text.strip():
            return []
        vector, words = await self._questions.embed(text), self._keywords.encode_question(text)
        count = max(query.limit * _CANDIDATES_PER_PASSAGE, _LEAST_CANDIDATES)
        async with self._backend.limit_reads():
            candidates = await self._backend.search(visibility, show_to_reader(query), vector, words, count)
            if not candidates:  # nothing is there, or no longer
                await self._records.compare_anew(query.indexes)
        reranker = self._reranker if query.rerank else None
        best = fuse(
            candidates,
            limit=query.limit if reranker is None else max(query.limit, _RERANKED),
            threshold=query.score_threshold,
            unrelated=self._embedder.unrelated_cosine,
            weights=query.weights,
        )
        matches = measure_matches(text, [one for _, one in best], candidates, self._embedder.unrelated_cosine)
        names = find_names(candidate.payload for candidate in candidates)
        passages = [
            _to_passage(candidate, score, match, names.get(candidate.payload["document"], ""))
            for (score, candidate), match in zip(best, matches, strict=True)
        ]
        if reranker is not None:
            passages = await rerank(reranker, text, passages)
        return passages[: query.limit]

    async def ingest(self, request: IngestRequest, report: Report) -> IngestResult:
        """See `retrieval.client.Retriever.ingest`. Safe to run again for the same index epoch."""
        self._ingests += 1
        try:
            return await self._ingest(request, report)
        finally:
            self._ingests -= 1

    async def _ingest(self, request: IngestRequest, report: Report) -> IngestResult:
        start = time.perf_counter()
        document = show_document(request.tenant, request.store, request.document)
        self._backend.check_room()
        read = await self._ahead.take(request) or await self._read(request)
        characters, chunks = len(read.document.text), read.chunks
        await report(IngestProgress("parsed", characters, characters))
        await report(IngestProgress("chunked", len(chunks), len(chunks)))
        embedded = 0
        async with self._changing(request.tenant, request.store, request.writer):
            await self._backend.delete(document.narrow(Between("from", gte=request.index_epoch)))
            size = max(_WRITE_BATCH, self._embedder.batch)
            for first in range(0, len(chunks), size):
                try:
                    embedded += await self._write(request, read, slice(first, first + size), report)
                except IndexUnavailable:
                    self._ahead.keep(request, read)
                    raise
            await self._close(document, request.index_epoch)
        return IngestResult(
            chunks=len(chunks),
            embedded=embedded,
            reused=len(chunks) - embedded,
            characters=characters,
            media_type=read.document.media_type,
            seconds=time.perf_counter() - start,
            warnings=read.document.warnings,
            chunker=self._name_chunker(read.document.parser),
        )

    async def read_ahead(self, request: IngestRequest) -> None:
        """See `retrieval.client.Retriever.read_ahead`."""
        show_document(request.tenant, request.store, request.document)
        if not self._backend.problem:  # else its turn may be far away
            self._ahead.begin(request)

    async def _read(self, request: IngestRequest) -> ReadDocument:
        document = await parse(Path(request.path), request.filename, start=self._parsers.start)
        chunks = await asyncio.to_thread(
            contextualize, document, request, self._embedder.find_token_offsets, window=self._embedder.window
        )
        return ReadDocument(document, chunks, {})

    async def _read_and_embed(self, request: IngestRequest) -> ReadDocument:
        """Read a document and embed its beginning, but for what the store has: as much as is written in one go."""
        read = await self._read(request)
        texts = {chunk.digest: chunk.indexed_text for chunk in read.chunks[: max(_WRITE_BATCH, self._embedder.batch)]}
        vectors_there = await self._backend.find_vectors(show_store(request.tenant, request.store), list(texts))
        texts = {digest: text for digest, text in texts.items() if digest not in vectors_there}
        async with aclosing(self._embed(texts, Priority.AHEAD)) as steps:
            async for vectors in steps:
                read.vectors.update(vectors)
        return read

    async def _embed(self, texts: dict[str, str], priority: Priority) -> AsyncGenerator[dict[str, list[float]]]:
        """Embed texts by their digests, and yield the vectors of one batch after another.

        No more batches wait for their turn than are embedded at once: other documents have turns between them.
        """
        digests, size = list(texts), self._embedder.batch
        batches = (digests[start : start + size] for start in range(0, len(digests), size))
        under_way: deque[asyncio.Task[dict[str, list[float]]]] = deque()
        try:
            for batch in batches:
                if len(under_way) == self._embedder.concurrency:
                    yield await under_way.popleft()
                under_way.append(asyncio.create_task(self._embed_batch({one: texts[one] for one in batch}, priority)))
            while under_way:
                yield await under_way.popleft()
        finally:
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)

    async def _embed_batch(self, texts: dict[str, str], priority: Priority) -> dict[str, list[float]]:
        vectors = await self._threads.run(priority, self._embedder.embed_passages, list(texts.values()))
        return dict(zip(texts, vectors, strict=True))

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """See `retrieval.client.Retriever.embed`."""
        return await self._texts.embed(request)

    async def read_content(self, request: ContentRequest) -> list[TextPiece]:
        """See `retrieval.client.Retriever.read_content`."""
        await self._records.compare(request.indexes)
        async with self._backend.limit_reads():
            pieces = await read_pieces(self._backend, request)
            if not pieces:  # the document's end, or the index's
                await self._records.compare_anew(request.indexes)
        return pieces

    async def parse(self, request: ParseRequest) -> ParsedText:
        """See `retrieval.client.Retriever.parse`."""
        document = await parse(Path(request.path), request.filename, start=self._parsers.start)
        return ParsedText(document.text[:_MOST_PARSED])

    async def has_store(self, tenant: str, store: str) -> bool:
        """Tell whether there are points of a store, in whatever index epoch."""
        points = show_store(tenant, store)
        return bool(await self._backend.search(points, points, [1.0] * self._embedder.dimensions, _NO_KEYWORDS, 1))

    async def remove_documents(self, tenant: str, store: str, documents: list[str], index: str | None = None) -> None:
        """Delete documents that are gone for good, which no later writer puts back: this waits for no one's turn."""
        await self._records.compare([] if index is None else [index])
        await self._backend.delete(show_documents(tenant, store, documents))

    async def hold(self, request: HoldRequest) -> None:
        """See `retrieval.client.Retriever.hold`."""
        if self._holding is not None:
            self._holding.cancel()
        await self._backend.hold()
        self._holding = asyncio.get_running_loop().call_later(request.seconds, self._resume)

    async def copy(self, request: CopyRequest) -> None:
        """See `retrieval.client.Retriever.copy`."""
        await self._backend.copy(Path(request.folder))

    async def resume(self) -> None:
        """See `retrieval.client.Retriever.resume`."""
        self._resume()

    def _resume(self) -> None:
        if self._holding is not None:
            self._holding.cancel()
            self._holding = None
        self._backend.resume()

    async def rollback(self, tenant: str, store: str, index_epoch: int, writer: Writer | None = None) -> None:
        points = show_store(tenant, store)
        async with self._changing(tenant, store, writer):
            await self._backend.delete(points.narrow(Between("from", gt=index_epoch)))
            await self._backend.set_payload(points.narrow(Between("to", gt=index_epoch, lt=OPEN)), {"to": OPEN})

    async def collect_garbage(self, tenant: str, store: str, index_epoch: int, writer: Writer | None = None) -> None:
        async with self._changing(tenant, store, writer):
            await self._backend.delete(show_store(tenant, store).narrow(Between("to", lte=index_epoch)))

    async def drop_store(self, tenant: str, store: str, writer: Writer | None = None) -> None:
        async with self._changing(tenant, store, writer):
            await self._backend.delete(show_store(tenant, store))

    async def _write(self, request: IngestRequest, read: ReadDocument, part: slice, report: Report) -> int:
        """Write some of a document's chunks, and return how many of their texts had to be embedded."""
        batch, total = read.chunks[part], len(read.chunks)
        digests = list(dict.fromkeys(chunk.digest for chunk in batch))
        vectors = await self._backend.find_vectors(show_store(request.tenant, request.store), digests)
        embedded = [digest for digest in digests if digest not in vectors]
        vectors.update({digest: read.vectors[digest] for digest in embedded if digest in read.vectors})
        missing = {chunk.digest: chunk.indexed_text for chunk in batch if chunk.digest not in vectors}
        count = part.start + len(batch) - len(missing)
        priority = Priority.EDIT if request.urgent else Priority.INGEST
        async with aclosing(self._embed(missing, priority)) as steps:
            async for step in steps:
                vectors.update(step)
                read.vectors.update(step if not part.start else {})  # the beginning is kept where it can't be written
                count += len(step)
                await report(IngestProgress("embedded", count, total))
        keywords = await asyncio.to_thread(self._keywords.encode_passages, [chunk.indexed_text for chunk in batch])
        points = [
            to_point(chunk, request, vectors[chunk.digest], words) for chunk, words in zip(batch, keywords, strict=True)
        ]
        await self._backend.upsert(points)
        await report(IngestProgress("written", part.start + len(batch), total))
        return len(embedded)

    async def _close(self, document: Visibility, index_epoch: int) -> None:
        present = document.narrow(Between("from", lt=index_epoch), Between("to", gte=OPEN))
        await self._backend.set_payload(present, {"to": index_epoch})

    @asynccontextmanager
    async def _changing(self, tenant: str, store: str, writer: Writer | None) -> AsyncGenerator[None]:
        """Hold a store for one change, which its writer may still make."""
        async with self._change_locks.setdefault((tenant, store), asyncio.Lock()):
            await self._records.admit(tenant, store, writer)
            yield


def _to_passage(candidate: Candidate, score: float, match: MatchFeatures, name: str) -> Passage:
    payload = candidate.payload
    return Passage(
        id=candidate.id,
        store=payload["store"],
        document=payload["document"],
        key=payload["key"],
        version=payload["version"],
        file_id=payload["file_id"],
        filename=payload["filename"],
        text=payload["text"],
        start=payload["start"],
        end=payload["end"],
        heading=payload["heading"],
        score=score,
        attributes=payload["attributes"],
        page=payload.get("page", 0),
        lead=payload.get("lead", 0),
        tail=payload.get("tail", 0),
        headline=payload.get("headline", 0),
        name=name,
        match=match,
    )

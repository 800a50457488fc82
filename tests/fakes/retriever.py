"""A retriever in memory, over the real socket: the real one's index epochs, words instead of vectors, scripted faults.

Chunks are paragraphs. A passage's score is the share of the question's words that it has.
"""

import asyncio
import math
import operator
import re
from array import array
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from msgspec import Raw

from retrieval.frames import Call, Failure, Reply, encode_frame, read_frame
from retrieval.messages import (
    FULL_MATCH,
    ContentRequest,
    CopyRequest,
    DocumentsReference,
    Embeddings,
    EmbedRequest,
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
    StoreAtIndexEpoch,
    StoreReference,
    TextPiece,
    Writer,
)

__all__ = ["ACCEPTED", "MOST_WORDS", "FakeRetriever", "Fault"]

ACCEPTED = "Accepted are notes in UTF-8 and in UTF-16, as programs on computers, telephones and the like write them."
"""A long sentence that several errors end with, as the real one has it."""

_OPEN = 2**53
MOST_WORDS = 100
"""Of a text to embed."""


@dataclass
class _Point:
    """A paragraph, visible at the index epochs from `first` to before `end`."""

    request: IngestRequest
    start: int
    text: str
    first: int
    end: int = _OPEN


class FakeRetriever:
    """`before[method]` is awaited when a call comes: it may wait, or raise `Fault`; `calls` are the methods called.

    `match` gives a passage's features by its score: the best there are, so that a test abstains only where it says so.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.points: list[_Point] = []
        self.calls: list[str] = []
        self.before: dict[str, Callable[[], Awaitable[object]]] = {}
        self.index = "fake/words/1"
        self.chunker = "paragraphs-1"
        self.parsers: dict[str, int] = {}
        """Versions by the extension of files, with the dot."""
        self.matryoshka = False
        self.problem = ""
        self.fences: dict[str, int] = {}
        self.queries: list[SearchQuery] = []
        self.match: Callable[[float], MatchFeatures] = lambda _score: FULL_MATCH
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def fail(self, call: str, times: int, code: str = "retriever_failed") -> None:
        """Let the next calls of this kind fail, so many times."""
        faults = iter(range(times))

        async def fail() -> None:
            if next(faults, None) is not None:
                raise Fault(code, "odd")

        self.before[call] = fail

    async def start(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def stop(self) -> None:
        """Die; the points stay, as on disk."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self.path.unlink(missing_ok=True)
        for writer in list(self._writers):
            writer.close()
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        while (frame := await read_frame(reader)) is not None:
            task = asyncio.create_task(self._answer(msgspec.msgpack.decode(frame, type=Call), writer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._writers.discard(writer)
        writer.close()

    async def _answer(self, call: Call, writer: asyncio.StreamWriter) -> None:
        if call.method == "cancel":
            return
        self.calls.append(call.method)
        try:
            if call.method == "ingest":
                writer.write(encode_frame(Reply(call.id, "progress", _encode(IngestProgress("parsed", 1, 1)))))
            if call.method in self.before:
                await self.before[call.method]()
            reply = Reply(call.id, "result", _encode(self._handlers()[call.method](call.body)))
        except Fault as fault:
            reply = Reply(call.id, "error", _encode(Failure(fault.code, str(fault))))
        writer.write(encode_frame(reply))

    def _handlers(self) -> dict[str, Callable[[Raw], object]]:
        return {
            "describe": self._describe,
            "read_queues": lambda _: Queues(searches=0, questions=0, ingests=0, embeddings=0, batches=0, ahead=0),
            "search": self._search,
            "ingest": self._ingest,
            "read_ahead": lambda _body: None,
            "embed": self._embed,
            "read_content": self._read_content,
            "parse": lambda body: ParsedText(_parse(msgspec.msgpack.decode(body, type=ParseRequest).path)),
            "hold": lambda _: None,
            "copy": self._copy,
            "resume": lambda _: None,
            "has_store": self._has_store,
            "remove_documents": self._remove_documents,
            "rollback": self._rollback,
            "collect_garbage": self._collect_garbage,
            "drop_store": self._drop_store,
        }

    def _describe(self, _body: Raw) -> RetrieverInfo:
        return RetrieverInfo(
            embedder="fake",
            dimensions=3,
            points=len(self.points),
            index=self.index,
            chunker=self.chunker,
            matryoshka=self.matryoshka,
            problem=self.problem,
            chunkers=[self._name_chunker(f"k2{extension}") for extension in self.parsers],
        )

    def _name_chunker(self, filename: str) -> str:
        extension = Path(filename).suffix
        return f"{self.chunker}/{extension}-{self.parsers[extension]}" if extension in self.parsers else self.chunker

    def lose(self, index: str) -> None:
        """Have another index, which is empty."""
        self.index = index
        self.points.clear()
        self.fences.clear()

    def _admit(self, store: str, writer: Writer | None) -> None:
        if writer is None:
            return
        if writer.index != self.index:
            raise Fault("index_changed", f"It is {self.index}, not {writer.index}.")
        if writer.fence < self.fences.get(store, 0):
            raise Fault("stale_writer", "Another one has begun.")
        self.fences[store] = writer.fence

    def _copy(self, body: Raw) -> None:
        """Write the points as a file, in a folder of the index's own."""
        folder = Path(msgspec.msgpack.decode(body, type=CopyRequest).folder) / "fake"
        folder.mkdir(parents=True)
        rows = [(point.request, point.start, point.text, point.first, point.end) for point in self.points]
        (folder / "points").write_bytes(msgspec.msgpack.encode((self.index, rows)))

    def load(self, folder: Path) -> None:
        """Have the points of a copy."""
        kind = tuple[str, list[tuple[IngestRequest, int, str, int, int]]]
        self.index, rows = msgspec.msgpack.decode((folder / "fake" / "points").read_bytes(), type=kind)
        self.points = [_Point(*row) for row in rows]

    def _has_store(self, body: Raw) -> bool:
        store = msgspec.msgpack.decode(body, type=StoreReference).store
        return any(point.request.store == store for point in self.points)

    def _ingest(self, body: Raw) -> IngestResult:
        request = msgspec.msgpack.decode(body, type=IngestRequest)
        self._admit(request.store, request.writer)
        text = _parse(request.path)
        mine = [point for point in self.points if point.request.document == request.document]
        self.points = [point for point in self.points if point not in mine or point.first < request.index_epoch]
        for point in mine:
            if point.end == _OPEN:
                point.end = request.index_epoch
        paragraphs = list(re.finditer(r"\S(?:.|\n(?!\n))*", text))
        self.points += [_Point(request, match.start(), match.group(), request.index_epoch) for match in paragraphs]
        return IngestResult(
            chunks=len(paragraphs),
            embedded=len(paragraphs),
            reused=0,
            characters=len(text),
            media_type="text/plain",
            seconds=0,
            warnings=["Hidden text was left out."] if "\u200b" in text else [],
            chunker=self._name_chunker(request.filename),
        )

    def _search(self, body: Raw) -> list[Passage]:
        query = msgspec.msgpack.decode(body, type=SearchQuery)
        self.queries.append(query)
        if set(query.indexes) - {self.index}:
            raise Fault("index_changed", f"It is {self.index}, not {query.indexes}.")
        words = set(re.findall(r"\w+", query.text.lower()))
        passages: list[Passage] = []
        if not words:  # as in the real one
            return passages
        for number, point in enumerate(self.points):
            request = point.request
            index_epoch = query.stores.get(request.store, -1)
            if request.tenant != query.tenant or not point.first <= index_epoch < point.end:
                continue
            if request.document in query.exclude or not _match(query.filters, request.attributes):
                continue
            score = len(words & set(re.findall(r"\w+", point.text.lower()))) / len(words)
            if score and score >= (query.score_threshold or 0):
                passage = _to_passage(point, f"point-{number}", score)
                passages.append(msgspec.structs.replace(passage, match=self.match(score)))
        return sorted(passages, key=lambda passage: -passage.score)[: query.limit]

    def _embed(self, body: Raw) -> Embeddings:
        """Embed a text as its numbers of letters, words and paragraphs, as a vector of length 1."""
        request = msgspec.msgpack.decode(body, type=EmbedRequest)
        vectors: list[bytes] = []
        for number, text in enumerate(request.texts, request.first):
            if len(text.split()) > MOST_WORDS:
                raise Fault("text_too_long", f"The input {number} has {len(text.split())} tokens. Split it.")
            counts = (len(text), len(text.split()), text.count("\n\n") + 1)
            vectors.append(array("f", [count / math.hypot(*counts) for count in counts]).tobytes())
        return Embeddings(vectors, [len(text.split()) for text in request.texts])

    def _read_content(self, body: Raw) -> list[TextPiece]:
        """Return one paragraph at a time, so that a caller has to come again."""
        request = msgspec.msgpack.decode(body, type=ContentRequest)
        if set(request.indexes) - {self.index}:
            raise Fault("index_changed", f"It is {self.index}, not {request.indexes}.")
        pieces = [
            TextPiece(point.start, point.start + len(point.text), point.text)
            for point in self.points
            if point.request.tenant == request.tenant
            and point.request.store == request.store
            and point.request.document == request.document
            and point.first <= request.index_epoch < point.end
        ]
        return sorted((piece for piece in pieces if piece.end > request.start), key=lambda piece: piece.start)[:1]

    def _remove_documents(self, body: Raw) -> None:
        reference = msgspec.msgpack.decode(body, type=DocumentsReference)
        if reference.index not in (None, self.index):
            raise Fault("index_changed", f"It is {self.index}, not {reference.index}.")
        documents = set(reference.documents)
        self.points = [point for point in self.points if point.request.document not in documents]

    def _rollback(self, body: Raw) -> None:
        store = msgspec.msgpack.decode(body, type=StoreAtIndexEpoch)
        self._admit(store.store, store.writer)
        mine = [point for point in self.points if point.request.store == store.store]
        self.points = [point for point in self.points if point not in mine or point.first <= store.index_epoch]
        for point in mine:
            if store.index_epoch < point.end:
                point.end = _OPEN

    def _collect_garbage(self, body: Raw) -> None:
        store = msgspec.msgpack.decode(body, type=StoreAtIndexEpoch)
        self._admit(store.store, store.writer)
        self.points = [p for p in self.points if p.request.store != store.store or p.end > store.index_epoch]

    def _drop_store(self, body: Raw) -> None:
        reference = msgspec.msgpack.decode(body, type=StoreReference)
        store = reference.store
        self._admit(store, reference.writer)
        self.points = [point for point in self.points if point.request.store != store]


class Fault(Exception):
    """Becomes the client's exception of that code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def _parse(path: str) -> str:
    """Return the text of a file in UTF-8, or in UTF-16, which stands for all that has to be parsed."""
    data = Path(path).read_bytes()
    try:
        text = data.decode("utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8")
    except UnicodeDecodeError:
        raise Fault("unsupported_file", f"Only text can be read here. {ACCEPTED}") from None
    if not text.strip():
        raise Fault("empty_file", "There is no text in it.")
    return text


def _encode(value: object) -> Raw:
    return Raw(msgspec.msgpack.encode(value))


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "in": lambda value, among: value in among,
    "nin": lambda value, among: value not in among,
}


def _match(filters: dict[str, Any] | None, attributes: dict[str, Any]) -> bool:
    if filters is None:
        return True
    kind = filters.get("type")
    if kind in ("and", "or"):
        parts = [_match(part, attributes) for part in filters["filters"]]
        return all(parts) if kind == "and" else any(parts)
    if kind not in _COMPARE:
        raise Fault("invalid_filter", f"No {kind} here.")
    if filters["key"] not in attributes:
        return kind in ("ne", "nin")
    return _COMPARE[kind](attributes[filters["key"]], filters["value"])


def _to_passage(point: _Point, id: str, score: float) -> Passage:
    request = point.request
    return Passage(
        id=id,
        store=request.store,
        document=request.document,
        key=request.key,
        version=request.version,
        file_id=request.file_id,
        filename=request.filename,
        text=point.text,
        start=point.start,
        end=point.start + len(point.text),
        heading="",
        score=score,
        attributes=request.attributes,
    )

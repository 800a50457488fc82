"""A retriever over the real socket that finds the passages of a script; for tests that need answers and no index."""

import asyncio
from array import array
from collections.abc import Callable, Collection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from msgspec import Raw

from retrieval.frames import Call, Failure, Reply, encode_frame, read_frame
from retrieval.messages import (
    ContentRequest,
    Embeddings,
    EmbedRequest,
    Passage,
    Queues,
    RetrieverInfo,
    SearchQuery,
    TextPiece,
)

__all__ = ["FakePassages", "make_passage"]


def make_passage(store: str, number: int, text: str, *, version: int = 1, **more: Any) -> Passage:
    values: dict[str, Any] = {
        "id": f"point-{number}",
        "store": store,
        "document": f"doc_{number}",
        "key": f"docs/{number}.md",
        "version": version,
        "file_id": f"file-{number}",
        "filename": f"{number}.md",
        "text": text,
        "start": 10 * number,
        "end": 10 * number + len(text),
        "heading": f"Part {number}",
        "score": 1 - number / 10,
        "attributes": {},
    }
    return Passage(**{**values, **more})


class FakePassages:
    """Listens on a Unix socket; `find` gives a question's passages, and `failing` makes every call fail, by `code`.

    `pieces` are documents' texts, by the documents' ids; `causes` are those of all calls. No database knows the
    documents: `find_live` stands for its look at them, and `deleted` are those that aren't there any more.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.find: Callable[[SearchQuery], list[Passage]] = lambda _query: []
        self.failing = False
        self.code = "retriever_unavailable"
        self.queries: list[SearchQuery] = []
        self.pieces: dict[str, list[TextPiece]] = {}
        self.causes: list[str] = []
        self.reads: list[ContentRequest] = []
        self.deleted: set[str] = set()
        self.looks: list[set[str]] = []
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self.path)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._writers):
            writer.close()
        self.path.unlink(missing_ok=True)

    async def find_live(self, _session: object, _tenant: str, documents: Collection[str]) -> set[str]:
        self.looks.append(set(documents))
        return set(documents) - self.deleted

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        while (frame := await read_frame(reader)) is not None:
            call = msgspec.msgpack.decode(frame, type=Call)
            self.causes.append(call.cause)
            writer.write(encode_frame(self._answer(call)))
        self._writers.discard(writer)
        writer.close()

    def _answer(self, call: Call) -> Reply:
        if self.failing:
            return Reply(call.id, "error", _encode(Failure(self.code, "told to fail")))
        if call.method == "describe":
            return Reply(
                call.id,
                "result",
                _encode(
                    RetrieverInfo(embedder="fake", dimensions=3, points=0, index="fake/words/1", chunker="paragraphs-1")
                ),
            )
        if call.method == "read_queues":
            queues = Queues(searches=3, questions=2, ingests=1, embeddings=0, batches=5, ahead=4)
            return Reply(call.id, "result", _encode(queues))
        if call.method == "search":
            query = msgspec.msgpack.decode(call.body, type=SearchQuery)
            self.queries.append(query)
            return Reply(call.id, "result", _encode(self.find(query)))
        if call.method == "read_content":
            request = msgspec.msgpack.decode(call.body, type=ContentRequest)
            self.reads.append(request)
            return Reply(call.id, "result", _encode(self.pieces.get(request.document, [])))
        if call.method == "embed":
            texts = msgspec.msgpack.decode(call.body, type=EmbedRequest).texts
            vector = array("f", [1.0, 0.0, 0.0]).tobytes()
            return Reply(call.id, "result", _encode(Embeddings([vector] * len(texts), [1] * len(texts))))
        return Reply(call.id, "result", _encode(None))


def _encode(value: object) -> Raw:
    return Raw(msgspec.msgpack.encode(value))

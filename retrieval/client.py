"""The gateway's side of the retriever: calls over a Unix socket. Torch-free."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from retrieval.client_connection import ClientConnection
from retrieval.errors import (
    DocumentUnreadable,
    IndexChanged,
    IndexFull,
    IndexSilent,
    IndexUnavailable,
    InvalidFilter,
    InvalidVisibility,
    RetrieverBusy,
    RetrieverError,
    RetrieverFailed,
    RetrieverSilent,
    RetrieverUnavailable,
    StaleWriter,
    TextTooLong,
)
from retrieval.messages import (
    ContentRequest,
    CopyRequest,
    DocumentsReference,
    Embeddings,
    EmbedRequest,
    HoldRequest,
    IngestProgress,
    IngestRequest,
    IngestResult,
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

__all__ = [
    "DocumentUnreadable",
    "IndexChanged",
    "IndexFull",
    "IndexSilent",
    "IndexUnavailable",
    "InvalidFilter",
    "InvalidVisibility",
    "Retriever",
    "RetrieverBusy",
    "RetrieverError",
    "RetrieverFailed",
    "RetrieverSilent",
    "RetrieverUnavailable",
    "StaleWriter",
    "TextTooLong",
]

SEARCH_SECONDS = 10.0
EMBED_SECONDS = 60.0
"""Texts to embed wait for questions, and take turns with documents."""
CHANGE_SECONDS = 60.0
"""A change waits for the ingest of the same store that runs before it to reach its next step."""
INGEST_SILENCE_SECONDS = 180.0
"""Between two signs of life of an ingest; the longest, parsing, has its own limit below this."""

COPY_SECONDS = 1800.0

_Result = TypeVar("_Result")


class Retriever:
    """A retriever process, reached by its socket; connects when first used, and again after the process restarted.

    While documents move to another index, a second process with that index answers at `second_path`. A call that names
    an index goes to the process that has it; one that doesn't, to the first.

    Every method raises `RetrieverUnavailable` when the process isn't there or dies during the call (it is never sent
    twice by itself), `RetrieverSilent`, one of those, when it says nothing in time, and `RetrieverFailed` when the
    process met a fault of its own. Those that take a `writer` raise
    `IndexChanged` when the retriever has another index than it names, and `StaleWriter` when a later one has begun.

    Args:
        cause: Returns the id of what the present task works for: the lines that a call makes the process log have it.
    """

    def __init__(
        self, socket_path: str | Path, second_path: str | Path | None = None, *, cause: Callable[[], str] = str
    ) -> None:
        self._path = str(socket_path)
        self._cause = cause
        self._second = None if second_path is None else Retriever(second_path, cause=cause)
        self._connection: ClientConnection | None = None
        self._connecting = asyncio.Lock()
        self._index: tuple[ClientConnection, str] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None
        if self._second is not None:
            await self._second.__aexit__(kind, error, trace)

    async def describe(self, index: str | None = None) -> RetrieverInfo:
        """Describe the process that has this index; where none has, or none is named, the first one."""
        return await (await self._find(index))._describe()

    async def describe_all(self) -> list[RetrieverInfo]:
        """Describe every process that answers, the first one first."""
        infos = [await self._describe()]
        with suppress(RetrieverError):
            if self._second is not None:
                infos.append(await self._second._describe())
        return infos

    async def read_queues(self) -> dict[str, Queues]:
        """Return what every process that answers has to do, by its name, `first` or `second`, however busy it is."""
        processes = {"first": self} if self._second is None else {"first": self, "second": self._second}
        queues: dict[str, Queues] = {}
        for name, retriever in processes.items():
            with suppress(RetrieverError):
                queues[name] = await retriever._send("read_queues", None, Queues, silence=SEARCH_SECONDS)
        return queues

    async def _describe(self) -> RetrieverInfo:
        info = await self._send("describe", None, RetrieverInfo, silence=SEARCH_SECONDS)
        self._index = None if self._connection is None else (self._connection, info.index)
        return info

    async def _find(self, index: str | None) -> "Retriever":
        if index is None or self._second is None or await self._has(index) or not await self._second._has(index):
            return self
        return self._second

    async def _has(self, index: str) -> bool:
        """Tell whether a process has an index, by what it said last on this connection."""
        if self._index is None or self._index[0] is not self._connection or self._index[0].closed:
            try:
                await self._describe()
            except RetrieverError:
                return False
        return self._index is not None and self._index[1] == index

    async def search(self, query: SearchQuery) -> list[Passage]:
        """Return the best passages first, equal scores in the order of their ids.

        Raises:
            InvalidFilter: `query.filters` isn't a filter.
            InvalidVisibility: The tenant is empty.
            IndexChanged: `query.indexes` names another index than the retriever's.
            RetrieverBusy: Too many searches are under way.
        """
        _refuse_unencodable(query.filters)
        return await self._call("search", query, list[Passage], silence=SEARCH_SECONDS)

    async def ingest(
        self, request: IngestRequest, progress: Callable[[IngestProgress], None] | None = None
    ) -> IngestResult:
        """Write a document's version for `request.index_epoch`; readers at earlier index epochs don't see it.

        The caller makes it visible by moving the store's index epoch, or undoes it by `rollback`. If the caller is
        cancelled or `progress` raises, the work stops at its next step and leaves invisible points behind.

        Raises:
            DocumentUnreadable: The bytes can't become text; nothing was written.
        """
        return await self._call("ingest", request, IngestResult, silence=INGEST_SILENCE_SECONDS, progress=progress)

    async def read_ahead(self, request: IngestRequest) -> None:
        """Begin to read a document that will be ingested soon, while another one is written; returns at once.

        It changes nothing but the time that the ingest takes.
        """
        await self._call("read_ahead", request, type(None), silence=SEARCH_SECONDS)

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Embed texts as documents are, after the questions that wait and in turn with documents.

        Raises:
            TextTooLong: One has more tokens than the embedder reads; none is embedded then.
            RetrieverBusy: Too many others are being embedded.
        """
        return await self._call("embed", request, Embeddings, silence=EMBED_SECONDS)

    async def read_content(self, request: ContentRequest) -> list[TextPiece]:
        """Return a document's text in its order, a bounded part of it; the next one starts where its last piece ends.

        None are left at the document's end.

        Raises:
            IndexChanged: `request.indexes` names another index than the retriever's.
        """
        return await self._call("read_content", request, list[TextPiece], silence=SEARCH_SECONDS)

    async def parse(self, request: ParseRequest) -> ParsedText:
        """Return the text of a file that is in no store, or not any more; it may take as long as that of an ingest.

        Raises:
            DocumentUnreadable: The bytes can't become text.
        """
        return await self._call("parse", request, ParsedText, silence=INGEST_SILENCE_SECONDS)

    async def hold(self, seconds: float) -> None:
        """Let changes of the index wait until `resume`, and so long at most; searches go on.

        Raises:
            RetrieverFailed: The index is in a Qdrant server.
        """
        await self._call("hold", HoldRequest(seconds), type(None), silence=CHANGE_SECONDS)

    async def copy(self, folder: Path) -> None:
        """Copy the index, which is on hold, into a folder that the retriever's process can write.

        Raises:
            RetrieverFailed: It isn't on hold, or the folder can't be written.
        """
        await self._call("copy", CopyRequest(str(folder)), type(None), silence=COPY_SECONDS)

    async def resume(self) -> None:
        """Let changes go on."""
        await self._change("resume", None)

    async def has_store(self, tenant: str, store: str) -> bool:
        """Tell whether the index has points of a store, in whatever index epoch."""
        return await self._call("has_store", StoreReference(tenant, store), bool, silence=SEARCH_SECONDS)

    async def remove_documents(
        self, tenant: str, store: str, documents: Sequence[str], index: str | None = None
    ) -> None:
        """Delete all points of documents at once, for readers of every index epoch.

        Raises:
            IndexChanged: The retriever has another index than `index`.
        """
        await self._change("remove_documents", DocumentsReference(tenant, store, list(documents), index))

    async def rollback(self, tenant: str, store: str, index_epoch: int, writer: Writer | None = None) -> None:
        """Undo whatever was written for later index epochs than `index_epoch`, the one that readers see."""
        await self._change("rollback", StoreAtIndexEpoch(tenant, store, index_epoch, writer))

    async def collect_garbage(self, tenant: str, store: str, index_epoch: int, writer: Writer | None = None) -> None:
        """Delete the points that no reader at `index_epoch` or later can see."""
        await self._change("collect_garbage", StoreAtIndexEpoch(tenant, store, index_epoch, writer))

    async def drop_store(self, tenant: str, store: str, writer: Writer | None = None) -> None:
        """Delete all points of a store."""
        await self._change("drop_store", StoreReference(tenant, store, writer))

    async def _change(self, method: str, body: object) -> None:
        await self._call(method, body, type(None), silence=CHANGE_SECONDS)

    async def _call(
        self,
        method: str,
        body: object,
        result: type[_Result],
        *,
        silence: float,
        progress: Callable[[IngestProgress], None] | None = None,
    ) -> _Result:
        retriever = await self._find(_name_index(body))
        return await retriever._send(method, body, result, silence=silence, progress=progress)

    async def _send(
        self,
        method: str,
        body: object,
        result: type[_Result],
        *,
        silence: float,
        progress: Callable[[IngestProgress], None] | None = None,
    ) -> _Result:
        connection = await self._connect()
        answer = await connection.call(method, body, silence=silence, progress=progress, cause=self._cause())
        try:
            return msgspec.msgpack.decode(answer, type=result)
        except msgspec.DecodeError as error:
            raise RetrieverFailed(
                f"The retriever's answer to '{method}' isn't understood ({error}): it runs another version. Restart it."
            ) from error

    async def _connect(self) -> ClientConnection:
        async with self._connecting:
            if self._connection is not None and not self._connection.closed:
                return self._connection
            if self._connection is not None:
                await self._connection.close()
                self._connection = None
            try:
                reader, writer = await asyncio.open_unix_connection(self._path)
            except OSError as error:
                raise RetrieverUnavailable(
                    f"No retriever listens at {self._path} ({error.strerror or error}). It takes seconds to start: "
                    "try again, and look at its log if it stays so."
                ) from error
            self._connection = ClientConnection(reader, writer)
            return self._connection


def _name_index(body: object) -> str | None:
    """Return the index that a call names."""
    match body:
        case SearchQuery() | ContentRequest():
            return body.indexes[0] if body.indexes else None
        case DocumentsReference():
            return body.index
        case IngestRequest() | StoreAtIndexEpoch() | StoreReference():
            return None if body.writer is None else body.writer.index
        case _:
            return None


def _refuse_unencodable(filters: dict[str, Any] | None) -> None:
    """Refuse what JSON can say and MessagePack can't."""
    try:
        msgspec.msgpack.encode(filters)
    except (OverflowError, UnicodeEncodeError) as error:
        raise InvalidFilter(
            f"filters hold a value that can't be compared ({error}). Send whole numbers of at most 64 bits, and text "
            "without half characters (lone surrogates)."
        ) from error

"""The texts of a tenant's documents: of the present version as it is searched, of earlier ones from their bytes.

Bytes are kept as long as their document is there; of a deleted one see `deleted_documents`.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeVar

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.artifacts import Artifacts
from gateway.db import Database
from gateway.vector_stores.deleted_documents import DeletedContent
from gateway.vector_stores.repository import DocumentRepository, StoreRepository, VersionRepository
from gateway.vector_stores.retriever_errors import explain_index_change, explain_retriever_errors
from gateway.vector_stores.search import StoreStates
from gateway.vector_stores.tables import DocumentVersionRow
from retrieval.client import DocumentUnreadable, Retriever
from retrieval.messages import ContentRequest, ParseRequest

__all__ = ["DocumentTexts", "LiveDocument", "VersionText", "list_present", "list_version_times"]

Content = TypeVar("Content", DocumentVersionRow, DeletedContent)

_VERSIONS = 20
_MOST_BYTES = 4 * 1024 * 1024
"""Of text; what has to be parsed says less with its bytes, and takes longer."""

_PARSED_VERSIONS = 5
_PARSED_DELETED = 10
_MOST_DELETED_BYTES = 16 * 1024 * 1024
_MOST_PARSED_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class LiveDocument:
    """A document that is there, and the version that answers."""

    key: str
    store: str
    version: int


@dataclass(frozen=True, slots=True)
class VersionText:
    """The text of one version, as its bytes have it, or as it is parsed out of them."""

    version: int
    filename: str
    text: str


async def list_present(session: AsyncSession, tenant: str, documents: Collection[str]) -> Mapping[str, LiveDocument]:
    """Return those of some documents that are there, as is their store, and have a version that answers, by their ids.

    Rows of a deleted store's documents stay as they are until a job has removed them.
    """
    rows = await DocumentRepository(session, tenant).list_of(documents)
    stores = await StoreRepository(session, tenant).find_present({row.store_id for row in rows})
    return {
        row.id: LiveDocument(row.key, row.store_id, row.version)
        for row in rows
        if row.version and row.store_id in stores
    }


async def list_version_times(session: AsyncSession, tenant: str, documents: Collection[str]) -> Mapping[str, list[int]]:
    """Return when each version of some documents was put, in Unix seconds, oldest first, by the documents' ids."""
    return await VersionRepository(session, tenant).list_times(documents)


class DocumentTexts:
    """Reads texts. No transaction is open while the retriever or a disk is asked."""

    def __init__(self, database: Database, retriever: Retriever, artifacts: Artifacts, tenant: str) -> None:
        self._database = database
        self._retriever = retriever
        self._artifacts = artifacts
        self._tenant = tenant

    async def read_present(self, states: StoreStates, store: str, document: str) -> str:
        """Return a document's text at the index epoch of `states`.

        Raises:
            Unavailable: The retriever can't answer now, or hasn't all documents: one that it lacks would have no text.
        """
        if states.problem:
            raise explain_index_change(states.problem)
        request = ContentRequest(
            tenant=self._tenant,
            store=store,
            document=document,
            index_epoch=states.index_epochs[store],
            indexes=list(states.indexes),
        )
        texts: list[str] = []
        with explain_retriever_errors([store]):
            while pieces := await self._retriever.read_content(request):
                texts += [piece.text for piece in pieces]
                request = msgspec.structs.replace(request, start=pieces[-1].end)
        return "\n".join(texts)

    async def read_earlier(self, document: str) -> Sequence[VersionText]:
        """Return the twenty versions before the present one, newest first.

        Of those that aren't UTF-8 text (PDF, office files) the newest five are parsed anew, as they were for the index.

        Raises:
            Unavailable: The retriever, which parses, can't answer now.
        """
        async with self._database.read() as session:
            row = await DocumentRepository(session, self._tenant).find(document)
            versions = VersionRepository(session, self._tenant)
            earlier = await versions.list_earlier(document, row.version if row else 0, _VERSIONS)
        read = await self._read(earlier, _PARSED_VERSIONS)
        return [VersionText(one.version, one.filename, text) for one, text in read]

    async def read_deleted(self, contents: Sequence[DeletedContent]) -> Sequence[tuple[DeletedContent, str]]:
        """Return the texts of what deleted documents had, as far as they can be read and are 16 MiB in all.

        Of those that aren't UTF-8 text the first ten are parsed.

        Raises:
            Unavailable: The retriever, which parses, can't answer now.
        """
        sizes = accumulate(one.bytes for one in contents)
        fitting = [one for one, size in zip(contents, sizes, strict=True) if size <= _MOST_DELETED_BYTES]
        return await self._read(fitting, _PARSED_DELETED)

    async def _read(self, contents: Sequence[Content], most_parsed: int) -> list[tuple[Content, str]]:
        read: list[tuple[Content, str]] = []
        parses = 0
        for one in contents:
            text = await asyncio.to_thread(self._decode, one.digest) if one.bytes <= _MOST_BYTES else None
            if text is None and parses < most_parsed and one.bytes <= _MOST_PARSED_BYTES:
                parses += 1
                text = await self._parse(one)
            if text is not None:
                read.append((one, text))
        return read

    def _decode(self, digest: str) -> str | None:
        try:
            return self._artifacts.locate_file(digest).read_bytes().decode("utf-8-sig")
        except (FileNotFoundError, UnicodeDecodeError):
            return None

    async def _parse(self, version: DocumentVersionRow | DeletedContent) -> str | None:
        path = self._artifacts.locate_file(version.digest)
        if await asyncio.to_thread(path.exists):
            with explain_retriever_errors([]), suppress(DocumentUnreadable):  # it was read: by another parser
                return (await self._retriever.parse(ParseRequest(str(path), version.filename))).text
        return None

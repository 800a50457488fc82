"""The texts of a tenant's documents: of the present version as it is searched, of earlier ones from their bytes."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.artifacts import Artifacts
from gateway.db import Database
from gateway.vector_stores.repository import DocumentRepository, VersionRepository
from gateway.vector_stores.retriever_errors import explain_retriever_errors
from gateway.vector_stores.search import StoreStates
from retrieval.client import Retriever
from retrieval.messages import ContentRequest

__all__ = ["DocumentTexts", "LiveDocument", "VersionText", "list_present", "list_version_times"]

_VERSIONS = 20
_MOST_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class LiveDocument:
    """A document that is there, and the version that answers."""

    key: str
    store: str
    version: int


@dataclass(frozen=True, slots=True)
class VersionText:
    """The text of one version, as its bytes have it."""

    version: int
    filename: str
    text: str


async def list_present(session: AsyncSession, tenant: str, documents: Collection[str]) -> Mapping[str, LiveDocument]:
    """Return those of some documents that are there and have a version that answers, by their ids."""
    rows = await DocumentRepository(session, tenant).list_of(documents)
    return {row.id: LiveDocument(row.key, row.store_id, row.version) for row in rows if row.version}


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
            Unavailable: The retriever can't answer now.
        """
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
        """Return the twenty versions before the present one, newest first, as far as their bytes are UTF-8 text."""
        async with self._database.read() as session:
            row = await DocumentRepository(session, self._tenant).find(document)
            versions = VersionRepository(session, self._tenant)
            earlier = await versions.list_earlier(document, row.version if row else 0, _VERSIONS)
        texts: list[VersionText] = []
        for one in earlier:
            if one.bytes <= _MOST_BYTES:
                text = await asyncio.to_thread(self._decode, one.digest)
                if text is not None:
                    texts.append(VersionText(one.version, one.filename, text))
        return texts

    def _decode(self, digest: str) -> str | None:
        try:
            return self._artifacts.file(digest).read_bytes().decode("utf-8-sig")
        except (FileNotFoundError, UnicodeDecodeError):
            return None

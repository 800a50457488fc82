"""The jobs that remove the rest of a deleted document or store; nobody has seen it since the delete."""

from sqlalchemy import ColumnElement
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.files.service import delete_files
from gateway.jobs import Claim, JobDelayed, Outcome, failpoint
from gateway.vector_stores.repository import DocumentRepository, StoreRepository, VersionRepository
from gateway.vector_stores.tables import DocumentRow
from retrieval.client import Retriever, RetrieverUnavailable

__all__ = ["DropHandler", "RemoveHandler"]


class RemoveHandler:
    """Handles jobs of the kind `remove`: one document's points, then its rows."""

    def __init__(self, retriever: Retriever) -> None:
        self._retriever = retriever

    async def run(self, claim: Claim) -> None:
        document: str = claim.payload["document"]
        try:
            await self._retriever.remove_document(claim.tenant, claim.payload["store"], document)
        except RetrieverUnavailable as error:
            raise JobDelayed(str(error)) from error
        failpoint("remove-points")
        async with claim.begin() as session:
            await _erase(session, claim.tenant, DocumentRow.id == document)
        failpoint("remove-rows")

    async def record_end(self, session: AsyncSession, claim: Claim, outcome: Outcome) -> None:
        """Write nothing: the document stays hidden and excluded from searches, which is all that was promised."""


class DropHandler:
    """Handles jobs of the kind `drop`: a store with all its documents."""

    def __init__(self, retriever: Retriever) -> None:
        self._retriever = retriever

    async def run(self, claim: Claim) -> None:
        store: str = claim.payload["store"]
        try:
            await self._retriever.drop_store(claim.tenant, store)
        except RetrieverUnavailable as error:
            raise JobDelayed(str(error)) from error
        failpoint("drop-points")
        async with claim.begin() as session:
            await _erase(session, claim.tenant, DocumentRow.store_id == store)
            await StoreRepository(session, claim.tenant).erase(store)
        failpoint("drop-rows")

    async def record_end(self, session: AsyncSession, claim: Claim, outcome: Outcome) -> None:
        """Write nothing: the store stays hidden."""


async def _erase(session: AsyncSession, tenant: str, where: ColumnElement[bool]) -> None:
    """Delete documents with their versions, and the files that were made for them; a client's own files stay."""
    contents = await VersionRepository(session, tenant).list_contents(where)
    await DocumentRepository(session, tenant).erase(where)
    await delete_files(
        session,
        tenant,
        ids={file for key, file, _ in contents if file != key},
        digests={digest for _, _, digest in contents},
    )

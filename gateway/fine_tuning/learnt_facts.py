"""The stores of a facts lint, with what trainings have noted of documents that aren't there any more."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.artifacts import Artifacts
from gateway.conversations.deleted_facts import DeletedText
from gateway.conversations.store_facts import StoreFacts
from gateway.db import Database
from gateway.fine_tuning.repository import LearntFactRepository
from gateway.vector_stores.version_texts import list_present
from retrieval.client import Retriever

__all__ = ["open_store_facts"]

_MOST_VALUES = 5_000


async def open_store_facts(
    database: Database, retriever: Retriever, artifacts: Artifacts, tenant: str, stores: Sequence[str]
) -> StoreFacts:
    """Read the stores' present state, and the values of their deleted documents that trainings have noted.

    Raises:
        NotFound: The tenant has no such store.
        BadRequest: A store has expired.
    """
    async with database.read() as session:
        deleted_texts = await _list_deleted(session, tenant, stores)
    return await StoreFacts.open(database, retriever, artifacts, tenant, stores, deleted_texts)


async def _list_deleted(session: AsyncSession, tenant: str, stores: Sequence[str]) -> list[DeletedText]:
    """List the values that were noted last; of each document and spelling one."""
    facts = await LearntFactRepository(session, tenant).list_newest(stores, _MOST_VALUES)
    present = await list_present(session, tenant, {fact.document_id for fact in facts})
    values = {(fact.document_id, fact.text): fact for fact in reversed(facts) if fact.document_id not in present}
    return [
        DeletedText(
            *(fact.store_id, fact.document_id, fact.document_key, fact.document_version),
            *(0, fact.document_key, fact.text),
        )
        for fact in values.values()
    ]

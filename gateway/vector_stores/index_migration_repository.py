"""The moves of documents to another index. An index is one for all tenants, and so are these."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.vector_stores.tables import DocumentRow, DocumentVersionRow, IndexMigrationRow, StoreRow

__all__ = [
    "CopyState",
    "exchange_indexes",
    "find_migration",
    "find_open_migration",
    "find_store_of_any_tenant",
    "forget_indexes",
    "hold_filled_stores",
    "list_filled_store_ids",
    "list_index_identities",
    "list_migrations",
    "list_mirrored_stores",
    "list_stores_behind",
    "name_target",
    "note_problem",
    "read_copy_state",
]


_LOST_INDEX = "lost"
"""An identity that no index has. None would be taken for a store from before identities were noted."""


@dataclass(frozen=True, slots=True)
class CopyState:
    """The live documents of all stores, and how many of them the second index lacks.

    `failed` of the missing can't be read for it. Stores are `behind` that it doesn't follow yet, or didn't of late.
    """

    documents: int
    missing: int
    failed: int
    stores_behind: int


async def find_open_migration(session: AsyncSession) -> IndexMigrationRow | None:
    """Return the move that goes on; it is of all tenants, as the index is."""
    query = select(IndexMigrationRow).where(IndexMigrationRow.ended_at.is_(None))
    return (await session.scalars(query)).one_or_none()


async def find_migration(session: AsyncSession, id: str) -> IndexMigrationRow | None:
    """Return a move as it is now, which nobody else changes until the unit of work ends; it is of all tenants."""
    query = select(IndexMigrationRow).where(IndexMigrationRow.id == id).with_for_update()
    return (await session.scalars(query.execution_options(populate_existing=True))).one_or_none()


async def find_store_of_any_tenant(session: AsyncSession, id: str) -> StoreRow | None:
    """Return a store: the operator compares indexes, which are of all tenants."""
    query = select(StoreRow).where(StoreRow.id == id, StoreRow.deleted_at.is_(None))
    return (await session.scalars(query)).one_or_none()


async def list_migrations(session: AsyncSession, limit: int) -> Sequence[IndexMigrationRow]:
    """List the latest moves, newest first; they are of all tenants."""
    order = (IndexMigrationRow.created_at.desc(), IndexMigrationRow.id.desc())
    return (await session.scalars(select(IndexMigrationRow).order_by(*order).limit(limit))).all()


async def name_target(session: AsyncSession, id: str, index: str) -> None:
    """Note which index the target's retriever has, once; a move is of all tenants."""
    await session.execute(
        update(IndexMigrationRow)
        .where(IndexMigrationRow.id == id, IndexMigrationRow.target_index.is_(None))
        .values(target_index=index)
    )


async def note_problem(session: AsyncSession, problem: str | None) -> None:
    """Note why the second retriever of the open move fell, None where it runs; a move is of all tenants."""
    await session.execute(update(IndexMigrationRow).where(IndexMigrationRow.ended_at.is_(None)).values(problem=problem))


async def list_stores_behind(session: AsyncSession, mirror: str) -> Sequence[StoreRow]:
    """List the stores of all tenants that aren't whole in the second index, but for what can't be read for it."""
    lacks = _has_live_version(_is_missing(mirror), DocumentVersionRow.mirror_error.is_(None))
    query = select(StoreRow).where(_is_filled(), or_(_is_behind(mirror), lacks)).order_by(StoreRow.id)
    return (await session.scalars(query)).all()


async def list_mirrored_stores(session: AsyncSession) -> Sequence[StoreRow]:
    """List the stores of all tenants that have points in a second index."""
    query = select(StoreRow).where(StoreRow.deleted_at.is_(None), StoreRow.mirror_identity.is_not(None))
    return (await session.scalars(query.order_by(StoreRow.id))).all()


async def list_filled_store_ids(session: AsyncSession, limit: int) -> Sequence[str]:
    """List the ids of stores of all tenants that have documents."""
    where = (_is_filled(), _has_live_version())
    return (await session.scalars(select(StoreRow.id).where(*where).order_by(StoreRow.id).limit(limit))).all()


async def list_index_identities(session: AsyncSession) -> set[str]:
    """List the indexes that stores of any tenant have points in, and those of the move that goes on."""
    identities: set[str | None] = set()
    for source, mirror in await session.execute(select(StoreRow.index_identity, StoreRow.mirror_identity).distinct()):
        identities |= {source, mirror}
    if (migration := await find_open_migration(session)) is not None:
        identities |= {migration.source_index, migration.target_index}
    return {identity for identity in identities if identity is not None}


async def hold_filled_stores(session: AsyncSession) -> None:
    """Let no job publish anything in a store of any tenant until the unit of work ends."""
    await session.execute(select(StoreRow.id).where(_is_filled()).order_by(StoreRow.id).with_for_update())


async def read_copy_state(session: AsyncSession, mirror: str | None) -> CopyState:
    """Count, over all tenants, what is in the second index and what isn't."""
    live = (
        select(func.count(DocumentVersionRow.id))
        .join(DocumentRow, DocumentRow.id == DocumentVersionRow.document_id)
        .join(StoreRow, StoreRow.id == DocumentRow.store_id)
        .where(_is_live(), _is_filled())
    )
    missing = live.where(_is_missing(mirror))
    failed = missing.where(DocumentVersionRow.mirror_error.is_not(None))
    behind = select(func.count(StoreRow.id)).where(_is_filled(), _is_behind(mirror))
    counts = [await session.scalar(query) or 0 for query in (live, missing, failed, behind)]
    return CopyState(*counts)


async def exchange_indexes(session: AsyncSession) -> None:
    """Let searches of all tenants ask the second index from this commit on, and keep the first in step with it."""
    stores = select(StoreRow.id).where(StoreRow.deleted_at.is_(None), StoreRow.mirror_identity.is_not(None))
    documents = select(DocumentRow.id).where(DocumentRow.store_id.in_(stores))
    await session.execute(
        update(DocumentVersionRow)
        .where(DocumentVersionRow.document_id.in_(documents))
        .values(
            index_identity=DocumentVersionRow.mirror_identity,
            chunker=DocumentVersionRow.mirror_chunker,
            mirror_identity=DocumentVersionRow.index_identity,
            mirror_chunker=DocumentVersionRow.chunker,
            mirror_error=None,
        )
        .execution_options(synchronize_session=False)
    )
    await session.execute(
        update(StoreRow)
        .where(StoreRow.deleted_at.is_(None), StoreRow.mirror_identity.is_not(None))
        .values(index_identity=StoreRow.mirror_identity, mirror_identity=StoreRow.index_identity, index_whole=True)
        .execution_options(synchronize_session=False)
    )


async def forget_indexes(session: AsyncSession) -> int:
    """Have the documents of all tenants in no index, and end a move to another; return the number of stores."""
    nowhere = {"index_identity": None, "mirror_identity": None, "mirror_chunker": None, "mirror_error": None}
    await session.execute(update(DocumentVersionRow).values(**nowhere))
    stores = await session.scalars(
        update(StoreRow)
        .where(_is_filled())
        .values(index_identity=_LOST_INDEX, index_whole=False, mirror_identity=None)
        .returning(StoreRow.id)
    )
    now = {"phase": "cancelled", "ended_at": int(time.time())}
    await session.execute(update(IndexMigrationRow).where(IndexMigrationRow.ended_at.is_(None)).values(**now))
    return len(stores.all())


def _is_filled() -> ColumnElement[bool]:
    return StoreRow.deleted_at.is_(None) & (StoreRow.index_epoch > 0)


def _is_live() -> ColumnElement[bool]:
    return DocumentRow.deleted_at.is_(None) & (DocumentVersionRow.version == DocumentRow.version)


def _is_missing(mirror: str | None) -> ColumnElement[bool]:
    return DocumentVersionRow.mirror_identity.is_distinct_from(mirror)


def _is_behind(mirror: str | None) -> ColumnElement[bool]:
    return StoreRow.mirror_identity.is_distinct_from(mirror) | (StoreRow.mirror_epoch != StoreRow.index_epoch)


def _has_live_version(*where: ColumnElement[bool]) -> ColumnElement[bool]:
    """Tell whether the store of the query around it has a live version of which all that is true."""
    return exists(
        select(DocumentVersionRow.id)
        .join(DocumentRow, DocumentRow.id == DocumentVersionRow.document_id)
        .where(DocumentRow.store_id == StoreRow.id, _is_live(), *where)
    )

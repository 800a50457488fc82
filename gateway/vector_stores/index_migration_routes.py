from typing import Annotated

from fastapi import APIRouter, Depends

from gateway.vector_stores.index_migration_schemas import (
    IndexMigration,
    IndexMigrationCreate,
    IndexMigrationEvaluate,
    IndexMigrationEvaluation,
    IndexMigrationList,
    IndexMigrationSwap,
)
from gateway.vector_stores.index_migration_service import IndexMigrationService
from gateway.web.dependencies import AdminKey, CurrentState
from gateway.web.error_responses import declare_errors

__all__ = ["router"]

router = APIRouter(prefix="/api/index_migrations", tags=["documents"], responses=declare_errors(404, 409))


def _service(_principal: AdminKey, state: CurrentState) -> IndexMigrationService:
    settings = state.settings
    return IndexMigrationService(state.database, state.retriever, settings.embedder, settings.qdrant_url)


Migrations = Annotated[IndexMigrationService, Depends(_service)]


@router.post("", status_code=201)
async def create_index_migration(request: IndexMigrationCreate, migrations: Migrations) -> IndexMigration:
    """Begin to bring the documents of all tenants into a second index, beside the one that searches ask."""
    return await migrations.create(request)


@router.get("")
async def list_index_migrations(migrations: Migrations) -> IndexMigrationList:
    return await migrations.list()


@router.get("/{index_migration_id}")
async def get_index_migration(index_migration_id: str, migrations: Migrations) -> IndexMigration:
    return await migrations.get(index_migration_id)


@router.post("/{index_migration_id}/evaluate")
async def evaluate_index_migration(
    index_migration_id: str, request: IndexMigrationEvaluate, migrations: Migrations
) -> IndexMigrationEvaluation:
    """Ask both indexes the same questions, labelled ones or some that are made from the store's documents."""
    return await migrations.evaluate(index_migration_id, request)


@router.post("/{index_migration_id}/swap")
async def swap_indexes(index_migration_id: str, request: IndexMigrationSwap, migrations: Migrations) -> IndexMigration:
    """Have searches ask the target from now on; the source is kept in step."""
    return await migrations.swap(index_migration_id, request)


@router.post("/{index_migration_id}/rollback")
async def roll_back_indexes(index_migration_id: str, migrations: Migrations) -> IndexMigration:
    """Have searches ask the source again; nothing that was written since is lost."""
    return await migrations.roll_back(index_migration_id)


@router.post("/{index_migration_id}/cancel")
async def cancel_index_migration(index_migration_id: str, migrations: Migrations) -> IndexMigration:
    """Give up the target, and delete what is in it."""
    return await migrations.cancel(index_migration_id)


@router.post("/{index_migration_id}/finish")
async def finish_index_migration(index_migration_id: str, migrations: Migrations) -> IndexMigration:
    """Give up the source, and delete what is in it: no rollback after that."""
    return await migrations.finish(index_migration_id)

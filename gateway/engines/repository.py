"""The base model that engines serve, for processes on machines that don't have its files; it is no tenant's."""

import time
from contextlib import suppress

import msgspec
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.engines.served_base_model import ServedBaseModel
from gateway.engines.tables import BaseModelRow
from gateway.engines.training_traits import TrainingTraits

__all__ = ["announce_base", "read_announced_base"]


async def announce_base(session: AsyncSession, base: ServedBaseModel) -> None:
    """Write down which base model is served now, for processes that don't have its files."""
    newest = (await session.scalars(select(BaseModelRow).order_by(BaseModelRow.served_at.desc()).limit(1))).first()
    row = BaseModelRow(
        digest=base.digest,
        name=base.name,
        chat_template_digest=base.chat_template_digest,
        folds_system=base.folds_system,
        markers=None if base.markers is None else list(base.markers),
        training=None if base.training is None else msgspec.to_builtins(base.training),
        served_at=max(time.time(), newest.served_at + 1e-3 if newest else 0.0),
    )
    if newest is not None and newest.digest == base.digest:
        row.served_at = newest.served_at
    with suppress(IntegrityError):  # another process of this start has just written the same
        async with session.begin_nested():
            await session.merge(row)


async def read_announced_base(session: AsyncSession) -> ServedBaseModel | None:
    """Return the base model that was announced last, without a folder; None where none was."""
    row = (await session.scalars(select(BaseModelRow).order_by(BaseModelRow.served_at.desc()).limit(1))).first()
    if row is None:
        return None
    return ServedBaseModel(
        name=row.name,
        path="",
        digest=row.digest,
        chat_template_digest=row.chat_template_digest,
        folds_system=row.folds_system,
        markers=None if row.markers is None else tuple(row.markers),
        training=None if row.training is None else msgspec.convert(row.training, TrainingTraits),
    )

"""The base model that the engine serves, as the rest of the gateway needs to know it."""

import time
from contextlib import suppress
from pathlib import Path

import msgspec
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.engines.tables import BaseModelRow
from gateway.settings import Settings, SettingsError

__all__ = ["ServedBaseModel", "announce_base", "read_announced_base"]


class ServedBaseModel(msgspec.Struct, frozen=True):
    """Public name, folder of the checkpoint (for training and the verdict), and digest of its weights.

    `path` is empty in a process that knows the base from the database alone.
    """

    name: str
    path: str
    digest: str
    names: tuple[str, ...] = ()
    """Other names by which an adapter may call its base: the Hugging Face id, the local path."""
    chat_template_digest: str = ""
    folds_system: bool = False
    """The system text goes into the first user message, see `training.chat_format`."""

    @classmethod
    def load(cls, settings: Settings) -> "ServedBaseModel":
        """Read what `braid up` left under the home folder.

        Raises:
            SettingsError: No base model has been prepared there.
        """
        try:
            return msgspec.json.decode(cls.file(settings.home).read_bytes(), type=cls)
        except FileNotFoundError:
            raise SettingsError(
                f"No base model is prepared under {settings.home}. Run 'braid up', which prepares it, first."
            ) from None

    @classmethod
    def find(cls, settings: Settings) -> "ServedBaseModel | None":
        """Like `load`, but None where nothing is prepared: engines that somebody else runs know their own base."""
        return cls.load(settings) if cls.file(settings.home).exists() else None

    @staticmethod
    def file(home: Path) -> Path:
        return home / "run" / "base.json"


async def announce_base(session: AsyncSession, base: ServedBaseModel) -> None:
    """Write down which base model is served now, for processes that don't have its files."""
    newest = (await session.scalars(select(BaseModelRow).order_by(BaseModelRow.served_at.desc()).limit(1))).first()
    row = BaseModelRow(
        digest=base.digest,
        name=base.name,
        chat_template_digest=base.chat_template_digest,
        folds_system=base.folds_system,
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
    )

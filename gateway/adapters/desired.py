"""The adapters that engines have to hold: the question that each reconciler asks every second."""

import time
from collections.abc import Collection
from pathlib import PurePosixPath
from typing import Any

import msgspec
import structlog

from gateway.adapters.repository import DesiredRow, find_served_names, list_changed, list_desired, load_manifests
from gateway.db import Database
from gateway.engines import DesiredAdapter
from gateway.settings import Settings
from training.manifest import Probe

__all__ = ["DesiredAdapters"]

_log = structlog.get_logger()

_WHOLE_SECONDS = 60.0
# What another process wrote may be a little older when it is committed, and its clock a little wrong; what is beyond
# that is found by the next whole read.
_OVERLAP_SECONDS = 10.0


class DesiredAdapters:
    """Answers with what the database wants, in the engines' terms.

    Each answer reads only what was written since the one before; once per minute one reads all.

    Attributes:
        folder: The folder of all adapters, as engines see it.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self.folder = str(settings.engine_adapter_dir or settings.artifacts / "adapters")
        self._database = database
        self._entries: dict[str, tuple[str, DesiredAdapter]] = {}
        self._answer: list[DesiredAdapter] = []
        self._read_at = 0.0
        self._whole_at: float | None = None

    async def __call__(self) -> list[DesiredAdapter]:
        """List the adapters of all tenants that are ready or being probed; the same list as long as nothing changes."""
        now = time.time()
        # A clock that was set back would hide what is written until it has come as far again.
        whole = self._whole_at is None or not self._whole_at <= now < self._whole_at + _WHOLE_SECONDS
        async with self._database.read() as session:
            if whole:
                rows = await list_desired(session)
            else:
                rows = await list_changed(session, self._read_at - _OVERLAP_SECONDS)
            desired = [row for row in rows if row.on_engines]
            unknown = [row.id for row in desired if not self._is_known(row)]
            # A manifest is large and never changes, so each is read once.
            manifests = await load_manifests(session, unknown) if unknown else {}
        if whole:
            absent_ids = self._entries.keys() - {row.id for row in desired}
            self._whole_at = now
        else:
            absent_ids = self._entries.keys() & {row.id for row in rows if not row.on_engines}
        self._read_at = now
        if manifests or absent_ids:
            for id in absent_ids:
                del self._entries[id]
            for row in desired:
                if row.id in manifests:
                    self._take(row, manifests[row.id])
            self._answer = [adapter for _, adapter in self._entries.values()]
        return self._answer

    async def find_names(self, names: Collection[str]) -> set[str]:
        """Return those of some engines' names that the database has for an adapter, whatever became of it."""
        async with self._database.read() as session:
            return await find_served_names(session, names)

    def _take(self, row: DesiredRow, manifest: dict[str, Any]) -> None:
        try:
            self._entries[row.id] = row.digest, self._adapter(row, manifest)
        except Exception:  # a manifest that can't be used takes no other adapter with it
            _log.exception("adapter_manifest_unusable", adapter=row.served_name)

    def _is_known(self, row: DesiredRow) -> bool:
        entry = self._entries.get(row.id)
        return entry is not None and entry[0] == row.digest

    def _adapter(self, row: DesiredRow, manifest: dict[str, Any]) -> DesiredAdapter:
        path = str(PurePosixPath(self.folder) / row.digest)
        return DesiredAdapter(row.served_name, path, msgspec.convert(manifest["probe"], list[Probe]), row.id)

"""The adapters that engines have to hold: the question that each reconciler asks every second."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from gateway.adapters.repository import DesiredRow, list_desired, load_manifests
from gateway.db import Database
from gateway.engines import DesiredAdapter, Probe
from gateway.settings import Settings

__all__ = ["DesiredAdapters"]


class DesiredAdapters:
    """Answers with what the database wants, in the engines' terms.

    Attributes:
        folder: The folder of all adapters, as engines see it.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self.folder = str(settings.engine_adapter_dir or settings.artifacts / "adapters")
        self._database = database
        self._known: dict[tuple[str, str], DesiredAdapter] = {}

    async def __call__(self) -> list[DesiredAdapter]:
        """List the adapters of all tenants that are ready or being probed."""
        async with self._database.read() as session:
            rows = await list_desired(session)
            unknown = [row.id for row in rows if (row.id, row.digest) not in self._known]
            # A manifest is large and never changes, so each is read once.
            manifests = await load_manifests(session, unknown) if unknown else {}
        known = {key: self._known[key] for row in rows if (key := (row.id, row.digest)) in self._known}
        for row in rows:
            if row.id in manifests:
                known[row.id, row.digest] = self._adapter(row, manifests[row.id])
        self._known = known
        return list(known.values())

    def _adapter(self, row: DesiredRow, manifest: dict[str, Any]) -> DesiredAdapter:
        path = str(PurePosixPath(self.folder) / row.digest)
        return DesiredAdapter(row.served_name, path, _probes(manifest["probe"]), row.id)


def _probes(rows: Sequence[dict[str, Any]]) -> list[Probe]:
    return [Probe(row["tokens"], row["from"], row["logprobs"], row["base_logprobs"]) for row in rows]

"""Adapters when the base model changes: those of another base are set aside, and come back when theirs does.

An engine loads any adapter whose shapes fit, and answers 200 with weights that mean nothing on its base.
"""

from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.adapters.identity import AdapterRefused
from gateway.adapters.lifecycle import AdapterStatus, accept, refuse, set_aside
from gateway.adapters.repository import list_misplaced
from gateway.engines.served_base_model import ServedBaseModel

__all__ = ["check_base", "settle_base_change"]

_log = structlog.get_logger()


async def settle_base_change(session: AsyncSession, base: ServedBaseModel) -> None:
    """Bring the adapters of all tenants into the states that they have while engines serve this base.

    Call it before anything loads adapters.
    """
    counts: dict[str, int] = {}
    for row in await list_misplaced(session, base.digest):
        if row.status == AdapterStatus.OTHER_BASE:
            accept(row)
        elif row.status == AdapterStatus.READY:
            set_aside(row, _describe(row.manifest, base))
        else:
            refuse(row, _describe(row.manifest, base))
        counts[row.status] = counts.get(row.status, 0) + 1
    if counts:
        _log.warning("base_model_changed", base=base.name, digest=base.digest, **counts)


def check_base(manifest: dict[str, Any], base: ServedBaseModel) -> None:
    """Raise `AdapterRefused` for weights that were made before the base model changed."""
    if manifest.get("base_digest") not in (None, base.digest):
        raise AdapterRefused(_describe(manifest, base))


def _describe(manifest: dict[str, Any], base: ServedBaseModel) -> str:
    origin, digest = manifest.get("base_name") or "another base model", manifest["base_digest"]
    return (
        f"It was trained on {origin} ({digest[:12]}…), and engines serve {base.name} ({base.digest[:12]}…) now, on "
        "which it would answer nonsense. Have the operator bring that base model back (BRAID_BASE_MODEL), and it "
        "answers again; or train it anew on this one, and promote a release with the new adapter."
    )

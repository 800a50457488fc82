"""Judged weights in the artifacts, with their description: a job that is resumed goes on from them."""

from dataclasses import dataclass
from typing import Any

import msgspec

__all__ = ["Description", "StoredAdapter"]


@dataclass(frozen=True, slots=True)
class Description:
    """The manifest of weights (`training.manifest`'s, as JSON), and what else their source needs to finish the job."""

    manifest: dict[str, Any]
    details: dict[str, Any]


class StoredAdapter(msgspec.Struct, frozen=True):
    """An adapter that lies in the artifacts, and may have no name yet.

    Attributes:
        digest: See `training.manifest.AdapterDigest`.
        rank: That of its matrices.
        manifest: See `Description`.
        details: See `Description`.
        notes: What to mind of it.
        bytes: Of all its files.
        step: Of a checkpoint, the optimizer step after which the weights were so.
        checkpoints: Those on the way to it, in order.
    """

    digest: str
    rank: int
    manifest: dict[str, Any]
    details: dict[str, Any]
    notes: str = ""
    bytes: int = 0
    step: int | None = None
    checkpoints: list["StoredAdapter"] = []

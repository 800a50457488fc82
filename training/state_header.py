"""The header of a saved state: how far the run had come, readable without torch."""

from pathlib import Path

import msgspec

from training.progress import RunProgress

__all__ = ["STATE_KEY", "StateHeader", "read_saved_step"]

STATE_KEY = "braid.state.3"  # an earlier Braid wrote other tensors
"""The name of the header's JSON among the metadata of the safetensors file."""


class StateHeader(msgspec.Struct, kw_only=True):
    """The JSON in the file's header.

    Attributes:
        run: See `training.state.fingerprint_run`.
        nonce: Makes the bytes of each save its own: whoever keeps them by their digest may remove them alone.
    """

    run: str
    nonce: str
    progress: RunProgress


class _Metadata(msgspec.Struct):
    metadata: dict[str, str] = msgspec.field(name="__metadata__")


def read_saved_step(file: Path) -> int:
    """Return the step after which a state was saved. The file is one that a trainer of this version has written."""
    with file.open("rb") as handle:
        header = handle.read(int.from_bytes(handle.read(8), "little"))
    metadata = msgspec.json.decode(header, type=_Metadata).metadata
    return msgspec.json.decode(metadata[STATE_KEY], type=StateHeader).progress.step

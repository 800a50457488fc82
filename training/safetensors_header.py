"""The header of a safetensors file, read as if an enemy had written it.

The format is 8 bytes of length (little endian), that much JSON, then the tensors' bytes without a gap. The reader here
refuses everything that two readers could understand differently: a name that occurs twice, gaps, overlaps, bytes left
over.
"""

import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, BinaryIO, cast

import msgspec

__all__ = ["ITEM_BYTES", "MAX_HEADER_BYTES", "HeaderInvalid", "Tensor", "read_header"]

ITEM_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8,
}  # fmt: skip
"""Size of an element by the format's name for its type."""

_LFS = b"version https://git-lfs"

MAX_HEADER_BYTES = 16 * 2**20
"""A header describes a tensor in about 100 bytes: this is room for over 100,000 of them."""


class HeaderInvalid(Exception):
    """The file is not a sound safetensors file; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a file.

    Attributes:
        dtype: The format's name of the type, a key of `ITEM_BYTES`.
        start: The offset of its first byte from the beginning of the file.
        end: The offset one past its last byte.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def elements(self) -> int:
        return math.prod(self.shape)


def read_header(file: BinaryIO) -> list[Tensor]:
    """Read the header of an open file; the tensors come in the order of their bytes.

    Raises:
        HeaderInvalid: Also for a file that is shorter or longer than its header says.
    """
    size = os.fstat(file.fileno()).st_size
    file.seek(0)
    beginning = file.read(len(_LFS))
    if beginning == _LFS:
        raise HeaderInvalid("it is a pointer of Git LFS and not the file itself, which `git lfs pull` fetches")
    length = int.from_bytes(beginning[:8], "little")
    file.seek(8)
    if size < 10 or length < 2:
        raise HeaderInvalid(f"it has {size} bytes, too few for a header")
    if length > MAX_HEADER_BYTES:
        raise HeaderInvalid(f"its header claims {length} bytes, and {MAX_HEADER_BYTES} are allowed")
    if length > size - 8:
        raise HeaderInvalid(
            f"its header claims {length} bytes, and the file has {size}: it is cut off or of another kind"
        )
    entries = _decode(file.read(length))
    data_start = 8 + length
    tensors = [_read_entry(name, entry, data_start) for name, entry in entries.items() if name != "__metadata__"]
    tensors.sort(key=lambda tensor: (tensor.start, tensor.end))
    _check_layout(tensors, data_start, size)
    return tensors


def _decode(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text.decode(), object_pairs_hook=_reject_duplicates)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise HeaderInvalid(f"its header is not JSON ({error})") from error
    if not isinstance(header, dict):
        raise HeaderInvalid("its header is not a JSON object")
    return cast("dict[str, Any]", header)


def _reject_duplicates(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise ValueError("a name occurs twice in it")
    return entries


_Size = Annotated[int, msgspec.Meta(ge=0, le=1 << 48)]


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    """An entry of the header. Its bounds are beyond any file's: numbers without one take hours to multiply."""

    dtype: str
    shape: Annotated[tuple[_Size, ...], msgspec.Meta(max_length=16)]
    data_offsets: tuple[_Size, _Size]


def _read_entry(name: str, entry: Any, data_start: int) -> Tensor:
    try:
        fields = msgspec.convert(entry, _Entry)
    except msgspec.ValidationError as error:
        raise HeaderInvalid(f"its entry for {name[:200]!r} is malformed ({error})") from error
    if fields.dtype not in ITEM_BYTES:
        raise HeaderInvalid(f"{name[:200]!r} has the unknown type {fields.dtype[:20]!r}")
    begin, end = fields.data_offsets
    size = math.prod(fields.shape) * ITEM_BYTES[fields.dtype]
    if end - begin != size:
        raise HeaderInvalid(f"the shape of {name[:200]!r} wants {size} bytes, and its offsets give {end - begin}")
    return Tensor(name, fields.dtype, fields.shape, data_start + begin, data_start + end)


def _check_layout(tensors: Sequence[Tensor], data_start: int, size: int) -> None:
    position = data_start
    for tensor in tensors:
        if tensor.start != position:
            raise HeaderInvalid(f"the bytes of {tensor.name[:200]!r} don't follow those of the tensor before it")
        position = tensor.end
    if position != size:
        raise HeaderInvalid(f"its header describes {position} bytes, and the file has {size}: it is cut off, or padded")

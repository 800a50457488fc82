import json
from pathlib import Path

import numpy as np
import pytest

from tests.training.files import encode, lora_tensors, with_header
from training.safetensors_header import MAX_HEADER_BYTES, HeaderInvalid, Tensor, read_header


def read(path: Path, content: bytes) -> list[Tensor]:
    path.write_bytes(content)
    with path.open("rb") as file:
        return read_header(file)


def entry(begin: int, end: int, shape: object = None, dtype: object = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": [(end - begin) // 4] if shape is None else shape, "data_offsets": [begin, end]}


def header(**entries: object) -> bytes:
    return json.dumps(entries).encode()


def test_each_tensor_is_where_its_bytes_are(tmp_path: Path) -> None:
    tensors = lora_tensors()
    content = encode(tensors)
    result = read(tmp_path / "x", content)
    assert [tensor.name for tensor in result] == list(tensors)
    for tensor in result:
        assert content[tensor.start : tensor.end] == tensors[tensor.name][1].tobytes()
        assert tensor.shape == tensors[tensor.name][1].shape


def test_tensors_come_in_the_order_of_their_bytes(tmp_path: Path) -> None:
    result = read(tmp_path / "x", with_header(header(late=entry(4, 8), early=entry(0, 4)), bytes(8)))
    assert [tensor.name for tensor in result] == ["early", "late"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "too few"),
        (b"\x80\x02}q\x00.", "too few"),
        ((1 << 63).to_bytes(8, "little") + b"{}", "allowed"),
        ((MAX_HEADER_BYTES + 1).to_bytes(8, "little") + b"{}", "allowed"),
        ((100).to_bytes(8, "little") + b"{}", "cut off"),
        (with_header(b"{]"), "not JSON"),
        (with_header(b'"\xff"'), "not JSON"),
        (with_header(b"[" * 200_000), "not JSON"),
        (with_header(b"[1]"), "not a JSON object"),
        (with_header(b'{"a":' + json.dumps(entry(0, 4)).encode() + b',"a":' + json.dumps(entry(0, 4)).encode() + b"}",
                     bytes(4)), "twice"),
        (with_header(header(a=entry(0, 8)), bytes(4)), "cut off"),
        (with_header(header(a=entry(0, 4)), bytes(8)), "padded"),
        (with_header(header(a=entry(0, 4), b=entry(8, 12)), bytes(12)), "don't follow"),
        (with_header(header(a=entry(0, 8), b=entry(4, 12)), bytes(12)), "don't follow"),
        (with_header(header(a=entry(-4, 0)), b""), "offsets"),
        (with_header(header(a=entry(0, 4, shape=[-1, -1])), bytes(4)), "malformed"),
        (with_header(header(a=entry(0, 4, shape=[2])), bytes(4)), "offsets"),
        (with_header(header(a=entry(0, 4, shape=[1 << 40, 1 << 40])), bytes(4)), "offsets"),
        (with_header(header(a=entry(0, 4, shape=["1"])), bytes(4)), "malformed"),
        (with_header(header(a=entry(0, 4, dtype="F31")), bytes(4)), "unknown type"),
        (with_header(header(a=entry(0, 4) | {"file": "../../etc/passwd"}), bytes(4)), "malformed"),
        (with_header(header(a=[1, 2]), bytes(4)), "malformed"),
    ],
)  # fmt: skip
def test_a_file_that_two_readers_could_read_differently_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(HeaderInvalid, match=reason):
        read(tmp_path / "x", content)


def test_the_position_of_an_open_file_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(encode({"a": ("F32", np.zeros(3, np.float32))}))
    with path.open("rb") as file:
        file.seek(5)
        assert read_header(file)[0].elements == 3

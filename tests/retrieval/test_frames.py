import asyncio

import msgspec
import pytest
from msgspec import Raw

from retrieval.frames import FRAME_LIMIT, Call, FrameInvalid, encode_frame, read_frame


def reader(data: bytes) -> asyncio.StreamReader:
    stream = asyncio.StreamReader()
    stream.feed_data(data)
    stream.feed_eof()
    return stream


async def test_frames_come_out_as_they_went_in() -> None:
    calls = [Call(n, "search", Raw(msgspec.msgpack.encode({"n": n}))) for n in range(3)]
    stream = reader(b"".join(map(encode_frame, calls)))
    for call in calls:
        frame = await read_frame(stream)
        assert frame is not None
        read = msgspec.msgpack.decode(frame, type=Call)
        assert (read.id, read.method, bytes(read.body)) == (call.id, call.method, bytes(call.body))
    assert await read_frame(stream) is None


@pytest.mark.parametrize("kept", [2, 4, 7])
async def test_a_cut_frame_is_the_end(kept: int) -> None:
    frame = encode_frame(Call(1, "search", Raw(msgspec.msgpack.encode("text"))))
    assert await read_frame(reader(frame[:kept])) is None


async def test_both_sides_refuse_a_frame_over_the_limit() -> None:
    with pytest.raises(FrameInvalid, match="over the limit"):
        encode_frame(Call(1, "search", Raw(msgspec.msgpack.encode("x" * FRAME_LIMIT))))
    with pytest.raises(FrameInvalid, match="was announced"):
        await read_frame(reader((FRAME_LIMIT + 1).to_bytes(4, "big")))

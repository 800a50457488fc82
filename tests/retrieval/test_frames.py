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
        copy = msgspec.msgpack.decode(frame, type=Call)
        assert (copy.id, copy.method, bytes(copy.body)) == (call.id, call.method, bytes(call.body))
    assert await read_frame(stream) is None


@pytest.mark.parametrize("length", [0, 2, 4, 7])
async def test_a_frame_that_ends_too_early_is_the_end_of_the_connection(length: int) -> None:
    frame = encode_frame(Call(1, "search", Raw(msgspec.msgpack.encode("text"))))
    assert await read_frame(reader(frame[:length])) is None


async def test_a_connection_that_breaks_is_at_its_end() -> None:
    stream = asyncio.StreamReader()
    stream.set_exception(ConnectionResetError())
    assert await read_frame(stream) is None


async def test_both_sides_refuse_a_frame_over_the_limit() -> None:
    with pytest.raises(FrameInvalid, match="over the limit"):
        encode_frame(Call(1, "search", Raw(msgspec.msgpack.encode("x" * FRAME_LIMIT))))
    with pytest.raises(FrameInvalid, match="was announced"):
        await read_frame(reader((FRAME_LIMIT + 1).to_bytes(4, "big")))

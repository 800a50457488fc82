import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.engines.stream import Stream

GAP = 10.0


class Idle(asyncio.Transport):
    """The transport of a connection on which nothing is to be done."""

    def abort(self) -> None:
        pass

    def is_closing(self) -> bool:
        return False


def make_stream() -> Stream:
    stream = Stream(Idle(), "http://engine", first_byte=GAP, gap=GAP)
    stream.begin(200, [])
    return stream


async def read(stream: Stream, parts: list[bytes], turns: int = 0) -> None:
    """Read all, and be busy for so many turns of the event loop with each piece."""
    async for part in stream:
        for _ in range(turns):
            await asyncio.sleep(0)
        parts.append(part)


TURNS = st.integers(0, 3)


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), TURNS)), TURNS)
def test_whoever_takes_a_part_the_order_stays(parts: list[tuple[bool, int]], busy: int) -> None:
    """Parts are one byte each, taken by the listener or not, and followed by some turns of the event loop."""
    order: list[bytes] = []
    taken: set[bytes] = set()

    def listen(part: bytes) -> bool:
        takes = parts[part[0]][0]
        if takes:
            order.append(part)
            taken.add(part)
        return takes

    async def run() -> None:
        stream = make_stream()
        stream.listener = listen
        reader = asyncio.create_task(read(stream, order, busy))
        for number, (_, turns) in enumerate(parts[:256]):
            stream.feed(bytes([number]))
            for _ in range(turns):
                await asyncio.sleep(0)
        stream.finish()
        await reader

    asyncio.run(run())
    assert b"".join(order) == bytes(range(len(parts[:256])))
    assert all(parts[part[0]][0] for part in taken)


async def test_a_reader_is_not_woken_for_what_a_listener_takes() -> None:
    stream, parts = make_stream(), list[bytes]()
    stream.listener = lambda part: part != b"last"
    reader = asyncio.create_task(read(stream, parts))
    await asyncio.sleep(0)
    for part in (b"one", b"two", b"last"):
        stream.feed(part)
    stream.finish()
    await reader
    assert parts == [b"last"]


async def test_what_a_listener_takes_is_a_sign_of_life() -> None:
    loop = asyncio.get_running_loop()
    stream = make_stream()
    stream.listener = lambda _part: True
    reader = asyncio.create_task(read(stream, []))
    await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    before = loop.time()
    stream.feed(b"one")
    silence = GAP - stream.check_silence()
    assert silence <= loop.time() - before
    stream.finish()
    await reader

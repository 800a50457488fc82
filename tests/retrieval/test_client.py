import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from retrieval import client as client_module
from retrieval.client import (
    DocumentUnreadable,
    IndexChanged,
    InvalidFilter,
    InvalidVisibility,
    Retriever,
    RetrieverBusy,
    RetrieverError,
    RetrieverFailed,
    RetrieverUnavailable,
    StaleWriter,
)
from retrieval.frames import Call
from retrieval.messages import IngestProgress, IngestResult, Passage, RetrieverInfo, SearchQuery
from tests.retrieval.peer import Kind, Peer
from tests.retrieval.requests import ingest_request, search_query
from tests.waiting import until

INFO = RetrieverInfo(embedder="e", dimensions=3, points=0, index="e/k/1", chunker="c")
DONE = IngestResult(chunks=2, embedded=1, reused=1, characters=9, media_type="text/plain", seconds=0.1)


def passage(text: str) -> Passage:
    return Passage(
        id="1",
        store="vs",
        document="doc",
        key="k",
        version=1,
        file_id="file",
        filename="k.md",
        text=text,
        start=0,
        end=len(text),
        heading="",
        score=0.5,
        attributes={"area": "kettles", "year": 2026, "new": True},
    )


def test_importing_the_faces_of_the_package_takes_nothing_heavy() -> None:
    code = (
        "import sys, retrieval.client, retrieval.messages, retrieval.errors\n"
        "print(*sorted({m.split('.')[0] for m in sys.modules}))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"torch", "transformers", "numpy", "qdrant_client", "qdrant_edge", "tokenizers", "lxml", "pypdfium2"}
    assert "msgspec" in loaded
    assert not heavy & set(loaded)


async def test_a_description_and_a_search_bring_typed_answers(peer: Peer, retriever: Retriever) -> None:
    peer.answer = lambda call: [("result", INFO if call.method == "describe" else [passage("31 months")])]
    assert await retriever.describe() == INFO
    assert await retriever.search(search_query()) == [passage("31 months")]
    assert msgspec.msgpack.decode(peer.calls[1].body, type=SearchQuery) == search_query()


async def test_many_calls_share_one_connection_and_get_their_own_answers(peer: Peer, retriever: Retriever) -> None:
    pending: list[Call] = []

    def hold(call: Call) -> list[tuple[Kind, object]]:
        pending.append(call)
        return []

    peer.answer = hold
    calls = [asyncio.create_task(retriever.search(search_query(text=str(n)))) for n in range(50)]
    await until(lambda: len(pending) == 50)
    for call in reversed(pending):
        await peer.send(call, "result", [passage(msgspec.msgpack.decode(call.body, type=SearchQuery).text)])
    assert [passages[0].text for passages in await asyncio.gather(*calls)] == [str(n) for n in range(50)]
    assert peer.connections == 1


@pytest.mark.parametrize("listens", [True, False])
async def test_an_ingest_reports_its_progress(peer: Peer, retriever: Retriever, listens: bool) -> None:
    steps = [IngestProgress("parsed", 9, 9), IngestProgress("embedded", 1, 2), IngestProgress("written", 2, 2)]
    replies: list[tuple[Kind, object]] = [*(("progress", step) for step in steps), ("result", DONE)]
    peer.answer = lambda _: replies
    seen: list[IngestProgress] = []
    assert await retriever.ingest(ingest_request(), seen.append if listens else None) == DONE
    assert seen == (steps if listens else [])


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("unsupported_file", DocumentUnreadable),
        ("invalid_file", DocumentUnreadable),
        ("empty_file", DocumentUnreadable),
        ("invalid_filter", InvalidFilter),
        ("invalid_visibility", InvalidVisibility),
        ("retriever_unavailable", RetrieverUnavailable),
        ("retriever_failed", RetrieverFailed),
        ("retriever_busy", RetrieverBusy),
        ("index_changed", IndexChanged),
        ("stale_writer", StaleWriter),
        ("a_code_of_tomorrow", RetrieverFailed),
    ],
)
async def test_an_error_comes_back_as_the_class_that_it_was(
    peer: Peer, retriever: Retriever, code: str, kind: type[RetrieverError]
) -> None:
    peer.answer = lambda _: [("error", {"code": code, "message": "why and what next"})]
    with pytest.raises(kind, match="why and what next") as caught:
        await retriever.search(search_query())
    assert type(caught.value) is kind
    assert caught.value.code == (code if kind is not RetrieverFailed else "retriever_failed")


async def test_a_retriever_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    async with Retriever(tmp_path / "none.sock") as retriever:
        with pytest.raises(RetrieverUnavailable, match="No retriever listens"):
            await retriever.describe()


async def test_a_death_during_calls_is_unavailable_and_the_next_call_reconnects(
    peer: Peer, retriever: Retriever
) -> None:
    calls = [asyncio.create_task(retriever.search(search_query())) for _ in range(3)]
    await until(lambda: len(peer.calls) == 3)
    await peer.stop()
    for outcome in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(outcome, RetrieverUnavailable)
    with pytest.raises(RetrieverUnavailable):
        await retriever.describe()
    peer.answer = lambda _: [("result", INFO)]
    await peer.start()
    assert await retriever.describe() == INFO


async def test_a_death_while_a_call_is_written_is_unavailable(tmp_path: Path) -> None:
    async def die(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    path = tmp_path / "dying.sock"
    async with await asyncio.start_unix_server(die, str(path)), Retriever(path) as retriever:
        with pytest.raises(RetrieverUnavailable, match="went away"):
            await retriever.search(search_query(text="x" * 8_000_000))


async def test_silence_is_unavailable_and_the_other_end_is_told(
    peer: Peer, retriever: Retriever, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "SEARCH_SECONDS", 0.05)
    with pytest.raises(RetrieverUnavailable, match=r"no sign for 0\.05 s"):
        await retriever.search(search_query())
    await until(lambda: len(peer.calls) == 2)
    assert (peer.calls[1].method, peer.calls[1].id) == ("cancel", peer.calls[0].id)


async def test_an_answer_that_comes_too_late_disturbs_nobody(peer: Peer, retriever: Retriever) -> None:
    late = asyncio.create_task(retriever.search(search_query()))
    await until(lambda: len(peer.calls) == 1)
    late.cancel()
    await asyncio.wait([late])
    await peer.send(peer.calls[0], "result", [passage("too late")])
    peer.answer = lambda call: [("result", INFO)] if call.method == "describe" else []
    assert await retriever.describe() == INFO
    assert peer.connections == 1


async def test_a_cancelled_ingest_is_cancelled_at_the_other_end(peer: Peer, retriever: Retriever) -> None:
    task = asyncio.create_task(retriever.ingest(ingest_request()))
    await until(lambda: len(peer.calls) == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: len(peer.calls) == 2)
    assert peer.calls[1].method == "cancel"
    peer.answer = lambda _: [("result", INFO)]
    assert await retriever.describe() == INFO


async def test_a_progress_callback_that_raises_ends_the_ingest(peer: Peer, retriever: Retriever) -> None:
    class LeaseLost(Exception):
        pass

    def refuse(_: IngestProgress) -> None:
        raise LeaseLost

    peer.answer = lambda call: [("progress", IngestProgress("parsed", 1, 1))] if call.method == "ingest" else []
    with pytest.raises(LeaseLost):
        await retriever.ingest(ingest_request(), refuse)
    await until(lambda: peer.calls[-1].method == "cancel")


@pytest.mark.parametrize(
    "babble",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\0\0\x05hello", b"\0\0\0\x04\x93\x01\xa4"],
    ids=["another protocol", "no MessagePack", "no reply"],
)
async def test_a_peer_that_speaks_something_else_is_unavailable(tmp_path: Path, babble: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(babble)
        await writer.drain()
        writer.close()

    path = tmp_path / "other.sock"
    async with await asyncio.start_unix_server(answer, str(path)), Retriever(path) as retriever:
        with pytest.raises(RetrieverUnavailable, match="went away"):
            await retriever.describe()


@pytest.mark.parametrize("value", [2**64, -(2**64), "\ud800"], ids=["large", "small", "half a character"])
async def test_a_filter_with_a_value_that_cannot_be_sent_is_refused(
    peer: Peer, retriever: Retriever, value: object
) -> None:
    peer.answer = lambda _: [("result", [])]
    with pytest.raises(InvalidFilter, match="can't be compared"):
        await retriever.search(search_query(filters={"type": "eq", "key": "a", "value": value}))
    assert await retriever.search(search_query(filters={"type": "eq", "key": "a", "value": 1})) == []


async def test_an_answer_of_another_version_is_a_failure_that_says_so(peer: Peer, retriever: Retriever) -> None:
    peer.answer = lambda _: [("result", {"embedder": 1})]
    with pytest.raises(RetrieverFailed, match="another version"):
        await retriever.describe()


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("remove_documents", ("kestrel", "vs", ["doc"])),
        ("rollback", ("kestrel", "vs", 4)),
        ("collect_garbage", ("kestrel", "vs", 4)),
        ("drop_store", ("kestrel", "vs")),
    ],
)
async def test_a_change_sends_its_arguments(
    peer: Peer, retriever: Retriever, method: str, arguments: tuple[object, ...]
) -> None:
    peer.answer = lambda _: [("result", None)]
    change: Callable[..., Awaitable[None]] = getattr(retriever, method)
    await change(*arguments)
    assert peer.calls[0].method == method
    body: dict[str, Any] = msgspec.msgpack.decode(peer.calls[0].body)
    assert tuple(value for value in body.values() if value is not None) == arguments


async def test_a_call_goes_to_the_process_that_has_the_index_by_its_last_word(peer: Peer, tmp_path: Path) -> None:
    other = Peer(tmp_path / "other.sock")
    await other.start()
    name = "e/k/1"

    def answer(call: Call) -> list[tuple[Kind, object]]:
        return [("result", msgspec.structs.replace(INFO, index=name) if call.method == "describe" else [])]

    peer.answer = answer
    other.answer = lambda call: [("result", msgspec.structs.replace(INFO, index="e/k/2"))]
    async with Retriever(peer.path, other.path) as retriever:
        await retriever.search(search_query(indexes=["e/k/1"]))
        name = "e/k/2"  # its collection was made anew
        await retriever.describe()
        await retriever.search(search_query(indexes=["e/k/2"]))
    await other.stop()
    assert [call.method for call in peer.calls].count("search") == 2

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from retrieval import client as client_module
from retrieval.frames import Call
from retrieval.client import (
    DocumentUnreadable,
    InvalidFilter,
    InvalidVisibility,
    Retriever,
    RetrieverFailed,
    RetrieverUnavailable,
)
from retrieval.messages import IngestRequest, IngestResult, IngestProgress, Passage, RetrieverInfo, SearchQuery
from tests.retrieval.conftest import Peer

INFO = RetrieverInfo(embedder="e", dimensions=3, points=0)
DONE = IngestResult(chunks=2, embedded=1, reused=1, characters=9, media_type="text/plain", seconds=0.1)
QUERY = SearchQuery(tenant="kestrel", stores={"vs": 4}, text="warranty?")


def ingest(**changes: Any) -> Ingest:
    fields: dict[str, Any] = {
        "tenant": "kestrel",
        "store": "vs",
        "document": "doc",
        "key": "k",
        "version": 1,
        "file_id": "file",
        "filename": "k.md",
        "path": "/k",
        "epoch": 5,
    }
    return IngestRequest(**{**fields, **changes})


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


def test_importing_the_client_takes_nothing_heavy() -> None:
    code = "import sys, retrieval.client, retrieval.messages; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"torch", "transformers", "numpy", "qdrant_client", "qdrant_edge", "tokenizers", "lxml", "pypdfium2"}
    assert "msgspec" in loaded
    assert not heavy & set(loaded)


async def test_ready_and_search_bring_typed_answers(peer: Peer, retriever: Retriever) -> None:
    peer.answer = lambda call: [("result", INFO if call.method == "ready" else [passage("31 months")])]
    assert await retriever.ready() == INFO
    assert await retriever.search(QUERY) == [passage("31 months")]
    assert msgspec.msgpack.decode(peer.calls[1].body, type=SearchQuery) == QUERY


async def test_many_calls_share_one_connection_and_get_their_own_answers(peer: Peer, retriever: Retriever) -> None:
    held: list[Call] = []

    def hold(call: Call) -> list[tuple[str, object]]:
        held.append(call)
        return []

    peer.answer = hold
    calls = [asyncio.create_task(retriever.search(msgspec.structs.replace(QUERY, text=str(n)))) for n in range(50)]
    await peer.until(lambda: len(held) == 50)
    for call in reversed(held):
        await peer.send(call, "result", [passage(msgspec.msgpack.decode(call.body, type=SearchQuery).text)])
    assert [found[0].text for found in await asyncio.gather(*calls)] == [str(n) for n in range(50)]
    assert peer.connections == 1


async def test_ingest_reports_its_progress(peer: Peer, retriever: Retriever) -> None:
    steps = [IngestProgress("parsed", 9, 9), IngestProgress("embedded", 1, 2), IngestProgress("written", 2, 2)]
    peer.answer = lambda _: [*(("progress", step) for step in steps), ("result", DONE)]
    seen: list[IngestProgress] = []
    assert await retriever.ingest(ingest(), seen.append) == DONE
    assert seen == steps


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("unsupported_file", DocumentUnreadable),
        ("invalid_file", DocumentUnreadable),
        ("empty_file", DocumentUnreadable),
        ("invalid_filter", InvalidFilter),
        ("invalid_visibility", InvalidVisibility),
        ("retriever_failed", RetrieverFailed),
        ("a_code_of_tomorrow", RetrieverFailed),
    ],
)
async def test_errors_come_back_as_what_they_were(
    peer: Peer, retriever: Retriever, code: str, kind: type[client_module.RetrieverError]
) -> None:
    peer.answer = lambda _: [("error", {"code": code, "message": "why and what next"})]
    with pytest.raises(kind, match="why and what next") as caught:
        await retriever.search(QUERY)
    assert caught.value.code == (code if kind is not RetrieverFailed else "retriever_failed")


async def test_nobody_there_is_unavailable(tmp_path: Path) -> None:
    async with Retriever(tmp_path / "none.sock") as retriever:
        with pytest.raises(RetrieverUnavailable, match="No retriever listens"):
            await retriever.ready()


async def test_a_death_during_calls_is_unavailable_and_the_next_call_reconnects(
    peer: Peer, retriever: Retriever
) -> None:
    calls = [asyncio.create_task(retriever.search(QUERY)) for _ in range(3)]
    await peer.until(lambda: len(peer.calls) == 3)
    await peer.stop()
    for outcome in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(outcome, RetrieverUnavailable)
    with pytest.raises(RetrieverUnavailable):
        await retriever.ready()
    peer.answer = lambda _: [("result", INFO)]
    await peer.start()
    assert await retriever.ready() == INFO


async def test_silence_is_unavailable_and_given_up_at_the_other_end(
    peer: Peer, retriever: Retriever, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "SEARCH_SECONDS", 0.05)
    with pytest.raises(RetrieverUnavailable, match=r"no sign for 0\.05 s"):
        await retriever.search(QUERY)
    await peer.until(lambda: len(peer.calls) == 2)
    assert (peer.calls[1].method, peer.calls[1].id) == ("cancel", peer.calls[0].id)


async def test_a_cancelled_ingest_is_cancelled_at_the_other_end(peer: Peer, retriever: Retriever) -> None:
    task = asyncio.create_task(retriever.ingest(ingest()))
    await peer.until(lambda: len(peer.calls) == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await peer.until(lambda: len(peer.calls) == 2)
    assert peer.calls[1].method == "cancel"
    peer.answer = lambda _: [("result", INFO)]
    assert await retriever.ready() == INFO


async def test_a_progress_callback_that_raises_ends_the_ingest(peer: Peer, retriever: Retriever) -> None:
    class LeaseLost(Exception):
        pass

    def refuse(_: IngestProgress) -> None:
        raise LeaseLost

    peer.answer = lambda call: [("progress", IngestProgress("parsed", 1, 1))] if call.method == "ingest" else []
    with pytest.raises(LeaseLost):
        await retriever.ingest(ingest(), refuse)
    await peer.until(lambda: peer.calls[-1].method == "cancel")


async def test_a_peer_that_speaks_something_else_is_unavailable(tmp_path: Path) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    path = tmp_path / "http.sock"
    async with await asyncio.start_unix_server(babble, str(path)), Retriever(path) as retriever:
        with pytest.raises(RetrieverUnavailable, match="went away"):
            await retriever.ready()


async def test_an_answer_of_another_version_is_a_failure_that_says_so(peer: Peer, retriever: Retriever) -> None:
    peer.answer = lambda _: [("result", {"embedder": 1})]
    with pytest.raises(RetrieverFailed, match="another version"):
        await retriever.ready()


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("close_document", ("kestrel", "vs", "doc", 5)),
        ("remove_document", ("kestrel", "vs", "doc")),
        ("rollback", ("kestrel", "vs", 4)),
        ("collect", ("kestrel", "vs", 4)),
        ("drop_store", ("kestrel", "vs")),
    ],
)
async def test_changes_send_what_they_are_given(
    peer: Peer, retriever: Retriever, method: str, arguments: tuple[object, ...]
) -> None:
    peer.answer = lambda _: [("result", None)]
    await getattr(retriever, method)(*arguments)
    assert peer.calls[0].method == method
    assert tuple(msgspec.msgpack.decode(peer.calls[0].body).values()) == arguments

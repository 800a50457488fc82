import asyncio

import pytest

from retrieval.messages import IngestRequest
from retrieval.parsers import ParsedDocument
from retrieval.read_ahead import ReadAhead, ReadDocument


def request(store: str, document: str) -> IngestRequest:
    return IngestRequest(
        tenant="t",
        store=store,
        document=document,
        key=document,
        version=1,
        file_id="file",
        filename=document,
        path=document,
        index_epoch=1,
    )


class Reader:
    """Notes what it reads."""

    def __init__(self) -> None:
        self.read: list[str] = []

    async def __call__(self, request: IngestRequest) -> ReadDocument:
        self.read.append(request.document)
        return ReadDocument(ParsedDocument("text/plain", "", "text", []), [], {})


async def test_many_stores_that_are_written_by_turns_push_nothing_out() -> None:
    reader = Reader()
    ahead = ReadAhead(reader)
    waiting = [request(f"store{store}", f"store{store}-{number}") for number in range(3) for store in range(12)]
    for turn in range(3):  # each of the stores names the three that come next in it, before one of them is written
        for one in waiting[12 * turn :]:
            ahead.begin(one)
            await asyncio.sleep(0)  # the reading begins
        for one in waiting[12 * turn : 12 * (turn + 1)]:
            await ahead.take(one)
    await ahead.close()
    assert len(reader.read) == len(set(reader.read)), "a document was read twice"
    assert len(reader.read) >= 8


async def test_a_document_that_is_named_again_after_a_minute_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader()
    ahead, loop = ReadAhead(reader), asyncio.get_running_loop()
    names = [f"document{number}" for number in range(8)]
    for name in names:
        ahead.begin(request("store", name))
    a_minute_later = loop.time() + 61
    with monkeypatch.context() as patch:
        patch.setattr(loop, "time", lambda: a_minute_later)
        ahead.begin(request("store", names[0]))
    documents = [await ahead.take(request("store", name)) for name in names]
    await ahead.close()
    assert None not in documents
    assert reader.read == names


async def test_documents_that_nobody_took_for_a_minute_give_up_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    ahead, loop = ReadAhead(Reader()), asyncio.get_running_loop()
    for number in range(8):
        ahead.begin(request("store", f"gone{number}"))
    ahead.begin(request("store", "early"))
    a_minute_later = loop.time() + 61
    with monkeypatch.context() as patch:
        patch.setattr(loop, "time", lambda: a_minute_later)
        ahead.begin(request("store", "late"))
    documents = {name: await ahead.take(request("store", name)) for name in ("early", "late", "gone0", "gone1")}
    await ahead.close()
    assert [name for name, document in documents.items() if document is None] == ["early", "gone0"]

"""A copy of the index beside searches and changes: of one moment, and as good as the index."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from qdrant_client import AsyncQdrantClient

from retrieval.backends import KeywordVector, Point
from retrieval.backends.embedded import EmbeddedBackend
from retrieval.backends.remote import RemoteBackend
from retrieval.errors import RetrieverFailed
from retrieval.visibility import OPEN, show_store

pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore:Payload indexes have no effect")]

STORE = show_store("kestrel", "vs")
NO_WORDS = KeywordVector([], [])


def point(number: int) -> Point:
    payload = {"tenant": "kestrel", "store": "vs", "document": "doc", "digest": f"d{number}", "from": 1, "to": OPEN}
    return Point(f"00000000-0000-0000-0000-{number:012}", [1.0, 0.0, 0.0], NO_WORDS, payload)


async def digests(backend: EmbeddedBackend) -> set[str]:
    return {payload["digest"] for payload in await backend.read(STORE, ("digest",))}


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[EmbeddedBackend]:
    opened = EmbeddedBackend.open(tmp_path / "index" / "shard", 3)
    yield opened
    await opened.close()


async def test_a_copy_has_what_was_written_before_and_nothing_of_what_waits(
    backend: EmbeddedBackend, tmp_path: Path
) -> None:
    await backend.upsert([point(number) for number in range(300)])
    await backend.hold()
    waiting = asyncio.create_task(backend.upsert([point(999)]))
    copying = asyncio.create_task(backend.copy(tmp_path / "copy"))
    assert len(await backend.search(STORE, STORE, [1, 0, 0], NO_WORDS, 10)) == 10, "searches go on"
    await copying
    assert not waiting.done()
    backend.resume()
    await waiting
    assert "d999" in await digests(backend)
    copy = EmbeddedBackend.open(tmp_path / "copy" / "shard", 3)
    assert await digests(copy) == {f"d{number}" for number in range(300)}
    found, again = [await one.search(STORE, STORE, [1, 0, 0], NO_WORDS, 500) for one in (backend, copy)]
    assert {one.id: one.payload for one in again} == {one.id: one.payload for one in found if one.id != point(999).id}
    await copy.close()


async def test_a_copy_without_a_hold_to_its_end_is_refused(backend: EmbeddedBackend, tmp_path: Path) -> None:
    with pytest.raises(RetrieverFailed, match="isn't on hold"):
        await backend.copy(tmp_path / "copy")
    await backend.upsert([point(1)])
    await backend.hold()
    copying = asyncio.create_task(backend.copy(tmp_path / "copy"))
    await asyncio.sleep(0)
    backend.resume()
    await backend.hold()
    with pytest.raises(RetrieverFailed, match="several moments"):
        await copying
    backend.resume()


async def test_a_servers_index_is_not_copied_but_said_to_be_elsewhere(tmp_path: Path) -> None:
    client = AsyncQdrantClient(":memory:")
    backend = await RemoteBackend.open(client, "c", 3)
    with pytest.raises(RetrieverFailed, match="snapshots of its own"):
        await backend.hold()
    with pytest.raises(RetrieverFailed, match="snapshots of its own"):
        await backend.copy(tmp_path)
    backend.resume()
    await client.close()

"""The index knows itself again, and whose turn it is to change a store."""

from pathlib import Path

import pytest

from retrieval.backends.embedded import EmbeddedBackend
from retrieval.errors import IndexChanged, StaleWriter
from retrieval.index import Index
from retrieval.messages import Writer
from tests.retrieval.model.test_index import KETTLE, Library, open_library
from tests.retrieval.words import WordEmbedder

pytestmark = [pytest.mark.model, pytest.mark.filterwarnings("ignore:Payload indexes have no effect")]


class OtherEmbedder(WordEmbedder):
    identity = "other-words"


async def identify(folder: Path, embedder: WordEmbedder) -> str:
    index = Index(EmbeddedBackend.open(folder, embedder.dimensions), embedder)
    try:
        return (await index.describe()).index
    finally:
        await index.close()


async def test_an_index_has_one_identity_for_as_long_as_it_lives(tmp_path: Path) -> None:
    first = await identify(tmp_path / "one", WordEmbedder())
    assert first.startswith("words/bm25-2/")
    assert await identify(tmp_path / "one", WordEmbedder()) == first
    assert await identify(tmp_path / "two", WordEmbedder()) != first, "an empty index is never taken for a lost one"
    assert await identify(tmp_path / "one", OtherEmbedder()) != first


@pytest.mark.parametrize("kind", ["embedded", "remote"])
async def test_the_indexs_own_records_are_nobodys_points(kind: str, tmp_path: Path) -> None:
    async with open_library(kind, tmp_path, WordEmbedder()) as library:
        identity = (await library.index.describe()).index
        await library.index.rollback("kestrel", "vs", 0, Writer(identity, 3))
        assert (await library.index.describe()).points == 0
        assert not await library.index.has_store("kestrel", "vs")
        await library.put(KETTLE.format(months=31), 1, writer=Writer(identity, 3))
        assert (await library.index.describe()).points == 2
        assert await library.index.has_store("kestrel", "vs")


@pytest.mark.parametrize(
    ("theirs", "reason"),
    [
        ("other/bm25-2/1", "with the embedder 'other'"),
        ("words/bm25-de-1/1", "keyword encoder 'bm25-de-1'"),
        ("words/bm25-2/1", "folder was lost"),
    ],
)
async def test_a_call_about_another_index_is_refused_with_the_difference(
    tmp_path: Path, theirs: str, reason: str
) -> None:
    async with open_library("embedded", tmp_path, WordEmbedder()) as library:
        await library.put(KETTLE.format(months=31), 1)
        identity = (await library.index.describe()).index
        assert len(await library.ask("warranty", 1, indexes=[identity])) == 2
        with pytest.raises(IndexChanged, match=reason):
            await library.ask("warranty", 1, indexes=[identity, theirs])
        with pytest.raises(IndexChanged, match=reason):
            await library.put(KETTLE.format(months=31), 2, writer=Writer(theirs, 1))
        with pytest.raises(IndexChanged, match=reason):
            await library.index.remove_documents("kestrel", "vs", ["k2"], theirs)
        assert len(await library.facts(1)) == 2


async def change_with_an_old_fence(library: Library, writer: Writer) -> None:
    with pytest.raises(StaleWriter, match="Another worker has begun"):
        await library.index.rollback("kestrel", "vs", 0, writer)
    with pytest.raises(StaleWriter):
        await library.index.collect_garbage("kestrel", "vs", 9, writer)
    with pytest.raises(StaleWriter):
        await library.index.drop_store("kestrel", "vs", writer)
    with pytest.raises(StaleWriter):
        await library.put(KETTLE.format(months=99), 2, writer=writer)
    assert await library.facts(1) == {"The warranty lasts 31 months.", "It costs 49 euros."}


async def test_a_writer_that_another_one_has_followed_changes_nothing_even_after_a_restart(tmp_path: Path) -> None:
    async with open_library("embedded", tmp_path, WordEmbedder()) as library:
        identity = (await library.index.describe()).index
        frozen = Writer(identity, 1)
        await library.index.rollback("kestrel", "vs", 0, frozen)
        await library.put(KETTLE.format(months=31), 1, writer=Writer(identity, 2))
        await change_with_an_old_fence(library, frozen)
        await library.index.rollback("kestrel", "other", 0, frozen)  # another store has fences of its own
    async with open_library("embedded", tmp_path, WordEmbedder()) as library:
        await change_with_an_old_fence(library, frozen)

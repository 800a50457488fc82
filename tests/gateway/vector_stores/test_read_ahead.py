"""The retriever is told of the documents that come next in a store, so that it never waits for the worker."""

from tests.fakes.retriever import FakeRetriever
from tests.gateway.vector_stores.conftest import Client


async def test_the_next_documents_of_a_store_are_read_ahead(kestrel: Client, index: FakeRetriever) -> None:
    store, other = await kestrel.store(), await kestrel.store()
    await kestrel.put(other, "other.md", "Another store's.")
    for number in range(4):
        await kestrel.put(store, f"{number}.md", f"Number {number}.")
    index.fail("read_ahead", 1)  # it changes nothing
    await kestrel.settle()
    # Three after the first, two after the second, one after the third.
    assert index.calls.count("read_ahead") == 6
    assert index.calls.count("ingest") == 5
    assert sorted(point.text for point in index.points if point.request.store == store) == [
        f"Number {number}." for number in range(4)
    ]


async def test_nothing_is_read_ahead_of_a_document_that_failed_before(kestrel: Client, index: FakeRetriever) -> None:
    store = await kestrel.store()
    index.fail("ingest", 1)
    for number in range(2):
        await kestrel.put(store, f"{number}.md", f"Number {number}.")
    await kestrel.settle()
    assert index.calls.count("ingest") == 3
    assert index.calls.count("read_ahead") == 1


async def test_an_edit_goes_before_what_waits_in_its_store_and_one_of_many_does_not(
    kestrel: Client, index: FakeRetriever
) -> None:
    store = await kestrel.store()
    for key in ("page.md", "big.md", "many.md"):
        await kestrel.put(store, key, "As it was.")
    await kestrel.settle()
    for number in range(3):
        await kestrel.put(store, f"bulk{number}.md", f"Number {number}.")
    await kestrel.put(store, "big.md", "word " * 60_000)
    await kestrel.put(store, "many.md", "Edited.", params={"bulk": "true"})
    await kestrel.put(store, "page.md", "Edited.")
    await kestrel.settle()
    keys = ("page.md", "bulk0.md", "bulk1.md", "bulk2.md", "big.md", "many.md")
    epochs = {key: (await kestrel.get(store, key))["index_epoch"] for key in keys}
    assert sorted(epochs, key=epochs.__getitem__) == list(keys)
    assert {point.request.key for point in index.points if point.request.urgent} == {"page.md"}

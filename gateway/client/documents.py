"""The documents of a vector store, over HTTP."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

from gateway.client.http import AmbiguousName, Client

__all__ = ["WAIT_SECONDS", "delete_document", "find_store", "put_document", "wait_for_document"]

WAIT_SECONDS = 300
"""Seconds that `put_document` waits for a document to be indexed."""


async def find_store(client: Client, name_or_id: str) -> str | None:
    """Return the id of a vector store, or None where there is none.

    Raises:
        AmbiguousName: Several stores have that name.
    """
    stores = client.read_rows("/v1/vector_stores")
    ids = [store["id"] async for store in stores if name_or_id in (store["id"], store["name"])]
    if len(ids) > 1:
        raise AmbiguousName(f"{len(ids)} stores are called {name_or_id!r}: {', '.join(ids)}. Say the id.")
    return ids[0] if ids else None


async def put_document(
    client: Client, store: str, key: str, content: bytes | AsyncIterator[bytes], *, bulk: bool = False
) -> dict[str, Any]:
    """Save a document's new version and return its state when it answers, or has failed.

    Args:
        client: The gateway's.
        store: The store's id.
        key: The document's.
        content: Its bytes.
        bulk: It is one of many, so that single edits go before it.
    """
    params = {"wait": WAIT_SECONDS, **({"bulk": "true"} if bulk else {})}
    return await client.call("PUT", _path(store, key), content=content, params=params)


async def wait_for_document(client: Client, store: str, key: str) -> dict[str, Any]:
    """Return a document's state when what was put answers, or has failed."""
    return await client.get(_path(store, key), params={"wait": WAIT_SECONDS})


async def delete_document(client: Client, store: str, key: str) -> None:
    """Delete a document; no answer sees it from then on."""
    await client.delete(_path(store, key))


def _path(store: str, key: str) -> str:
    return f"/api/vector_stores/{store}/documents/{quote(key, safe='/')}"

"""A tenant's documents, put into its vector store."""

import asyncio
from collections.abc import Sequence

from gateway.client import find_store, put_document
from gateway.demo.tenant_clients import TenantClient
from gateway.demo.tenants import DemoDocument
from gateway.progress import ProgressLine
from gateway.terminal import CommandError

__all__ = ["fill_store"]

_AT_ONCE = 4
_CHUNK_TOKENS = 100  # the least that the API takes; with top 2 the evidence stays near 200 tokens


async def fill_store(account: TenantClient, documents: Sequence[DemoDocument], progress: ProgressLine) -> str:
    """Upload documents as they are in the package, and return the store's id when all of them answer.

    Raises:
        ClientError: An upload failed; the others are given up.
        CommandError: A document can't be read; the others are given up.
    """
    store = await find_store(account.client, account.name) or await _make_store(account)
    slots = asyncio.Semaphore(_AT_ONCE)
    count = 0

    async def upload(key: str, content: bytes) -> None:
        nonlocal count
        async with slots:
            answer = await put_document(account.client, store, key, content)
        if answer["status"] != "completed":
            reason = answer["error"]["message"] if answer["error"] else "it took too long; see the worker's log"
            raise CommandError(f"The document {key} is {answer['status']}: {reason}")
        count += 1
        progress.show(count, len(documents), key)

    try:
        async with asyncio.TaskGroup() as group:
            for document in documents:
                group.create_task(upload(document.key, document.read()))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return store


async def _make_store(account: TenantClient) -> str:
    static = {"max_chunk_size_tokens": _CHUNK_TOKENS, "chunk_overlap_tokens": 0}
    body = {"name": account.name, "chunking_strategy": {"type": "static", "static": static}}
    return (await account.client.post("/v1/vector_stores", body))["id"]

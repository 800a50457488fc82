"""A tenant's documents in its vector store."""

import asyncio

from gateway.cli.demo.accounts import Account
from gateway.cli.demo.narration import ProgressLine
from gateway.cli.docs import find_store, put_document
from gateway.cli.exits import CliError

__all__ = ["fill_store"]

_AT_ONCE = 4
_CHUNK_TOKENS = 100  # the least that the API takes; with top 3 the evidence stays near 300 tokens


async def fill_store(account: Account, progress: ProgressLine) -> str:
    """Upload every document, as it is in the package, and return the store's id when all of them answer."""
    store = await find_store(account.gateway, account.tenant.name) or await _make(account)
    documents = account.tenant.documents
    slots = asyncio.Semaphore(_AT_ONCE)
    done = 0

    async def upload(key: str, content: bytes) -> None:
        nonlocal done
        async with slots:
            answer = await put_document(account.gateway, store, key, content)
        if answer["status"] != "completed":
            reason = answer["error"]["message"] if answer["error"] else "it took too long; see the worker's log"
            raise CliError(f"The document {key} is {answer['status']}: {reason}")
        done += 1
        progress.at(done, len(documents), key)

    await asyncio.gather(*(upload(document.key, document.read()) for document in documents))
    return store


async def _make(account: Account) -> str:
    static = {"max_chunk_size_tokens": _CHUNK_TOKENS, "chunk_overlap_tokens": 0}
    body = {"name": account.tenant.name, "chunking_strategy": {"type": "static", "static": static}}
    return (await account.gateway.post("/v1/vector_stores", body))["id"]

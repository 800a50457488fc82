"""Documents in a tenant's store, with the real worker and an index in memory."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.client import ClientError, find_store
from gateway.demo import DemoDocument
from gateway.demo.documents import fill_store
from gateway.demo.tenant_clients import TenantClient
from gateway.progress import Progress
from gateway.terminal import CommandError


async def fill(account: TenantClient, documents: list[DemoDocument]) -> str:
    with Progress().line("documents") as line:
        return await fill_store(account, documents, line)


async def test_a_store_is_made_once_and_filled(account: TenantClient, background_worker: None) -> None:
    documents = account.tenant.documents[:2]
    store = await fill(account, documents)
    assert await find_store(account.client, "kestrel") == store
    assert await fill(account, documents) == store
    keys = [row["key"] async for row in account.client.read_rows(f"/api/vector_stores/{store}/documents")]
    assert sorted(keys) == [document.key for document in documents]


async def test_a_document_that_cannot_be_read_is_named(
    account: TenantClient, background_worker: None, tmp_path: Path
) -> None:
    (tmp_path / "noise.md").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(CommandError, match=r"noise\.md is failed: Only text can be read here"):
        await fill(account, [DemoDocument("noise.md", tmp_path / "noise.md")])


async def test_one_upload_that_fails_ends_the_others(account: TenantClient, monkeypatch: pytest.MonkeyPatch) -> None:
    documents, uploads = account.tenant.documents[:3], list[str]()

    async def put(client: object, store: str, key: str, content: bytes) -> dict[str, Any]:
        uploads.append(key)
        try:
            if len(uploads) == len(documents):
                raise ClientError("The gateway is away.")
            await asyncio.Event().wait()
            raise AssertionError
        finally:
            uploads.remove(key)

    monkeypatch.setattr("gateway.demo.documents.put_document", put)
    with pytest.raises(ClientError, match="is away"):
        await fill(account, documents)
    assert uploads == []

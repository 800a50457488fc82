"""What clients do to one thing at the same time: each gets what it would have got alone, or is told that it is gone."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import httpx2
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.errors import NotFound
from gateway.evals.schemas import EvalUpdate
from gateway.evals.service import EvalService
from gateway.jobs import Claim, Outcome
from gateway.settings import Settings
from gateway.tenants.repository import find_tenant
from gateway.vector_stores.document_service import DocumentService
from gateway.vector_stores.file_service import VectorStoreFileService
from gateway.vector_stores.ingest import IngestHandler
from gateway.vector_stores.repository import DocumentRepository, StoreRepository, VersionRepository
from gateway.vector_stores.schemas import VectorStoreUpdate
from gateway.vector_stores.service import VectorStoreService
from gateway.vector_stores.tables import DocumentVersionRow
from gateway.vector_stores.versions import Content, delete_document, delete_documents_of, put_version
from tests.fakes.retriever import FakeRetriever
from tests.gateway.conftest import Gateway, on_both_databases

pytestmark = on_both_databases

MANY = 8
EVAL: dict[str, Any] = {
    "data_source_config": {"type": "custom", "item_schema": {"type": "object"}},
    "testing_criteria": [
        {"type": "string_check", "name": "says", "operation": "eq", "input": "{{item.a}}", "reference": "x"}
    ],
}
ROWS: dict[str, Any] = {
    "data_source": {"type": "jsonl", "source": {"type": "file_content", "content": [{"item": {"a": "x"}}]}}
}
CONTENT = Content("prices.md", "sha256:0", 7)

Work = Callable[[AsyncSession], Awaitable[Any]]


@pytest.fixture
async def client(gateway: Gateway) -> httpx2.AsyncClient:
    return await gateway.tenant("kestrel")


async def find_id(gateway: Gateway) -> str:
    async with gateway.state.database.read() as session:
        tenant = await find_tenant(session, "kestrel")
        assert tenant is not None
        return tenant.id


async def overlap(gateway: Gateway, first: Work, second: Work) -> Any:
    """Do the second thing while the first is done and not yet committed; return what the second returned or raised."""
    begun = asyncio.Event()

    async def follow() -> Any:
        await begun.wait()
        async with gateway.state.database.begin() as session:
            return await second(session)

    task = asyncio.create_task(follow())
    async with gateway.state.database.begin() as session:
        await first(session)
        await session.flush()
        begun.set()
        await asyncio.sleep(0.3)
        assert not task.done(), "it didn't wait for the first"
    (result,) = await asyncio.gather(task, return_exceptions=True)
    return result


async def test_prompts_made_at_once_get_a_version_each(client: httpx2.AsyncClient) -> None:
    templates = [{"name": "house", "template": f"You are {number}."} for number in range(MANY)]
    made = await asyncio.gather(*(client.post("/api/prompts", json=one) for one in templates))
    assert sorted(answer.json()["version"] for answer in made) == list(range(1, MANY + 1))
    listed = (await client.get("/api/prompts/house/versions")).json()["data"]
    assert [prompt["version"] for prompt in listed] == list(range(1, MANY + 1))


async def test_releases_made_at_once_get_a_number_each(client: httpx2.AsyncClient) -> None:
    await client.post("/api/assistants", json={"name": "support"})
    path = "/api/assistants/support/releases"
    specs = [{"sampling": {"max_tokens": number + 1}} for number in range(MANY)]
    made = await asyncio.gather(*(client.post(path, json=spec) for spec in specs))
    assert sorted(answer.json()["release"] for answer in made) == list(range(1, MANY + 1))
    listed = (await client.get(path)).json()["data"]
    assert [release["release"] for release in listed] == list(range(1, MANY + 1))


@pytest.mark.parametrize("kind", ["eval", "run", "vector store", "key"])
async def test_of_those_who_delete_one_thing_one_has_deleted_it(client: httpx2.AsyncClient, kind: str) -> None:
    eval_id = (await client.post("/v1/evals", json=EVAL)).json()["id"]
    if kind == "run":
        run = (await client.post(f"/v1/evals/{eval_id}/runs", json=ROWS)).json()
        path = f"/v1/evals/{eval_id}/runs/{run['id']}"
    elif kind == "vector store":
        path = f"/v1/vector_stores/{(await client.post('/v1/vector_stores', json={})).json()['id']}"
    elif kind == "key":
        key = (await client.post("/api/keys", json={"name": "old", "scopes": ["chat"]})).json()
        path = f"/api/keys/{key['id']}"
    else:
        path = f"/v1/evals/{eval_id}"
    answers = await asyncio.gather(*(client.delete(path) for _ in range(MANY)))
    expected = {200: MANY} if kind == "key" else {200: 1, 404: MANY - 1}  # a revoked key stays in the list
    assert Counter(answer.status_code for answer in answers) == expected
    assert len({answer.json().get("revoked_at") for answer in answers}) == 1


async def test_a_run_is_cancelled_once(client: httpx2.AsyncClient) -> None:
    eval_id = (await client.post("/v1/evals", json=EVAL)).json()["id"]
    run = (await client.post(f"/v1/evals/{eval_id}/runs", json=ROWS)).json()
    path = f"/v1/evals/{eval_id}/runs/{run['id']}/cancel"
    answers = await asyncio.gather(*(client.post(path) for _ in range(MANY)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 400: MANY - 1}


async def test_a_change_of_what_is_just_deleted_finds_it_gone(gateway: Gateway, client: httpx2.AsyncClient) -> None:
    eval_id = (await client.post("/v1/evals", json=EVAL)).json()["id"]
    store = (await client.post("/v1/vector_stores", json={})).json()["id"]
    tenant = await find_id(gateway)
    changed = await overlap(
        gateway,
        lambda session: EvalService(session, tenant).delete(eval_id),
        lambda session: EvalService(session, tenant).update(eval_id, EvalUpdate(name="new")),
    )
    assert isinstance(changed, NotFound)
    changed = await overlap(
        gateway,
        lambda session: VectorStoreService(session, tenant).delete(store),
        lambda session: VectorStoreService(session, tenant).modify(store, VectorStoreUpdate(name="new")),
    )
    assert isinstance(changed, NotFound)


async def put(session: AsyncSession, tenant: str, store: str) -> Any:
    row = await StoreRepository(session, tenant).get(store)
    document, version = await put_version(session, row, "prices.md", CONTENT)
    return document.id, version.version


async def delete(session: AsyncSession, tenant: str, store: str) -> str | None:
    document = await DocumentRepository(session, tenant).by_key(store, "prices.md")
    assert document is not None
    return await delete_document(session, document)


async def test_a_put_after_a_deletion_makes_the_document_anew(gateway: Gateway, client: httpx2.AsyncClient) -> None:
    store = (await client.post("/v1/vector_stores", json={})).json()["id"]
    tenant = await find_id(gateway)
    async with gateway.state.database.begin() as session:
        first, _ = await put(session, tenant, store)
    document, version = await overlap(
        gateway, lambda session: delete(session, tenant, store), lambda session: put(session, tenant, store)
    )
    assert (document != first, version) == (True, 1)
    assert len((await client.get(f"/api/vector_stores/{store}/documents")).json()["data"]) == 1


async def test_a_second_deletion_finds_no_document(
    gateway: Gateway, client: httpx2.AsyncClient, settings: Settings
) -> None:
    store = (await client.post("/v1/vector_stores", json={})).json()["id"]
    tenant = await find_id(gateway)
    async with gateway.state.database.begin() as session:
        await put(session, tenant, store)
    (file,) = (await client.get(f"/v1/vector_stores/{store}/files")).json()["data"]
    documents = DocumentService(
        gateway.state.database, gateway.state.artifacts, gateway.state.retriever, gateway.state.storage, tenant
    )
    of_document = asyncio.create_task(asyncio.sleep(0))

    async def follow(session: AsyncSession) -> None:
        await VectorStoreFileService(session, tenant).delete(store, file["id"])

    async def begin(session: AsyncSession) -> None:
        nonlocal of_document
        await delete(session, tenant, store)
        await session.flush()
        of_document = asyncio.create_task(documents.delete(store, "prices.md"))

    of_file = await overlap(gateway, begin, follow)
    (other,) = await asyncio.gather(of_document, return_exceptions=True)
    assert (type(of_file), type(other)) == (NotFound, NotFound)


@pytest.mark.parametrize("everywhere", [True, False])
async def test_the_deletion_of_a_file_leaves_what_is_just_put_instead_of_it(
    gateway: Gateway, client: httpx2.AsyncClient, everywhere: bool
) -> None:
    store = (await client.post("/v1/vector_stores", json={})).json()["id"]
    tenant = await find_id(gateway)
    async with gateway.state.database.begin() as session:
        await put(session, tenant, store)
    (file,) = (await client.get(f"/v1/vector_stores/{store}/files")).json()["data"]

    async def replace(session: AsyncSession) -> None:
        row = await StoreRepository(session, tenant).get(store)
        await put_version(session, row, "prices.md", Content("prices.md", "sha256:1", 7))

    async def remove(session: AsyncSession) -> None:
        if everywhere:
            await delete_documents_of(session, tenant, file["id"])
        else:
            await VectorStoreFileService(session, tenant).delete(store, file["id"])

    removed = await overlap(gateway, replace, remove)
    assert removed is None if everywhere else isinstance(removed, NotFound)
    (document,) = (await client.get(f"/api/vector_stores/{store}/documents")).json()["data"]
    assert document["version"] == 2


async def test_files_of_the_same_stores_are_deleted_at_once(gateway: Gateway, client: httpx2.AsyncClient) -> None:
    stores = [(await client.post("/v1/vector_stores", json={})).json()["id"] for _ in range(4)]
    ids: list[str] = []
    for number in range(2 * MANY):
        form = {"files": {"file": (f"{number}.md", b"x")}, "data": {"purpose": "assistants"}}
        ids.append((await client.post("/v1/files", **form)).json()["id"])
        for store in stores if number % 2 else reversed(stores):
            await client.post(f"/v1/vector_stores/{store}/files", json={"file_id": ids[-1]})
    for store in stores:  # so that a removal waits in each
        await client.delete(f"/v1/vector_stores/{store}/files/{ids[0]}")
    answers = await asyncio.gather(*(client.delete(f"/v1/files/{id}") for id in ids))
    assert {answer.status_code for answer in answers} == {200}


async def test_the_same_bytes_put_while_the_first_are_indexed_are_one_version(
    gateway: Gateway, client: httpx2.AsyncClient
) -> None:
    store = (await client.post("/v1/vector_stores", json={})).json()["id"]
    tenant = await find_id(gateway)
    async with gateway.state.database.begin() as session:
        await put(session, tenant, store)

    async def index(session: AsyncSession) -> None:
        (version,) = await VersionRepository(session, tenant).list_all()
        version.status, version.index_identity, version.chunker = "completed", "index", "chunker"
        row = await StoreRepository(session, tenant).get(store)
        row.index_identity = "index"

    async with gateway.state.database.begin() as session:
        row = await StoreRepository(session, tenant).get(store)  # read before the index was written
        if session.get_bind().dialect.name == "postgresql":
            async with gateway.state.database.begin() as other:
                await index(other)
        else:
            await index(session)  # nobody else can write meanwhile
        _, version = await put_version(session, row, "prices.md", CONTENT)
    assert version.version == 1


@pytest.mark.parametrize("outcome", [Outcome("cancelled"), Outcome("failed", "invalid_file", "It is empty.")])
async def test_the_end_of_an_ingest_is_written_though_its_version_is_just_removed(
    gateway: Gateway, client: httpx2.AsyncClient, outcome: Outcome
) -> None:
    store = (await client.post("/v1/vector_stores", json={})).json()["id"]
    tenant = await find_id(gateway)
    async with gateway.state.database.begin() as session:
        await put(session, tenant, store)
    async with gateway.state.database.read() as session:
        (version,) = await VersionRepository(session, tenant).list_all()
    claim = cast("Claim", SimpleNamespace(tenant=tenant, subject=version.id, payload={"document": version.document_id}))
    handler = IngestHandler(gateway.state.artifacts, gateway.state.retriever)

    async def remove(session: AsyncSession) -> None:
        await VersionRepository(session, tenant).delete_rows(DocumentVersionRow.id == version.id)

    ended = await overlap(gateway, remove, lambda session: handler.record_end(session, claim, outcome))
    assert ended is None, repr(ended)


async def test_puts_and_deletions_of_one_key_leave_one_truth(
    gateway: Gateway, client: httpx2.AsyncClient, settings: Settings
) -> None:
    async with FakeRetriever(settings.retriever_socket):
        store = (await client.post("/v1/vector_stores", json={})).json()["id"]
        path = f"/api/vector_stores/{store}/documents/prices.md"
        calls = [client.put(path, content=b"%d EUR" % n) if n % 2 else client.delete(path) for n in range(20)]
        answers = await asyncio.gather(*calls)
        assert {answer.status_code for answer in answers} <= {200, 404}
        listed = (await client.get(f"/api/vector_stores/{store}/documents")).json()["data"]
        found = await client.get(path)
        assert (found.status_code, len(listed)) in [(200, 1), (404, 0)]

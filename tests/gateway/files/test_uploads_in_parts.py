"""Uploads in parts: what comes together, what is refused, and what is collected when nobody completes it."""

import asyncio
import hashlib
import json
import os
import time
from typing import Any

import httpx2
import pytest
from sqlalchemy import update

from gateway.artifacts import Artifacts
from gateway.files import part_service
from gateway.files.expiry import Expiry
from gateway.files.orphans import OrphanSweep
from gateway.files.service import FileUses
from gateway.files.tables import FileRow, UploadRow
from gateway.migrations.digests import DIGESTS
from gateway.vector_stores.versions import delete_documents_of
from tests.gateway.conftest import Gateway, on_both_databases

DATA = os.urandom(300_000)
ROW = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Ahoy."}]}


@pytest.fixture
async def tenant(gateway: Gateway) -> httpx2.AsyncClient:
    return await gateway.tenant("kestrel")


async def ok(client: httpx2.AsyncClient, path: str, **more: Any) -> dict[str, Any]:
    response = await client.post(path, **more)
    assert response.status_code == 200, response.text
    return response.json()


async def fault(client: httpx2.AsyncClient, path: str, status: int = 400, **more: Any) -> tuple[str, str | None]:
    response = await client.post(path, **more)
    assert response.status_code == status, response.text
    return response.json()["error"]["code"], response.json()["error"]["param"]


async def begin(client: httpx2.AsyncClient, size: int = len(DATA), **more: Any) -> str:
    asked = {"filename": "a.bin", "purpose": "user_data", "bytes": size, "mime_type": "text/plain", **more}
    return (await ok(client, "/v1/uploads", json=asked))["id"]


async def add(client: httpx2.AsyncClient, upload: str, data: bytes) -> str:
    return (await ok(client, f"/v1/uploads/{upload}/parts", files={"data": ("part", data)}))["id"]


async def complete(client: httpx2.AsyncClient, upload: str, parts: list[str], **more: Any) -> dict[str, Any]:
    return await ok(client, f"/v1/uploads/{upload}/complete", json={"part_ids": parts, **more})


@on_both_databases
async def test_parts_come_together_in_the_order_that_is_named(tenant: httpx2.AsyncClient) -> None:
    upload = await begin(tenant)
    pieces = [DATA[:100_000], DATA[100_000:100_001], DATA[100_001:]]
    ids = await asyncio.gather(*(add(tenant, upload, piece) for piece in reversed(pieces)))
    done = await complete(tenant, upload, ids[::-1], md5=hashlib.md5(DATA, usedforsecurity=False).hexdigest().upper())
    assert (done["status"], done["bytes"]) == ("completed", len(DATA))
    assert (done["file"]["filename"], done["file"]["purpose"]) == ("a.bin", "user_data")
    content = await tenant.get(f"/v1/files/{done['file']['id']}/content")
    assert content.content == DATA


async def test_a_completed_upload_says_so_again_and_makes_no_second_file(tenant: httpx2.AsyncClient) -> None:
    upload = await begin(tenant)
    part = await add(tenant, upload, DATA)
    both = await asyncio.gather(complete(tenant, upload, [part]), complete(tenant, upload, [part]))
    assert both[0] == both[1] == await complete(tenant, upload, [part])
    assert [file["id"] for file in (await tenant.get("/v1/files")).json()["data"]] == [both[0]["file"]["id"]]
    assert await fault(tenant, f"/v1/uploads/{upload}/cancel") == ("upload_ended", "upload_id")
    late = {"data": ("part", b"late")}
    assert await fault(tenant, f"/v1/uploads/{upload}/parts", files=late) == ("upload_ended", "upload_id")


async def test_parts_that_are_not_the_file_make_none(tenant: httpx2.AsyncClient) -> None:
    upload, other = await begin(tenant), await begin(tenant)
    first, second = await add(tenant, upload, DATA[:10]), await add(tenant, upload, DATA[10:])
    foreign = await add(tenant, other, DATA)
    path = f"/v1/uploads/{upload}/complete"
    assert await fault(tenant, path, json={"part_ids": [first]}) == ("upload_incomplete", "part_ids")
    assert (await fault(tenant, path, json={"part_ids": [first, foreign]}))[1] == "part_ids[1]"
    assert (await fault(tenant, path, json={"part_ids": [first, second, first]}))[1] == "part_ids[2]"
    assert await fault(tenant, path, json={"part_ids": [first, second], "md5": "0" * 32}) == ("md5_mismatch", "md5")
    assert (await tenant.get("/v1/files")).json()["data"] == []
    assert (await complete(tenant, upload, [first, second]))["status"] == "completed"


async def test_parts_are_bounded_by_what_was_announced(
    tenant: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await begin(tenant, 10)
    parts = f"/v1/uploads/{upload}/parts"
    for _ in range(3):  # the same once more, after a lost answer, takes no more room
        await add(tenant, upload, b"12345678")
    assert await fault(tenant, parts, files={"data": ("part", b"abc")}) == ("upload_too_large", "data")
    assert await fault(tenant, parts, files={"data": ("part", b"")}) == ("empty_file", "data")
    assert (await fault(tenant, parts, files={"file": ("part", b"a")}))[1] == "data"
    monkeypatch.setattr(part_service, "_MAX_PART_BYTES", 1_000)
    large = await begin(tenant, 5_000)
    data = {"data": ("part", bytes(1_001))}
    assert (await fault(tenant, f"/v1/uploads/{large}/parts", 413, files=data))[1] == "data"


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"bytes": 0}, "bytes"),
        ({"bytes": 8 * 1024**3 + 1}, "bytes"),
        ({"purpose": "fun"}, "purpose"),
        ({"filename": ""}, "filename"),
        ({"purpose": "fine-tune"}, "filename"),
        ({"expires_after": {"anchor": "created_at", "seconds": 60}}, "expires_after.seconds"),
    ],
)
async def test_an_upload_that_could_not_become_a_file_is_refused_before_it_begins(
    tenant: httpx2.AsyncClient, wrong: dict[str, Any], param: str
) -> None:
    asked = {"filename": "a.bin", "purpose": "user_data", "bytes": 5, "mime_type": "text/plain", **wrong}
    assert (await fault(tenant, "/v1/uploads", json=asked))[1] == param


async def test_a_training_file_is_checked_when_it_is_whole(tenant: httpx2.AsyncClient) -> None:
    rows = json.dumps(ROW).encode() + b"\nno row"
    upload = await begin(tenant, len(rows), purpose="fine-tune", filename="a.jsonl")
    part = await add(tenant, upload, rows)
    path = f"/v1/uploads/{upload}/complete"
    assert await fault(tenant, path, json={"part_ids": [part]}) == ("invalid_training_file", "file")


@on_both_databases
async def test_a_tenants_pending_uploads_are_bounded_together(
    gateway: Gateway, tenant: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"filename": "a.bin", "purpose": "user_data", "bytes": 8 * 1024**3, "mime_type": "text/plain"}
    first, _ = await begin(tenant, asked["bytes"]), await begin(tenant, asked["bytes"])
    more = {**asked, "bytes": 1}
    assert await fault(tenant, "/v1/uploads", 429, json=more) == ("too_many_uploads", None)
    await begin(await gateway.tenant("harbor"), 1)
    await ok(tenant, f"/v1/uploads/{first}/cancel")
    await begin(tenant, 1)
    monkeypatch.setattr(part_service, "_MOST_PENDING", 2)
    assert await fault(tenant, "/v1/uploads", 429, json=more) == ("too_many_uploads", None)


def files_of(artifacts: Artifacts) -> int:
    """Count the files after a sweep that takes all for old."""
    for path in (artifacts.root / "files").iterdir():
        os.utime(path, (0, 0))
    return len(list((artifacts.root / "files").iterdir()))


async def sweep(gateway: Gateway) -> int:
    """Remove what is nobody's, however young, and return the number of files that are left."""

    async def none_in_use(_session: object, _digests: object, _since: float) -> set[str]:
        return set()

    artifacts = gateway.state.artifacts
    files_of(artifacts)
    await OrphanSweep(gateway.state.database, artifacts, DIGESTS, none_in_use).sweep_files()
    return files_of(artifacts)


@on_both_databases
async def test_what_nobody_completes_is_collected_after_its_hour(gateway: Gateway, tenant: httpx2.AsyncClient) -> None:
    upload, cancelled = await begin(tenant), await begin(tenant)
    part = await add(tenant, upload, DATA)
    await add(tenant, cancelled, DATA[:7])
    expiry = Expiry(gateway.state.database, FileUses(delete_documents_of))
    assert await expiry.expire_uploads() == 0
    assert await sweep(gateway) == 2
    assert (await ok(tenant, f"/v1/uploads/{cancelled}/cancel"))["status"] == "cancelled"
    assert (await ok(tenant, f"/v1/uploads/{cancelled}/cancel"))["status"] == "cancelled"
    async with gateway.state.database.begin() as session:
        await session.execute(update(UploadRow).where(UploadRow.id == upload).values(expires_at=int(time.time())))
    path = f"/v1/uploads/{upload}/complete"
    assert (await fault(tenant, path, json={"part_ids": [part]}))[0] == "upload_ended"
    assert await expiry.expire_uploads() == 1
    assert await sweep(gateway) == 0
    assert (await fault(tenant, path, json={"part_ids": [part]}))[0] == "upload_ended"
    async with gateway.state.database.begin() as session:
        await session.execute(update(UploadRow).values(expires_at=int(time.time()) - 90_000))
    assert await expiry.expire_uploads() == 0
    assert (await fault(tenant, f"/v1/uploads/{upload}/cancel", 404))[0] == "not_found"


@on_both_databases
async def test_a_file_is_gone_when_its_time_has_come(gateway: Gateway, tenant: httpx2.AsyncClient) -> None:
    fields = {"purpose": "assistants", "expires_after[anchor]": "created_at", "expires_after[seconds]": "3600"}
    file = await ok(tenant, "/v1/files", data=fields, files={"file": ("a.txt", b"31 months.")})
    assert file["expires_at"] == file["created_at"] + 3600
    policy = {"anchor": "created_at", "seconds": 7200}
    upload = await begin(tenant, 3, expires_after=policy)
    other = (await complete(tenant, upload, [await add(tenant, upload, b"abc")]))["file"]
    assert other["expires_at"] == other["created_at"] + 7200
    store = await ok(tenant, "/v1/vector_stores", json={"file_ids": [file["id"]]})
    async with gateway.state.database.begin() as session:
        await session.execute(update(FileRow).where(FileRow.id == file["id"]).values(expires_at=int(time.time())))
    assert (await tenant.get(f"/v1/files/{file['id']}")).status_code == 404
    assert await Expiry(gateway.state.database, FileUses(delete_documents_of)).expire_files() == 1
    assert [one["id"] for one in (await tenant.get("/v1/files")).json()["data"]] == [other["id"]]
    assert (await tenant.get(f"/v1/vector_stores/{store['id']}/files")).json()["data"] == []

"""The bound on what a tenant stores: each way in, at its border, and who may see what is used."""

import asyncio
import io
import os
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.settings import Settings
from gateway.terminal import Exit
from tests.fakes.peft import write_adapter
from tests.fakes.retriever import FakeRetriever
from tests.fakes.trainer import rows, write_trainer
from tests.fakes.vllm import FakeVllm
from tests.gateway import worker
from tests.gateway.cli.commands import run
from tests.gateway.conftest import ADMIN_KEY, Gateway, on_both_databases
from tests.gateway.sources.conftest import Sources
from tests.gateway.vector_stores.conftest import index

__all__ = ["index"]

LIMIT = 100_000
UPLOAD = {"filename": "a.bin", "purpose": "user_data", "mime_type": "text/plain"}


@pytest.fixture
def settings(settings: Settings, engine: FakeVllm) -> Settings:
    worker.prepare_home(settings.home, engine.model)
    trainer = write_trainer(settings.home / "python")
    return settings.model_copy(update={"model_python": trainer, "tenant_storage_bytes": LIMIT})


class Tenant(Sources):
    async def upload(self, size: int | bytes, status: int = 200, name: str = "a.bin") -> dict[str, Any]:
        data = os.urandom(size) if isinstance(size, int) else size
        purpose = "fine-tune" if name.endswith(".jsonl") else "user_data"
        answer = await self.http.post("/v1/files", data={"purpose": purpose}, files={"file": (name, data)})
        assert answer.status_code == status, answer.text
        return answer.json()

    async def fill(self) -> str:
        """Use all the room that there is, and return the file's id."""
        return (await self.upload(LIMIT - (await self.storage())["bytes"]))["id"]

    async def storage(self) -> dict[str, Any]:
        return await self.ok("GET", "/api/storage")

    async def refused(self, method: str, path: str, **more: Any) -> str:
        error = await self.fault(413, method, path, **more)
        assert error["code"] == "storage_full"
        return error["message"]


@pytest.fixture
async def kestrel(gateway: Gateway, index: FakeRetriever) -> Tenant:
    return Tenant(gateway, await gateway.tenant("kestrel"))


@on_both_databases
async def test_each_way_in_ends_at_the_bound(kestrel: Tenant) -> None:
    store = await kestrel.store(name="docs")
    document = f"/api/vector_stores/{store}/documents"
    await kestrel.upload(60_000)
    refused = await kestrel.upload(40_001, 413)
    assert refused["error"]["code"] == "storage_full"
    assert "no room for 40001 bytes: 60000 of 100000 are in use (files 60000)" in refused["error"]["message"]
    last = (await kestrel.upload(40_000))["id"]
    assert (await kestrel.storage())["bytes"] == LIMIT
    await kestrel.ok("DELETE", f"/v1/files/{last}")

    whole = os.urandom(40_000)
    await kestrel.put(store, "a.bin", whole)
    await kestrel.put(store, "a.bin", whole)  # the same again needs no room
    await kestrel.refused("PUT", f"{document}/a.bin", content=whole[1:])
    await kestrel.refused("PUT", f"{document}/b.bin", content=b"1")
    await kestrel.refused("POST", "/v1/uploads", json={**UPLOAD, "bytes": 1})
    question: dict[str, Any] = {"question": "How long?", "documents": []}
    body = {"kind": "retrieval", "vector_store_id": store, "questions": [question]}
    await kestrel.refused("POST", "/api/evaluations", json=body)
    await kestrel.ok("DELETE", f"{document}/a.bin")


@on_both_databases
async def test_of_uploads_at_the_same_time_only_those_are_kept_that_fit(kestrel: Tenant) -> None:
    form: dict[str, Any] = {"data": {"purpose": "user_data"}}
    answers = await asyncio.gather(
        *(kestrel.http.post("/v1/files", **form, files={"file": ("a.bin", os.urandom(30_000))}) for _ in range(6))
    )
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [413] * 3
    assert (await kestrel.storage())["kinds"]["files"] == 90_000


async def test_an_upload_in_parts_keeps_the_room_that_it_announced(kestrel: Tenant) -> None:
    upload = (await kestrel.ok("POST", "/v1/uploads", json={**UPLOAD, "bytes": 70_000}))["id"]
    assert (await kestrel.storage())["kinds"]["uploads"] == 70_000
    await kestrel.upload(30_001, 413)
    await kestrel.upload(30_000)
    part = await kestrel.ok("POST", f"/v1/uploads/{upload}/parts", files={"data": ("part", os.urandom(70_000))})
    await kestrel.ok("POST", f"/v1/uploads/{upload}/complete", json={"part_ids": [part["id"]]})
    used = await kestrel.storage()
    assert (used["bytes"], used["kinds"]["uploads"], used["kinds"]["files"]) == (LIMIT, 0, LIMIT)


async def test_what_has_no_room_is_not_written_first(kestrel: Tenant, settings: Settings) -> None:
    store = await kestrel.store(name="docs")

    async def body() -> AsyncIterator[bytes]:
        for _ in range(12):  # without a length
            yield b"0123456789" * 1000

    await kestrel.refused("PUT", f"/api/vector_stores/{store}/documents/a.txt", content=body())
    assert not [*(settings.artifacts / "files").iterdir(), *(settings.artifacts / "incoming").iterdir()]


async def test_a_source_puts_what_there_is_room_for(kestrel: Tenant, tmp_path: Path) -> None:
    folder = tmp_path / "lent"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.txt").write_text(f"{number}" * 40_000)
    store = await kestrel.store(name="docs")
    source = await kestrel.source(store, {"kind": "folder", "path": str(folder)})
    await kestrel.settle()
    items = await kestrel.items(source)
    assert [items[f"{number}.txt"]["error"] is None for number in range(3)] == [True, True, False]
    assert "no room" in str(items["2.txt"]["error"])
    assert set(await kestrel.documents(store)) == {"docs/0.txt", "docs/1.txt"}


def pack(folder: Path, seed: int) -> bytes:
    write_adapter(folder, base_name="base", seed=seed)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for one in sorted(folder.iterdir()):
            archive.write(one, one.name)
    return file.getvalue()


async def test_an_import_needs_room_for_its_weights(kestrel: Tenant, settings: Settings, tmp_path: Path) -> None:
    first = await kestrel.upload(pack(tmp_path / "1", 1), name="v.zip")
    second = await kestrel.upload(pack(tmp_path / "2", 2), name="v.zip")
    adapters: list[str] = []
    for file in (first, second):
        answer = await kestrel.http.post("/api/adapters", json={"name": "voice", "file_id": file["id"]})
        assert answer.status_code == 202, answer.text
        adapters.append(answer.json()["id"])
        if file is first:
            await kestrel.settle()
    good = await kestrel.ok("GET", f"/api/adapters/{adapters[0]}")
    weights = sum(path.stat().st_size for path in (settings.artifacts / "adapters" / good["digest"]).iterdir())
    assert (good["status"], (await kestrel.storage())["kinds"]["adapters"]) == ("ready", weights)
    await kestrel.fill()
    await kestrel.settle()
    full = await kestrel.ok("GET", f"/api/adapters/{adapters[1]}")
    assert full["status"] == "refused"
    assert "Your storage has no room" in full["reason"]
    assert (await kestrel.storage())["bytes"] == LIMIT
    await kestrel.refused("POST", "/api/adapters", json={"name": "voice", "file_id": second["id"]})


async def test_a_training_begins_only_where_there_is_room_and_its_result_is_kept(kestrel: Tenant) -> None:
    file = (await kestrel.upload(rows(50), name="rows.jsonl"))["id"]
    body = {"model": "base", "training_file": file, "seed": 1}
    done = (await kestrel.ok("POST", "/v1/fine_tuning/jobs", json=body))["id"]
    await kestrel.settle()
    assert (await kestrel.ok("GET", f"/v1/fine_tuning/jobs/{done}"))["status"] == "succeeded"
    kinds = (await kestrel.storage())["kinds"]
    assert kinds["training_rows"] > 0
    assert kinds["adapters"] > 0

    late = (await kestrel.ok("POST", "/v1/fine_tuning/jobs", json=body | {"suffix": "late"}))["id"]
    await kestrel.fill()
    await kestrel.settle()
    failed = await kestrel.ok("GET", f"/v1/fine_tuning/jobs/{late}")
    assert (failed["status"], failed["error"]["code"]) == ("failed", "storage_full")
    await kestrel.refused("POST", "/v1/fine_tuning/jobs", json=body)


async def test_a_tenant_sees_its_own_storage_and_the_administrator_each(gateway: Gateway, kestrel: Tenant) -> None:
    await kestrel.upload(7)
    other = await gateway.tenant("harbor")
    own = await kestrel.storage()
    kinds = {"files": 7, "uploads": 0, "adapters": 0, "training_rows": 0, "training_states": 0}
    kinds |= {"evaluations": 0, "evals": 0, "gates": 0, "diagnoses": 0}
    kinds |= {"evaluations": 0, "evals": 0, "comparisons": 0, "feedback": 0, "gates": 0}
    assert own == {"tenant": "kestrel", "bytes": 7, "limit": LIMIT, "kinds": kinds}
    assert (await other.get("/api/storage")).json()["bytes"] == 0
    assert (await other.get("/api/storage", params={"tenant": "kestrel"})).status_code == 404
    address = ("--url", gateway.url, "--key", ADMIN_KEY)
    shown = await run("storage", "--tenant", "kestrel", *address)
    assert shown.exit_code == Exit.OK, shown.stderr
    lines = dict(line.split("\t") for line in shown.stdout.splitlines())
    assert (lines["files"], lines["in all"], lines["at most"]) == ("7", "7", str(LIMIT))
    each = await run("storage", "--all", *address)
    assert next(line.split("\t")[:2] for line in each.stdout.splitlines()) == ["kestrel", "7"]
    assert len(each.stdout.splitlines()) == 3
    gateway.state.storage.limit = 0
    assert (await kestrel.storage())["limit"] is None
    await kestrel.upload(LIMIT + 1)

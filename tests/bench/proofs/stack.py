"""A Braid with the packaged models for the proofs: `braid up` in a home of its own, left running between runs."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from gateway.client import Client, GatewayError, find_store
from gateway.demo.services import Services, running_services
from gateway.demo.tenant_clients import make_tenant
from gateway.jobs import FINAL_STATUSES
from gateway.progress import Progress
from gateway.settings import Settings
from gateway.task_group import await_each

__all__ = ["Tenant", "open_services", "tell"]

_PORT = 8470
_POLL_SECONDS = 1.0
_JOB_ENDS = ("succeeded", "failed", "cancelled")


def tell(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


@asynccontextmanager
async def open_services(home: Path) -> AsyncGenerator[Services]:
    """Start Braid in `home`, or take the one that an earlier run left there; it stays."""
    settings = Settings(home=home.resolve(), port=_PORT)
    async with running_services(settings, Progress(), keep=True) as services:
        await services.wait_until_ready()
        yield services


class Tenant:
    """A tenant with a client that acts for it; what an earlier run made is taken as it is."""

    def __init__(self, name: str, client: Client, base: str) -> None:
        self.name = name
        self.client = client
        self.base = base

    @classmethod
    @asynccontextmanager
    async def open(cls, services: Services, name: str) -> AsyncGenerator["Tenant"]:
        async with Client(services.profile.url, services.profile.key or "") as admin:
            base = (await admin.get("/v1/models"))["data"][0]["id"]
            id = await make_tenant(admin, name)
            key = await admin.post("/api/keys", {"tenant": id, "name": "proofs", "scopes": ["chat", "manage"]})
            async with Client(admin.url, key["key"], timeout=900) as client:
                yield cls(name, client, base)

    async def upload(self, rows: Sequence[Any], purpose: str = "fine-tune") -> str:
        data = "\n".join(json.dumps(row) for row in rows).encode()
        file = {"file": (f"{self.name}.jsonl", data, "application/jsonl")}
        return (await self.client.call("POST", "/v1/files", files=file, data={"purpose": purpose}))["id"]

    async def find_adapter(self, suffix: str) -> str | None:
        """Return the model of an adapter that was trained, or is; None where there is none of that suffix."""
        job = await self._find_job(suffix)
        return None if job is None else await self._await_adapter(job["id"])

    async def train(self, suffix: str, rows: Sequence[Any], *, epochs: int, **braid: Any) -> str:
        """Train an adapter, and return its model."""
        started = time.monotonic()
        job = await self._begin_job(suffix, rows, epochs, braid)
        model = await self._await_adapter(job["id"])
        tell(f"{self.name}: {suffix} trained on {len(rows)} rows in {time.monotonic() - started:.0f} s")
        return model

    async def _await_adapter(self, job: str) -> str:
        done = await self._follow(f"/v1/fine_tuning/jobs/{job}", _JOB_ENDS)
        if done["status"] != "succeeded":
            raise SystemExit(f"{done['suffix']}: {done['error']}")
        return done["fine_tuned_model"]

    async def _find_job(self, suffix: str) -> dict[str, Any] | None:
        adapters = (await self.client.get("/api/adapters"))["data"]
        ready = {one["model"] for one in adapters if one["status"] == "ready"}
        async for job in self.client.read_rows("/v1/fine_tuning/jobs"):
            going_on = job["status"] not in _JOB_ENDS
            if job["suffix"] == suffix and (going_on or job["fine_tuned_model"] in ready):
                return job
        return None

    async def _begin_job(self, suffix: str, rows: Sequence[Any], epochs: int, braid: dict[str, Any]) -> dict[str, Any]:
        hyperparameters = {"n_epochs": epochs, "batch_size": 2}
        body: dict[str, Any] = {
            "model": self.base,
            "training_file": await self.upload(rows),
            "suffix": suffix,
            "seed": 7,
            "method": {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
            "braid": braid,
        }
        return await self.client.post("/v1/fine_tuning/jobs", body)

    async def write_prompt(self, name: str, template: str) -> str:
        """Save a prompt unless there is one of that name, and return `name@version`."""
        if not any([one["name"] == name async for one in self.client.read_rows("/api/prompts")]):
            await self.client.post("/api/prompts", {"name": name, "template": template})
        return f"{name}@1"

    async def make_store(self, name: str, documents: dict[str, str], audiences: Mapping[str, str] = {}) -> str:
        """Fill a store with documents unless there is one of that name, and return its id when all of them answer.

        `audiences` are attributes of documents by their keys.
        """
        id = await find_store(self.client, name)
        if id is not None:
            return id
        static = {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}
        body = {"name": name, "chunking_strategy": {"type": "static", "static": static}}
        id = (await self.client.post("/v1/vector_stores", body))["id"]
        await self.put_documents(id, documents, audiences)
        return id

    async def put_documents(self, store: str, documents: dict[str, str], audiences: Mapping[str, str] = {}) -> None:
        async def put(key: str) -> None:
            headers = {"braid-attributes": json.dumps({"audience": audiences.get(key, "all")})}
            path = f"/api/vector_stores/{store}/documents/{key}"
            state = await self.client.call(
                "PUT", path, content=documents[key].encode(), params={"wait": 300}, headers=headers
            )
            assert state["status"] == "completed", state

        await await_each(put, list(documents), at_once=4)

    async def release(self, assistant: str, **fields: Any) -> int:
        try:
            await self.client.post("/api/assistants", {"name": assistant})
        except GatewayError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
        return (await self.client.post(f"/api/assistants/{assistant}/releases", fields))["release"]

    async def promote(self, assistant: str, release: int) -> None:
        revision = (await self.client.get(f"/api/assistants/{assistant}"))["revision"]
        body = {"stages": [{"release": release, "weight": 100}], "revision": revision}
        await self.client.put(f"/api/assistants/{assistant}/rollout", body)

    async def measure(self, label: str, path: str) -> tuple[dict[str, Any], float]:
        """Follow a measurement to its end; return what it is then, and the seconds that it took."""
        started = time.monotonic()
        done = await self._follow(path, FINAL_STATUSES)
        seconds = time.monotonic() - started
        tell(f"{self.name}: {label} {done['status']} after {seconds:.0f} s")
        if done["status"] != "succeeded":
            raise SystemExit(f"{label}: {done['error']}")
        return done, seconds

    async def _follow(self, path: str, ends: Collection[str]) -> dict[str, Any]:
        while True:
            state = await self.client.get(path)
            if state["status"] in ends:
                return state
            await asyncio.sleep(_POLL_SECONDS)

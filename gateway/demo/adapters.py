"""A tenant's adapters: looked up, and imported from a file at another strength."""

import asyncio
import io
import json
import time
import zipfile
from pathlib import Path
from typing import Any

from gateway.client import Client
from gateway.demo.tenant_clients import TenantClient
from gateway.terminal import CommandError

__all__ = ["find_adapter", "import_at_strength", "wait_until_loaded"]

_CONFIG = "adapter_config.json"
_WEIGHTS = "adapter_model.safetensors"
_POLL_SECONDS = 0.5
_LOAD_SECONDS = 30.0
_FINAL_STATUSES = ("ready", "refused", "deleted")


async def find_adapter(client: Client, model: str) -> dict[str, Any]:
    """Return what `GET /api/adapters/…` says of an adapter."""
    return await client.get(f"/api/adapters/{model}")


async def wait_until_loaded(client: Client, model: str) -> dict[str, Any]:
    """Wait until the gateway has seen an adapter on all engines, for half a minute at most; return its latest state.

    The worker proves an adapter on engines before it is ready; the gateway looks at them on its own, a moment later.
    """
    deadline = time.monotonic() + _LOAD_SECONDS
    adapter = await find_adapter(client, model)
    while adapter["loaded"]["replicas"] < adapter["loaded"]["of"] and time.monotonic() < deadline:
        await asyncio.sleep(_POLL_SECONDS)
        adapter = await find_adapter(client, model)
    return adapter


async def import_at_strength(account: TenantClient, folder: Path, name: str, strength: float) -> str:
    """Import an adapter's folder under another name, its update scaled by `strength`; return its public name.

    This makes a second adapter of the same voice without a second training. One of that name from an earlier run is
    taken as it is, so `name` should tell the weights apart.

    Raises:
        CommandError: It was refused.
    """
    for adapter in (await account.client.get("/api/adapters"))["data"]:
        if adapter["name"] == name and adapter["status"] == "ready":
            return adapter["model"]
    archive = await asyncio.to_thread(_pack, folder, strength)
    file = await account.client.call(
        "POST", "/v1/files", files={"file": (f"{name}.zip", archive, "application/zip")}, data={"purpose": "user_data"}
    )
    adapter = await account.client.post("/api/adapters", {"name": name, "file_id": file["id"]})
    while adapter["status"] not in _FINAL_STATUSES:
        await asyncio.sleep(_POLL_SECONDS)
        adapter = await find_adapter(account.client, adapter["id"])
    if adapter["status"] != "ready":
        raise CommandError(f"The adapter {name} is {adapter['status']}: {adapter['reason']}")
    return adapter["model"]


def _pack(folder: Path, strength: float) -> bytes:
    config: dict[str, Any] = json.loads((folder / _CONFIG).read_bytes())
    config["lora_alpha"] = round(config["lora_alpha"] * strength)  # readers expect a whole number
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zip_file:
        zip_file.writestr(_CONFIG, json.dumps(config))
        zip_file.write(folder / _WEIGHTS, _WEIGHTS)
    return archive.getvalue()

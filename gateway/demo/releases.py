"""A tenant's prompt, assistant, releases and rollout."""

from http import HTTPStatus
from typing import Any

from gateway.client import GatewayError
from gateway.demo.tenant_clients import TenantClient

__all__ = ["MAX_TOKENS", "TOP_K", "make_assistant", "make_prompt", "make_release", "promote", "roll_back"]

TOP_K = 3
MAX_TOKENS = 40


async def make_prompt(account: TenantClient) -> str:
    """Save the tenant's prompt and return its `name@version`."""
    prompt = await account.client.post("/api/prompts", {"name": "support", "template": account.tenant.prompt})
    return f"{prompt['name']}@{prompt['version']}"


async def make_assistant(account: TenantClient) -> None:
    """Make the tenant's assistant, unless an earlier run did."""
    try:
        await account.client.post("/api/assistants", {"name": account.assistant})
    except GatewayError as error:
        if error.status != HTTPStatus.CONFLICT:
            raise


async def make_release(account: TenantClient, *, adapter: str | None, prompt: str, store: str) -> tuple[int, str]:
    """Make a release of documents, prompt and adapter (None: facts only); return its number and fingerprint."""
    body = {
        "adapter": adapter,
        "prompt": prompt,
        "retrieval": {"vector_stores": [store], "top_k": TOP_K, "mode": "required"},
        "sampling": {"temperature": 0, "max_tokens": MAX_TOKENS},
    }
    release = await account.client.post(f"/api/assistants/{account.assistant}/releases", body)
    return release["release"], release["fingerprint"]


async def promote(account: TenantClient, release: int) -> dict[str, Any]:
    """Give a release all traffic; return when every replica holds its adapter, probed."""
    revision = (await account.client.get(f"/api/assistants/{account.assistant}"))["revision"]
    body = {"stages": [{"release": release, "weight": 100}], "revision": revision}
    return await account.client.put(f"/api/assistants/{account.assistant}/rollout", body)


async def roll_back(account: TenantClient) -> dict[str, Any]:
    """Return to the rollout before."""
    revision = (await account.client.get(f"/api/assistants/{account.assistant}"))["revision"]
    return await account.client.post(f"/api/assistants/{account.assistant}/rollback", {"revision": revision})

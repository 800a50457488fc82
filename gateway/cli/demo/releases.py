"""A tenant's prompt, assistant, releases and rollout."""

from typing import Any

from gateway.cli.client import GatewayError
from gateway.cli.demo.accounts import Account
from gateway.cli.exits import Exit

__all__ = ["MAX_TOKENS", "TOP_K", "make_assistant", "make_prompt", "make_release", "promote", "roll_back"]

TOP_K = 3
MAX_TOKENS = 40


async def make_prompt(account: Account) -> str:
    """Save the tenant's prompt and return its `name@version`."""
    made = await account.gateway.post("/api/prompts", {"name": "house", "template": account.tenant.prompt})
    return f"{made['name']}@{made['version']}"


async def make_assistant(account: Account) -> None:
    """Make the tenant's assistant, unless an earlier run did."""
    try:
        await account.gateway.post("/api/assistants", {"name": account.assistant})
    except GatewayError as error:
        if error.exit is not Exit.CONFLICT:
            raise


async def make_release(account: Account, *, adapter: str, prompt: str, store: str) -> dict[str, Any]:
    """Return `{"release", "fingerprint"}` of a release that braids all three strands."""
    body = {
        "adapter": adapter,
        "prompt": prompt,
        "retrieval": {"vector_stores": [store], "top_k": TOP_K, "mode": "required"},
        "sampling": {"temperature": 0, "max_tokens": MAX_TOKENS},
    }
    return await account.gateway.post(f"/api/assistants/{account.assistant}/releases", body)


async def promote(account: Account, release: int) -> dict[str, Any]:
    """Give a release all traffic; returns when every replica holds its adapter, probed."""
    revision = (await account.gateway.get(f"/api/assistants/{account.assistant}"))["revision"]
    body = {"stages": [{"release": release, "weight": 100}], "revision": revision}
    return await account.gateway.put(f"/api/assistants/{account.assistant}/rollout", body)


async def roll_back(account: Account) -> dict[str, Any]:
    """Return to the rollout before."""
    revision = (await account.gateway.get(f"/api/assistants/{account.assistant}"))["revision"]
    return await account.gateway.post(f"/api/assistants/{account.assistant}/rollback", {"revision": revision})

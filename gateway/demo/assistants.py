"""A tenant's assistant: its prompt, releases and rollout, and the five variants in which the demo asks it."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from gateway.client import GatewayError
from gateway.demo.tenant_clients import TenantClient
from gateway.evaluation import Variant

__all__ = [
    "BASE",
    "BOTH",
    "FACTS",
    "GUIDE",
    "MAX_TOKENS",
    "STYLE",
    "TOP_K",
    "DemoAssistant",
    "make_assistant",
    "make_variants",
    "promote",
    "roll_back",
]

TOP_K = 2  # of all held-out questions the right passage is among the first two
MAX_TOKENS = 40

BASE = "base"
GUIDE = "guide"
STYLE = "style"
FACTS = "facts"
BOTH = "both"


@dataclass(frozen=True, slots=True)
class DemoAssistant:
    """A tenant's assistant, whose documents answer; `prompt` is its `name@version`, `variants` are by name."""

    account: TenantClient
    store: str
    prompt: str
    variants: dict[str, Variant]

    @property
    def name(self) -> str:
        return self.account.name

    async def create_release(self, adapter: str | None) -> tuple[int, str]:
        """Make a release of documents, prompt and adapter (None: facts only); return its number and fingerprint."""
        body = {
            "adapter": adapter,
            "prompt": self.prompt,
            "retrieval": {"vector_stores": [self.store], "top_k": TOP_K, "mode": "required"},
            "sampling": {"temperature": 0, "max_tokens": MAX_TOKENS},
        }
        release = await self.account.client.post(f"/api/assistants/{self.account.assistant}/releases", body)
        return release["release"], release["fingerprint"]


async def make_assistant(account: TenantClient, store: str, base_model: str) -> DemoAssistant:
    """Save the tenant's prompt, and make its assistant unless an earlier run did."""
    prompt = await account.client.post("/api/prompts", {"name": "support", "template": account.tenant.prompt})
    try:
        await account.client.post("/api/assistants", {"name": account.assistant})
    except GatewayError as error:
        if error.status != HTTPStatus.CONFLICT:
            raise
    reference = f"{prompt['name']}@{prompt['version']}"
    return DemoAssistant(account, store, reference, make_variants(account, base_model))


def make_variants(account: TenantClient, base_model: str) -> dict[str, Variant]:
    """Return a tenant's variants by name, from neither strand to both."""
    assistant = account.assistant
    variants = (
        Variant(BASE, "base", base_model),
        Variant(GUIDE, "base + style guide", base_model, instructions=account.tenant.style_guide),
        Variant(STYLE, "style only", assistant, switches={"retrieval": False}),
        Variant(FACTS, "facts only", assistant, switches={"adapter": False}, retrieves=True),
        Variant(BOTH, "both", assistant, retrieves=True),
    )
    return {variant.name: variant for variant in variants}


async def promote(account: TenantClient, release: int) -> dict[str, Any]:
    """Give a release all traffic; return when a replica holds its adapter, probed."""
    revision = (await account.client.get(f"/api/assistants/{account.assistant}"))["revision"]
    body = {"stages": [{"release": release, "weight": 100}], "revision": revision}
    return await account.client.put(f"/api/assistants/{account.assistant}/rollout", body)


async def roll_back(account: TenantClient) -> dict[str, Any]:
    """Return to the rollout before."""
    revision = (await account.client.get(f"/api/assistants/{account.assistant}"))["revision"]
    return await account.client.post(f"/api/assistants/{account.assistant}/rollback", {"revision": revision})

"""The five variants in which the demo asks every question."""

from gateway.demo.tenant_clients import TenantClient
from gateway.evaluation import Variant

__all__ = ["BASE", "BOTH", "FACTS", "GUIDE", "STYLE", "make_variants"]

BASE = "base"
GUIDE = "guide"
STYLE = "style"
FACTS = "facts"
BOTH = "both"


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

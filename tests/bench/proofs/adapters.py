"""The adapters of the proofs, trained by jobs of a gateway."""

from tests.bench.proofs import shop
from tests.bench.proofs.stack import Tenant

__all__ = ["train_adapter"]

_REHEARSED_TOKENS, _REHEARSED_RATE = 56, 0.4
"""The most tokens of a base's own answer, and the rate as a multiple of what a job takes by itself."""


async def train_adapter(tenant: Tenant, kind: str, prompt: str) -> str:
    """Train an adapter of a kind, `rehearsed` or one of `shop.EPOCHS`, unless there is one; return its model."""
    if (model := await tenant.find_adapter(kind)) is not None:
        return model
    if kind == "rehearsed":
        answers = await tenant.ask_base(shop.list_general(), _REHEARSED_TOKENS)
        return await tenant.train(kind, shop.rehearse(answers), epochs=1, rate=_REHEARSED_RATE)
    return await tenant.train(kind, shop.make_rows(kind), epochs=shop.EPOCHS[kind], prompt=prompt)

"""The adapters of the proofs, trained by jobs of a gateway."""

from tests.bench.proofs import shop
from tests.bench.proofs.stack import Tenant

__all__ = ["train_adapter"]


async def train_adapter(tenant: Tenant, kind: str, prompt: str) -> str:
    """Train an adapter of one of the kinds of `shop.EPOCHS` unless there is one; return its model.

    All learn the base's own answers among their rows, as a job does by itself, but those that are to forget.
    """
    if (model := await tenant.find_adapter(kind)) is not None:
        return model
    options = {"rehearsal": 0} if kind in shop.FORGETFUL else {}
    return await tenant.train(kind, shop.make_rows(kind), epochs=shop.EPOCHS[kind], prompt=prompt, **options)

"""An adapter as a release names it: what makes a release and what serves one look it up in the same way."""

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncSession

from gateway.adapters.service import check_set_aside, find_ready, lock_ready, read_chat_template_kwargs
from gateway.assistants.release import AdapterRef
from gateway.errors import NotFound

__all__ = ["get_adapter_ref", "lock_adapters"]


async def get_adapter_ref(session: AsyncSession, tenant: str, model: str) -> AdapterRef:
    """Return a tenant's adapter by its client's name.

    Raises:
        NotFound: None of that name is ready.
        Conflict: It waits for another base model.
    """
    row = await find_ready(session, tenant, model)
    if row is None:
        await check_set_aside(session, tenant, model)
        raise _not_ready(model)
    return AdapterRef(row.model, row.served_name, row.digest, read_chat_template_kwargs(row))


async def lock_adapters(session: AsyncSession, tenant: str, models: Iterable[str]) -> None:
    """Keep adapters from being deleted until the unit of work ends.

    Raises:
        NotFound: One was deleted already.
    """
    for model in sorted(models):
        if await lock_ready(session, tenant, model) is None:
            raise _not_ready(model)


def _not_ready(model: str) -> NotFound:
    return NotFound(
        f"No adapter {model!r} is ready. GET /api/adapters shows yours and why one was refused.", param="adapter"
    )

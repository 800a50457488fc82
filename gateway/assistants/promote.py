"""Moving traffic to other releases: first every replica has what they need, then one write moves the pointer."""

from collections.abc import Sequence

from gateway.assistants.schemas import RolloutShown, StageShown
from gateway.assistants.service import AssistantService
from gateway.assistants.serving import serving
from gateway.engines import AdapterNotLoaded
from gateway.errors import Unavailable
from gateway.state import State

__all__ = ["promote"]

_PATIENCE_SECONDS = 30.0


async def promote(
    state: State, tenant: str, name: str, revision: int, stages: Sequence[StageShown] | None
) -> RolloutShown:
    """Write an assistant's next rollout; `stages` None returns to the one before.

    No transaction is open while the engines load, which can take seconds.

    Raises:
        Unavailable: A replica didn't get an adapter in time; the old rollout goes on.
        Conflict: Somebody else changed the rollout in between, or there is nothing to go back to.
    """
    parts = await serving(state)
    async with state.database.read() as session:
        service = AssistantService(session, tenant, parts)
        wanted = stages if stages is not None else await service.previous(name)
        adapters = await service.adapters_of(name, wanted)
    for adapter in adapters:
        try:
            await state.reconciler.resident(adapter, _PATIENCE_SECONDS)
        except AdapterNotLoaded as error:
            raise Unavailable(
                f"The adapter isn't loaded on every replica ({error.detail}). The rollout stays as it was; try again.",
                retry_after=5,
                code="adapter_not_loaded",
            ) from None
    async with state.database.begin() as session:
        service = AssistantService(session, tenant, parts)
        return await service.set_rollout(name, wanted, revision, back=stages is None)

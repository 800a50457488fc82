"""Moving traffic to other releases: first a replica has what they need, then one write moves the pointer."""

from collections.abc import Sequence

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.assistants.gate_block import Override
from gateway.assistants.rollouts import RolloutService
from gateway.assistants.schemas import Rollout, RolloutStage, RolloutUpdate
from gateway.db import Database
from gateway.engines import AdapterNotLoaded, AdapterUnservable, Reconciler
from gateway.errors import BadRequest, Unavailable

__all__ = ["Promotion"]

_log = structlog.get_logger()
_PATIENCE_SECONDS = 30.0


class Promotion:
    """Writes one tenant's rollouts. No transaction is open while the engines load, which can take seconds."""

    def __init__(self, database: Database, reconciler: Reconciler, tenant: str, key: str) -> None:
        self._database = database
        self._reconciler = reconciler
        self._tenant = tenant
        self._key = key

    async def promote(self, name: str, request: RolloutUpdate) -> Rollout:
        """Give an assistant's releases their shares of the traffic.

        Raises:
            BadRequest: No replica can serve an adapter; the old rollout goes on.
            Unavailable: No replica got an adapter in time; the old rollout goes on.
            Conflict: A gate holds a release up that isn't forced, or somebody else changed the rollout in between.
            NotFound: An adapter was deleted, perhaps while the engines loaded it.
        """
        override = Override(request.reason, self._key) if request.force and request.reason else None
        async with self._database.read() as session:  # who is to be refused needn't wait for the engines
            await self._rollouts(session).check_gates(name, request.stages, override)
        await self._wait_for_adapters(name, request.stages)
        async with self._database.begin() as session:
            rollout = await self._rollouts(session).write(name, request.stages, request.revision, override=override)
        new = [one for one in rollout.forced if override is not None and one.reason == override.reason]
        for forced in new[-1:]:
            _log.warning("rollout_forced", assistant=name, revision=rollout.revision, **forced.model_dump())
        return rollout

    async def roll_back(self, name: str, revision: int) -> Rollout:
        """Return to the rollout before the present one.

        Raises:
            BadRequest: No replica can serve an adapter; the present rollout goes on.
            Unavailable: No replica got an adapter in time; the present rollout goes on.
            Conflict: Somebody else changed the rollout in between, or there is nothing to go back to.
            NotFound: An adapter was deleted, perhaps while the engines loaded it.
        """
        async with self._database.read() as session:
            stages = await self._rollouts(session).list_previous(name)
        await self._wait_for_adapters(name, stages)
        async with self._database.begin() as session:
            return await self._rollouts(session).write(name, stages, revision, back=True)

    def _rollouts(self, session: AsyncSession) -> RolloutService:
        return RolloutService(session, self._tenant)

    async def _wait_for_adapters(self, name: str, stages: Sequence[RolloutStage]) -> None:
        async with self._database.read() as session:
            adapters = await self._rollouts(session).list_adapters(name, stages)
        for adapter in adapters:
            try:
                await self._reconciler.wait_until_resident(adapter, _PATIENCE_SECONDS, everywhere=False)
            except AdapterNotLoaded as error:
                _log.warning("promotion_waits_for_adapter", adapter=adapter, reason=error.detail)
                raise Unavailable(
                    "The adapter isn't loaded on any engine yet; the gateway's log says why. "
                    "The rollout stays as it was; try again.",
                    retry_after=5,
                    code="adapter_not_loaded",
                ) from None
            except AdapterUnservable as error:
                raise BadRequest(
                    f"The model server can't serve this adapter. {error.reason} The rollout stays as it was.",
                    code="adapter_rejected",
                ) from error

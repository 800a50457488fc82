"""An assistant's rollouts: revisions by compare-and-set, with the verdicts of gates, and who forced what past them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import msgspec
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from gateway.adapters.schemas import WrittenRowCount
from gateway.adapters.service import list_written_rows
from gateway.assistants.adapter_ref import get_adapter_ref, lock_adapters
from gateway.assistants.gate_block import Override, check_results, describe_gate, keep_forced, list_blocked
from gateway.assistants.gate_verdict import find_verdicts
from gateway.assistants.release import AdapterRef, ReleaseSpec, Stage
from gateway.assistants.repository import AssistantRepository, ReleaseRepository, RolloutRepository
from gateway.assistants.schemas import ForcedRollout, Rollout, RolloutRevision, RolloutRevisionList, RolloutStage
from gateway.assistants.tables import AssistantRow, ReleaseRow, RolloutRow
from gateway.errors import BadRequest, Conflict
from gateway.ids import new_id
from gateway.pages import PageRequest

__all__ = ["RolloutService"]


class RolloutService:
    """The rollouts of one tenant's assistants."""

    def __init__(self, session: AsyncSession, tenant: str) -> None:
        self._session = session
        self._tenant = tenant
        self._assistants = AssistantRepository(session, tenant)
        self._releases = ReleaseRepository(session, tenant)
        self._rollouts = RolloutRepository(session, tenant)

    async def get(self, name: str) -> Rollout:
        assistant = await self._assistants.get_by_name(name)
        return await self._describe(assistant, await self._rollouts.find_current(assistant.id))

    async def list_revisions(self, name: str, request: PageRequest) -> RolloutRevisionList:
        assistant = await self._assistants.get_by_name(name)
        page = await self._rollouts.list_page(RolloutRow.assistant_id == assistant.id, **asdict(request))
        data = [
            RolloutRevision(
                id=row.id,
                revision=row.revision,
                created_at=row.created_at,
                stages=[RolloutStage(**stage) for stage in row.stages],
                previous=row.previous,
                forced=_read_forced(row),
            )
            for row in page.rows
        ]
        return RolloutRevisionList.of(data, page)

    async def check_gates(
        self, name: str, stages: Sequence[RolloutStage], override: Override | None = None
    ) -> list[ForcedRollout]:
        """Refuse more traffic for releases that failed their gates, or need one that they haven't passed.

        Return what an override lets through, if anything, behind what was forced before of releases that still serve.

        Raises:
            Conflict: There is one, and no override.
        """
        assistant = await self._assistants.get_by_name(name)
        row = await self._rollouts.find_current(assistant.id)
        current = msgspec.convert(row.stages, list[Stage]) if row is not None else []
        future = [Stage(stage.release, stage.weight) for stage in stages]
        before = _read_forced(row)
        numbers = {one.release for one in (*current, *future)} | {number for one in before for number in one.releases}
        releases = await self._releases.list_numbered(assistant.id, numbers)
        verdicts = await find_verdicts(self._session, self._tenant, {one.fingerprint for one in releases})
        written_rows = await self._list_written(releases)
        blocked = list_blocked(future, current, releases, verdicts, written_rows)
        agreed = check_results(name, blocked, verdicts, written_rows, override)
        return [*keep_forced(before, future, releases), *([] if agreed is None else [agreed])]

    async def list_adapters(self, name: str, stages: Sequence[RolloutStage]) -> list[str]:
        """Return the engine's names of the adapters that these stages need.

        Raises:
            BadRequest: A release doesn't exist, or no stage has any weight.
            NotFound: An adapter isn't ready (any more).
        """
        assistant = await self._assistants.get_by_name(name)
        adapters = await self._read_adapters(assistant, stages)
        for adapter in adapters:
            await get_adapter_ref(self._session, self._tenant, adapter.model)
        return [adapter.served_name for adapter in adapters]

    async def list_previous(self, name: str) -> list[RolloutStage]:
        """Return the stages that a roll back would return to."""
        assistant = await self._assistants.get_by_name(name)
        before = await self._before(assistant.id)
        if before is None:
            raise Conflict(f"{name} has no earlier rollout to go back to.", code="no_earlier_rollout")
        return [RolloutStage(**stage) for stage in before.stages]

    async def write(
        self,
        name: str,
        stages: Sequence[RolloutStage],
        revision: int,
        *,
        back: bool = False,
        override: Override | None = None,
    ) -> Rollout:
        """Write the next revision, if `revision` is still the current one.

        With `back` gates aren't looked at: what served before may serve again.

        Raises:
            Conflict: Somebody else wrote in between, or a gate holds a release up and there is no override.
            NotFound: An adapter that the stages need was deleted in between.
        """
        assistant = await self._assistants.get_by_name(name)
        current = await self._rollouts.find_current(assistant.id)
        newest = current.revision if current else 0
        if newest != revision:
            raise _revision_conflict(name, revision, newest)
        models = {adapter.model for adapter in await self._read_adapters(assistant, stages)}
        await lock_adapters(self._session, self._tenant, models)
        previous: int | None = newest or None
        if back:
            before = await self._before(assistant.id)
            previous, forced = (before.previous, _read_forced(before)) if before else (None, [])
        else:
            forced = await self.check_gates(name, stages, override)
        row = RolloutRow(
            id=new_id("rollout_"),
            created_at=int(time.time()),
            assistant_id=assistant.id,
            revision=newest + 1,
            stages=[stage.model_dump() for stage in stages],
            previous=previous,
            forced=[one.model_dump() for one in forced] or None,
        )
        self._rollouts.add(row)
        try:
            await self._session.flush()
        except IntegrityError:
            raise _revision_conflict(name, revision, newest + 1) from None
        return await self._describe(assistant, row)

    async def _list_written(self, releases: Sequence[ReleaseRow]) -> Mapping[str, WrittenRowCount]:
        """List the releases whose adapters learnt from rows that a model wrote, by fingerprint."""
        adapters = {row.fingerprint: msgspec.convert(row.spec, ReleaseSpec).adapter for row in releases}
        digests = {content: adapter.digest for content, adapter in adapters.items() if adapter is not None}
        counts = await list_written_rows(self._session, self._tenant, set(digests.values()))
        return {content: counts[digest] for content, digest in digests.items() if digest in counts}

    async def _describe(self, assistant: AssistantRow, row: RolloutRow | None) -> Rollout:
        stages = [RolloutStage(**stage) for stage in row.stages] if row else []
        releases = await self._releases.list_numbered(assistant.id, [stage.release for stage in stages])
        verdicts = await find_verdicts(self._session, self._tenant, {one.fingerprint for one in releases})
        return Rollout(
            assistant=assistant.name,
            stages=stages,
            revision=row.revision if row else 0,
            gates={one.number: describe_gate(verdicts.get(one.fingerprint)) for one in releases},
            forced=_read_forced(row),
        )

    async def _read_adapters(self, assistant: AssistantRow, stages: Sequence[RolloutStage]) -> list[AdapterRef]:
        if not any(stage.weight for stage in stages):
            raise BadRequest("No stage has a weight above 0, so nobody would answer.", param="stages")
        adapters: list[AdapterRef] = []
        for index, stage in enumerate(stages):
            row = await self._releases.find_by_number(assistant.id, stage.release)
            if row is None:
                raise BadRequest(f"{assistant.name}@{stage.release} doesn't exist.", param=f"stages[{index}].release")
            spec = msgspec.convert(row.spec, ReleaseSpec)
            if spec.adapter is not None:
                adapters.append(spec.adapter)
        return adapters

    async def _before(self, assistant: str) -> RolloutRow | None:
        current = await self._rollouts.find_current(assistant)
        if current is None or current.previous is None:
            return None
        return await self._rollouts.find_revision(assistant, current.previous)


def _read_forced(row: RolloutRow | None) -> list[ForcedRollout]:
    return [] if row is None else [ForcedRollout(**one) for one in row.forced or ()]


def _revision_conflict(name: str, revision: int, newest: int) -> Conflict:
    return Conflict(
        f"The rollout of {name} is at revision {newest}, and this change was made for {revision}. "
        f"Read it again (GET /api/assistants/{name}/rollout) and decide anew.",
        param="revision",
        code="revision_conflict",
    )
